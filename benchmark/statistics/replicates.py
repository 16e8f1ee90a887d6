"""Runs of the same models as a sample: its mean and spread, and intervals for new runs.

Three sources of chance are kept apart. Test samples: DeLong's variance of an AUROC. Runs (seed and
fold): the spread of the runs of a class. Inlier classes: they are fixed, not drawn, because the
paper's averages are over these very classes; so runs are resampled within classes, never classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmark.statistics.intervals import LEVEL, Array, Interval

Counts = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Sample:
    """Runs of some inlier classes: mean, variance and number of runs of each class, all (C,).

    Attributes:
        means: mean over the runs of a class.
        variances: between the runs of a class, with n - 1 in the denominator; of a class with one
            run the pooled one, the mean of the other classes' own, 0 if there is none.
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
        """Whether the spread over runs can be estimated.

        It can if every class has two runs, or if some have and their runs differ: equal runs of
        some classes say nothing about the other classes.
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

        Where a class of one run takes the pooled variance, each contributing class counts one
        degree of freedom, however many runs it has: how much the spread differs between classes is
        then part of the uncertainty.
        """
        own, weights = self.counts > 1, 1 + 1 / self.counts
        if not self.variances[own].any():
            return np.inf
        # The weight of a pooled variance is shared by the variances that it is the mean of.
        parts = self.variances[own] * (weights[own] + weights[~own].sum() / self.replicated)
        each = self.counts - 1 if own.all() else np.ones(self.replicated)
        return float(parts.sum() ** 2 / (parts**2 / each).sum())

    def with_runs(self, number: int) -> "Sample":
        """The same means and variances, as if from at least ``number`` runs of each class."""
        return Sample(self.means, self.variances, np.maximum(self.counts, float(number)))


def sample(groups: Sequence[Array]) -> Sample:
    """Summarise runs, given as their values, one array per class."""
    own = [group.var(ddof=1) for group in groups if group.size > 1]
    pooled = float(np.mean(own)) if own else 0.0
    return Sample(
        np.array([group.mean() for group in groups]),
        np.array([group.var(ddof=1) if group.size > 1 else pooled for group in groups]),
        np.array([float(group.size) for group in groups]),
    )


def prediction_interval(runs: Sample, test_variance: float = 0.0, level: float = LEVEL) -> Interval:
    """Interval of the average of one new run per class.

    Its variance is that of the new run, of our mean, and of the test samples it draws. The last is
    known from many samples, so that the degrees of freedom are those of the other two
    (Satterthwaite). A published number, one draw, is compared with this, not with the interval of
    the mean.

    Args:
        runs: at least two runs of a class.
        test_variance: variance of the average over test samples.
        level: its coverage.
    """
    error, freedom = _prediction(runs, test_variance)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return Interval(runs.mean - half, runs.mean + half)


def mean_interval(runs: Sample, test_variance: float = 0.0, level: float = LEVEL) -> Interval:
    """Confidence interval of the average over all runs and test samples that there could be.

    Degrees of freedom as in ``prediction_interval``. Without two runs of any class it is that of
    the test samples alone.
    """
    error, freedom = _error(runs, runs.mean_variance, test_variance)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return Interval(runs.mean - half, runs.mean + half)


def mean_p_not_above(runs: Sample, test_variance: float = 0.0) -> float:
    """One-sided p-value of an average that is not above 0; see ``mean_interval``."""
    error, freedom = _error(runs, runs.mean_variance, test_variance)
    if error == 0:
        return float(runs.mean <= 0)
    return float(stats.t.sf(runs.mean / error, freedom))


def prediction_p(runs: Sample, value: float, test_variance: float = 0.0) -> float:
    """Two-sided p-value of ``value`` as the average of one new run per class."""
    error, freedom = _prediction(runs, test_variance)
    if error == 0:
        return 1.0 if value == runs.mean else 0.0
    return float(2 * stats.t.sf(abs(value - runs.mean) / error, freedom))


def _prediction(runs: Sample, test_variance: float) -> tuple[float, float]:
    """Standard error of a new run about our mean, and its degrees of freedom."""
    return _error(runs, runs.run_variance + runs.mean_variance, test_variance)


def _error(runs: Sample, variance: float, test_variance: float) -> tuple[float, float]:
    """Standard error from a variance of ``runs`` and that of test samples, and its freedom."""
    total = variance + test_variance
    freedom = runs.freedom * (total / variance) ** 2 if variance else np.inf
    return float(np.sqrt(total)), freedom
