"""A finished run kept aside, so that only what is new is trained.

Snakemake deletes the outputs of a job before it runs, all of them: a stack would train every class
and seed again because of one that is new. Therefore the files of a finished run have a second name
in its folder ``kept`` (a hard link, which takes no space), from where a job takes them back if they
are of the same settings, code, images and split.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmark.utils.files import atomic

FOLDER = "kept"
FILES = ("scores.parquet", "epochs.parquet", "history.csv", "run.json")
"""The outputs of a run; ``run.json``, which has the hashes of others, is the last to be kept."""


def keep(directory: Path) -> None:
    """Keep the files of a finished run aside."""
    forget(directory)
    (directory / FOLDER).mkdir()
    for name in FILES:
        _link(directory / name, directory / FOLDER / name)


def forget(directory: Path) -> None:
    """Remove what is kept, as before the run is made in another way."""
    shutil.rmtree(directory / FOLDER, ignore_errors=True)


def take_back(directory: Path, identity: Mapping[str, Any], milestones: Sequence[int]) -> bool:
    """Put the files that are kept in their places, if they are those of the run that is asked for.

    Args:
        directory: the folder of the run.
        identity: what its ``run.json`` must state.
        milestones: the epochs whose models are asked for; those that its training does not reach
            are no reason to make it again.

    Returns:
        Whether the run is there.
    """
    kept = directory / FOLDER
    try:
        record = json.loads((kept / "run.json").read_text())
        stated = {name: record[name] for name in identity}
        reached = set(range(1, int(record["facts"].get("epochs", 0)) + 1))
        same = stated == json.loads(json.dumps(identity))
        whole = all(
            record[f"{name}_sha256"] == _sha256(kept / f"{name}.parquet")
            for name in ("scores", "epochs")
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    missing = (reached & set(milestones)) - set(record["milestones"])
    if missing or not (same and whole and (kept / "history.csv").is_file()):
        return False
    for name in FILES:
        with atomic(directory / name) as beside:
            _link(kept / name, beside)
    return True


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _link(path: Path, other: Path) -> None:
    """Give a file a second name; a copy where the file system has no links."""
    with suppress(OSError):
        os.link(path, other)
        return
    shutil.copyfile(path, other)
