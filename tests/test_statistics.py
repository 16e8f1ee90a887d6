"""Statistics against brute force, textbook cases worked by hand, simulation and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from benchmark.statistics import decisions
from benchmark.statistics.bootstrap import bootstrap_means
from benchmark.statistics.decisions import decide, holm, runs_to_decide, tost
from benchmark.statistics.intervals import percentiles
from benchmark.statistics.overlap import bin_edges, counts, overlap, overlap_draws
from benchmark.statistics.replicates import (
    Sample,
    mean_interval,
    mean_p_not_above,
    prediction_interval,
    prediction_p,
    sample,
)
from benchmark.statistics.roc import delong_error, paired_delong, placements

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
    assert found.run_variance == pytest.approx((2 + 1) / 4)
    assert found.mean_variance == pytest.approx((2 / 2 + 1 / 3) / 4)
    # Welch, Satterthwaite with 1 and 2 degrees of freedom and parts 2 * 3/2 and 1 * 4/3.
    assert found.freedom == pytest.approx((3 + 4 / 3) ** 2 / (3**2 / 1 + (4 / 3) ** 2 / 2))


def test_classes_of_one_run_borrow_by_hand() -> None:
    # Own variances 2 and 4, so 3 each for the two classes of one run.
    found = sample([np.array(v) for v in ([1.0, 3.0], [0.2], [4.0, 6.0, 8.0], [0.7])])
    assert found.replicated == 2
    assert found.variances == pytest.approx([2, 3, 4, 3])
    assert found.run_variance == pytest.approx((2 + 3 + 4 + 3) / 16)
    assert found.mean_variance == pytest.approx((2 / 2 + 3 + 4 / 3 + 3) / 16)
    # A new run about our mean: 2 * 3/2 + 4 * 4/3 + 2 * 3 * 2, and 3 is (2 + 4) / 2, so that the
    # own variances weigh 3/2 + 2 and 4/3 + 2; each that lends has one degree of freedom.
    parts = np.array([2 * (3 / 2 + 2), 4 * (4 / 3 + 2)])
    assert parts.sum() / 16 == pytest.approx(found.run_variance + found.mean_variance)
    assert found.freedom == pytest.approx(parts.sum() ** 2 / (parts**2).sum())


@pytest.mark.parametrize(("lenders", "runs"), [(3, 2), (2, 3), (1, 5)])
@pytest.mark.parametrize("unlike", [0.0, 0.4])
def test_borrowed_spread_covers(lenders: int, runs: int, unlike: float) -> None:
    """Whether the classes spread alike, or by up to twice and half of each other."""
    rng = np.random.default_rng(10)
    counts = [runs] * lenders + [1] * (10 - lenders)
    new_inside = mean_inside = 0
    for seed in range(400):
        spreads = 0.02 * np.exp(rng.normal(0, unlike, size=10))
        groups = [rng.normal(0.7, s, size=n) for s, n in zip(spreads, counts, strict=True)]
        low, high = prediction_interval(sample(groups))
        new_inside += low <= rng.normal(0.7, spreads).mean() <= high
        low, high = percentiles(bootstrap_means(groups, draws=300, seed=seed))
        mean_inside += low <= 0.7 <= high
    assert new_inside / 400 >= 0.93
    assert mean_inside / 400 >= 0.93


def test_bootstrap_lends_the_spread_of_other_classes() -> None:
    rng = np.random.default_rng(11)
    groups = [rng.normal(0.6, 0.03, size=3), np.array([0.9]), rng.normal(0.8, 0.01, size=5)]
    drawn, found = bootstrap_means(groups, draws=40000), sample(groups)
    low, high = percentiles(drawn)
    half = stats.t.ppf(0.975, found.freedom) * np.sqrt(found.mean_variance)
    assert np.median(drawn) == pytest.approx(found.mean, abs=2e-3)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)


@pytest.mark.parametrize(("lenders", "runs"), [(1, 2), (2, 2), (10, 2), (1, 5)])
def test_far_tails_of_the_bootstrap_hold_their_level(lenders: int, runs: int) -> None:
    """What Holm's correction reads: 2 of 1000 under the null, not 17."""
    rng = np.random.default_rng(13)
    counts = [runs] * lenders + [1] * (10 - lenders)
    rejected = 0
    for seed in range(1500):
        groups = [rng.normal(0, 0.02, size=n) for n in counts]
        drawn = bootstrap_means(groups, draws=2000, seed=seed)
        rejected += (1 + (drawn <= 0).sum()) / 2001 < 0.002
    assert rejected <= 8


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
    """Satterthwaite's freedom: (a + b)^2 / (a^2 / f) of variances a with f and b with infinite."""
    values, of_tests = np.array([0.61, 0.63, 0.60, 0.66, 0.62]), 0.02**2
    found, own = sample([values]), values.var(ddof=1)
    for interval, of_runs in (
        (prediction_interval(found, of_tests), own + own / 5),
        (mean_interval(found, of_tests), own / 5),
    ):
        freedom = (of_runs + of_tests) ** 2 / (of_runs**2 / 4)
        half = stats.t.ppf(0.975, freedom) * np.sqrt(of_runs + of_tests)
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


def test_tost_by_hand() -> None:
    # (0.01 - 0.004) / 0.003 = 2 standard errors from the nearer margin.
    assert tost(0.004, 0.003, np.inf) == pytest.approx(stats.norm.sf(2))
    assert tost(-0.004, 0.003, 4) == pytest.approx(stats.t.sf(2, 4))
    assert tost(0.02, 0.003, np.inf) > 0.99
    assert tost(0.004, 0.0, np.inf) == 0
    assert tost(0.01, 0.0, np.inf) == 1


@given(st.floats(-0.05, 0.05), st.floats(1e-4, 0.05), st.integers(1, 30))
def test_tost_is_two_one_sided_t_tests(difference: float, error: float, freedom: int) -> None:
    upper = stats.t.cdf((difference - 0.01) / error, freedom)
    lower = stats.t.sf((difference + 0.01) / error, freedom)
    assert tost(difference, error, freedom) == pytest.approx(max(upper, lower))


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
    # Wide runs: the published one is a likely draw of them, or not.
    assert decide(of(0.70, 0.05, 20), 0.72) == "same"
    assert decide(of(0.70, 0.05, 20), 0.90) == "below"
    # Without any spread, as for a method without chance, the margin decides.
    assert decide(of(0.70, 0.0, 2), 0.705) == "same"
    assert decide(of(0.70, 0.0, 2), 0.68) == "above"
    # The test samples' own chance may explain it.
    assert decide(of(0.70, 0.0, 2), 0.68, test_variance=0.02**2) == "same"
    # An unlikely draw, but within the margin, which is not shown to hold either.
    assert prediction_interval(of(0.7099, 0.001, 5)).low > 0.70
    assert decide(of(0.7099, 0.001, 5), 0.70) == "open"
    assert decide(of(0.6901, 0.001, 5), 0.70) == "open"


def test_what_is_the_same_is_shown_at_95_percent() -> None:
    """The difference at which a one-sided t test within the margin of 0.01 has p = 0.05."""
    error = 0.002 / np.sqrt(5)
    border = 0.01 - stats.t.ppf(0.95, 4) * error
    assert decide(of(0.70 + border - 1e-4, 0.002, 5), 0.70) == "same"
    assert decide(of(0.70 + border + 1e-4, 0.002, 5), 0.70) == "open"


@given(
    st.floats(-0.1, 0.1), st.floats(0.001, 0.05), st.integers(2, 12), st.floats(0, 0.02),
    st.integers(1, 4),
)  # fmt: skip
def test_decisions_agree_with_the_prediction_interval(
    difference: float, spread: float, runs: int, test_error: float, classes: int
) -> None:
    found = of(0.5 + difference, spread, runs, classes)
    low, high = prediction_interval(found, test_error**2)
    decision = decide(found, 0.5, test_error**2)
    difference = found.mean - 0.5
    if decision in ("above", "below"):
        assert not low <= 0.5 <= high
        assert abs(difference) > decisions.MARGIN
        assert (decision == "above") == (difference > 0)
    if decision == "same":
        assert low <= 0.5 <= high or abs(difference) < decisions.MARGIN


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.05), st.integers(2, 5), st.integers(1, 4))
def test_the_runs_that_are_asked_for_would_decide(
    difference: float, spread: float, runs: int, classes: int
) -> None:
    found = of(0.5 + difference, spread, runs, classes)
    further = runs_to_decide(found, 0.5)
    if further is not None and decide(found, 0.5) == "open":
        assert further >= 1
        assert decide(found.with_runs(runs + further), 0.5) != "open"
        if further > 1:
            assert decide(found.with_runs(runs + further - 1), 0.5) == "open"


def test_enough_runs_always_decide_but_on_the_border() -> None:
    limit = stats.norm.ppf(0.975) * 0.05
    assert runs_to_decide(of(0.5 + 0.3 * limit, 0.05, 2), 0.5) is not None
    assert runs_to_decide(of(0.5 + 2.0 * limit, 0.05, 2), 0.5) is not None
    assert runs_to_decide(of(0.5 + limit, 0.05, 2), 0.5) is None


def test_one_run_asks_for_more_by_the_test_samples_at_least() -> None:
    one = of(0.60, 0.0, 1)
    assert runs_to_decide(one, 0.90, 0.005**2) == 1
    assert runs_to_decide(one, 0.64, 0.03**2) == runs_to_decide(of(0.60, 0.03, 1), 0.64, 0.03**2)
    assert (runs_to_decide(one, 0.64, 0.03**2) or 0) > 1
    assert runs_to_decide(one, 0.90) is None  # nothing tells how runs vary


def test_ten_classes_of_one_run_ask_for_as_many_as_the_test_samples_tell() -> None:
    """The average of ten classes varies by a tenth of the variance of one."""
    of_average = 0.01**2
    spread = np.full(10, 10 * of_average)
    means = np.full(10, 0.60)
    expected = next(
        runs - 1
        for runs in range(2, 100)
        if decide(Sample(means, spread, np.full(10, float(runs))), 0.62, of_average) != "open"
    )
    assert runs_to_decide(of(0.60, 0.0, 1, classes=10), 0.62, of_average) == expected


def test_further_runs_are_counted_from_the_class_with_the_fewest() -> None:
    uneven = Sample(np.full(2, 0.60), np.full(2, 0.02**2), np.array([2.0, 4.0]))
    assert decide(uneven, 0.63) == "open"
    further = runs_to_decide(uneven, 0.63)
    enough = next(n for n in range(3, 100) if decide(uneven.with_runs(n), 0.63) != "open")
    assert further == enough - 2


def test_classes_of_one_run_ask_for_more_by_the_spread_of_others() -> None:
    rng = np.random.default_rng(12)
    groups = [rng.normal(0.7, 0.02, size=n) for n in (3, 3, 1, 1)]
    found = sample(groups)
    value = found.mean - 0.03
    assert decide(found, value) == "open"
    further = runs_to_decide(found, value)
    assert further is not None
    assert decide(found.with_runs(1 + further), value) != "open"
    assert found.with_runs(2).counts.tolist() == [3, 3, 2, 2]


def test_decisions_err_as_seldom_as_they_should() -> None:
    """A published number from the same distribution is called higher or lower in 5 of 100."""
    rng = np.random.default_rng(6)
    wrong = sum(
        decide(sample([rng.normal(0.7, 0.04, size=4)]), rng.normal(0.7, 0.04)) in ("above", "below")
        for _ in range(1000)
    )
    assert wrong / 1000 <= 0.065


def test_bootstrap_has_the_variance_of_the_mean() -> None:
    rng = np.random.default_rng(7)
    groups = [rng.normal(0.6, 0.03, size=3), rng.normal(0.8, 0.01, size=5)]
    drawn = bootstrap_means(groups, test_variance=0.01**2, draws=40000)
    found = sample(groups)
    # Student's t of these few degrees of freedom has no fourth moment: its middle half, not its
    # variance, is found from draws.
    wide = bootstrap_means(groups, draws=40000)
    quartile = stats.t.ppf(0.75, found.freedom) * np.sqrt(found.mean_variance)
    assert np.median(drawn) == pytest.approx(np.mean([group.mean() for group in groups]), abs=5e-4)
    assert np.subtract(*np.quantile(wide, [0.75, 0.25])) / 2 == pytest.approx(quartile, rel=0.2)
    expected = np.quantile(wide + np.random.default_rng(1).normal(0, 0.01, 40000), [0.25, 0.75])
    assert np.quantile(drawn, [0.25, 0.75]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("classes", "runs"), [(10, 3), (10, 2), (1, 3), (1, 5)])
def test_bootstrap_of_the_mean_covers(classes: int, runs: int) -> None:
    rng = np.random.default_rng(8)
    centres = np.linspace(0.5, 0.9, classes)
    inside = 0
    for seed in range(400):
        groups = [rng.normal(centre, 0.02, size=runs) for centre in centres]
        low, high = percentiles(bootstrap_means(groups, draws=500, seed=seed))
        inside += low <= centres.mean() <= high
    assert 0.91 <= inside / 400 <= 0.99


def test_bootstrap_draws_by_its_seed() -> None:
    groups = [np.array([0.5, 0.6, 0.8]), np.array([0.7, 0.9])]
    first, again, other = (bootstrap_means(groups, 0.01**2, 50, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_bootstrap_of_equal_runs_is_a_normal_of_the_test_samples() -> None:
    drawn = bootstrap_means([np.full(2, 0.6), np.full(3, 0.8)], 0.01**2, 40000)
    assert stats.kstest(drawn, "norm", (0.7, 0.01)).pvalue > 1e-3


def test_bootstrap_draws_no_classes() -> None:
    # Classes that differ much, runs that do not: only the runs' spread is left.
    assert np.ptp(bootstrap_means([np.array([0.1, 0.1]), np.array([0.9, 0.9])])) < 1e-12


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
        low, high = percentiles(overlap_draws(inliers, outliers, draws=50))
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
        low, high = percentiles(overlap_draws(*bars, draws=200, seed=seed))
        assert low - 5 < overlap(*bars) < high + 5
        inside += low <= truth <= high
    assert 0.88 <= inside / 200 <= 0.99


def test_overlap_by_hand() -> None:
    # min(a, b) is 1 + 0 + 2 of 4 + 4 samples, and the region holds it of either histogram.
    assert overlap(np.array([1, 1, 2]), np.array([2, 0, 2])) == pytest.approx(200 * 3 / 8)
    assert np.isnan(overlap(np.zeros(3, int), np.zeros(3, int)))


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
    assert percentiles(overlap_draws(np.array([5, 0]), np.array([0, 7]))) == (0, 0)
