"""Runs of the same models as a sample: its mean and spread, and intervals for new runs.

Three sources of chance are kept apart. Test samples: DeLong's variance of an AUROC. Runs (seed and
fold): the spread of the runs of a class. Inlier classes: they are fixed, not drawn, because the
paper's averages are over these very classes; so runs are resampled within classes, never classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special

from benchmark.statistics.intervals import LEVEL, Array, Interval


@dataclass(frozen=True)
class Variance:
    """A variance in two parts: estimated from runs, and known, as that of many test samples is.

    The estimated parts of a sum have the degrees of freedom of Welch and Satterthwaite. How far a
    quantile lies from the centre is the root of the sum of the squares of either part's own (Howe,
    JASA 1974). One Student's t with the freedom of Satterthwaite for both would be too narrow where
    two runs happen to be close to each other.
    """

    estimated: float = 0.0
    freedom: float = np.inf
    known: float = 0.0

    def __add__(self, other: "Variance") -> "Variance":
        parts = np.array([self.estimated, other.estimated])
        uncertain = float((parts**2 / [self.freedom, other.freedom]).sum())
        freedom = parts.sum() ** 2 / uncertain if uncertain else np.inf
        return Variance(float(parts.sum()), float(freedom), self.known + other.known)

    def scaled(self, factor: float) -> "Variance":
        """The variance of what varies by the root of ``factor`` times as much."""
        return Variance(factor * self.estimated, self.freedom, factor * self.known)

    @property
    def total(self) -> float:
        """Both parts."""
        return self.estimated + self.known

    def reach(self, tail: float) -> float:
        """How far from the centre the quantile lies that leaves ``tail``, in 0..0.5, beyond it."""
        normal = special.ndtri(tail)
        student = normal if np.isinf(self.freedom) else special.stdtrit(self.freedom, tail)
        return float(np.sqrt(student**2 * self.estimated + normal**2 * self.known))

    def tail(self, distance: float) -> float:
        """The share, in 0..1, beyond ``distance`` from the centre: the inverse of ``reach``."""
        if distance < 0:
            return 1 - self.tail(-distance)
        if self.total == 0 or self.reach(_SMALLEST) < distance:
            return 0.0
        root = optimize.brentq(
            lambda log: self.reach(np.exp(log)) - distance, np.log(_SMALLEST), np.log(0.5)
        )
        return float(np.exp(root))


_SMALLEST = 1e-100
"""Shares under it count as 0."""


@dataclass(frozen=True)
class Sample:
    """Runs of some inlier classes: mean, variance and number of runs of each class, all (C,).

    Attributes:
        means: mean over the runs of a class.
        variances: between the runs of a class, with n - 1 in the denominator; of a class with one
            run the pooled one, the mean of the other classes' own, 0 if there is none.
        counts: runs of a class, at least 1; infinite for a method without chance.
        whole: runs that have every class, where there are several classes; else 0.
        seed_ratio: variance between the averages of the ``whole`` runs over what independent
            classes would give; NaN with fewer than two, or where they are all the same.
    """

    means: Array
    variances: Array
    counts: Array
    whole: float = 0
    seed_ratio: float = float("nan")

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
        """Whether the spread over runs can be estimated.

        It can if every class has two runs, or if some have and their runs differ: equal runs of
        some classes say nothing about the other classes.
        """
        every = self.replicated == self.counts.size
        return every or bool(self.replicated and self.variances.any())

    @property
    def widened(self) -> float:
        """By how much the variance of independent classes is multiplied: at least 1.

        Classes that share a seed start from the same weights, so that their runs may rise and fall
        together; an average takes the larger of the two variances.
        """
        return max(1.0, self.seed_ratio) if np.isfinite(self.seed_ratio) else 1.0

    @property
    def of_run(self) -> Variance:
        """Of the average of one run per class."""
        value = self.widened * float(self.variances.sum()) / self.means.size**2
        return Variance(value, self.freedom)

    @property
    def of_mean(self) -> Variance:
        """Of ``mean``."""
        value = self.widened * float((self.variances / self.counts).sum()) / self.means.size**2
        return Variance(value, self.freedom)

    @property
    def of_new_run(self) -> Variance:
        """Of the average of one new run per class about ``mean``: both of the above."""
        return Variance(self.of_run.estimated + self.of_mean.estimated, self.freedom)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of all three (Welch, Satterthwaite); infinite without spread.

        Where a class of one run takes the pooled variance, each contributing class counts one
        degree of freedom, however many runs it has: how much the spread differs between classes is
        then part of the uncertainty. A variance between whole runs has their number less one.
        """
        if self.widened > 1:
            return self.whole - 1
        own, weights = self.counts > 1, 1 + 1 / self.counts
        if not self.variances[own].any():
            return np.inf
        # The weight of a pooled variance is shared by the variances that it is the mean of.
        parts = self.variances[own] * (weights[own] + weights[~own].sum() / self.replicated)
        each = self.counts - 1 if own.all() else np.ones(self.replicated)
        return float(parts.sum() ** 2 / (parts**2 / each).sum())

    def with_runs(self, number: int) -> "Sample":
        """The same means and variances, as if from at least ``number`` runs of each class."""
        more = np.maximum(self.counts, float(number))
        return replace(self, counts=more, whole=max(self.whole, number) if self.whole else 0)


def sample(groups: Sequence[Array]) -> Sample:
    """Summarise runs, given as their values, one array per class."""
    own = [group.var(ddof=1) for group in groups if group.size > 1]
    pooled = float(np.mean(own)) if own else 0.0
    return Sample(
        np.array([group.mean() for group in groups]),
        np.array([group.var(ddof=1) if group.size > 1 else pooled for group in groups]),
        np.array([float(group.size) for group in groups]),
    )


def of_runs(values: Array) -> Sample:
    """Summarise runs whose classes share a seed.

    Args:
        values: (runs, classes), NaN where a run lacks a class; each class has one.
    """
    present = np.isfinite(values)
    summary = sample([of[has] for of, has in zip(values.T, present.T, strict=True)])
    whole = values[present.all(axis=1)]
    if values.shape[1] == 1 or len(whole) < 2:
        return summary
    together = float(whole.mean(axis=1).var(ddof=1))
    apart = float(whole.var(axis=0, ddof=1).sum()) / values.shape[1] ** 2
    ratio = together / apart if apart else float("nan")
    return replace(summary, whole=len(whole), seed_ratio=ratio)


def without_chance(means: Array) -> Sample:
    """A method that gives the same in every run, by its number of each class, (C,)."""
    return Sample(means, np.zeros(means.shape), np.full(means.shape, np.inf))


def prediction_interval(runs: Sample, test_variance: float = 0.0, level: float = LEVEL) -> Interval:
    """Interval of the average of one new run per class.

    Its variance is that of the new run, of our mean, and of the test samples, which are so many
    that it counts as known. A published number, one draw, is compared with this, not with the
    interval of the mean.

    Args:
        runs: at least two runs of a class.
        test_variance: variance of the average over test samples, theirs against ours.
        level: its coverage.
    """
    return _around(runs.mean, runs.of_new_run + Variance(known=test_variance), level)


def mean_interval(runs: Sample, test_variance: float = 0.0, level: float = LEVEL) -> Interval:
    """Confidence interval of the average over all runs and test samples that there could be.

    Without two runs of any class it is that of the test samples alone.
    """
    return _around(runs.mean, runs.of_mean + Variance(known=test_variance), level)


def mean_p_not_above(runs: Sample, test_variance: float = 0.0) -> float:
    """One-sided p-value of an average that is not above 0; see ``mean_interval``."""
    variance = runs.of_mean + Variance(known=test_variance)
    return variance.tail(runs.mean) if variance.total else float(runs.mean <= 0)


def prediction_p(runs: Sample, value: float, test_variance: float = 0.0) -> float:
    """Two-sided p-value of ``value`` as the average of one new run per class."""
    variance = runs.of_new_run + Variance(known=test_variance)
    if variance.total == 0:
        return 1.0 if value == runs.mean else 0.0
    return 2 * variance.tail(abs(value - runs.mean))


def _around(centre: float, variance: Variance, level: float) -> Interval:
    half = variance.reach((1 - level) / 2)
    return Interval(centre - half, centre + half)
