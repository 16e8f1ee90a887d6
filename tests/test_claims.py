"""Claims on made-up runs whose numbers are set, so that each verdict is known beforehand."""

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark import config as configuration
from benchmark import layout, metrics, published
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.published import AVERAGE
from benchmark.tables import claim_table
from benchmark.verdicts import claims
from benchmark.verdicts.claims import Claim, Finding, gain
from benchmark.verdicts.comparisons import Case, Comparison, Result, Workbench
from benchmark.verdicts.reproduced import Quantity, Reproduced
from tests.synthetic import exactly, make_config, make_results

PUBLISHED = published.load()
JITTER = np.array([-0.004, 0.004, 0.0])
SETTINGS = {"seeds": [0, 1, 2], "outlier_ratios": [0.5], "milestones": [], "beta": 0.0}


def bench(config: Config, root: Path) -> Workbench:
    return Workbench(Reproduced(config, metrics.compute(config, root)), root, PUBLISHED)


def judged(config: Config, root: Path, *wanted: Claim) -> list[Finding]:
    known = Reproduced(config, metrics.compute(config, root))
    return claims.judge(known, root, PUBLISHED, wanted)


def detail(finding: Finding) -> str:
    """What the tables say beside a claim."""
    config = make_config("mnist", "fashion_mnist", "cifar10")
    return claim_table.detail(config, claims.frame([finding]))


def claim(*comparisons: dict, name: str = "it") -> Claim:  # type: ignore[type-arg]
    return Claim.model_validate(
        {"id": name, "place": "somewhere", "claim": "so it is", "holds_if": comparisons}
    )


def versus(above: str, below: str, **more: object) -> dict:  # type: ignore[type-arg]
    terms = {"greater": [{"method": above}], "than": [{"method": below}]}
    return {"dataset": "cifar10", **terms, **more}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    """OCGAN 0.70, DCAE 0.60, KDE 0.60 in the mean; their runs differ by some thousandths."""
    centre = {"ocgan": 0.70, "dcae": 0.60, "kde": 0.60}
    order = {"ocgan": 1, "dcae": 1, "kde": -1}

    def auroc(key: RunKey, _: str) -> float:
        return centre[key.method] + order[key.method] * JITTER[key.seed] + 0.01 * key.inlier

    config = make_config("cifar10", methods=tuple(centre), **SETTINGS)
    root = tmp_path_factory.mktemp("claims")
    make_results(config, root, inliers=500, draw=exactly(auroc), epochs=1000)
    return config, root


def test_holds_fails_or_neither(made: tuple[Config, Path]) -> None:
    found = judged(
        *made,
        claim(versus("ocgan", "dcae"), name="holds"),
        claim(versus("dcae", "ocgan"), name="fails"),
        claim(versus("dcae", "kde"), name="undecided"),
    )
    assert [finding.outcome for finding in found] == [finding.claim.id for finding in found]
    first = found[0].results[0]
    assert first.effect == pytest.approx(0.10, abs=2e-3)
    assert first.low < 0.10 < first.high
    assert first.runs == 30
    assert found[1].results[0].effect == pytest.approx(-first.effect)


def test_all_comparisons_must_hold_and_one_reversed_is_enough(made: tuple[Config, Path]) -> None:
    both, part, wrong = judged(
        *made,
        claim(versus("ocgan", "dcae"), versus("ocgan", "kde")),
        claim(versus("ocgan", "dcae"), versus("dcae", "kde")),
        claim(versus("ocgan", "dcae"), versus("kde", "ocgan")),
    )
    assert [both.outcome, part.outcome, wrong.outcome] == ["holds", "undecided", "fails"]
    assert part.weakest is not None
    assert part.weakest.case.label == "DCAE against KDE"


def shown(effect: float, not_above: float = 0.5, not_below: float = 0.5, **over: object) -> Result:
    """A comparison of this effect and these one-sided p-values."""
    made = Result(
        Case(""),
        effect,
        effect - 0.1,
        effect + 0.1,
        p_not_above=not_above,
        p_not_below=not_below,
        runs=10,
    )
    return dataclasses.replace(made, **over)  # type: ignore[arg-type]


def by_hand(monkeypatch: pytest.MonkeyPatch, *results: Sequence[Result]) -> list[Finding]:
    """The verdicts on claims whose comparisons have these results."""
    places = {f"{n}.{k}": each for n, of in enumerate(results) for k, each in enumerate(of)}
    stated = [
        claim(*(versus("a", "b", dataset=f"{n}.{k}") for k in range(len(of))), name=str(n))
        for n, of in enumerate(results)
    ]
    shelf = SimpleNamespace(compare=lambda part: [places[part.dataset]])
    monkeypatch.setattr(claims, "Workbench", lambda *_: shelf)
    config = make_config("mnist")
    return claims.judge(Reproduced(config, None), Path(), (), stated)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "p", "outcome"),
    [
        # Holds if the weaker one does, so its p-value is that of the claim; two-sided.
        ([(0.1, 0.01, 0.99), (0.2, 0.002, 0.998)], 2 * 0.01, "holds"),
        # Fails if any is reversed: Bonferroni over the two.
        ([(0.1, 0.01, 0.99), (-0.1, 0.996, 0.004)], 2 * 2 * 0.004, "fails"),
        ([(0.1, 0.03, 0.97)], 2 * 0.03, "undecided"),
        ([(0.1, 0.01, 0.99), (-0.1, 0.986, 0.014)], 2 * 2 * 0.014, "undecided"),
        ([(0.0, 0.6, 0.6)], 1.0, "undecided"),
    ],
)
def test_p_of_a_claim_by_hand(
    monkeypatch: pytest.MonkeyPatch,
    parts: list[tuple[float, float, float]],
    p: float,
    outcome: str,
) -> None:
    (found,) = by_hand(monkeypatch, [shown(*part) for part in parts])
    assert (found.p, found.p_holm) == (pytest.approx(p), pytest.approx(p))
    assert found.outcome == outcome


def test_holms_correction_decides_not_each_claim_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = [shown(0.1, 0.02, 0.98)], [shown(-0.1, 0.985, 0.015)]
    assert [by_hand(monkeypatch, each)[0].outcome for each in (one, other)] == ["holds", "fails"]
    both = by_hand(monkeypatch, one, other)
    assert [found.p for found in both] == pytest.approx([0.04, 0.03])
    assert [found.p_holm for found in both] == pytest.approx([0.06, 0.06])
    assert [found.outcome for found in both] == ["undecided", "undecided"]


def test_every_comparison_needs_a_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    known, unknown = shown(0.1, 0.001, 0.999), shown(0.2, 0.001, 0.999, spread_known=False)
    (found,) = by_hand(monkeypatch, [known, unknown])
    assert (found.outcome, found.one_run, np.isnan(found.p)) == ("undecided", True, True)


def test_the_gravest_difference_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    strong = shown(0.1, 0.001, 0.999)
    short, other, constant = (
        dataclasses.replace(strong, **{name: name}) for name in claims.DIFFERENCES
    )
    found = by_hand(
        monkeypatch, [constant, other, short], [constant, other], [strong, constant], [strong]
    )
    assert [each.outcome for each in found] == [
        "short run", "other settings", "undecided", "holds",
    ]  # fmt: skip
    assert [np.isfinite(each.p) for each in found] == [False, False, False, True]
    assert found[2].constant_classes == "constant_classes"


@pytest.mark.parametrize(("ratio", "outcome"), [(26.9, "fails"), (27.0, "holds"), (30, "holds")])
def test_at_least_so_many_times_are_enough(
    monkeypatch: pytest.MonkeyPatch, ratio: float, outcome: str
) -> None:
    exact = Result(Case("", exact=ratio, least=27.0), ratio)
    (found,) = by_hand(monkeypatch, [exact, Result(Case("", exact=99.0, least=27.0), 99.0)])
    assert (found.outcome, np.isnan(found.p)) == (outcome, True)


def test_a_rival_is_ranked_by_its_best_score() -> None:
    """ALOCC's first score is ahead of GradCon and its second behind; LSA is ahead, KDE behind."""

    def stands(methods: tuple[str, str], effect: float) -> Result:
        return shown(effect, case=Case("", methods))

    results = [
        stands(("cae_grad", "alocc"), -0.1),
        stands(("cae_grad", "alocc"), 0.2),
        stands(("lsa", "cae_grad"), 0.1),
        stands(("cae_grad", "kde"), 0.3),
        stands(("lsa", "kde"), 0.3),
    ]
    with pytest.MonkeyPatch.context() as patch:
        shelf = SimpleNamespace(compare=lambda _: results)
        patch.setattr(claims, "Workbench", lambda *_: shelf)
        ranked = claim(versus("a", "b")).model_copy(update={"rank": "cae_grad"})
        known = Reproduced(make_config("mnist"), None)  # type: ignore[arg-type]
        (found,) = claims.judge(known, Path(), (), [ranked])
    assert (found.rank, found.ranked) == (3, 4)


def test_runs_are_paired(made: tuple[Config, Path], tmp_path: Path) -> None:
    """OCGAN and DCAE rise and fall together, so their difference has no spread over runs."""
    config, root = made
    whole = bench(config, root)
    paired, unpaired = (
        whole.compare(Comparison.model_validate(versus("ocgan", name)))[0]
        for name in ("dcae", "kde")
    )
    assert paired.high - paired.low < unpaired.high - unpaired.low


def test_interval_is_that_of_delong_where_runs_are_equal(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan", "dcae"), **(SETTINGS | {"seeds": [0, 1]}))

    def draw(key, name, rng, n, m):  # type: ignore[no-untyped-def]
        fixed = np.random.default_rng([key.inlier, len(key.method)])
        return np.r_[fixed.normal(size=n), fixed.normal(len(key.method) / 5, 1, size=m)]

    make_results(config, tmp_path, inliers=30, draw=draw, epochs=1000)
    part = {"dataset": "mnist", "greater": [{"method": "ocgan"}], "than": [{"method": "dcae"}]}
    (found,) = bench(config, tmp_path).compare(Comparison.model_validate(part))
    variance, effect = 0.0, 0.0
    for inlier in range(10):
        columns = []
        for method in ("ocgan", "dcae"):
            path = tmp_path / f"runs/mnist/{method}/fold-0/inlier-{inlier}/seed-0/scores.parquet"
            rows = pd.read_parquet(path).query("model == 'best'")
            score = rows["score"].to_numpy(float)
            a, b = score[rows["inlier"]][:, None], score[~rows["inlier"]][None, :]
            columns.append((a < b) + (a == b) / 2)
        kernel = columns[0] - columns[1]
        effect += kernel.mean() / 10
        variance += (kernel.mean(1).var(ddof=1) / 30 + kernel.mean(0).var(ddof=1) / 30) / 100
    assert found.effect == pytest.approx(effect)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.05)


GRADIENT_SHIFT = 0.1
"""How much higher the gradient loss of outliers is in ``equal_runs``."""


@pytest.fixture(scope="module")
def equal_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    """All seeds and folds score alike, so that only test samples vary; last models never err.

    The gradient loss tells outliers for sure, the reconstruction error does not.
    """
    calls: Counter[tuple[RunKey, str]] = Counter()

    def draw(key: RunKey, name: str, _: object, n: int, m: int) -> np.ndarray:
        calls[key, name] += 1
        if calls[key, name] > 1:  # the last model comes after the best
            return np.r_[np.zeros(n), np.ones(m)]
        if name == "gradient":
            return np.r_[np.zeros(n), np.full(m, GRADIENT_SHIFT)]
        fixed = np.random.default_rng([key.inlier, len(key.method)])
        values = np.r_[fixed.normal(size=n), fixed.normal(0.5, 1, size=m)]
        return values * (0.01 if name == "reconstruction" else 1)

    config = make_config(
        "cifar10", "mnist", "fashion_mnist", methods=("cae_grad", "ocgan"), seeds=[0, 1],
        folds={"fashion_mnist": [0, 1]}, outlier_ratios=[0.1, 0.5], milestones=[], beta=0.12,
    )  # fmt: skip
    root = tmp_path_factory.mktemp("equal_runs")
    make_results(config, root, inliers=60, draw=draw, epochs=1000)
    return config, root


def pair_kernel(root: Path, dataset: str, method: str, inlier: int, weight: float, count: int):  # type: ignore[no-untyped-def]
    """Of each inlier and each of the first outliers, 1 if the latter is higher, 1/2 if even."""
    key = RunKey(dataset, method, 0, inlier, 0)
    rows = pd.read_parquet(layout.run(root, key) / "scores.parquet").query("model == 'best'")
    score = rows["score"] if "score" in rows else rows["reconstruction"] + weight * rows["gradient"]
    inliers = score[rows["inlier"]].to_numpy(float)[:, None]
    outliers = score[rows["outlier_rank"].between(0, count - 1)].to_numpy(float)[None, :]
    return (inliers < outliers) + (inliers == outliers) / 2


def variance_by_pairs(root: Path, dataset: str, weight: float, count: int, rival: bool) -> float:
    """DeLong's variance of the average of CAE + Grad, maybe minus OCGAN's, from all pairs."""
    variance = 0.0
    for inlier in range(10):
        kernel = pair_kernel(root, dataset, "cae_grad", inlier, weight, count)
        if rival:
            kernel = kernel - pair_kernel(root, dataset, "ocgan", inlier, 0.0, count)
        n, m = kernel.shape
        variance += kernel.mean(1).var(ddof=1) / n + kernel.mean(0).var(ddof=1) / m
    return variance / 100


def half_width(result: Result) -> float:
    return (result.high - result.low) / 2


def test_the_variance_of_test_samples_is_of_the_scores_compared(
    equal_runs: tuple[Config, Path],
) -> None:
    """The best models', with the weight and the share of outliers of the comparison."""
    config, root = equal_runs
    shelf = bench(config, root)
    main, few = (
        shelf.compare(Comparison.model_validate(versus("cae_grad", "ocgan", shares=share)))[0]
        for share in ((), (0.1,))
    )
    for result, count in ((main, 60), (few, 7)):
        variance = variance_by_pairs(root, "cifar10", 0.12, count, rival=True)
        assert half_width(result) == pytest.approx(1.96 * np.sqrt(variance), rel=0.06)
    than = [{"method": "ocgan", "published": True}]
    sweep = shelf.compare(Comparison.model_validate(versus("cae_grad", "", than=than, beta_from=2)))
    assert [result.case.label.rpartition(", ")[2] for result in sweep] == [
        f"beta = {multiple} alpha" for multiple in (2, 4, 8)
    ]  # from 2 on, 2 included
    for result, multiple in zip(sweep, (2, 4, 8), strict=True):
        weight = multiple * config.alpha
        assert np.isnan(result.case.published)  # what is published has the paper's beta
        variance = variance_by_pairs(root, "cifar10", weight, 60, rival=False)
        assert half_width(result) == pytest.approx(1.96 * np.sqrt(variance), rel=0.06)


def test_two_data_sets_vary_on_their_own(equal_runs: tuple[Config, Path]) -> None:
    config, root = equal_runs
    term = {"method": "cae_grad", "over": {"method": "ocgan"}}
    part = {"greater": [{"dataset": "cifar10", **term}], "than": [{"dataset": "mnist", **term}]}
    (found,) = bench(config, root).compare(Comparison.model_validate(part))
    variance = sum(
        variance_by_pairs(root, dataset, 0.12, 60, rival=True) for dataset in ("cifar10", "mnist")
    )
    assert half_width(found) == pytest.approx(1.96 * np.sqrt(variance), rel=0.06)
    assert found.effect == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("alone", ["cifar10", "mnist"])
def test_each_of_two_data_sets_needs_a_spread(equal_runs: tuple[Config, Path], alone: str) -> None:
    config, root = equal_runs
    found = metrics.compute(config, root)
    second = (found.table["dataset"] == alone) & (found.table["seed"] == 1)
    known = Reproduced(config, dataclasses.replace(found, table=found.table[~second]))
    term = {"method": "cae_grad", "over": {"method": "ocgan"}}
    part = {"greater": [{"dataset": "cifar10", **term}], "than": [{"dataset": "mnist", **term}]}
    (result,) = Workbench(known, root, PUBLISHED).compare(Comparison.model_validate(part))
    assert (result.runs, result.spread_known) == (30, False)


@pytest.mark.parametrize(
    "over", [{"dataset": "fashion_mnist"}, {"dataset": "cifar10", "metric": "f1"}]
)
def test_test_samples_count_once_over_folds_and_are_not_known_of_f1(
    equal_runs: tuple[Config, Path], over: dict[str, str]
) -> None:
    """Where runs are equal in all folds, their spread has nothing of the test samples."""
    part = Comparison.model_validate(versus("cae_grad", "ocgan", **over))
    (found,) = bench(*equal_runs).compare(part)
    assert found.low == pytest.approx(found.effect, abs=1e-9)
    assert found.high == pytest.approx(found.effect, abs=1e-9)


def test_interval_and_p_are_those_of_a_t_test(made: tuple[Config, Path]) -> None:
    """Of paired differences, three runs of ten classes, and DeLong's variance of them."""
    config, root = made
    (found,) = bench(config, root).compare(Comparison.model_validate(versus("ocgan", "kde")))
    known = Reproduced(config, metrics.compute(config, root))
    cubes = [known.values(Quantity("cifar10", name))[:, 0] for name in ("ocgan", "kde")]
    difference = cubes[0] - cubes[1]
    # Classes of a seed rise and fall together here, and an average takes that.
    runs = difference.mean(axis=1).var(ddof=1)
    assert runs > difference.var(axis=0, ddof=1).sum() / 100
    test = (
        sum(
            (kernel := areas_apart(root, inlier)).mean(0).var(ddof=1) / kernel.shape[1]
            for inlier in range(10)
        )
        / 100
    )
    reach = {
        tail: np.sqrt(stats.t.isf(tail, 2) ** 2 * runs / 3 + stats.norm.isf(tail) ** 2 * test)
        for tail in (0.025, 1e-4)
    }
    assert found.high - found.effect == pytest.approx(reach[0.025], rel=1e-3)
    assert found.effect - found.low == pytest.approx(reach[0.025], rel=1e-3)
    assert (found.p_not_above < 1e-4) == (found.effect > reach[1e-4])
    assert found.p_not_below == pytest.approx(1 - found.p_not_above)
    # A new pair: the two methods' trainings are independent, so that their variances add up.
    new = sum(cube.mean(axis=1).var(ddof=1) for cube in cubes) + runs / 3
    half = np.sqrt(stats.t.isf(0.025, 2) ** 2 * new + stats.norm.isf(0.025) ** 2 * test)
    assert found.new_high - found.effect == pytest.approx(half, rel=1e-3)


def areas_apart(root: Path, inlier: int) -> np.ndarray:
    """The pair kernel of OCGAN minus that of KDE, by the first seed."""
    kernels = [pair_kernel(root, "cifar10", name, inlier, 0.0, 500) for name in ("ocgan", "kde")]
    return np.asarray(kernels[0] - kernels[1])


def test_a_published_number_that_stands_for_a_method_varies_as_a_run(
    made: tuple[Config, Path],
) -> None:
    """That of LSA, which was not run; one that the claim itself is about is a constant."""
    config, root = made
    shelf = bench(config, root)
    (borrowed,) = shelf.compare(Comparison.model_validate(versus("ocgan", "lsa")))
    than = [{"method": "lsa", "published": True}]
    (exact,) = shelf.compare(Comparison.model_validate(versus("ocgan", "", than=than)))
    assert borrowed.effect == pytest.approx(exact.effect)
    values = shelf.reproduced.values(Quantity("cifar10", "ocgan"))[:, 0]
    runs = values.mean(axis=1).var(ddof=1)
    test = (
        sum(
            (kernel := pair_kernel(root, "cifar10", "ocgan", inlier, 0.0, 500)).mean(0).var(ddof=1)
            / kernel.shape[1]
            for inlier in range(10)
        )
        / 100
    )
    student, normal = stats.t.isf(0.025, 2), stats.norm.isf(0.025)
    for result, own, others in ((exact, 1 / 3, 0), (borrowed, 1 / 3, 1)):
        half = np.sqrt(student**2 * runs * (own + others) + normal**2 * test * (1 + others))
        assert half_width(result) == pytest.approx(half, rel=1e-3)
    assert borrowed.p_not_above > exact.p_not_above
    # What is published of LSA stands on both sides, so that it is no chance of the gain.
    assert borrowed.new_high == pytest.approx(exact.new_high)


@pytest.mark.parametrize("runs", [2, 3, 5, 10])
def test_a_gain_that_is_the_papers_replicates(runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the paper's difference is one draw of ours, 95 of 100 are said to replicate."""
    config = make_config(
        "cifar10", methods=("ocgan", "dcae"), **(SETTINGS | {"seeds": [*range(runs)]})
    )
    monkeypatch.setattr(Reproduced, "classes", lambda *_: dict.fromkeys(range(10), ""))
    monkeypatch.setattr(Workbench, "_test_variance", lambda *_: 0.0)
    rng = np.random.default_rng(runs)
    parts = tuple((w, Quantity("cifar10", name)) for w, name in ((1.0, "ocgan"), (-1.0, "dcae")))
    verdicts: Counter[str] = Counter()
    for _ in range(400):
        cubes = {name: rng.normal(0, 0.03, (runs, 1, 10)) for name in ("ocgan", "dcae")}
        cubes["ocgan"] += 0.5
        monkeypatch.setattr(Reproduced, "values", lambda _, what, cubes=cubes: cubes[what.method])
        printed = 0.5 + rng.normal(0, 0.03, 10).mean() - rng.normal(0, 0.03, 10).mean()
        shelf = Workbench(Reproduced(config, None), Path(), ())  # type: ignore[arg-type]
        verdicts[gain(shelf._compute(Case("", parts=parts, published=printed)))] += 1
    assert set(verdicts) <= {"replicates", "smaller", "larger"}
    assert verdicts["replicates"] / 400 >= 0.92


def test_published_numbers_stand_for_methods_that_were_not_run(made: tuple[Config, Path]) -> None:
    (found,) = judged(*made, claim(versus("ocgan", "lsa")))
    assert (found.outcome, detail(found)) == ("holds", "against published numbers of LSA")
    printed = {
        row.run_method: row.value
        for row in PUBLISHED
        if row.data_source == "cifar10" and row.inlier == AVERAGE and row.run_component == "score"
    }
    (result,) = found.results
    assert result.effect == pytest.approx(0.745 - printed["lsa"], abs=2e-3)
    assert result.case.published == pytest.approx(printed["ocgan"] - printed["lsa"])


def test_gradcons_own_numbers_have_to_be_run(made: tuple[Config, Path]) -> None:
    own, nothing, part = judged(
        *made,
        claim(versus("cae_grad", "ocgan")),
        claim(versus("lsa", "anogan")),
        claim(versus("ocgan", "dcae"), versus("cae_grad", "ocgan")),
    )
    assert (own.outcome, detail(own)) == ("not run", "CAE + Grad on CIFAR-10: not configured")
    assert (nothing.outcome, detail(nothing)) == ("not run", "none of its methods was run")
    assert detail(part) == "1 of 2 comparisons: CAE + Grad on CIFAR-10: not configured"
    assert part.weakest is not None


def test_one_run_per_class_decides_nothing(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("ocgan", "dcae"), **(SETTINGS | {"seeds": [0]}))
    area = {"ocgan": 0.9, "dcae": 0.6}
    draw = exactly(lambda key, _: area[key.method])
    make_results(config, tmp_path, inliers=50, draw=draw, epochs=1000)
    (found,) = judged(config, tmp_path, claim(versus("ocgan", "dcae")))
    assert found.outcome == "undecided"
    assert "one run per class" in detail(found)
    assert found.results[0].effect == pytest.approx(0.3)


def test_second_runs_of_some_classes_decide_and_are_told(made: tuple[Config, Path]) -> None:
    config, root = made
    some = config.model_copy(update={"seeds": (0, 1)})
    known = Reproduced(some, metrics.compute(some, root))
    table = known.metrics.table
    second = (table["seed"] == 1) & (table["inlier"] > 2)
    fewer = dataclasses.replace(known.metrics, table=table[~second])
    known = Reproduced(some, fewer)
    (found,) = claims.judge(known, root, PUBLISHED, [claim(versus("ocgan", "kde"))])
    assert found.outcome == "holds"
    assert detail(found) == "spread over runs: that of 3 of 10 classes of CIFAR-10"


def test_one_run_of_a_method_without_chance_stands_for_every_seed(
    made: tuple[Config, Path], tmp_path: Path
) -> None:
    """OCGAN with three seeds against KDE with one, whose other seeds would give the same."""
    config, root = made[0], Path(shutil.copytree(made[1], tmp_path / "copy"))
    for place in root.glob("runs/cifar10/kde/*/*/seed-[12]"):
        shutil.rmtree(place)
    own = config.methods["kde"].model_copy(update={"detector": "baselines.kde:KDE"})
    config = config.model_copy(update={"methods": {**config.methods, "kde": own}})
    (result,) = bench(config, root).compare(Comparison.model_validate(versus("ocgan", "kde")))
    assert (result.runs, result.spread_known) == (30, True)
    (found,) = judged(config, root, claim(versus("ocgan", "kde")))
    assert (found.outcome, found.one_run) == ("holds", False)


def test_short_runs_decide_nothing(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae", "cae_grad"), **SETTINGS)
    area = {"gradient": 0.9, "reconstruction": 0.6}
    draw = exactly(lambda _, component: area[component])
    make_results(config, tmp_path, inliers=50, draw=draw, epochs=100)
    part = {
        "dataset": "cifar10",
        "greater": [{"method": "cae_grad", "component": "gradient"}],
        "than": [{"method": "cae", "component": "reconstruction"}],
    }
    (found,) = judged(config, tmp_path, claim(part))
    assert (found.outcome, detail(found)) == ("short run", "100 epochs")
    assert found.results[0].effect == pytest.approx(0.3)
    assert found.gain == ""


def test_other_hyperparameters_decide_nothing(made: tuple[Config, Path], tmp_path: Path) -> None:
    config, root = made[0], Path(shutil.copytree(made[1], tmp_path / "copy"))
    path = root / "runs/cifar10/dcae/fold-0/inlier-3/seed-1/run.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"config": {"epochs": 1000, "batch_size": 8}}))
    exact = {"metric": "parameters", "greater": [{"method": "dcae"}], "than": [{"method": "kde"}]}
    found = judged(
        config, root, claim(versus("ocgan", "dcae")), claim({"dataset": "cifar10", **exact})
    )
    for finding in found:
        assert (finding.outcome, detail(finding)) == (
            "other settings",
            "DCAE: batch_size 8, not 64",
        )
        assert (finding.gain, np.isnan(finding.p)) == ("", True)


def test_a_gain_is_told_of_what_could_decide_alone(made: tuple[Config, Path]) -> None:
    decided, part = judged(
        *made,
        claim(versus("ocgan", "kde")),
        claim(versus("ocgan", "kde"), versus("cae_grad", "ocgan")),
    )
    assert (decided.outcome, part.outcome) == ("holds", "not run")
    assert (decided.gain != "", part.gain) == (True, "")


def test_constant_scores_decide_nothing(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("ocgan", "dcae"), **SETTINGS)

    def draw(key, name, rng, n, m):  # type: ignore[no-untyped-def]
        if (key.method, key.inlier) == ("dcae", 2):
            return np.zeros(n + m)
        return exactly(lambda key, _: 0.9 if key.method == "ocgan" else 0.6)(key, name, rng, n, m)

    make_results(config, tmp_path, inliers=50, draw=draw, epochs=1000)
    (found,) = judged(config, tmp_path, claim(versus("ocgan", "dcae")))
    assert (found.outcome, detail(found)) == ("undecided", "DCAE: constant scores of bird")
    assert (found.gain, np.isnan(found.p)) == ("", True)


def test_the_rank_is_told(made: tuple[Config, Path]) -> None:
    """DCAE is behind OCGAN and ahead of LSA as published."""
    printed = next(
        row.value
        for row in PUBLISHED
        if (row.data_source, row.run_method, row.inlier) == ("cifar10", "lsa", AVERAGE)
    )
    assert printed < 0.645
    ranked = claim(versus("lsa", "dcae"), versus("dcae", "ocgan"), versus("dcae", "lsa"))
    (found,) = judged(*made, ranked.model_copy(update={"rank": "dcae"}))
    assert detail(found) == "against published numbers of LSA; rank 2 of 3"


def test_gains_of_two_data_sets(tmp_path: Path) -> None:
    config = make_config("cifar10", "mnist", methods=("ocgan", "dcae"), **SETTINGS)
    area = {
        ("cifar10", "ocgan"): 0.8, ("cifar10", "dcae"): 0.6,
        ("mnist", "ocgan"): 0.9, ("mnist", "dcae"): 0.86,
    }  # fmt: skip
    draw = exactly(lambda key, _: area[key[:2]] + JITTER[key.seed])
    make_results(config, tmp_path, inliers=250, draw=draw, epochs=1000)
    term = {"method": "ocgan", "over": {"method": "dcae"}}
    part = {"greater": [{"dataset": "cifar10", **term}], "than": [{"dataset": "mnist", **term}]}
    (found,) = judged(config, tmp_path, claim(part))
    (result,) = found.results
    assert result.effect == pytest.approx((0.8 - 0.6) - (0.9 - 0.86), abs=0.01)
    assert found.outcome == "holds"
    assert result.runs == 60


def test_every_beta_of_the_sweep(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae_grad",), **SETTINGS)
    make_results(config, tmp_path, inliers=40, epochs=1000)
    part = {
        "dataset": "cifar10",
        "beta_from": 1.67,
        "greater": [{"method": "cae_grad"}],
        "than": [{"method": "ocgan", "published": True}],
    }
    found = metrics.compute(config, tmp_path)
    results = Workbench(Reproduced(config, found), tmp_path, PUBLISHED).compare(
        Comparison.model_validate(part)
    )
    multiples = [n for n in config.beta_multiples if n >= 1.67]
    assert len(results) == len(multiples) == 3
    sweep = found.table.query("model == 'best' and beta_multiple.notna()")
    for multiple, result in zip(multiples, results, strict=True):
        mean = sweep.loc[sweep["beta_multiple"] == multiple, "value"].mean()
        assert result.effect == pytest.approx(mean - 0.657)
        assert f"beta = {multiple:g} alpha" in result.case.label
        assert result.low < result.effect < result.high


def test_every_challenge_of_a_level(tmp_path: Path) -> None:
    """As ``cure_tsr.study`` computed them: the other level and the other pairs are left aside."""
    key = "gtsrb_challenges"
    plain = {
        "name": "made_up",
        "seeds": [0, 1, 2],
        "datasets": {key: {"source": key, "path": "few.npz",
                           "challenges": {"types": ["Rain", "Haze"], "levels": [1, 3]}}},
        "methods": {"cae": {}, "cae_grad": {}},
    }  # fmt: skip
    config = configuration.load(plain, data=False)

    def study(**rain: float) -> None:
        path = Path(layout.challenges(config, tmp_path)[key])
        path.parent.mkdir(parents=True, exist_ok=True)
        pair = {"method": "cae_grad", "component": "gradient",
                "against_method": "cae", "against_component": "reconstruction"}  # fmt: skip
        rows = [
            {"challenge": "Rain", "level": 1, **pair, **rain},
            {
                "challenge": "Haze",
                "level": 1,
                **pair,
                "value": 0.2,
                "low": 0.1,
                "high": 0.3,
                "p_not_above": 1e-4,
            },
            {"challenge": "Haze", "level": 3, **pair, "value": -0.2, "low": -0.3, "high": -0.1},
            {"challenge": "Rain", "level": 1, **pair, "against_method": "", "value": -1.0},
        ]
        pd.DataFrame(rows).assign(seeds=3).to_parquet(path)

    part = {
        "dataset": key,
        "challenge_level": 1,
        "greater": [{"method": "cae_grad", "component": "gradient"}],
        "than": [{"method": "cae", "component": "reconstruction"}],
    }
    outcomes = []
    for value in (0.1, 0.0, -0.1):
        p = float(stats.norm.sf(value / 0.02))
        study(value=value, low=value - 0.04, high=value + 0.04, p_not_above=p)
        (found,) = judged(config, tmp_path, claim(part))
        assert [result.effect for result in found.results] == [value, 0.2]
        assert (found.results[0].p_not_above < 0.025) == (value > 0)
        outcomes.append(found.outcome)
    assert outcomes == ["holds", "undecided", "fails"]
    (absent,) = judged(config, tmp_path, claim(part | {"dataset": "cure_tsr"}))
    assert (absent.outcome, detail(absent)) == (
        "not run",
        "no data set cure_tsr in this configuration",
    )


def test_parameters_are_a_ratio(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("cae_grad",), **SETTINGS)
    make_results(config, tmp_path, inliers=8)

    def part(times: float) -> dict:  # type: ignore[type-arg]
        return {
            "dataset": "mnist", "metric": "parameters", "times": times,
            "greater": [{"method": "anogan"}], "than": [{"method": "cae_grad"}],
        }  # fmt: skip

    enough, more = judged(config, tmp_path, claim(part(27)), claim(part(28)))
    assert [enough.outcome, more.outcome] == ["holds", "fails"]
    assert enough.results[0].effect == pytest.approx(6_338_176 / 230_721)
    assert np.isnan(enough.p_holm)


def test_holm_runs_over_the_tested_claims(made: tuple[Config, Path]) -> None:
    pairs = (("ocgan", "dcae"), ("dcae", "kde"), ("vae", "kde"))
    found = judged(*made, *(claim(versus(*pair)) for pair in pairs))
    assert found[0].p_holm == pytest.approx(2 * found[0].p)
    assert np.isnan(found[2].p_holm)
    assert claims.frame(found)["outcome"].tolist() == ["holds", "undecided", "not run"]


def result(effect: float, half: float, published: float, new: float = 0.0) -> Result:
    """An effect with an interval of this half width, or ``new`` for a new draw of it."""
    new = new or half
    return Result(
        Case("", published=published),
        effect,
        effect - half,
        effect + half,
        effect - new,
        effect + new,
    )


@pytest.mark.parametrize(
    ("effect", "half", "new", "expected"),
    [
        (0.05, 0.02, 0.02, "replicates"),
        (0.02, 0.01, 0.01, "smaller"),
        (0.02, 0.01, 0.04, "replicates"),  # the paper's is one draw
        (0.09, 0.01, 0.01, "larger"),
        (0.05, 0.06, 0.06, "not shown"),
        (-0.05, 0.02, 0.2, "reversed"),
    ],
)
def test_gain(effect: float, half: float, new: float, expected: str) -> None:
    assert gain(result(effect, half, 0.05, new)) == expected
    assert gain(result(-effect, half, -0.05, new)) == expected


def test_gain_of_nothing() -> None:
    assert gain(result(0.05, 0.01, float("nan"))) == ""
    assert gain(dataclasses.replace(result(0.05, 0.01, 0.05), spread_known=False)) == ""


@given(st.floats(-1, 1), st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_gain_that_replicates_has_the_sign(effect: float, half: float, published: float) -> None:
    if gain(result(effect, half, published)) in ("replicates", "smaller", "larger"):
        assert effect > 0


def test_the_papers_own_numbers_meet_its_claims(tmp_path: Path) -> None:
    """By what was printed, every claim that can be checked so is true."""
    config = make_config("cifar10", "mnist", "fashion_mnist", methods=("cae_grad",))
    shelf = Workbench(Reproduced(config, metrics.compute(config, tmp_path)), tmp_path, PUBLISHED)
    for wanted in claims.load():
        name = wanted.id
        results = [result for part in wanted.holds_if for result in shelf.compare(part)]
        differences = [result.case.published for result in results]
        known = [value for value in differences if np.isfinite(value)]
        assert all(value > (27 if name == "parameters" else 0) for value in known), name
        if name in ("cifar10-best", "fashion-mnist-best", "mnist-rank", "beats-gpnd"):
            assert len(known) == len(differences)


def test_overlaps_are_the_published_ones() -> None:
    stated = {row.data_source: row.value for row in PUBLISHED if row.metric.startswith("overlap")}
    found = {wanted.id: wanted.holds_if[0].published for wanted in claims.load()}
    assert found["mnist-overlap"] == stated["mnist"]
    assert found["cifar10-overlap"] == stated["cifar10"]
    assert found["larger-on-cifar10"] == pytest.approx(stated["cifar10"] - stated["mnist"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"holds_if": []}, "holds_if"),
        ({"extra": 1}, "extra"),
        ({"holds_if": [{"greater": [{"method": "a"}], "than": []}]}, "than"),
        ({"holds_if": [versus("a", "b", metric="auc")]}, "metric"),
    ],
)
def test_a_claim_made_wrongly_is_named(tmp_path: Path, change: dict, message: str) -> None:  # type: ignore[type-arg]
    plain = {"id": "x", "place": "p", "claim": "c", "holds_if": [versus("a", "b")]}
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump([plain | change]))
    with pytest.raises(InputError, match=message):
        claims.load(path)
    path.write_text(yaml.safe_dump([plain, plain]))
    with pytest.raises(InputError, match="the id x comes twice"):
        claims.load(path)
    path.write_text("[")
    with pytest.raises(InputError, match="not YAML"):
        claims.load(path)
