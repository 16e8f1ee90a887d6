"""Which phases a run is in, by the files that it has left: also after a kill, when all stands."""

import base64
import binascii
import json
from collections.abc import Iterator
from pathlib import Path

from safetensors import safe_open

from benchmark.layout import RunKey
from tests.faults.project import CONFIG, RESULTS

STAGES = {
    "data": "data and splits",
    "splits": "data and splits",
    "metrics": "aggregation",
    "verdicts": "aggregation",
    "tables": "aggregation",
    "figures": "aggregation",
    "report": "report",
}
TRAINING, SCORING, WRITING = "training past the first checkpoint", "scoring", "writing"


def present(tree: Path) -> set[str]:
    """The phases of all jobs that Snakemake has begun and not ended."""
    found = set()
    for folder in _in_progress(tree):
        stage = folder.parts[0]
        found.add(STAGES[stage] if stage in STAGES else _of_run(tree / RESULTS / folder))
    if any((tree / RESULTS).rglob(".*.partial*")):
        found.add(WRITING)
    return found


def _in_progress(tree: Path) -> Iterator[Path]:
    """The folders, below the results, of files that Snakemake marks as incomplete."""
    for marker in (tree / ".snakemake/incomplete").rglob("*"):
        try:
            path = base64.b64decode(marker.name, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if Path(path).is_relative_to(RESULTS):
            yield Path(path).relative_to(RESULTS).parent


def _of_run(directory: Path) -> str:
    """The phase of a run: each begins with a file of its own."""
    if (directory / "weights").exists() or (directory / "reconstructions.npz").exists():
        return "files of a run"
    for checkpoint in directory.glob("training-*.safetensors"):
        try:
            with safe_open(checkpoint, framework="np") as file:
                _, _, text = file.metadata()["json"].partition(" ")
        except OSError:  # it is being replaced
            return "between phases"
        trained = json.loads(text)["progress"]["epoch"]
        epochs = CONFIG["methods"][RunKey.of(directory).method]["epochs"]
        return SCORING if trained == epochs else TRAINING
    return "before the first checkpoint"
