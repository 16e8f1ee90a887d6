import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from benchmark import metrics, published
from benchmark.layout import RunKey
from benchmark.tables import selection_table
from benchmark.tables.table import Cell
from benchmark.verdicts import selection
from benchmark.verdicts.reproduced import Reproduced
from tests.stages import source
from tests.synthetic import exactly, make_config, make_results


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    config = make_config(
        "cifar10", methods=("cae_grad", "ocgan"), seeds=[0, 1], milestones=[1, 5],
        outlier_ratios=[0.1, 0.5],
    )  # fmt: skip
    root = tmp_path_factory.mktemp("selection")
    make_results(config, root, inliers=30)
    reproduced = Reproduced(config, metrics.compute(config, root))
    return root, selection.frame(reproduced, published.load())


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


def test_the_oracle_chooses_models_not_weights(made: tuple[Path, pd.DataFrame]) -> None:
    """Its anomaly scores have the weight of the configuration; of the sweep, 8 alpha is better."""
    root, frame = made
    best, heavier = [], []
    for path in root.glob("runs/cifar10/cae_grad/*/*/*/scores.parquet"):
        final = pd.read_parquet(path)
        epochs = pd.read_parquet(path.with_name("epochs.parquet"))
        models = [*final.groupby("model", observed=True), *epochs.groupby("epoch")]
        for weight, areas in ((0.12, best), (8 * 0.03, heavier)):
            areas.append(
                max(
                    roc_auc_score(
                        ~part["inlier"], part["reconstruction"] + weight * part["gradient"]
                    )
                    for _, part in models
                )
            )
    row = frame.set_index(["method", "component"]).loc[("cae_grad", "score")]
    assert row["oracle"] == pytest.approx(np.mean(best), abs=1e-6)
    assert np.mean(heavier) > np.mean(best) + 1e-3


def test_models_are_those_of_the_run_with_most(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",), milestones=[1, 5], outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=20)
    (tmp_path / "runs/mnist/ocgan/fold-0/inlier-3/seed-0/epochs.parquet").unlink()
    reproduced = Reproduced(config, metrics.compute(config, tmp_path))
    (row,) = selection.frame(reproduced, ()).to_dict("records")
    assert row["models"] == 4  # best, last, and the two epochs


def test_a_run_of_fewer_models_has_no_oracle(tmp_path: Path) -> None:
    config = make_config(
        "mnist", methods=("ocgan",), seeds=[0, 1], milestones=[1, 5], outlier_ratios=[0.5]
    )
    make_results(config, tmp_path, inliers=20)
    for path in tmp_path.glob("runs/mnist/ocgan/fold-0/inlier-*/seed-1/epochs.parquet"):
        path.unlink()
    computed = metrics.compute(config, tmp_path)
    (row,) = selection.frame(Reproduced(config, computed), ()).to_dict("records")
    first = computed.table.query("metric == 'auroc' and seed == 0")
    assert row["oracle"] == pytest.approx(first.groupby("inlier")["value"].max().mean())
    best = first.query("model == 'best'")["value"].mean()
    assert row["gain"] == pytest.approx(row["oracle"] - best)
    assert (row["oracle_found"], row["expected"], row["best_found"]) == (10, 20, 20)


def test_the_oracle_is_never_worse(made: tuple[Path, pd.DataFrame]) -> None:
    _, frame = made
    assert list(frame["component"]) == ["reconstruction", "gradient", "score", "score"]
    assert (frame["oracle"] >= frame[["best", "last"]].max(axis=1)).all()


def test_models_are_compared_on_the_test_sets_of_all_tables(tmp_path: Path) -> None:
    """Where no test set is half outliers, on those that come nearest."""
    config = make_config("mnist", methods=("ocgan",), milestones=[1], outlier_ratios=[0.1, 0.3])
    make_results(config, tmp_path, inliers=30)
    computed = metrics.compute(config, tmp_path)
    (row,) = selection.frame(Reproduced(config, computed), ()).to_dict("records")
    values = computed.table.query("metric == 'auroc' and outlier_ratio == 0.3")
    by_run = values.groupby("inlier")["value"]
    assert row["oracle"] == pytest.approx(by_run.max().mean())
    assert row["best"] == pytest.approx(values.query("model == 'best'")["value"].mean())
    assert (row["models"], row["oracle_found"]) == (3, 10)


def test_nothing_run_is_nothing_shown(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",))
    reproduced = Reproduced(config, metrics.compute(config, tmp_path))
    (row,) = selection.frame(reproduced, published.load()).to_dict("records")
    assert np.isnan([row[rule] for rule in selection.RULES]).all()
    assert row["models"] == 0


def test_an_average_over_some_classes_is_marked_and_stands_beside_nothing(tmp_path: Path) -> None:
    """CAE + Grad has one class of ten, OCGAN all but one run, LSA constant scores."""
    config = make_config(
        "cifar10", methods=("cae_grad", "ocgan", "lsa"), seeds=[0, 1], milestones=[1],
        outlier_ratios=[0.5],
    )  # fmt: skip

    def area(key: RunKey, _: str) -> float:
        return 0.3 if key.method == "ocgan" else 0.7

    make_results(config, tmp_path, inliers=20, draw=exactly(area))
    constant = config.model_copy(update={"methods": {"lsa": config.methods["lsa"]}})
    make_results(constant, tmp_path, inliers=20, draw=lambda *key: np.zeros(sum(key[3:])))
    for inlier in range(1, 10):
        shutil.rmtree(tmp_path / f"runs/cifar10/cae_grad/fold-0/inlier-{inlier}")
    shutil.rmtree(tmp_path / "runs/cifar10/ocgan/fold-0/inlier-4/seed-1")
    table = selection_table.build(source(config, tmp_path), "cifar10")
    scores = [row for row in table.rows if row.labels[1] == "anomaly score"]
    # A mark that all averages of a row bear stands on its label.
    assert [row.marks for row in scores] == ["*", "*", "‡"]
    some, under, same = (row.cells for row in scores)
    assert [cell.marks for cell in some[:3]] == [""] * 3
    assert some[-1] == Cell()
    assert [cell.marks for cell in under[:3]] == ["†"] * 3
    assert under[-1].text == "0.657"  # all classes are there, though not all of their runs
    assert {cell.marks for cell in same[:3]} == {""}
    assert [note[0] for note in table.notes] == ["*", "†", "‡", "°"]
    few = config.datasets["cifar10"].model_copy(update={"inliers": (0, 1)})
    partly = config.model_copy(update={"datasets": {"cifar10": few}})
    frame = selection.frame(Reproduced(partly, metrics.compute(partly, tmp_path)), published.load())
    assert frame["published"].isna().all()


def test_the_gain_is_over_runs_that_have_both(tmp_path: Path) -> None:
    """A run whose best model has NaN scores has an oracle still, that of a milestone."""
    config = make_config("mnist", methods=("ocgan",), milestones=[1], outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=20, draw=exactly(lambda key, _: 0.5 + key.inlier / 20))
    path = tmp_path / "runs/mnist/ocgan/fold-0/inlier-9/seed-0/scores.parquet"
    scores = pd.read_parquet(path)
    scores.loc[scores["model"] == "best", "score"] = np.nan
    scores.to_parquet(path, index=False)
    manifest = json.loads(path.with_name("run.json").read_text())
    manifest["scores_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name("run.json").write_text(json.dumps(manifest))
    reproduced = Reproduced(config, metrics.compute(config, tmp_path))
    (row,) = selection.frame(reproduced, ()).to_dict("records")
    assert (row["best_found"], row["oracle_found"]) == (9, 10)
    assert row["oracle"] > row["best"]
    assert row["gain"] == 0
