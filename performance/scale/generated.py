"""Generated configurations and scores: as many jobs, runs and data sets as are asked for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmark import config as configuration
from benchmark import layout
from benchmark.config import Config
from benchmark.scores import collect
from tests.synthetic import make_run

CLASSES = 10
DETECTOR = "gradcon.detectors:CAE"
"""Of all generated methods: no model is trained."""

METHODS = ("cae", "cae_grad", "vae", "vae_grad", "alocc")
BETAS = [0, 0.33, 0.67, 1, 1.67, 2, 3, 4, 5, 6, 8, 10]
RATIOS = [0.1, 0.2, 0.3, 0.4, 0.5]


def settings(
    sources: Mapping[str, str], runs: int, methods: Sequence[str] = METHODS
) -> dict[str, Any]:
    """A configuration of at least so many runs, of the paper's betas and outlier ratios.

    ``sources`` names the data sets, and of each the source that it is said to be of.
    """
    datasets = {
        name: {"source": source, "protocol": "folds"}
        | ({"path": "data"} if source != "digits" else {})
        for name, source in sources.items()
    }
    seeds = -(-runs // (CLASSES * len(sources) * len(methods)))
    return {
        "name": "generated",
        "seeds": list(range(seeds)),
        "beta_multiples": BETAS,
        "outlier_ratios": RATIOS,
        "datasets": datasets,
        "methods": {name: {"detector": DETECTOR, "epochs": 20} for name in methods},
    }


def write_config(folder: Path, content: dict[str, Any]) -> Path:
    """Write a configuration into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def write_runs(folder: Path, content: dict[str, Any], samples: int = 2000) -> Config:
    """Write a configuration and the scores of all its runs, half of the samples outliers."""
    write_config(folder, content)
    config = configuration.load(content, data=False)
    root = folder / config.root
    for dataset in config.datasets:
        description = layout.data(root, dataset) / "dataset.json"
        description.parent.mkdir(parents=True, exist_ok=True)
        names = [f"class {number}" for number in range(CLASSES)]
        facts = {"class_names": names, "sha256": {"images": "generated"}}
        description.write_text(json.dumps(facts))
    for run in collect(config, root):
        if run.status == "missing":
            make_run(config, run.key, run.class_name, run.directory, samples // 2)
    return config
