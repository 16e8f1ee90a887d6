"""Choices that would give the published numbers, on made-up runs and by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import metrics, published, tables
from benchmark.config import Config
from benchmark.layout import RunKey
from benchmark.published import AVERAGE, Published
from benchmark.verdicts import explanations, selection
from benchmark.verdicts.explanations import expected_best
from benchmark.verdicts.reproduced import Reproduced
from tests.stages import source
from tests.synthetic import make_config, make_results

PUBLISHED = published.load()
REPORTED = published.load(published.REPORTED)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    config = make_config(
        "cifar10", methods=("cae", "cae_grad"), seeds=[0, 1], milestones=[1, 5, 20],
        outlier_ratios=[0.5],
    )  # fmt: skip
    root = tmp_path_factory.mktemp("explanations")
    make_results(config, root, inliers=40, epochs=20)
    return config, root


def framed(config: Config, root: Path, reported: tuple[Published, ...] = REPORTED) -> pd.DataFrame:
    found = explanations.frame(
        Reproduced(config, metrics.compute(config, root)), PUBLISHED, reported
    )
    return found.set_index(["explanation", "method", "component"])


def of_models(config: Config, root: Path, component: str, method: str = "cae_grad") -> pd.DataFrame:
    """AUROCs by class and seed, a column per scored model."""
    rows = metrics.compute(config, root).table.query(
        f"method == '{method}' and metric == 'auroc' and component == '{component}'"
    )
    plain = rows[rows["beta_multiple"].isna()]
    return plain.pivot(index=["inlier", "seed"], columns="model", values="value")


def test_each_choice_by_hand(made: tuple[Config, Path]) -> None:
    found, areas = framed(*made), of_models(*made, "score")
    score = found["average"].xs(("cae_grad", "score"), level=["method", "component"])
    assert score["best validation loss"] == pytest.approx(areas["best"].mean())
    assert score["last model"] == pytest.approx(areas["last"].mean())
    distinct = areas.drop(columns="epoch-20")
    assert score["epoch, on the test"] == pytest.approx(distinct.max(axis=1).mean())
    assert score["seed, on the test"] == pytest.approx(areas["best"].groupby("inlier").max().mean())
    sweep = metrics.compute(*made).table.query("method == 'cae_grad' and model == 'best'")
    swept = sweep[sweep["beta_multiple"].notna()].groupby(["inlier", "seed"])["value"].max()
    assert score["beta, on the test"] == pytest.approx(swept.mean())


def test_what_goes_with_a_choice_is_of_the_same_model(made: tuple[Config, Path]) -> None:
    """The reconstruction error of the model whose anomaly score is best."""
    found = framed(*made)
    scores, errors = (
        of_models(*made, name).drop(columns="epoch-20") for name in ("score", "reconstruction")
    )
    taken = [errors.loc[run, model] for run, model in scores.idxmax(axis=1).items()]
    row = found.loc[("epoch, on the test", "cae_grad", "reconstruction")]
    assert row["average"] == pytest.approx(np.mean(taken))
    printed = published.find(PUBLISHED, "cifar10", "cae_grad", "reconstruction", "AUROC")
    ours = pd.Series(taken, index=scores.index).groupby("inlier").mean()
    apart = [ours[k] - printed[k].value for k in range(10)]
    assert row["distance"] == pytest.approx(np.sqrt(np.mean(np.square(apart))))
    assert (row["classes"], row["published"]) == (10, printed[AVERAGE].value)


def test_the_last_epoch_counts_once(made: tuple[Config, Path]) -> None:
    """Five models are scored, of which ``last`` and the milestone of epoch 20 are one."""
    config, root = made
    assert framed(*made).loc[("epoch, on the test", "cae_grad", "score"), "choices"] == 4
    reproduced = Reproduced(config, metrics.compute(config, root))
    chosen = selection.frame(reproduced, PUBLISHED)
    assert set(chosen["models"]) == {4}
    table = reproduced.metrics.table
    table = table[table["metric"] == "auroc"]
    for keep, other in (("last", "epoch-20"), ("milestone", "last")):
        left = set(selection.distinct(table, reproduced.metrics.runs, keep)["model"])  # type: ignore[arg-type]
        assert left == set(table["model"]) - {other}
    longer = reproduced.metrics.runs.assign(epochs=30.0)
    assert len(selection.distinct(table, longer)) == len(table)


def test_no_weight_is_chosen_for_a_score_without_one(made: tuple[Config, Path]) -> None:
    rows = framed(*made).index
    assert ("beta, on the test", "cae", "reconstruction") not in rows
    assert ("epoch, on the test", "cae", "reconstruction") in rows


def test_the_epoch_is_chosen_of_runs_whose_models_on_the_way_have_scores(tmp_path: Path) -> None:
    """Of further seeds they may not be kept; a choice among fewer would pull the average down."""
    config = make_config(
        "cifar10", methods=("cae_grad",), seeds=[0, 1], milestones=[1, 5], outlier_ratios=[0.5]
    )
    make_results(config, tmp_path, inliers=20)
    kept = [*tmp_path.glob("runs/cifar10/cae_grad/fold-0/inlier-*/seed-1/epochs.parquet")]
    for path in kept:
        path.unlink()
    row = framed(config, tmp_path).loc[("epoch, on the test", "cae_grad", "score")]
    areas = of_models(config, tmp_path, "score").xs(0, level="seed")
    assert len(kept) == 10 and areas.notna().all(axis=None)
    assert row["average"] == pytest.approx(areas.max(axis=1).mean())
    # One more than a part of the classes: no average over others is compared.
    (tmp_path / "runs/cifar10/cae_grad/fold-0/inlier-4/seed-0/epochs.parquet").unlink()
    assert "epoch, on the test" not in framed(config, tmp_path).index.levels[0]


def test_one_run_of_a_class_is_no_choice(made: tuple[Config, Path]) -> None:
    config, root = made
    rows = framed(config.model_copy(update={"seeds": (0,)}), root).index
    assert not [row for row in rows if row[0] == "seed, on the test"]


@pytest.mark.parametrize(
    ("number", "expected"), [(1, 0.0), (2, np.pi**-0.5), (3, 1.5 * np.pi**-0.5)]
)
def test_the_expected_best_of_few(number: int, expected: float) -> None:
    assert expected_best(number) == pytest.approx(expected, abs=1e-9)


def test_the_best_of_all_known_runs(made: tuple[Config, Path]) -> None:
    found, areas = framed(*made), of_models(*made, "score")["best"]
    others = published.by_run(REPORTED, "cifar10", "cae_grad", "score", "AUROC").values()
    known = [[*areas[k], *(run[k].value for run in others)] for k in range(10)]
    score = found.xs(("cae_grad", "score"), level=["method", "component"])
    best = score.loc["known run, on the test"]
    assert best["average"] == pytest.approx(np.mean([max(values) for values in known]))
    assert best["choices"] == 4
    expected = [np.mean(values) + 0.8463 * np.std(values, ddof=1) for values in known]
    assert score.loc["best of 3 seeds", "average"] == pytest.approx(np.mean(expected), abs=1e-4)
    averages = [score.loc[f"best of {n} seeds", "average"] for n in explanations.SEEDS]
    assert averages == sorted(averages)


def test_one_run_tells_nothing_of_the_best_of_more(made: tuple[Config, Path]) -> None:
    config, root = made
    rows = framed(config.model_copy(update={"seeds": (0,)}), root, ()).index
    assert not any(name.startswith(("best of", "known")) for name, *_ in rows)


def test_a_class_without_a_run_leaves_nothing(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae", "cae_grad"), outlier_ratios=[0.5])

    def draw(key: RunKey, name: str, rng: np.random.Generator, n: int, m: int) -> np.ndarray:
        return rng.normal(size=n + m)

    make_results(config, tmp_path, inliers=8, draw=draw)
    (tmp_path / "runs/cifar10/cae_grad/fold-0/inlier-4/seed-0/run.json").unlink()
    assert framed(config, tmp_path).empty


def test_another_reference_gradient_is_compared_with_gradcon(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae_grad", "vae_grad"), outlier_ratios=[0.5])
    own = config.methods["cae_grad"].model_copy(
        update={"detector": "gradcon.detectors:GradCon", "params": {}}
    )
    other = own.model_copy(update={"params": {"reference": "reconstruction"}})
    config = config.model_copy(update={"methods": {"cae_grad": own, "vae_grad": other}})
    make_results(config, tmp_path, inliers=8)
    found = framed(config, tmp_path)
    areas = of_models(config, tmp_path, "gradient", "vae_grad")["best"]
    row = found.loc[("another reference", "cae_grad", "gradient")]
    assert row["average"] == pytest.approx(areas.mean())


def test_the_table_accuses_nobody_and_says_what_runs_would_tell(made: tuple[Config, Path]) -> None:
    config, root = made
    source(config, root)
    table = tables.build(config, root)["explanations"]
    assert "not that it was made" in table.caption
    assert "More seeds would tell" in table.caption
    assert len(table.rows) == len(table.frame)
    choice, series = table.rows[0].labels
    assert choice == "CIFAR-10: best validation loss, our rule"
    assert series == "CAE + Grad, reconstruction error"
