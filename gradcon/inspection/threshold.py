"""A threshold at a stated false-alarm rate, from the scores of inliers that trained nothing.

The k-th smallest of n such scores is exceeded by a new inlier with probability (n + 1 - k) /
(n + 1), whatever the distribution of the scores. How often it is exceeded in the long run depends
on which n inliers were drawn, and has a Beta(n + 1 - k, k) distribution (order statistics; David
and Nagaraja 2003, section 7.2). Ties only lower the rate.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmark.statistics.intervals import LEVEL, Interval

ROUNDING = 1e-9
"""So much more than a whole number is that number: 20 * (1 - 0.05) is 19."""


@dataclass(frozen=True)
class Threshold:
    """An anomaly score above which an image counts as an outlier."""

    value: float
    """The anomaly score; what is above it is an outlier."""
    rate: float
    """False-alarm rate to expect: the share of new inliers above the threshold."""
    low: float
    """The 95 % interval of the rate in the long run, from here ..."""
    high: float
    """... to here."""
    images: int
    """Held-out inliers that it is from."""

    def __str__(self) -> str:
        return (
            f"false-alarm rate {percent(self.rate)} (95 % interval {percent(self.low)} to "
            f"{percent(self.high)}), from {self.images:,} held-out inliers"
        )


def threshold(scores: npt.ArrayLike, rate: float) -> Threshold:
    """The lowest threshold whose false-alarm rate is at most ``rate``.

    Args:
        scores: anomaly scores of held-out inliers, (n,); higher is more anomalous.
        rate: in (0, 1). With fewer than 1 / rate - 1 scores no threshold has it: the largest score
            is taken, whose rate is 1 / (n + 1).
    """
    ordered = np.sort(np.asarray(scores, np.float64))
    n = len(ordered)
    k = max(1, min(n, math.ceil((n + 1) * (1 - rate) - ROUNDING)))
    # A hair above the score itself, which may differ by rounding when its image is scored again.
    value = ordered[k - 1] + 1e-4 * np.ptp(ordered)
    low, high = stats.beta.interval(LEVEL, n + 1 - k, k)
    return Threshold(float(value), (n + 1 - k) / (n + 1), float(low), float(high), n)


def fewest_images(rate: float) -> int:
    """How many held-out inliers a false-alarm rate needs."""
    return math.ceil(1 / rate - ROUNDING) - 1


def share_interval(count: int, total: int) -> Interval:
    """The exact 95 % interval of a share, of which ``count`` of ``total`` were seen.

    Clopper and Pearson (Biometrika 1934).
    """
    exact = stats.binomtest(count, total).proportion_ci(LEVEL, method="exact")
    return Interval(float(exact.low), float(exact.high))


def percent(share: float) -> str:
    """A share in per cent.

    >>> percent(0.0476)
    '4.8 %'
    """
    return f"{100 * share:.1f} %"
