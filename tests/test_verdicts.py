"""Verdicts on made-up runs whose AUROCs are set, so that each verdict is known beforehand."""

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmark import config as configuration
from benchmark import metrics, published
from benchmark.config import Config
from benchmark.config.methods import defaults
from benchmark.layout import RunKey
from benchmark.metrics.conditions import published_epochs
from benchmark.published import AVERAGE, Published
from benchmark.runs.command import command
from benchmark.statistics import decisions, replicates
from benchmark.tables import verdict_table
from benchmark.verdicts import numbers
from benchmark.verdicts.numbers import Verdict
from benchmark.verdicts.reproduced import Quantity, Reproduced, by_run
from tests.stages import source
from tests.synthetic import exactly, make_config, make_results
from tests.tree import ROOT

PUBLISHED = published.load()
GRADCON = {
    row.inlier: row.value
    for row in PUBLISHED
    if (row.data_source, row.run_method, row.run_component) == ("cifar10", "cae_grad", "score")
}
JITTER = np.array([-0.01, -0.005, 0.0, 0.005, 0.01])


def of(found: list[Verdict], place: str, method: str, inlier: int, component: str) -> Verdict:
    (one,) = (
        verdict
        for verdict in found
        if (verdict.published.place, verdict.published.run_method) == (place, method)
        and (verdict.published.inlier, verdict.published.run_component) == (inlier, component)
    )
    return one


def judged(config: Config, root: Path) -> list[Verdict]:
    return numbers.judge(Reproduced(config, metrics.compute(config, root)), PUBLISHED)


def detail(verdict: Verdict) -> str:
    """What the tables say beside a verdict."""
    return verdict_table.detail(next(numbers.frame([verdict]).itertuples()))


def made(tmp_path: Path, auroc, epochs: int = 1000, **over) -> tuple[Config, Path]:  # type: ignore[no-untyped-def]
    """CAE + Grad on CIFAR-10, its reconstruction error of the given AUROC, its gradient of none."""

    def area(key: RunKey, component: str) -> float:
        return auroc(key) if component == "reconstruction" else 0.5

    settings = {"methods": ("cae_grad",), "seeds": [0, 1, 2, 3, 4], "outlier_ratios": [0.5]}
    config = make_config("cifar10", beta=0.0, milestones=[], **(settings | over))
    make_results(config, tmp_path, inliers=1000, draw=exactly(area), epochs=epochs)
    return config, tmp_path


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    """Classes 1 and 2 are moved, 3 and 4 made to vary too, and the others are as published."""

    def auroc(key: RunKey) -> float:
        offset = {1: 0.15, 2: -0.15, 3: 0.09}.get(key.inlier, 0.0)
        return GRADCON[key.inlier] + offset + JITTER[key.seed] * {3: 5, 4: 4}.get(key.inlier, 1)

    return judged(*made(tmp_path_factory.mktemp("known"), auroc))


@pytest.mark.parametrize(
    ("inlier", "outcome"),
    [
        (0, "reproduced"),
        (1, "higher"),
        (2, "lower"),
        (3, "compatible"),
        (4, "inconclusive"),
        (9, "reproduced"),
    ],
)
def test_outcomes(known: list[Verdict], inlier: int, outcome: str) -> None:
    verdict = of(known, "Table 3", "cae_grad", inlier, "score")
    assert verdict.outcome == outcome
    assert (verdict.runs, verdict.seeds, verdict.epochs) == (5, (0, 1, 2, 3, 4), "1000")
    shift = {1: 0.15, 2: -0.15, 3: 0.09}.get(inlier, 0)
    assert verdict.mean == pytest.approx(GRADCON[inlier] + shift, abs=2e-3)
    assert verdict.mean_low < verdict.mean < verdict.mean_high
    assert verdict.low < verdict.mean_low
    assert (verdict.low <= verdict.published.value <= verdict.high) == (
        outcome not in ("higher", "lower")
    )
    assert verdict.margin == 0.03
    assert (verdict.bound <= 0.03) == (verdict.equivalence_p <= 0.05) == (outcome == "reproduced")


def test_inconclusive_says_what_would_decide(known: list[Verdict]) -> None:
    verdict = of(known, "Table 3", "cae_grad", 4, "score")
    assert verdict.further is not None
    assert verdict.further > 0
    plural = "s" * (verdict.further != 1)
    assert detail(verdict) == f"{verdict.further} further seed{plural}"
    compatible = of(known, "Table 3", "cae_grad", 3, "score")
    assert (detail(compatible), compatible.further) == ("too noisy to confirm", None)


def test_average_is_over_classes_with_their_own_spread(known: list[Verdict]) -> None:
    verdict = of(known, "Table 3", "cae_grad", AVERAGE, "score")
    assert verdict.runs == 50
    expected = np.mean([GRADCON[inlier] for inlier in range(10)]) + 0.09 / 10
    assert verdict.mean == pytest.approx(expected, abs=2e-3)
    one = of(known, "Table 3", "cae_grad", 0, "score")
    assert verdict.high - verdict.low < one.high - one.low
    assert (verdict.whole, one.whole) == (5, 0)
    # All classes move by the same from seed to seed here.
    assert verdict.seed_ratio > 5
    assert f"5 whole runs have {verdict.seed_ratio:.2f} times the variance" in detail(verdict)


def test_a_stated_gain_stands_beside_ours_and_is_not_judged(tmp_path: Path) -> None:
    """The earlier submission's: of the gradient loss over the reconstruction error of CAE."""
    area = {("cae", "reconstruction"): 0.6, ("cae_grad", "gradient"): 0.65}
    draw = exactly(lambda key, name: area.get((key.method, name), 0.5))
    config = make_config(
        "cifar10", methods=("cae", "cae_grad"), seeds=[0, 1], outlier_ratios=[0.5], milestones=[]
    )
    make_results(config, tmp_path, inliers=100, draw=draw, epochs=1000)
    stated = published.load(published.EARLIER)
    reproduced = Reproduced(config, metrics.compute(config, tmp_path))
    (verdict,) = (v for v in numbers.judge(reproduced, stated) if v.dataset == "cifar10")
    assert verdict.mean == pytest.approx(0.05)
    assert verdict.published.value == 0.093
    assert verdict.outcome == "other settings"
    assert detail(verdict) == "an earlier submission, whose settings are not known"


def test_every_published_number_has_a_verdict(known: list[Verdict]) -> None:
    assert [verdict.published for verdict in known] == list(PUBLISHED)
    for verdict in known:
        row = verdict.published
        if row.data_source != "cifar10" or row.run_method != "cae_grad":
            assert (verdict.outcome, verdict.missing) == ("not run", "not configured")
        assert (verdict.outcome == "not run") == np.isnan(verdict.mean)


def test_frame_has_what_a_reader_checks(known: list[Verdict]) -> None:
    frame = numbers.frame(known)
    assert len(frame) == len(PUBLISHED)
    assert {"place", "source", "confidence", "published", "mean", "outcome", "command"} <= set(
        frame
    )
    tested = frame.dropna(subset="p")
    assert tested.loc[tested["outcome"] == "higher", "p"].lt(0.05).all()
    assert frame.loc[frame["outcome"] == "not run", "p"].isna().all()


def test_holms_correction_is_over_the_tested_numbers(known: list[Verdict]) -> None:
    p = [0.01, np.nan, 0.03, 0.02]
    frame = numbers.frame(
        [dataclasses.replace(each, p=value) for each, value in zip(known, p, strict=False)]
    )
    # 3 * 0.01, 2 * 0.02, and 0.03 is raised to the one before it.
    assert frame["p_holm"].tolist() == pytest.approx([0.03, np.nan, 0.04, 0.04], nan_ok=True)


def test_a_verdict_by_hand(known: list[Verdict]) -> None:
    """Five runs of one class: Student's t, with DeLong's variance for a new run, not for the mean.

    All inliers have the same score and outliers lie above or below, so that the placements of the
    outliers are 0 or 1 and those of the inliers are all the same.
    """
    verdict = of(known, "Table 3", "cae_grad", 0, "score")
    areas = np.round(1000 * (GRADCON[0] + JITTER)) / 1000
    outliers = (areas * (1 - areas) / 999).mean()
    of_runs = areas.var(ddof=1)
    difference = areas.mean() - GRADCON[0]
    assert verdict.mean == pytest.approx(areas.mean())

    def reach(tail: float, runs: float, test: float) -> float:
        student, normal = stats.t.isf(tail, 4), stats.norm.isf(tail)
        return float(np.sqrt(student**2 * runs + normal**2 * test))

    half = reach(0.025, 1.2 * of_runs, 2 * outliers)
    assert (verdict.low, verdict.high) == pytest.approx(
        (areas.mean() - half, areas.mean() + half), abs=1e-6
    )
    assert reach(verdict.p / 2, 1.2 * of_runs, 2 * outliers) == pytest.approx(abs(difference))
    bound = abs(difference) + reach(0.05, of_runs / 5, outliers)
    assert verdict.bound == pytest.approx(bound, abs=1e-6)
    nearer = 0.03 - abs(difference)
    assert reach(verdict.equivalence_p, of_runs / 5, outliers) == pytest.approx(nearer)
    own = reach(0.025, of_runs / 5, outliers)
    assert (verdict.mean_high - verdict.mean_low) / 2 == pytest.approx(own)


def test_the_average_varies_by_the_mean_over_seeds_of_each_class(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: 0.9 if key.seed else 0.6, seeds=[0, 1])
    known = Reproduced(config, metrics.compute(config, root))
    one = (0.9 * 0.1 + 0.6 * 0.4) / 2 / 999
    what = Quantity("cifar10", "cae_grad", "reconstruction")
    assert known.test_variance(what, 3) == pytest.approx(one)
    assert known.test_variance(what) == pytest.approx(10 * one / 100)


def test_fewer_epochs_are_never_a_reproduction(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier] + JITTER[key.seed], epochs=999)
    found = [verdict for verdict in judged(config, root) if not np.isnan(verdict.mean)]
    assert found
    assert {verdict.outcome for verdict in found} == {"short run"}
    assert {detail(verdict) for verdict in found} == {"999 epochs"}
    assert {verdict.further for verdict in found} == {None}


def test_one_short_run_among_long_ones_shortens_the_average(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier], seeds=[0, 1])
    path = root / "runs/cifar10/cae_grad/fold-0/inlier-4/seed-1/run.json"
    manifest = json.loads(path.read_text())
    manifest["facts"]["epochs"] = 20
    path.write_text(json.dumps(manifest))
    found = of(judged(config, root), "Table 3", "cae_grad", AVERAGE, "score")
    assert (found.outcome, detail(found)) == ("short run", "20 to 1000 epochs")


def test_one_run_per_class_decides_nothing(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier], seeds=[0])
    verdict = of(judged(config, root), "Table 3", "cae_grad", AVERAGE, "score")
    assert verdict.outcome == "inconclusive"
    assert detail(verdict) == "one run per class: the spread over seeds is not known"
    ends = (verdict.low, verdict.high, verdict.mean_low, verdict.mean_high, verdict.bound)
    assert np.isnan(ends).all()
    assert (verdict.p, verdict.further) == (pytest.approx(np.nan, nan_ok=True), None)
    table = verdict_table.build(source(config, root))
    rows = [row for row in table.rows if row.labels[0].endswith("GradCon, anomaly score, average")]
    assert rows and not any(" to " in cell.text for row in rows for cell in row.cells)


def test_an_average_borrows_spread_and_a_class_does_not(tmp_path: Path) -> None:
    """Three classes of two seeds stand for the seven of one; a class stands for itself alone."""

    def auroc(key: RunKey) -> float:
        return GRADCON[key.inlier] - 0.15 + JITTER[key.seed + 2]

    config, root = made(tmp_path, auroc, seeds=[0, 1])
    for inlier in range(3, 10):
        shutil.rmtree(root / f"runs/cifar10/cae_grad/fold-0/inlier-{inlier}/seed-1")
    found = judged(config, root)
    average = of(found, "Table 3", "cae_grad", AVERAGE, "score")
    assert average.outcome == "lower"
    assert detail(average) == "spread over runs: that of 3 of 10 classes"
    assert average.low < average.mean < average.high < average.published.value
    with_own, without = (of(found, "Table 3", "cae_grad", k, "score") for k in (0, 3))
    assert "spread" not in detail(with_own) and np.isfinite(with_own.low)
    assert without.outcome == "inconclusive" and detail(without).startswith("one run per class")
    assert np.isnan(without.low)


def test_an_average_lacking_a_class_is_not_one(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier], seeds=[0, 1])
    shutil.rmtree(root / "runs/cifar10/cae_grad/fold-0/inlier-7")
    found = judged(config, root)
    average = of(found, "Table 3", "cae_grad", AVERAGE, "score")
    assert (average.outcome, detail(average)) == ("not run", "9 of 10 classes")
    assert detail(of(found, "Table 3", "cae_grad", 7, "score")) == "no complete run"
    assert of(found, "Table 3", "cae_grad", 6, "score").outcome == "reproduced"
    some = make_config(
        "cifar10", methods=("cae_grad",), seeds=[0, 1], outlier_ratios=[0.5], beta=0.0,
        milestones=[],
    )  # fmt: skip
    entry = some.datasets["cifar10"].model_copy(update={"inliers": (0, 1)})
    some = some.model_copy(update={"datasets": {"cifar10": entry}})
    average = of(judged(some, root), "Table 3", "cae_grad", AVERAGE, "score")
    assert average.outcome == "not run"
    assert "not in this configuration" in detail(average)


@pytest.mark.parametrize("absent", [(), (7,)])
def test_classes_stand_for_an_average_that_lacks_one(
    tmp_path: Path, absent: tuple[int, ...]
) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier], seeds=[0, 1])
    for inlier in absent:
        shutil.rmtree(root / f"runs/cifar10/cae_grad/fold-0/inlier-{inlier}")
    table = verdict_table.build(source(config, root))
    rows = [row for row in table.rows if "GradCon, anomaly score" in row.labels[0]]
    rows = [row for row in rows if not row.labels[0].endswith("all known runs")]
    of_fold = {
        fold: [row.labels[0].rpartition(", ")[2] for row in rows if row.fold == fold]
        for fold in ("", "not run", verdict_table.SINGLE)
    }
    assert sum(map(len, of_fold.values())) == len(rows)
    if absent:
        assert len(of_fold[verdict_table.SINGLE]) == 9 and not of_fold[""]
        assert "average" not in of_fold[verdict_table.SINGLE]
    else:
        assert of_fold[""] == ["average"] and not of_fold[verdict_table.SINGLE]


def test_scores_without_a_number_give_no_verdict(tmp_path: Path) -> None:
    config, root = made(
        tmp_path, lambda key: np.nan if key.inlier == 5 else GRADCON[key.inlier], seeds=[0, 1]
    )
    found = judged(config, root)
    for inlier in (5, AVERAGE):
        verdict = of(found, "Table 3", "cae_grad", inlier, "score")
        assert (verdict.outcome, detail(verdict)) == ("not run", "scores without a number")


def test_parameters_do_not_hang_on_epochs(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("cae_grad", "anogan"), outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=8)
    found = judged(config, tmp_path)
    ours = of(found, "Table 6", "cae_grad", AVERAGE, "")
    assert (ours.outcome, ours.mean) == ("reproduced", 230_721)
    assert of(found, "Table 6", "anogan", AVERAGE, "").outcome == "lower"


@pytest.mark.parametrize(("share", "outcome"), [(1.009, "reproduced"), (1.011, "lower")])
def test_parameters_may_differ_by_one_percent(tmp_path: Path, share: float, outcome: str) -> None:
    config = make_config("mnist", methods=("cae_grad",), outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=8)
    row = next(
        row
        for row in PUBLISHED
        if (row.metric, row.run_method, row.data_source) == ("parameters", "cae_grad", "mnist")
    )
    printed = dataclasses.replace(row, value=share * 230_721)
    (verdict,) = numbers.judge(Reproduced(config, metrics.compute(config, tmp_path)), [printed])
    assert verdict.outcome == outcome


def test_both_overlaps_vary_over_test_samples(tmp_path: Path) -> None:
    """The difference of two overlaps has the variance of both, by drawing the outliers anew.

    All seeds score alike; the last models tell all outliers, so that their histograms are sure.
    """
    calls: dict[tuple[RunKey, str], int] = {}

    def draw(key: RunKey, name: str, _: object, n: int, m: int) -> np.ndarray:
        calls[key, name] = calls.get((key, name), 0) + 1
        if calls[key, name] > 1:
            return np.r_[np.zeros(n), np.ones(m)]
        fixed = np.random.default_rng([key.inlier, len(key.method), len(name)])
        return np.r_[fixed.normal(size=n), fixed.normal(1, 1, size=m)]

    config = make_config(
        "mnist", methods=("cae", "cae_grad", "vae"), seeds=[0, 1], outlier_ratios=[0.5],
        milestones=[],
    )  # fmt: skip
    make_results(config, tmp_path, inliers=60, draw=draw, epochs=1000)
    found = metrics.compute(config, tmp_path)
    rng, variance = np.random.default_rng(0), 0.0
    for method, component in (("cae", "reconstruction"), ("cae_grad", "gradient")):
        bars = found.histograms.query(
            f"model == 'best' and seed == 0 and method == '{method}' and component == '{component}'"
        )
        inliers, outliers = bars["inliers"].to_numpy(), bars["outliers"].to_numpy()
        drawn = rng.multinomial(600, outliers / 600, size=2000)
        variance += (200 * np.minimum(inliers, drawn).sum(axis=1) / 1200).var()
    (row,) = (
        row
        for row in PUBLISHED
        if (row.place, row.run_method, row.run_component) == ("Fig. 5", "cae_grad", "gradient")
    )
    (verdict,) = numbers.judge(Reproduced(config, found), [row])
    # Theirs are other outliers than ours, so that the variance counts twice.
    assert (verdict.high - verdict.low) / 2 == pytest.approx(1.96 * np.sqrt(2 * variance), rel=0.12)


@pytest.mark.parametrize("less", ["cae", "vae"])
def test_the_variance_of_a_difference_is_that_of_the_rival_that_overlaps_less(
    tmp_path: Path, less: str
) -> None:
    """One rival overlaps by half, of many bins; the other's few bins never mix, and are sure."""
    config = make_config(
        "mnist", methods=("cae", "cae_grad", "vae"), seeds=[0, 1], outlier_ratios=[0.5],
        milestones=[],
    )  # fmt: skip

    def draw(key: RunKey, name: str, _: object, n: int, m: int) -> np.ndarray:
        if key.method in (less, "cae_grad"):
            return np.r_[np.zeros(n), np.ones(m)]
        fixed = np.random.default_rng([key.inlier])
        return np.r_[fixed.normal(size=n), fixed.normal(1, 1, size=m)]

    make_results(config, tmp_path, inliers=60, draw=draw, epochs=1000)
    (row,) = (
        row
        for row in PUBLISHED
        if (row.place, row.run_method, row.run_component) == ("Fig. 5", "cae_grad", "gradient")
    )
    reproduced = Reproduced(config, metrics.compute(config, tmp_path))
    (verdict,) = numbers.judge(reproduced, [row])
    assert (verdict.low, verdict.mean, verdict.high) == (0, 0, 0)


def test_overlap_is_that_of_the_pooled_histograms(tmp_path: Path) -> None:
    config = make_config(
        "mnist", methods=("cae", "cae_grad", "vae"), seeds=[0, 1], outlier_ratios=[0.5]
    )
    make_results(config, tmp_path, inliers=60, epochs=1000)
    found = metrics.compute(config, tmp_path)
    shares = found.table[found.table["metric"] == "overlap"].query("model == 'best'")
    by_seed = shares.set_index(["seed", "method", "component"])["value"]
    margins = [
        min(by_seed[seed, "cae", "reconstruction"], by_seed[seed, "vae", "latent"])
        - by_seed[seed, "cae_grad", "gradient"]
        for seed in (0, 1)
    ]
    verdict = of(judged(config, tmp_path), "Fig. 5", "cae_grad", AVERAGE, "gradient")
    assert verdict.mean == pytest.approx(np.mean(margins))
    assert verdict.outcome == "inconclusive" or verdict.low > 5.7 or verdict.high < 5.7
    assert verdict.runs == 60


def test_the_second_smallest_needs_both_rivals(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("cae", "cae_grad"), outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=8, epochs=1000)
    verdict = of(judged(config, tmp_path), "Fig. 5", "cae_grad", AVERAGE, "gradient")
    assert (verdict.outcome, detail(verdict)) == ("not run", "not configured")


def test_shares_of_outliers_are_their_own_test_sets(tmp_path: Path) -> None:
    config = make_config(
        "fashion_mnist", methods=("cae_grad",), folds={"fashion_mnist": [0, 1]},
        outlier_ratios=[0.1, 0.5],
    )  # fmt: skip
    make_results(config, tmp_path, inliers=40, epochs=1000)
    found = {
        (verdict.published.metric, verdict.published.outlier_ratio): verdict
        for verdict in judged(config, tmp_path)
        if verdict.published.place == "Table 5" and verdict.published.run_method == "cae_grad"
    }
    assert detail(found["F1", 0.2]) == "no test sets with 20% outliers"
    assert found["AUROC", 0.1].runs == 20
    table = metrics.compute(config, tmp_path).table
    rows = table.query(
        "metric == 'f1' and component == 'score' and model == 'best' and outlier_ratio == 0.1"
    )
    assert found["F1", 0.1].mean == pytest.approx(rows["value"].mean())


def test_several_folds_have_the_test_samples_in_their_spread(tmp_path: Path) -> None:
    for folds in ([0], [0, 1]):
        config = make_config(
            "fashion_mnist", methods=("cae_grad",), folds={"fashion_mnist": folds},
            outlier_ratios=[0.5],
        )  # fmt: skip
        make_results(config, tmp_path, inliers=40)
        known = Reproduced(config, metrics.compute(config, tmp_path))
        variance = known.test_variance(Quantity("fashion_mnist", "cae_grad"))
        assert (variance > 0) == (folds == [0])


def test_two_of_our_data_sets_may_be_one_of_the_papers(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",), outlier_ratios=[0.5])
    again = config.model_copy(
        update={"datasets": {"mnist": config.datasets["mnist"], "second": config.datasets["mnist"]}}
    )
    make_results(config, tmp_path, inliers=8)
    rows = [row for row in PUBLISHED if row.run_method == "ocgan" and row.data_source == "mnist"]
    found = numbers.judge(Reproduced(again, metrics.compute(again, tmp_path)), rows)
    assert [verdict.dataset for verdict in found[:2]] == ["mnist", "second"]
    assert len(found) == 2 * len(rows)


def test_constant_scores_are_told(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae_grad",), seeds=[0, 1], outlier_ratios=[0.5])
    make_results(
        config, tmp_path, inliers=8, epochs=1000, draw=lambda key, name, rng, n, m: np.zeros(n + m)
    )
    verdict = of(judged(config, tmp_path), "Table 3", "cae_grad", 0, "score")
    assert (verdict.outcome, verdict.mean) == ("inconclusive", 0.5)
    assert detail(verdict) == "constant scores of plane"
    assert verdict.further is None


def test_a_row_without_chance_needs_the_margin_only(tmp_path: Path) -> None:
    """Equal runs of a method and an error of the test samples that is next to none."""
    row = next(row for row in PUBLISHED if row.run_method == "cae_grad" and row.inlier == AVERAGE)
    config, root = made(tmp_path, lambda key: 1.0, seeds=[0, 1])
    known = Reproduced(config, metrics.compute(config, root))

    def outcome(value: float) -> str:
        wanted: Published = dataclasses.replace(
            row, value=value, data_source="cifar10", metric="AUROC", run_component="score",
            outlier_ratio=None, method="GradCon",
        )  # fmt: skip
        return numbers.judge(known, [wanted])[0].outcome

    assert [outcome(value) for value in (0.995, 0.985)] == ["reproduced", "higher"]


def test_epochs_of_the_paper_or_of_the_methods_own() -> None:
    config = make_config("mnist", methods=("cae", "dcae"))
    assert published_epochs(config, "cae") == 1000
    own = config.methods["dcae"].model_copy(update={"detector": "baselines.dcae:DCAE"})
    config = config.model_copy(update={"methods": {"dcae": own}})
    assert published_epochs(config, "dcae") == 150


def test_command_names_every_run(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae",), seeds=[0, 1, 2, 7])
    assert command(config, "cifar10", ["cae"], [3]) == (
        "snakemake --configfile config/made_up.yaml --cores 8 "
        "results/made_up/runs/cifar10/cae/fold-0/inlier-3/seed-{0,1,2,7}/run.json && "
        "snakemake --configfile config/made_up.yaml --cores 1 reanalyse"
    )
    assert "/{cae,vae}/fold-0/inlier-{0..9}/" in command(
        config, "cifar10", ["cae", "vae"], range(10)
    )
    assert shlex.split(command(config, "cifar10", ["cae"], [3]))[0] == "snakemake"


def rewritten(root: Path, place: str, **config: object) -> None:
    """Change the hyperparameters that a run says it had."""
    path = root / "runs" / place / "run.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"config": manifest["config"] | config}))


@pytest.mark.parametrize("path", ["config/paper.yaml", "results/reference/paper/config.yaml"])
def test_the_configuration_of_the_paper_has_the_papers_settings(path: str) -> None:
    config = configuration.read(ROOT / path, data=False)
    variants = {"ocsvm_unscaled": {"whiten": False}}
    for name, method in config.methods.items():
        stated = json.loads(json.dumps(method.params))
        assert stated == defaults(method.detector) | variants.get(name, {}), name
        assert stated.get("epochs") == published_epochs(config, name)


def test_other_hyperparameters_are_never_a_reproduction(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier] + JITTER[key.seed])
    rewritten(root, "cifar10/cae_grad/fold-0/inlier-3/seed-2", batch_size=8, reference="total")
    found = judged(config, root)
    for inlier in (3, AVERAGE):
        verdict = of(found, "Table 3", "cae_grad", inlier, "score")
        assert (verdict.outcome, detail(verdict)) == ("other settings", "batch_size 8, not 64")
    assert of(found, "Table 3", "cae_grad", 0, "score").outcome == "reproduced"
    rewritten(root, "cifar10/cae_grad/fold-0/inlier-3/seed-2", epochs=20)
    verdict = of(judged(config, root), "Table 3", "cae_grad", 3, "score")
    assert (verdict.outcome, detail(verdict)) == (
        "short run",
        "20 to 1000 epochs; batch_size 8, not 64",
    )


@pytest.mark.parametrize(
    ("setting", "told"),
    [({"beta": 5.0}, "beta 5.0, not 0.12"), ({"image_size": 64}, "image_size 64, not 28")],
)
def test_another_score_or_image_size_is_never_a_reproduction(
    tmp_path: Path, setting: dict[str, float], told: str
) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier] + JITTER[key.seed])
    own = config.methods["cae_grad"].model_copy(update={"detector": "gradcon.detectors:GradCon"})
    config = config.model_copy(
        update={"beta": 0.12, **setting, "methods": {**config.methods, "cae_grad": own}}
    )
    verdict = of(judged(config, root), "Table 3", "cae_grad", 0, "score")
    assert (verdict.outcome, detail(verdict)) == ("other settings", told)


def test_only_the_runs_of_a_class_shorten_it(tmp_path: Path) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier] + JITTER[key.seed])
    rewritten(root, "cifar10/cae_grad/fold-0/inlier-4/seed-1", epochs=20)
    found = judged(config, root)
    assert of(found, "Table 3", "cae_grad", 0, "score").outcome == "reproduced"
    assert of(found, "Table 3", "cae_grad", 4, "score").outcome == "short run"


def test_parameters_of_other_settings_are_not_the_papers(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("cae_grad",), outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=8)
    rewritten(tmp_path, "mnist/cae_grad/fold-0/inlier-0/seed-0", batch_size=8)
    verdict = of(judged(config, tmp_path), "Table 6", "cae_grad", AVERAGE, "")
    assert (verdict.outcome, detail(verdict)) == ("other settings", "batch_size 8, not 64")


def named(method: str, detector: str, **over: object) -> Config:
    config = make_config("cifar10", methods=(method,), milestones=[], outlier_ratios=[0.5], **over)
    own = config.methods[method].model_copy(update={"detector": detector})
    return config.model_copy(update={"methods": {method: own}})


def test_epochs_of_another_phase_do_not_count(tmp_path: Path) -> None:
    """Of the epochs of Deep SVDD, half are pre-training."""
    config = named("deep_svdd", "baselines.deep_svdd:DeepSVDD")
    make_results(config, tmp_path, inliers=20, epochs=160)
    place = "cifar10/deep_svdd/fold-0/inlier-0/seed-0"
    rewritten(tmp_path, place, epochs=80, pretrain_epochs=80)
    verdict = of(judged(config, tmp_path), "Table 3", "deep_svdd", 0, "score")
    assert (verdict.outcome, verdict.epochs) == ("short run", "80")
    assert detail(verdict) == "80 epochs; pretrain_epochs 80, not the default"


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
@pytest.mark.parametrize(
    ("offset", "outcome"), [(0.0, "reproduced"), (0.03, "compatible"), (0.2, "higher")]
)
def test_a_fit_without_chance_is_decided_by_its_test_samples(
    tmp_path: Path, offset: float, outcome: str, seeds: list[int]
) -> None:
    """Whether it ran once or twice, as every run of it gives the same."""
    config = named("kde", "baselines.kde:KDE", seeds=seeds)
    printed = {
        row.inlier: row.value
        for row in PUBLISHED
        if (row.data_source, row.run_method) == ("cifar10", "kde")
    }
    draw = exactly(lambda key, _: printed[key.inlier] + offset)
    make_results(config, tmp_path, inliers=1000, draw=draw, epochs=0)
    verdict = of(judged(config, tmp_path), "Table 3", "kde", 0, "score")
    assert (verdict.outcome, verdict.further, verdict.epochs) == (outcome, None, "")
    assert detail(verdict) == "fitted without chance: decided by its test samples"
    area = round(1000 * (printed[0] + offset)) / 1000
    error = np.sqrt(area * (1 - area) / 999)
    assert (verdict.high - verdict.low) / 2 == pytest.approx(1.96 * np.sqrt(2) * error, rel=1e-3)
    assert verdict.bound == pytest.approx(abs(area - printed[0]) + 1.645 * error, rel=1e-3)
    average = of(judged(config, tmp_path), "Table 3", "kde", AVERAGE, "score")
    assert average.high - average.low < (verdict.high - verdict.low) / 2


def test_runs_without_a_number_are_told(tmp_path: Path) -> None:
    def auroc(key: RunKey) -> float:
        return np.nan if (key.inlier, key.seed) == (5, 1) else GRADCON[key.inlier]

    config, root = made(tmp_path, auroc, seeds=[0, 1])
    found = judged(config, root)
    one = of(found, "Table 3", "cae_grad", 5, "score")
    assert one.outcome == "inconclusive"
    assert detail(one).endswith("; 1 of 2 runs has no number")
    assert detail(of(found, "Table 3", "cae_grad", AVERAGE, "score")).endswith(
        "1 of 20 runs has no number"
    )
    assert detail(of(found, "Table 3", "cae_grad", 4, "score")) == ""


def test_one_run_without_a_level_of_test_samples_has_no_interval(tmp_path: Path) -> None:
    """F1, and any number of several folds: nothing tells how much a run varies."""
    config = make_config(
        "fashion_mnist", methods=("cae_grad",), folds={"fashion_mnist": [0]}, outlier_ratios=[0.5]
    )
    make_results(config, tmp_path, inliers=40, epochs=1000)
    known = Reproduced(config, metrics.compute(config, tmp_path))
    found = numbers.judge(known, PUBLISHED)
    (f1,) = (
        verdict
        for verdict in found
        if (verdict.published.metric, verdict.published.outlier_ratio) == ("F1", 0.5)
        and verdict.published.run_method == "cae_grad"
    )
    assert np.isfinite(f1.mean)
    assert np.isnan([f1.mean_low, f1.mean_high, f1.low, f1.high, f1.p]).all()
    assert (f1.outcome, f1.further) == ("inconclusive", None)
    assert detail(f1) == "one run per class: the spread over seeds is not known"
    table = verdict_table.build(source(config, tmp_path), "fashion_mnist")
    rows = [row for row in table.rows if row.labels[0].startswith("GradCon, F1") and not row.fold]
    assert len(rows) == 1
    assert not any(" to " in cell.text for cell in rows[0].cells)


def test_seeds_that_would_decide_are_counted_by_folds(tmp_path: Path) -> None:
    row = next(row for row in PUBLISHED if row.run_method == "cae_grad" and row.inlier == AVERAGE)
    config = make_config(
        "fashion_mnist", methods=("cae_grad",), folds={"fashion_mnist": [0, 1, 2, 3, 4]},
        outlier_ratios=[0.5], milestones=[], beta=0.0,
    )  # fmt: skip
    draw = exactly(lambda key, _: 0.7 + 0.04 * (key.fold - 2))
    make_results(config, tmp_path, inliers=100, draw=draw, epochs=1000)
    known = Reproduced(config, metrics.compute(config, tmp_path))
    wanted = dataclasses.replace(
        row, value=0.7, data_source="fashion_mnist", metric="AUROC", run_component="score",
        outlier_ratio=None, method="GradCon",
    )  # fmt: skip
    (verdict,) = numbers.judge(known, [wanted])
    cube = known.values(Quantity("fashion_mnist", "cae_grad"))
    runs = decisions.runs_to_decide(replicates.of_runs(by_run(cube)), 0.7)
    assert runs is not None
    assert verdict.further == -(-runs // 5)
    plural = "s" * (verdict.further != 1)
    assert detail(verdict).startswith(f"{verdict.further} further seed{plural}; ")


def test_only_data_sets_with_runs_stand_in_the_caption(tmp_path: Path) -> None:
    _, root = made(tmp_path, lambda key: GRADCON[key.inlier], seeds=[0])
    both = make_config(
        "mnist", "cifar10", methods=("cae_grad",), seeds=[0], outlier_ratios=[0.5], milestones=[]
    )
    caption = verdict_table.build(source(both, root)).caption
    assert "CIFAR-10; 1,000 epochs; 1 seed (0)" in caption
    assert "MNIST" not in caption
