"""How sure a number is: intervals, tests and decisions. Arrays in, numbers out.

Three sources of chance are kept apart. Test samples: DeLong's variance of an AUROC. Runs (seed and
fold): the spread of the runs of a class. Inlier classes: they are fixed, not drawn, because the
paper's averages are over these very classes; so runs are resampled within classes, never classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmark.measures import overlap, placements

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.integer[Any]]

LEVEL = 0.95
"""Of every interval; tests are at 1 - ``LEVEL``."""

MARGIN = 0.01
"""Two AUROCs that differ by less are held to be the same."""

MOST_RUNS = 200
"""How far ``runs_to_decide`` looks."""

Decision = Literal["same", "above", "below", "open"]


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


class Contrast(NamedTuple):
    """A weighted sum of AUROCs on the same samples, its standard error and two-sided p-value."""

    value: float
    error: float
    p: float


def delong(inliers: Array, outliers: Array) -> tuple[Array, Array]:
    """AUROC and its standard error over test samples.

    DeLong, DeLong, Clarke-Pearson (Biometrics 1988), by sorting instead of by pairs as in Sun and
    Xu (IEEE SPL 2014).

    Args:
        inliers: (..., n) scores, higher is more anomalous.
        outliers: (..., m).

    Returns:
        Two arrays (...). The error is NaN with fewer than two inliers or outliers, and 0 where
        inliers and outliers do not mix at all.
    """
    parts = _structural(inliers, outliers)
    return parts[1].mean(axis=-1), delong_error(*parts)


def delong_error(of_inliers: Array, of_outliers: Array) -> Array:
    """Standard error of an AUROC, (...), from the placements of inliers and of outliers.

    Those of the inliers, (..., n), may be from either side (above or below); those of the outliers
    are (..., m).
    """
    n, m = of_inliers.shape[-1], of_outliers.shape[-1]
    if min(n, m) < 2:
        return np.full(of_inliers.shape[:-1], np.nan)
    variance = of_inliers.var(axis=-1, ddof=1) / n + of_outliers.var(axis=-1, ddof=1) / m
    return np.asarray(np.sqrt(variance))


def auroc_interval(value: float, error: float, level: float = LEVEL) -> Interval:
    """DeLong's interval on the logit scale, so that it stays within 0..1.

    An AUROC of 0 or 1 has no error to go by: the interval is that point.
    """
    if not 0 < value < 1:
        return Interval(value, value)
    width = _z(level) * error / (value * (1 - value))
    centre = np.log(value / (1 - value))
    low, high = 1 / (1 + np.exp(-(centre + np.array([-width, width]))))
    return Interval(float(low), float(high))


def paired_delong(inliers: Array, outliers: Array, weights: Sequence[float] = (1, -1)) -> Contrast:
    """DeLong's test of scores on the same samples: by default the first against the second.

    Args:
        inliers: (C, n), a row per score.
        outliers: (C, m), the same scores.
        weights: of the C AUROCs in the sum that is tested against 0.
    """
    weight = np.asarray(weights, dtype=np.float64)
    of_inliers, of_outliers = (weight @ part for part in _structural(inliers, outliers))
    value = float(of_outliers.mean())
    error = float(delong_error(of_inliers, of_outliers))
    if error == 0:
        return Contrast(value, error, 1.0 if value == 0 else 0.0)
    return Contrast(value, error, float(2 * stats.norm.sf(abs(value) / error)))


@dataclass(frozen=True)
class Sample:
    """Runs of some inlier classes: mean, variance and number of runs of each class, all (C,).

    Attributes:
        means: mean over the runs of a class.
        variances: between the runs of a class, with n - 1 in the denominator; of a class with one
            run the mean of the other classes' own ones, 0 if there is none.
        counts: runs of a class, at least 1.
    """

    means: Array
    variances: Array
    counts: Array

    @property
    def mean(self) -> float:
        """Average over classes, which weigh the same."""
        return float(self.means.mean())

    @property
    def replicated(self) -> int:
        """How many classes have the two runs that a spread of their own needs."""
        return int((self.counts > 1).sum())

    @property
    def spread_known(self) -> bool:
        """Whether the runs tell of their spread: those of every class, or some that do differ.

        Runs of some classes that are all the same tell nothing of the other classes.
        """
        every = self.replicated == self.counts.size
        return every or bool(self.replicated and self.variances.any())

    @property
    def run_variance(self) -> float:
        """Variance of the average of one run per class."""
        return float(self.variances.sum()) / self.means.size**2

    @property
    def mean_variance(self) -> float:
        """Variance of ``mean``."""
        return float((self.variances / self.counts).sum()) / self.means.size**2

    @property
    def freedom(self) -> float:
        """Degrees of freedom of both variances (Welch, Satterthwaite); infinite without spread.

        Where a class borrows, each class that lends has but one, however many runs it has: they do
        not show how much the spread differs between classes.
        """
        own, weights = self.counts > 1, 1 + 1 / self.counts
        if not self.variances[own].any():
            return np.inf
        # What a borrowed variance weighs, it weighs in those that it is the mean of.
        parts = self.variances[own] * (weights[own] + weights[~own].sum() / self.replicated)
        each = self.counts - 1 if own.all() else np.ones(self.replicated)
        return float(parts.sum() ** 2 / (parts**2 / each).sum())

    def with_runs(self, number: int) -> "Sample":
        """The same means and variances, found from at least ``number`` runs of each class."""
        return Sample(self.means, self.variances, np.maximum(self.counts, float(number)))


def sample(groups: Sequence[Array]) -> Sample:
    """The runs' values, one array per class."""
    own = [group.var(ddof=1) for group in groups if group.size > 1]
    borrowed = float(np.mean(own)) if own else 0.0
    return Sample(
        np.array([group.mean() for group in groups]),
        np.array([group.var(ddof=1) if group.size > 1 else borrowed for group in groups]),
        np.array([float(group.size) for group in groups]),
    )


def prediction_interval(
    found: Sample, test_variance: float = 0.0, level: float = LEVEL
) -> Interval:
    """Where the average of one new run per class lies.

    Its variance is that of the new run, of our mean, and of the test samples it draws. The last is
    known from many samples, so that the degrees of freedom are those of the other two
    (Satterthwaite). A published number, one draw, is compared with this, not with the interval of
    the mean.

    Args:
        found: at least two runs of a class.
        test_variance: variance of the average over test samples.
        level: its coverage.
    """
    error, freedom = _prediction(found, test_variance)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return Interval(found.mean - half, found.mean + half)


def mean_interval(found: Sample, test_variance: float = 0.0, level: float = LEVEL) -> Interval:
    """Where the average over ever more runs and test samples lies, around that of ours.

    Degrees of freedom as in ``prediction_interval``. Without two runs of any class it is that of
    the test samples alone.
    """
    error, freedom = _error(found, found.mean_variance, test_variance)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return Interval(found.mean - half, found.mean + half)


def mean_p_not_above(found: Sample, test_variance: float = 0.0) -> float:
    """One-sided p-value of an average that is not above 0; see ``mean_interval``."""
    error, freedom = _error(found, found.mean_variance, test_variance)
    if error == 0:
        return float(found.mean <= 0)
    return float(stats.t.sf(found.mean / error, freedom))


def prediction_p(found: Sample, value: float, test_variance: float = 0.0) -> float:
    """Two-sided p-value of ``value`` as the average of one new run per class."""
    error, freedom = _prediction(found, test_variance)
    if error == 0:
        return 1.0 if value == found.mean else 0.0
    return float(2 * stats.t.sf(abs(value - found.mean) / error, freedom))


def tost(difference: float, error: float, freedom: float, margin: float = MARGIN) -> float:
    """P-value of two one-sided tests (Schuirmann 1987): small if |difference| is under ``margin``.

    Args:
        difference: found.
        error: its standard error.
        freedom: degrees of freedom of ``error``, maybe infinite.
        margin: the largest difference that counts as none.
    """
    if error == 0:
        return 0.0 if abs(difference) < margin else 1.0
    return float(stats.t.sf((margin - abs(difference)) / error, freedom))


def decide(
    found: Sample, value: float, test_variance: float = 0.0, margin: float = MARGIN
) -> Decision:
    """Whether ``found`` is the same as a number ``value`` that one run gave.

    ``same``: the mean is shown (``tost``) to be nearer to it than ``margin`` or than one run's own
    spread, whichever is wider. ``above`` or ``below``: it is more than ``margin`` away, outside the
    prediction interval of a new run. Otherwise, or without two runs of any class, ``open``. With
    more and more runs both rules come to the same limit, so that enough of them always decide.
    """
    if not found.spread_known:
        return "open"
    difference = found.mean - value
    spread = _z(LEVEL) * np.sqrt(found.run_variance + test_variance)
    allowed = max(margin, float(spread))
    if tost(difference, np.sqrt(found.mean_variance), found.freedom, allowed) < 1 - LEVEL:
        return "same"
    low, high = prediction_interval(found, test_variance)
    if low <= value <= high or abs(difference) <= margin:
        return "open"
    return "above" if difference > 0 else "below"


def runs_to_decide(
    found: Sample, value: float, test_variance: float = 0.0, margin: float = MARGIN
) -> int | None:
    """Further runs of the classes with the fewest, or None if over ``MOST_RUNS``, to ``decide``.

    Classes with more runs wait until the others have as many. All are supposed to have the mean and
    spread of those that there are. Where these tell no spread, one run is supposed to vary as much
    as the test samples make it: then it is a lower bound, or None where they tell nothing either.
    """
    if not found.spread_known:
        if not test_variance:
            return None
        guess = np.full(found.means.shape, test_variance * found.means.size)
        found = Sample(found.means, guess, found.counts)
    there = int(found.counts.min())
    for number in range(there + 1, there + MOST_RUNS + 1):
        if decide(found.with_runs(number), value, test_variance, margin) != "open":
            return number - there
    return None


def bootstrap_means(
    groups: Sequence[Array], test_variance: float = 0.0, draws: int = 4000, seed: int = 0
) -> Array:
    """Hierarchical bootstrap of the average over classes, (draws,).

    Runs are drawn with replacement within each class. A few runs make a bootstrap too narrow, so
    their deviations from the class's mean are widened: by sqrt(n / (n - 1)) (Rao and Wu, JASA 1988)
    and, draw by draw, by what makes Student's of a normal with the degrees of freedom of all runs,
    so that the far tails, which p-values read, are as long as they should be. A class with one run
    deviates as a run of one of the others, drawn anew each time. ``test_variance`` adds the level
    of test samples, as a normal.

    Args:
        groups: the runs' values, one array per class.
        test_variance: variance of the average over test samples.
        draws: number of bootstrap samples.
        seed: of the drawing.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros(draws)
    freedom = sample(groups).freedom
    few = np.sqrt(freedom / rng.chisquare(freedom, draws)) if np.isfinite(freedom) else 1.0
    widened = [
        (group - group.mean()) * np.sqrt(group.size / max(group.size - 1, 1)) for group in groups
    ]
    lenders = [own for own in widened if own.size > 1] or [np.zeros(1)]
    for group, own in zip(groups, widened, strict=True):
        if group.size > 1:
            deviations = own[rng.integers(0, group.size, size=(draws, group.size))].mean(axis=1)
        else:
            deviations = _lent(lenders, draws, rng)
        total += group.mean() + few * deviations
    return total / len(groups) + rng.normal(scale=np.sqrt(test_variance), size=draws)


def _lent(lenders: Sequence[Array], draws: int, rng: np.random.Generator) -> Array:
    """Deviations of one run, (draws,), each of a class drawn anew."""
    sizes = np.array([own.size for own in lenders])
    chosen = rng.integers(0, len(lenders), size=draws)
    first = np.cumsum(sizes) - sizes
    lent: Array = np.concatenate(lenders)[first[chosen] + rng.integers(0, sizes[chosen])]
    return lent


def percentiles(draws: Array, level: float = LEVEL) -> Interval:
    """The middle of bootstrap draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def overlap_draws(inliers: Counts, outliers: Counts, draws: int = 1000, seed: int = 0) -> Array:
    """Bootstrap draws of the percentage of overlap of two histograms over their samples, (draws,).

    Inliers and outliers are drawn anew, each from its own histogram, the bins staying as they are.
    A minimum of noisy counts is too small on average; the draws are mirrored at the percentage
    found (the basic bootstrap), which mends as much bias as the drawing shows. They stay in 0..100.
    """
    rng = np.random.default_rng(seed)
    sides = [
        rng.multinomial(bars.sum(), bars / bars.sum(), size=draws) for bars in (inliers, outliers)
    ]
    found = np.array([overlap(a, b) for a, b in zip(*sides, strict=True)])
    return np.clip(2 * overlap(inliers, outliers) - found, 0.0, 100.0)


def overlap_interval(
    inliers: Counts, outliers: Counts, level: float = LEVEL, draws: int = 1000, seed: int = 0
) -> Interval:
    """Interval of the percentage of overlap of two histograms over their samples."""
    return percentiles(overlap_draws(inliers, outliers, draws, seed), level)


def holm(p: Sequence[float]) -> Array:
    """Holm's adjusted p-values (1979): all tests at a family-wise level, in the given order."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _structural(inliers: Array, outliers: Array) -> tuple[Array, Array]:
    """DeLong's structural components: of each inlier, (..., n), and of each outlier, (..., m)."""
    return 1 - placements(outliers, inliers), placements(inliers, outliers)


def _prediction(found: Sample, test_variance: float) -> tuple[float, float]:
    """Standard error of a new run about our mean, and its degrees of freedom."""
    return _error(found, found.run_variance + found.mean_variance, test_variance)


def _error(found: Sample, runs: float, test_variance: float) -> tuple[float, float]:
    """Standard error from a variance of ``found`` and that of test samples, and its freedom."""
    total = runs + test_variance
    return float(np.sqrt(total)), found.freedom * (total / runs) ** 2 if runs else np.inf


def _z(level: float) -> float:
    return float(stats.norm.ppf((1 + level) / 2))
