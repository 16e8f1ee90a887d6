"""What test files share: their order, a prepared data set, made-up results, a browser."""

import gc
import json
import multiprocessing.spawn
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from benchmark import data as datasets
from benchmark import layout, splits
from benchmark.config import Config
from benchmark.layout import RunKey
from tests import calls
from tests.browser import Browser, executable
from tests.shared import once
from tests.synthetic import make_config, make_results

LONGEST = ("workflow", "conformance", "budget", "committed", "performance", "figures", "runs")
LONGEST += ("reference", "gradcon_training", "page", "site", "exchange", "on_gpu", "tables")
"""Files that take longest, first: a process that got one of them last would run it alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; pytest-xdist (`--dist loadfile`) runs a file in one process."""
    order = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def pytest_collection_finish() -> None:
    """Spare garbage collections the modules and test cases: a sixteenth of the tests' time."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Collect those too: libraries call objects that are left at the end of a process leaks."""
    gc.unfreeze()


@dataclass(frozen=True)
class Results:
    """Made-up results of a configuration, everything after the scores written."""

    config: Config
    root: Path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The digits of scikit-learn and a split of two inlier classes, as runs read them."""
    root = tmp_path_factory.mktemp("prepared")
    dataset = datasets.read("digits", None, 28)
    datasets.prepare(dataset, root / "data")
    split = splits.make_split(dataset.labels, None, "folds", 0, 0, [0, 1], 0.5)
    splits.write_split(split, root / "fold-0.parquet", protocol="folds", fold=0, split_seed=0)
    return root / "data", root / "fold-0.parquet"


@pytest.fixture(scope="session")
def results(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two data sets, one in two folds; one run failed, one method never ran, one file is junk.

    All processes of the tests read the same files.
    """
    config = make_config(
        "cifar10",
        "fashion_mnist",
        methods=("cae", "cae_grad", "vae", "alocc", "ocgan"),
        folds={"fashion_mnist": [0, 1]},
        seeds=[0, 1],
        milestones=[1, 5],
        outlier_ratios=[0.1, 0.5],
    )
    folder = once("results", partial(_made_up, config), pytestconfig, tmp_path_factory)
    return Results(config, folder / config.name)


def _made_up(config: Config, folder: Path) -> None:
    root = folder / config.name
    make_results(config, root, inliers=40)
    path = layout.run(root, RunKey("cifar10", "cae_grad", 0, 3, 1)) / "run.json"
    failed = {"status": "failed", "reason": "the loss became NaN in epoch 3"}
    path.write_text(json.dumps(json.loads(path.read_text()) | failed))
    shutil.rmtree(root / "runs/cifar10/ocgan")
    damaged = layout.run(root, RunKey("cifar10", "vae", 0, 0, 0)) / "scores.parquet"
    damaged.write_bytes(b"junk")
    # Imported here, as most test files need neither tables nor figures.
    from benchmark.reanalyse import reanalyse

    reanalyse(config, root)


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """New processes of Python, those of ``multiprocessing`` too, are forks that import nothing."""
    program = calls.interpreter()
    monkeypatch.setattr(sys, "executable", program)
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", os.fsencode(program))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium; a test without one is skipped."""
    command = executable()
    if command is None:
        pytest.skip("no Chromium here; Debian's package is called chromium")
    with Browser.started(command, tmp_path_factory.mktemp("profile")) as started:
        yield started
