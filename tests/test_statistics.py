"""Statistics against brute force, textbook cases worked by hand, simulation and properties."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from benchmark.statistics import decisions
from benchmark.statistics.decisions import bound, decide, equivalence_p, holm, runs_to_decide
from benchmark.statistics.overlap import bin_edges, counts, overlap, overlap_draws
from benchmark.statistics.replicates import (
    Sample,
    Variance,
    mean_interval,
    mean_p_not_above,
    of_runs,
    prediction_interval,
    prediction_p,
    sample,
    without_chance,
)
from benchmark.statistics.roc import delong_error, outlier_error, paired_delong, placements
from tests import verdict_rates


def middle(draws: np.ndarray) -> np.ndarray:
    """The middle 95 % of draws."""
    return np.quantile(draws, [0.025, 0.975])


COARSE = st.integers(-4, 4).map(float)
SOME = st.integers(2, 12).flatmap(lambda n: arrays(np.float64, n, elements=COARSE))


def pairs(inliers: np.ndarray, outliers: np.ndarray) -> np.ndarray:
    """The kernel of the Mann-Whitney statistic for every pair, (n, m)."""
    a, b = inliers[:, None], outliers[None, :]
    return (a < b) + (a == b) / 2


def brute_covariance(inliers: np.ndarray, outliers: np.ndarray) -> np.ndarray:
    """DeLong's covariance of C scores, from all n m pairs."""
    kernels = np.stack([pairs(a, b) for a, b in zip(inliers, outliers, strict=True)])
    n, m = kernels.shape[1:]
    return np.atleast_2d(np.cov(kernels.mean(axis=2))) / n + (
        np.atleast_2d(np.cov(kernels.mean(axis=1))) / m
    )


def delong(inliers: np.ndarray, outliers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and its standard error."""
    of_inliers, of_outliers = 1 - placements(outliers, inliers), placements(inliers, outliers)
    return of_outliers.mean(axis=-1), delong_error(of_inliers, of_outliers)


@given(SOME, SOME)
def test_delong_is_that_of_all_pairs(inliers: np.ndarray, outliers: np.ndarray) -> None:
    value, error = delong(inliers, outliers)
    assert value == pytest.approx(pairs(inliers, outliers).mean())
    expected = brute_covariance(inliers[None], outliers[None])[0, 0]
    assert error**2 == pytest.approx(expected, abs=1e-12)


def test_delong_by_hand() -> None:
    # Placements of the outliers 1/2 and 1, of the inliers 1 and 1/2: variance 1/8 each, over 2.
    value, error = delong(np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    assert value == 0.75
    assert error**2 == pytest.approx(1 / 8 / 2 + 1 / 8 / 2)


def test_delong_of_many_scores_at_once_is_that_of_each() -> None:
    rng = np.random.default_rng(0)
    inliers, outliers = rng.normal(size=(3, 20)), rng.normal(1, 1, size=(3, 30))
    values, errors = delong(inliers, outliers)
    for row in range(3):
        one = delong(inliers[row], outliers[row])
        assert (values[row], errors[row]) == (pytest.approx(one[0]), pytest.approx(one[1]))


def test_delong_agrees_with_the_bootstrap() -> None:
    rng = np.random.default_rng(1)
    inliers, outliers = rng.normal(size=150), rng.normal(0.7, 1.3, size=100)
    kernel = pairs(inliers, outliers)
    drawn = [
        kernel[rng.integers(0, 150, 150)][:, rng.integers(0, 100, 100)].mean() for _ in range(2000)
    ]
    assert delong(inliers, outliers)[1] == pytest.approx(np.std(drawn), rel=0.06)


def test_too_few_samples_have_no_error() -> None:
    assert np.isnan(delong(np.array([1.0]), np.array([1.0, 2.0]))[1])
    assert np.isnan(outlier_error(np.array([[0.5]])))


def test_the_error_of_outliers_is_that_of_drawing_them_anew() -> None:
    rng = np.random.default_rng(2)
    inliers, outliers = rng.normal(size=150), rng.normal(0.7, 1.3, size=100)
    of_outliers = pairs(inliers, outliers).mean(axis=0)
    drawn = [of_outliers[rng.integers(0, 100, 100)].mean() for _ in range(2000)]
    found = outlier_error(placements(inliers, outliers))
    assert found == pytest.approx(np.std(drawn), rel=0.06)
    rest = pairs(inliers, outliers).mean(axis=1).var(ddof=1) / 150
    assert found**2 + rest == pytest.approx(delong(inliers, outliers)[1] ** 2)


@given(SOME, SOME, st.integers(0, 5))
def test_paired_delong_is_that_of_all_pairs(
    inliers: np.ndarray, outliers: np.ndarray, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    both = [np.stack([part, part + rng.normal(size=part.size)]) for part in (inliers, outliers)]
    found = paired_delong(*both)
    covariance = brute_covariance(*both)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    areas = [pairs(a, b).mean() for a, b in zip(*both, strict=True)]
    assert found.value == pytest.approx(areas[0] - areas[1], abs=1e-12)
    assert found.error**2 == pytest.approx(variance, abs=1e-10)
    assert 0 <= found.p <= 1
    turned = paired_delong(both[0][::-1], both[1][::-1])
    assert (turned.value, turned.p) == (
        pytest.approx(-found.value, abs=1e-12),
        pytest.approx(found.p, abs=1e-6),
    )


def test_paired_delong_of_a_score_with_itself() -> None:
    same = np.array([[0.0, 1, 2]] * 2)
    assert paired_delong(same, same + 0.5) == (0.0, 0.0, 1.0)


def test_paired_delong_is_uniform_when_scores_are_alike() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        shared = [rng.normal(size=60), rng.normal(1, 1, size=60)]
        both = [part + 0.5 * rng.normal(size=(2, part.size)) for part in shared]
        found.append(paired_delong(*both).p)
    assert np.mean(np.array(found) < 0.1) == pytest.approx(0.1, abs=0.05)


def test_weights_make_any_sum_of_aurocs() -> None:
    rng = np.random.default_rng(4)
    inliers, outliers = rng.normal(size=(3, 30)), rng.normal(1, 1, size=(3, 40))
    weights = np.array([1.0, -0.5, 2.0])
    found = paired_delong(inliers, outliers, weights)
    areas = [pairs(a, b).mean() for a, b in zip(inliers, outliers, strict=True)]
    assert found.value == pytest.approx(weights @ areas)
    assert found.error**2 == pytest.approx(weights @ brute_covariance(inliers, outliers) @ weights)


def test_sample_by_hand() -> None:
    found = sample([np.array([1.0, 3.0]), np.array([4.0, 5.0, 6.0])])
    assert found.mean == 3.5
    assert found.of_run.estimated == pytest.approx((2 + 1) / 4)
    assert found.of_mean.estimated == pytest.approx((2 / 2 + 1 / 3) / 4)
    # Welch, Satterthwaite with 1 and 2 degrees of freedom and parts 2 * 3/2 and 1 * 4/3.
    assert found.freedom == pytest.approx((3 + 4 / 3) ** 2 / (3**2 / 1 + (4 / 3) ** 2 / 2))


def test_classes_of_one_run_borrow_by_hand() -> None:
    # Own variances 2 and 4, so 3 each for the two classes of one run.
    found = sample([np.array(v) for v in ([1.0, 3.0], [0.2], [4.0, 6.0, 8.0], [0.7])])
    assert found.replicated == 2
    assert found.variances == pytest.approx([2, 3, 4, 3])
    assert found.of_run.estimated == pytest.approx((2 + 3 + 4 + 3) / 16)
    assert found.of_mean.estimated == pytest.approx((2 / 2 + 3 + 4 / 3 + 3) / 16)
    # A new run about our mean: 2 * 3/2 + 4 * 4/3 + 2 * 3 * 2, and 3 is (2 + 4) / 2, so that the
    # own variances weigh 3/2 + 2 and 4/3 + 2; each that lends has one degree of freedom.
    parts = np.array([2 * (3 / 2 + 2), 4 * (4 / 3 + 2)])
    assert parts.sum() / 16 == pytest.approx(found.of_new_run.estimated)
    assert found.freedom == pytest.approx(parts.sum() ** 2 / (parts**2).sum())


@pytest.mark.parametrize(("lenders", "runs"), [(3, 2), (2, 3), (1, 5)])
@pytest.mark.parametrize("unlike", [0.0, 0.4])
def test_borrowed_spread_covers(lenders: int, runs: int, unlike: float) -> None:
    """Whether the classes spread alike, or by up to twice and half of each other."""
    rng = np.random.default_rng(10)
    counts = [runs] * lenders + [1] * (10 - lenders)
    new_inside = mean_inside = 0
    for _ in range(400):
        spreads = 0.02 * np.exp(rng.normal(0, unlike, size=10))
        groups = [rng.normal(0.7, s, size=n) for s, n in zip(spreads, counts, strict=True)]
        low, high = prediction_interval(sample(groups))
        new_inside += low <= rng.normal(0.7, spreads).mean() <= high
        low, high = mean_interval(sample(groups))
        mean_inside += low <= 0.7 <= high
    assert new_inside / 400 >= 0.93
    assert mean_inside / 400 >= 0.93


@pytest.mark.parametrize(("lenders", "runs"), [(1, 2), (2, 2), (10, 2), (1, 5)])
def test_far_tails_hold_their_level(lenders: int, runs: int) -> None:
    """What Holm's correction reads: 2 of 1000 under the null, not 17."""
    rng = np.random.default_rng(13)
    counts = [runs] * lenders + [1] * (10 - lenders)
    rejected = sum(
        mean_p_not_above(sample([rng.normal(0, 0.02, size=n) for n in counts])) < 0.002
        for _ in range(3000)
    )
    assert rejected <= 13


@given(
    st.floats(0, 1e-3), st.integers(1, 30), st.floats(0, 1e-3), st.floats(1e-12, 0.5),
)  # fmt: skip
def test_a_tail_is_the_inverse_of_how_far_it_reaches(
    estimated: float, freedom: int, known: float, tail: float
) -> None:
    variance = Variance(estimated, freedom, known)
    reach = variance.reach(tail)
    assert reach >= np.sqrt(known) * -stats.norm.ppf(tail) - 1e-9
    if reach > 1e-6:
        assert variance.tail(reach) == pytest.approx(tail, rel=1e-5)
        assert variance.tail(-reach) == pytest.approx(1 - tail)


def test_either_part_alone_has_its_own_distribution() -> None:
    assert Variance(4.0, 3).tail(5.0) == pytest.approx(stats.t.sf(2.5, 3))
    assert Variance(known=4.0).tail(5.0) == pytest.approx(stats.norm.sf(2.5))
    assert Variance(4.0, 3, 9.0).reach(0.025) == pytest.approx(
        np.hypot(2 * stats.t.isf(0.025, 3), 3 * stats.norm.isf(0.025))
    )
    both = Variance(4.0, 3, 1.0) + Variance(2.0, 5, 0.5).scaled(2)
    assert (both.estimated, both.known) == (8, 2)
    assert both.freedom == pytest.approx(8**2 / (4**2 / 3 + 4**2 / 5))
    assert (Variance().tail(0.1), Variance().tail(-0.1)) == (0, 1)


def test_p_values_have_no_floor() -> None:
    runs = sample([np.array([0.1, 0.103, 0.097, 0.1, 0.1])] * 10)
    assert 0 < mean_p_not_above(runs) < 1e-30


def test_classes_of_a_seed_that_rise_together_widen_an_average() -> None:
    """By hand: averages 0.5 and 0.7, each class 0.02 of variance, apart a quarter of the sum."""
    together = of_runs(np.array([[0.4, 0.6], [0.6, 0.8]]))
    assert (together.whole, together.seed_ratio) == (2, pytest.approx(0.02 / ((0.02 + 0.02) / 4)))
    assert together.of_run.estimated == pytest.approx(0.02)
    assert together.of_mean.estimated == pytest.approx(0.01)
    assert together.freedom == 1
    against = of_runs(np.array([[0.4, 0.8], [0.6, 0.6]]))
    assert against.seed_ratio == pytest.approx(0)
    assert against.of_run.estimated == pytest.approx((0.02 + 0.02) / 4)
    assert against.freedom == pytest.approx(2)


def test_only_whole_runs_tell_how_classes_go_together() -> None:
    nan = np.nan
    part = of_runs(np.array([[0.4, 0.6], [0.6, nan], [0.5, nan]]))
    assert (part.whole, part.widened) == (0, 1)
    assert np.isnan(part.seed_ratio)
    values = np.array([[0.4, 0.6], [0.6, 0.8], [0.5, nan]])
    found = of_runs(values)
    assert found.whole == 2
    assert found.seed_ratio == pytest.approx(2)
    assert found.of_run.estimated == pytest.approx(2 * (0.01 + 0.02) / 4)
    one_class = of_runs(values[:, :1])
    assert (one_class.whole, one_class.freedom) == (0, 2)
    assert np.isnan(of_runs(np.full((3, 2), 0.5)).seed_ratio)  # equal runs


def test_the_ratio_is_one_where_classes_are_independent() -> None:
    rng = np.random.default_rng(14)
    ratios = [of_runs(rng.normal(size=(4, 10))).seed_ratio for _ in range(500)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.12)


def test_runs_that_are_all_the_same_lend_nothing() -> None:
    groups = [np.array([1.0, 1.0]), *(np.array([0.98]) for _ in range(9))]
    found = sample(groups)
    assert found.replicated == 1 and not found.spread_known
    assert decide(found, 0.9) == "open"
    assert sample([np.array([1.0, 1.0])] * 3).spread_known


def test_prediction_interval_of_one_class_is_the_textbook_one() -> None:
    values = np.array([0.61, 0.63, 0.60, 0.66, 0.62])
    half = stats.t.ppf(0.975, 4) * values.std(ddof=1) * np.sqrt(1 + 1 / 5)
    low, high = prediction_interval(sample([values]))
    assert (low, high) == (
        pytest.approx(values.mean() - half),
        pytest.approx(values.mean() + half),
    )
    assert prediction_p(sample([values]), high) == pytest.approx(0.05)


def test_test_samples_add_variance_that_is_known() -> None:
    """Each part at its own quantile: Student's for the runs, the normal's for the test samples."""
    values, of_tests = np.array([0.61, 0.63, 0.60, 0.66, 0.62]), 0.02**2
    found, own = sample([values]), values.var(ddof=1)
    for interval, of_runs_ in (
        (prediction_interval(found, of_tests), own + own / 5),
        (mean_interval(found, of_tests), own / 5),
    ):
        half = np.sqrt(
            stats.t.isf(0.025, 4) ** 2 * of_runs_ + stats.norm.isf(0.025) ** 2 * of_tests
        )
        assert interval == pytest.approx((values.mean() - half, values.mean() + half))
    assert prediction_p(found, prediction_interval(found, of_tests).low, of_tests) == (
        pytest.approx(0.05)
    )


def test_p_of_a_mean_above_nothing_is_that_of_the_t_test() -> None:
    values = np.array([0.01, 0.03, -0.01, 0.02])
    expected = stats.ttest_1samp(values, 0, alternative="greater").pvalue
    assert mean_p_not_above(sample([values])) == pytest.approx(expected)
    equal = [mean_p_not_above(sample([np.full(2, mean)])) for mean in (0.1, 0.0, -0.1)]
    assert equal == [0, 1, 1]


def test_without_a_spread_p_is_all_or_nothing() -> None:
    equal = sample([np.array([0.5, 0.5])])
    assert (prediction_p(equal, 0.5), prediction_p(equal, 0.51)) == (1, 0)


@pytest.mark.parametrize("test_error", [0.0, 0.02])
def test_prediction_interval_covers_new_runs(test_error: float) -> None:
    rng = np.random.default_rng(5)
    spreads, inside = np.array([0.01, 0.02, 0.05]), 0
    for _ in range(1500):
        groups = [rng.normal(0.7, spread, size=3) for spread in spreads]
        new = np.mean(rng.normal(0.7, spreads)) + rng.normal(0, test_error)
        low, high = prediction_interval(sample(groups), test_error**2)
        inside += low <= new <= high
    assert 0.93 <= inside / 1500 <= 0.98


def of(mean: float, spread: float, runs: int, classes: int = 1) -> Sample:
    return Sample(
        np.full(classes, mean), np.full(classes, spread**2), np.full(classes, float(runs))
    )


def test_decisions() -> None:
    assert decide(of(0.70, 0.001, 5), 0.703) == "same"
    assert decide(of(0.70, 0.001, 5), 0.65) == "above"
    assert decide(of(0.60, 0.001, 5), 0.65) == "below"
    assert decide(of(0.70, 0.03, 2), 0.68) == "open"
    assert decide(of(0.70, 0.0, 1), 0.70) == "open"  # one run tells nothing of its spread
    # A difference that is shown is told, even one within the margin of equivalence.
    assert bound(of(0.72, 0.001, 5), 0.70) < decisions.MARGIN
    assert decide(of(0.72, 0.001, 5), 0.70) == "above"
    # But one that does not count is none.
    assert prediction_interval(of(0.7099, 0.001, 5)).low > 0.70
    assert decide(of(0.7099, 0.001, 5), 0.70) == "same"
    assert decide(of(0.6901, 0.001, 5), 0.70) == "same"
    # Wide runs: the published one is a likely draw of them, which no number of runs would confirm.
    assert decide(of(0.70, 0.05, 20), 0.75) == "noisy"
    assert decide(of(0.70, 0.05, 20), 0.90) == "below"
    # The test outliers' own chance may explain it, or hide it.
    assert decide(of(0.70, 0.001, 5), 0.68, test_variance=0.01**2) == "noisy"
    assert decide(of(0.70, 0.001, 5), 0.70, test_variance=0.03**2) == "noisy"


def test_a_method_without_chance_is_decided_by_its_test_samples() -> None:
    found = without_chance(np.array([0.6, 0.8]))
    error = 0.01
    assert found.spread_known
    half = stats.norm.ppf(0.975) * np.sqrt(2) * error
    low, high = prediction_interval(found, 2 * error**2)
    assert (low, high) == (pytest.approx(0.7 - half), pytest.approx(0.7 + half))
    assert decide(found, 0.7 + half + 1e-4, error**2) == "below"
    assert decide(found, 0.7 + half - 1e-4, error**2) == "noisy"
    assert decide(found, 0.71, error**2) == "same"
    assert runs_to_decide(found, 0.7 + half - 1e-4, error**2) is None


def test_what_is_the_same_is_shown_at_95_percent() -> None:
    """The difference at which a one-sided t test within the margin of 0.03 has p = 0.05."""
    error = 0.02 / np.sqrt(5)
    border = 0.03 - stats.t.ppf(0.95, 4) * error
    assert decide(of(0.70 + border - 1e-4, 0.02, 5), 0.70) == "same"
    assert decide(of(0.70 + border + 1e-4, 0.02, 5), 0.70) == "open"
    assert bound(of(0.70 + border, 0.02, 5), 0.70) == pytest.approx(0.03)


def test_the_shared_outliers_are_part_of_the_distance() -> None:
    runs, test = of(0.71, 0.02, 4), 0.01**2
    student, normal = stats.t.isf(0.05, 3) * 0.02 / 2, stats.norm.isf(0.05) * 0.01
    assert bound(runs, 0.70, test) == pytest.approx(0.01 + np.hypot(student, normal))
    assert bound(runs, 0.70, test) > bound(runs, 0.70)
    assert bound(runs, 0.72, test) == pytest.approx(bound(runs, 0.70, test))


@given(
    st.floats(-0.05, 0.05), st.floats(1e-4, 0.05), st.integers(2, 30), st.floats(0, 0.02)
)  # fmt: skip
def test_the_bound_is_under_the_margin_where_both_tests_reject(
    difference: float, spread: float, runs: int, test_error: float
) -> None:
    found = of(0.5 + difference, spread, runs)
    distance = bound(found, 0.5, test_error**2)
    p = equivalence_p(found, 0.5, test_error**2)
    if abs(distance - decisions.MARGIN) > 1e-6:
        assert (p < 0.05) == (distance < decisions.MARGIN)
    if test_error == 0:
        error = spread / np.sqrt(runs)
        tests = [stats.t.sf((0.03 - side * difference) / error, runs - 1) for side in (1, -1)]
        assert p == pytest.approx(max(tests), rel=1e-4, abs=1e-12)


@given(
    st.floats(-0.1, 0.1), st.floats(0.001, 0.05), st.integers(2, 12), st.floats(0, 0.02),
    st.integers(1, 4),
)  # fmt: skip
def test_decisions_agree_with_both_intervals(
    difference: float, spread: float, runs: int, test_error: float, classes: int
) -> None:
    found = of(0.5 + difference, spread, runs, classes)
    low, high = prediction_interval(found, 2 * test_error**2)
    decision = decide(found, 0.5, test_error**2)
    difference = found.mean - 0.5
    if decision in ("above", "below"):
        assert not low <= 0.5 <= high
        assert abs(difference) > decisions.LEAST
        assert (decision == "above") == (difference > 0)
    else:
        assert low <= 0.5 <= high or abs(difference) <= decisions.LEAST
        near = bound(found, 0.5, test_error**2) <= decisions.MARGIN
        assert near == (decision == "same")


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.05), st.integers(2, 5), st.integers(1, 4))
def test_the_runs_that_are_asked_for_would_decide(
    difference: float, spread: float, runs: int, classes: int
) -> None:
    found = of(0.5 + difference, spread, runs, classes)
    further = runs_to_decide(found, 0.5)
    decision = decide(found, 0.5)
    if decision == "open":
        assert further is not None and further >= 1
        assert decide(found.with_runs(runs + further), 0.5) not in ("open", "noisy")
        if further > 1:
            assert decide(found.with_runs(runs + further - 1), 0.5) == "open"
    if decision == "noisy":
        assert further is None


def test_what_more_runs_would_confirm_is_open_and_what_they_would_not_is_noisy() -> None:
    near, far = of(0.50, 0.04, 3), of(0.55, 0.04, 3)
    assert decide(near, 0.5) == "open"
    assert runs_to_decide(near, 0.5) is not None
    assert decide(far, 0.5) == "noisy"
    assert runs_to_decide(far, 0.5) is None
    assert decide(of(0.50, 0.15, 3), 0.5) == "noisy"
    assert runs_to_decide(of(0.60, 0.0, 1), 0.90) is None  # nothing tells how runs vary


def test_further_runs_are_counted_from_the_class_with_the_fewest() -> None:
    uneven = Sample(np.full(2, 0.60), np.full(2, 0.02**2), np.array([2.0, 4.0]))
    assert decide(uneven, 0.615) == "open"
    further = runs_to_decide(uneven, 0.615)
    enough = next(n for n in range(3, 100) if decide(uneven.with_runs(n), 0.615) != "open")
    assert further == enough - 2


def test_classes_of_one_run_ask_for_more_by_the_spread_of_others() -> None:
    rng = np.random.default_rng(12)
    groups = [rng.normal(0.7, 0.02, size=n) for n in (3, 3, 1, 1)]
    found = sample(groups)
    value = found.mean - 0.02
    assert decide(found, value) == "open"
    further = runs_to_decide(found, value)
    assert further is not None
    assert decide(found.with_runs(1 + further), value) != "open"
    assert found.with_runs(2).counts.tolist() == [3, 3, 2, 2]


SIMULATIONS = 1200
SLACK = 3 * np.sqrt(0.05 * 0.95 / SIMULATIONS)
"""Three standard errors of a simulated rate of 5 %."""


@pytest.mark.parametrize("runs", verdict_rates.RUNS)
@pytest.mark.parametrize("spreads", verdict_rates.SPREADS.values(), ids=verdict_rates.SPREADS)
def test_verdicts_err_as_seldom_as_they_should(spreads: np.ndarray, runs: int) -> None:
    """Neither "higher or lower" of our own distribution, nor "reproduced" at the margin."""
    null = verdict_rates.rates(spreads, runs, number=SIMULATIONS)
    assert null["above"] + null["below"] <= 0.05 + SLACK
    away = verdict_rates.rates(spreads, runs, decisions.MARGIN, drawn=False, number=SIMULATIONS)
    assert away["same"] <= 0.05 + SLACK


def test_the_table_in_the_docs_is_that_of_the_simulation() -> None:
    page = (Path(__file__).parents[1] / "docs/verdicts.md").read_text(encoding="utf-8")
    lines = page.partition("verdict_rates -->\n")[2].partition("\n\n")[0].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    told = {(name, int(runs)): [float(v) for v in rest[:6]] for name, runs, *rest in rows}
    assert list(told) == [(name, n) for name in verdict_rates.SPREADS for n in verdict_rates.RUNS]
    wrong = [head.index(name) - 2 for name in ("higher or lower", "reproduced, 0.03 away")]
    assert all(shares[column] <= 6.0 for shares in told.values() for column in wrong)
    again = verdict_rates.rates(verdict_rates.SPREADS["dog"], 10, number=SIMULATIONS)
    shares = [again["same"], again["noisy"], again["open"], again["above"] + again["below"]]
    assert told["dog", 10][:4] == pytest.approx([100 * share for share in shares], abs=4.5)


def test_the_rule_is_not_kept_by_deciding_nothing() -> None:
    null = verdict_rates.rates(verdict_rates.SPREADS["average"], 5, number=300)
    assert null["same"] > 0.6
    away = verdict_rates.rates(verdict_rates.SPREADS["average"], 5, 0.1, number=300)
    assert away["below"] > 0.9


def test_seeds_that_classes_share_do_not_make_verdicts_err() -> None:
    """Averages that vary three times as much as those of independent classes would."""
    for runs in (2, 5):
        null = verdict_rates.rates(
            verdict_rates.SPREADS["average"], runs, together=3.0, number=SIMULATIONS
        )
        assert null["above"] + null["below"] <= 0.05 + SLACK


def test_holm_by_hand() -> None:
    # 4 * 0.005, 3 * 0.01, then 2 * 0.03, and 0.04 is raised to the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1, 1])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.3))
def test_holm_rejects_as_stepping_down_does(p: list[float], level: float) -> None:
    rejected = np.zeros(len(p), bool)
    for step, index in enumerate(np.argsort(p, kind="stable")):
        if p[index] * (len(p) - step) > level:
            break
        rejected[index] = True
    assert (holm(p) <= level).tolist() == rejected.tolist()


BARS = arrays(np.int64, 6, elements=st.integers(0, 30))


@given(BARS, BARS)
def test_overlap_interval_stays_a_percentage(inliers: np.ndarray, outliers: np.ndarray) -> None:
    if inliers.any() and outliers.any():
        low, high = middle(overlap_draws(inliers, outliers, draws=50))
        assert 0 <= low <= high <= 100


def test_overlap_interval_covers() -> None:
    rng = np.random.default_rng(9)
    bins = np.arange(50)
    shares = [np.exp(-((bins - centre) ** 2) / 300) for centre in (17, 29)]
    shares = [share / share.sum() for share in shares]
    truth = 100 * np.minimum(*shares).sum()
    inside = 0
    for seed in range(200):
        bars = [rng.multinomial(5000, share) for share in shares]
        low, high = middle(overlap_draws(*bars, draws=200, seed=seed))
        assert low - 5 < overlap(*bars) < high + 5
        inside += low <= truth <= high
    assert 0.88 <= inside / 200 <= 0.99


def test_overlap_by_hand() -> None:
    # min(a, b) is 1 + 0 + 2 of 4 + 4 samples, and the region holds it of either histogram.
    assert overlap(np.array([1, 1, 2]), np.array([2, 0, 2])) == pytest.approx(200 * 3 / 8)
    assert np.isnan(overlap(np.zeros(3, int), np.zeros(3, int)))


def test_inliers_that_stay_leave_the_chance_of_the_outliers() -> None:
    few, many = np.array([300, 500, 200]), np.array([500, 300, 200])
    rng = np.random.default_rng(0)
    plain = [overlap(few, rng.multinomial(1000, many / 1000)) for _ in range(4000)]
    drawn = overlap_draws(few, many, 4000, redrawn="outliers")
    assert drawn.std() == pytest.approx(np.std(plain), rel=0.08)
    assert drawn.std() < 0.9 * overlap_draws(few, many, 4000).std()


def test_overlap_draws_are_mirrored_at_the_overlap() -> None:
    """Draws of two equal histograms overlap by less than 100 %, by as much as drawing adds."""
    bars = np.array([30, 50, 20])
    assert (overlap_draws(bars, bars, 20) == 100).all()
    few, many = np.array([300, 500, 200]), np.array([500, 300, 200])
    rng = np.random.default_rng(0)
    plain = [
        overlap(*(rng.multinomial(1000, side / 1000) for side in (few, many))) for _ in range(4000)
    ]
    drawn = overlap_draws(few, many, 4000)
    assert drawn.mean() == pytest.approx(2 * overlap(few, many) - np.mean(plain), abs=0.15)
    assert drawn.std() == pytest.approx(np.std(plain), rel=0.08)
    assert (overlap_draws(few, many, 20, seed=1) != overlap_draws(few, many, 20, seed=2)).any()


def test_histograms_have_fifty_bins_between_outer_thousandths() -> None:
    edges = bin_edges(np.arange(1001.0))
    assert edges == pytest.approx(np.linspace(1, 999, 51))
    assert bin_edges(np.full(4, 2.0)) == pytest.approx(np.linspace(1.5, 2.5, 51))
    # Both ends take in what lies beyond them.
    assert counts(np.array([-5.0, 1.0, 998.0, 5000.0]), edges)[[0, -1]].tolist() == [2, 2]


def test_overlap_of_what_never_mixes_is_sure() -> None:
    assert not overlap_draws(np.array([5, 0]), np.array([0, 7])).any()
