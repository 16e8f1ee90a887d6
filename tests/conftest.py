"""What several test files share."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmark.config import Config
from benchmark.reanalyse import reanalyse
from tests.synthetic import make_config, make_results


@dataclass(frozen=True)
class Results:
    """Made-up results of a configuration, everything after the scores written."""

    config: Config
    root: Path


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two data sets, one in two folds; one run failed, one method never ran, one file is junk."""
    config = make_config(
        "cifar10",
        "fashion_mnist",
        methods=("cae", "cae_grad", "vae", "alocc", "ocgan"),
        folds={"fashion_mnist": [0, 1]},
        seeds=[0, 1],
        milestones=[1, 5],
        outlier_ratios=[0.1, 0.5],
    )
    root = tmp_path_factory.mktemp("results") / config.name
    make_results(config, root, inliers=40)
    runs = root / "runs"
    path = runs / "cifar10/cae_grad/fold-0/inlier-3/seed-1/run.json"
    failed = {"status": "failed", "reason": "the loss became NaN in epoch 3"}
    path.write_text(json.dumps(json.loads(path.read_text()) | failed))
    shutil.rmtree(runs / "cifar10/ocgan")
    (runs / "cifar10/vae/fold-0/inlier-0/seed-0/scores.parquet").write_bytes(b"junk")
    reanalyse(config, root)
    return Results(config, root)
