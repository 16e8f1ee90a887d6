"""What is measured of scores: AUROC, F1 and the overlap of histograms. Arrays in, numbers out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from benchmark.statistics.intervals import Array

Places = npt.NDArray[np.intp]


def placements(inliers: Array, outliers: Array) -> Array:
    """Share of inliers that score lower than each outlier, ties counted half.

    Args:
        inliers: (..., n) scores, higher is more anomalous.
        outliers: (..., m).

    Returns:
        (..., m) in 0..1. Their mean is the AUROC; the mean over the first k outliers is the AUROC
        of the test set with those k outliers.
    """
    n = inliers.shape[-1]
    placed = np.empty(outliers.shape)
    below = np.sort(inliers, axis=-1)
    # Looking up sorted values is twice as fast as looking up unsorted ones.
    order = np.argsort(outliers, axis=-1)
    for row in np.ndindex(outliers.shape[:-1]):
        query = outliers[row][order[row]]
        lower = upper = np.searchsorted(below[row], query)
        tied = (lower < n) & ~(query < below[row].take(lower, mode="clip"))
        if tied.any():
            upper = np.searchsorted(below[row], query, "right")
        placed[row][order[row]] = (lower + upper) / (2 * n)
    return placed


def f1(inliers: Array, outliers: Array) -> Array:
    """F1 of the inliers at the threshold that flags the known share of outliers.

    With n inliers, the threshold is the n-th smallest of all scores and whatever lies above it is
    flagged. No label chooses it, but the share of outliers is known. The positive class is the
    inliers, as in the GPND code; the GradCon code has no F1, so the rule behind the paper's Table 5
    is not known.

    Args:
        inliers: (..., n) scores, higher is more anomalous.
        outliers: (..., m).

    Returns:
        (...) in 0..1; ties at the threshold count as inliers.
    """
    n = inliers.shape[-1]
    both = np.concatenate([inliers, outliers], axis=-1)
    threshold = np.partition(both, n - 1, axis=-1)[..., n - 1 : n]
    kept = (inliers <= threshold).sum(axis=-1)
    passed = (outliers <= threshold).sum(axis=-1)
    return np.asarray(2 * kept / (n + kept + passed))


class Ranked:
    """Finite scores of inliers and outliers, sorted once for all that is measured of their order.

    Args:
        inliers: (C, n), a row per score; higher is more anomalous.
        outliers: (C, m).
    """

    def __init__(self, inliers: Array, outliers: Array) -> None:
        self._n, both = inliers.shape[-1], np.concatenate([inliers, outliers], axis=-1)
        self._order = np.argsort(both, axis=-1)
        ascending = np.take_along_axis(both, self._order, axis=-1)
        differ = ascending[:, 1:] != ascending[:, :-1]
        self._ends: tuple[Places, Places] | None = None
        if not differ.all():
            edge, place = np.ones((len(both), 1), bool), np.arange(both.shape[-1])
            begins = np.where(np.hstack([edge, differ]), place, 0)
            ends = np.where(np.hstack([differ, edge]), place, place[-1])
            first = np.maximum.accumulate(begins, axis=-1)
            last = np.minimum.accumulate(ends[:, ::-1], axis=-1)[:, ::-1]
            self._ends = first, last + 1

    def of_outliers(self) -> Array:
        """``placements`` of the outliers among the inliers, (C, m)."""
        return self._placed(self._order < self._n, self._n)[:, self._n :]

    def of_inliers(self, count: int) -> Array:
        """``placements`` of the inliers among the first ``count`` outliers, (C, n)."""
        first = (self._order >= self._n) & (self._order < self._n + count)
        return self._placed(first, count)[:, : self._n]

    def f1(self, count: int) -> Array:
        """``f1`` of the inliers and the first ``count`` outliers, (C,)."""
        inliers, both = (
            np.cumsum(self._order < end, axis=-1) for end in (self._n, self._n + count)
        )
        threshold = np.argmax(both >= self._n, axis=-1)[:, np.newaxis]
        if self._ends:
            threshold = np.take_along_axis(self._ends[1], threshold, axis=-1) - 1
        kept, passed = (np.take_along_axis(of, threshold, axis=-1)[:, 0] for of in (inliers, both))
        return np.asarray(2 * kept / (self._n + passed))

    def _placed(self, counted: npt.NDArray[np.bool_], total: int) -> Array:
        """Share of the ``counted`` scores below each score, (C, n + m), ties counted half."""
        below = np.zeros((len(counted), counted.shape[-1] + 1), np.int32)
        np.cumsum(counted, axis=-1, out=below[:, 1:])
        # Without ties: a score that is not counted has as many below it as up to it.
        lower, upper = below[:, :-1], below[:, 1:]
        if self._ends:
            lower, upper = (np.take_along_axis(below, end, axis=-1) for end in self._ends)
        placed = np.empty(counted.shape)
        np.put_along_axis(placed, self._order, (lower + upper) / (2 * total), axis=-1)
        return placed


class Contrast(NamedTuple):
    """A weighted sum of AUROCs on the same samples, its standard error and two-sided p-value."""

    value: float
    error: float
    p: float


def delong_error(of_inliers: Array, of_outliers: Array) -> Array:
    """Standard error of an AUROC over test samples, (...), from the placements of both sides.

    DeLong, DeLong, Clarke-Pearson (Biometrics 1988), by sorting instead of by pairs as in Sun and
    Xu (IEEE SPL 2014). Placements of the inliers, (..., n), may be from above or from below; those
    of the outliers are (..., m). NaN with fewer than two inliers or outliers.
    """
    n, m = of_inliers.shape[-1], of_outliers.shape[-1]
    if min(n, m) < 2:
        return np.full(of_inliers.shape[:-1], np.nan)
    variance = of_inliers.var(axis=-1, ddof=1) / n + of_outliers.var(axis=-1, ddof=1) / m
    return np.asarray(np.sqrt(variance))


def outlier_error(of_outliers: Array) -> Array:
    """The part of ``delong_error`` over test outliers, the inliers staying as they are, (...).

    Args:
        of_outliers: (..., m) placements. NaN with fewer than two.
    """
    m = of_outliers.shape[-1]
    if m < 2:
        return np.full(of_outliers.shape[:-1], np.nan)
    return np.asarray(of_outliers.std(axis=-1, ddof=1) / np.sqrt(m))


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
    return Contrast(value, error, float(2 * special.ndtr(-abs(value) / error)))


def _structural(inliers: Array, outliers: Array) -> tuple[Array, Array]:
    """DeLong's structural components: of each inlier, (..., n), and of each outlier, (..., m)."""
    return 1 - placements(outliers, inliers), placements(inliers, outliers)
