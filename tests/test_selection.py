from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from benchmark import metrics, published, selection
from benchmark.evidence import Evidence
from tests.synthetic import make_config, make_results


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    config = make_config(
        "cifar10", methods=("cae_grad", "ocgan"), seeds=[0, 1], milestones=[1, 5],
        outlier_ratios=[0.1, 0.5],
    )  # fmt: skip
    root = tmp_path_factory.mktemp("selection")
    make_results(config, root, inliers=30)
    known = Evidence(config, metrics.compute(config, root))
    methods = {"cae_grad": ["gradient", "score"], "ocgan": ["score"]}
    return root, selection.rows(known, "cifar10", methods, published.load())


def test_each_rule_from_the_files(made: tuple[Path, pd.DataFrame]) -> None:
    root, frame = made
    areas: dict[str, list[float]] = {rule: [] for rule in selection.RULES}
    for path in root.glob("runs/cifar10/ocgan/*/*/*/scores.parquet"):
        final = pd.read_parquet(path)
        epochs = pd.read_parquet(path.with_name("epochs.parquet"))
        models = [*final.groupby("model", observed=True), *epochs.groupby("epoch")]
        area = {name: roc_auc_score(~part["inlier"], part["score"]) for name, part in models}
        areas["last"].append(area["last"])
        areas["best"].append(area["best"])
        areas["oracle"].append(max(area.values()))
    row = frame.set_index(["method", "component"]).loc[("ocgan", "score")]
    for rule in selection.RULES:
        assert row[rule] == pytest.approx(np.mean(areas[rule]))
        assert row[f"{rule}_found"] == row["expected"] == 20
    assert row["models"] == 4
    assert row["gain"] == pytest.approx(row["oracle"] - row["best"])
    assert row["published"] == 0.657


def test_the_oracle_is_never_worse(made: tuple[Path, pd.DataFrame]) -> None:
    _, frame = made
    assert list(frame["component"]) == ["gradient", "score", "score"]
    assert (frame["oracle"] >= frame[["best", "last"]].max(axis=1)).all()


def test_nothing_run_is_nothing_shown(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",))
    known = Evidence(config, metrics.compute(config, tmp_path))
    (row,) = selection.rows(known, "mnist", {"ocgan": ["score"]}, published.load()).to_dict(
        "records"
    )
    assert np.isnan([row[rule] for rule in selection.RULES]).all()
    assert row["models"] == 0
