"""Verdicts on our runs and reported ones together, against a calculation by hand."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmark import metrics, published, tables
from benchmark.config import Config
from benchmark.published import AVERAGE, Published
from benchmark.verdicts import numbers, third_party
from benchmark.verdicts.numbers import Verdict
from benchmark.verdicts.reproduced import Quantity, Reproduced
from tests.stages import source
from tests.synthetic import make_config
from tests.test_verdicts import GRADCON, made

PUBLISHED = published.load()
REPORTED = published.load(published.REPORTED)
RUNS = published.by_run(REPORTED, "cifar10", "cae_grad", "score", "AUROC")


def judged(
    config: Config, root: Path, reported: tuple[Published, ...] = REPORTED
) -> dict[tuple[str, str, int], Verdict]:
    """The verdicts on all known runs, by data set, method and class."""
    reproduced = Reproduced(config, metrics.compute(config, root))
    found = third_party.judge(reproduced, numbers.judge(reproduced, PUBLISHED), reported)
    return {
        (verdict.dataset, verdict.published.run_method, verdict.published.inlier): verdict
        for verdict in found
    }


@pytest.mark.parametrize("offset", [-0.04, 0.2])
def test_an_average_is_the_textbook_calculation(tmp_path: Path, offset: float) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier] + offset, seeds=[0])
    verdict = judged(config, root)["cifar10", "cae_grad", AVERAGE]
    table = metrics.compute(config, root).table
    chosen = table.query(
        "component == 'score' and metric == 'auroc' and model == 'best' and outlier_ratio == 0.5"
    )
    ours = chosen[chosen["beta_multiple"].isna()].set_index("inlier")["value"]
    rows = np.array([[ours[k], *(run[k].value for run in RUNS.values())] for k in range(10)])
    variances = rows.var(axis=1, ddof=1)
    apart, together = variances.sum() / 100, rows.mean(axis=0).var(ddof=1)
    assert verdict.seed_ratio == pytest.approx(together / apart)
    freedom = variances.sum() ** 2 / (variances**2 / 2).sum() if together < apart else 2
    known = Reproduced(config, metrics.compute(config, root))
    outliers = known.test_variance(Quantity("cifar10", "cae_grad"))
    half = np.sqrt(
        stats.t.isf(0.025, freedom) ** 2 * max(apart, together) * (1 + 1 / 3)
        + stats.norm.isf(0.025) ** 2 * 2 * outliers
    )
    assert verdict.mean == pytest.approx(rows.mean())
    assert (verdict.low, verdict.high) == pytest.approx((rows.mean() - half, rows.mean() + half))
    inside = abs(GRADCON[AVERAGE] - rows.mean()) <= half
    assert (verdict.outcome not in ("higher", "lower")) == inside
    assert (verdict.seeds, verdict.reported_runs) == ((0,), 2)
    assert verdict.places == "issue 2 of the official code"


def test_a_class_has_a_verdict_on_all_known_runs_too(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier], seeds=[0])
    verdict = judged(config, root)["cifar10", "cae_grad", 3]
    values = [round(1000 * GRADCON[3]) / 1000, *(run[3].value for run in RUNS.values())]
    assert verdict.mean == pytest.approx(np.mean(values))
    assert (verdict.values, verdict.runs) == (3, 1)


def test_our_short_runs_do_not_count(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: 0.9, seeds=[0], epochs=10)
    verdict = judged(config, root)["cifar10", "cae_grad", AVERAGE]
    averages = [run[AVERAGE].value for run in RUNS.values()]
    assert verdict.mean == pytest.approx(np.mean(averages), abs=1e-4)
    assert (verdict.runs, verdict.seeds, verdict.epochs, verdict.short_epochs) == (0, (), "", "")


def test_a_reported_run_that_lacks_a_class_counts_for_its_others(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: 0.6, seeds=[0])
    part = tuple(
        row for row in REPORTED
        if row.method == "run 1" or row.inlier_class not in ("truck", "average")
    )  # fmt: skip
    found = judged(config, root, part)
    assert found["cifar10", "cae_grad", AVERAGE].reported_runs == 1
    assert found["cifar10", "cae_grad", 9].reported_runs == 1
    assert found["cifar10", "cae_grad", 0].reported_runs == 2


def test_averages_alone_stand_beside_the_averages_of_our_whole_runs(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: 0.6 + 0.01 * key.seed, seeds=[0, 1, 2])
    shutil.rmtree(root / "runs/cifar10/cae_grad/fold-0/inlier-7/seed-2")
    alone = tuple(row for row in REPORTED if row.inlier == AVERAGE)
    verdict = judged(config, root, alone)["cifar10", "cae_grad", AVERAGE]
    averages = [0.6, 0.61, *(run[AVERAGE].value for run in RUNS.values())]
    assert verdict.mean == pytest.approx(np.mean(averages), abs=1e-4)
    assert verdict.values == 4


def test_methods_that_we_did_not_run_have_what_others_report(tmp_path: Path) -> None:
    config = make_config("mnist", "cifar10", methods=("ocgan", "lsa", "deep_svdd"))
    found = judged(config, tmp_path)
    for key, value in (
        (("cifar10", "ocgan", AVERAGE), 0.578),
        (("mnist", "lsa", AVERAGE), 0.916),  # and not 0.817, of another batch size
        (("cifar10", "deep_svdd", 7), 0.606),
    ):
        verdict = found[key]
        assert (verdict.outcome, verdict.mean) == ("inconclusive", pytest.approx(value))
        assert np.isnan(verdict.low)
    assert ("mnist", "deep_svdd", 0) not in found  # code of others


def test_some_classes_of_ours_leave_the_reported_runs_as_they_are(tmp_path: Path) -> None:
    """A configuration of two classes has no average, and lacks classes that others report."""
    config, root = made(tmp_path, lambda key: 0.9, seeds=[0])
    entry = config.datasets["cifar10"].model_copy(update={"inliers": (0, 1)})
    found = judged(config.model_copy(update={"datasets": {"cifar10": entry}}), root)
    average = found["cifar10", "cae_grad", AVERAGE]
    reported = [run[AVERAGE].value for run in RUNS.values()]
    assert (average.mean, average.runs) == (pytest.approx(np.mean(reported), abs=1e-4), 0)
    assert average.values == 20  # their classes, so that each has its own spread
    assert found["cifar10", "cae_grad", 7].values == 2
    assert found["cifar10", "cae_grad", 1].values == 3


def test_runs_of_other_settings_count_nowhere(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: 0.6, seeds=[0])
    others = tuple(replace(row, settings="batch size 8") for row in REPORTED)
    assert judged(config, root, others) == {}


def test_they_stand_under_the_verdicts_on_ours(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier], seeds=[0])
    source(config, root)
    built = tables.build(config, root)
    for name, label in (
        ("verdicts", "CIFAR-10, GradCon, anomaly score, average"),
        ("verdicts-cifar10", "GradCon, anomaly score, average"),
    ):
        labels = [row.labels[0] for row in built[name].rows]
        assert labels[labels.index(label) + 1] == f"{label}, all known runs"
        frame = built[name].frame
        assert set(frame["runs_from"]) == {"ours", "all known"}
        assert (frame["runs_from"] == "ours").sum() >= 110
