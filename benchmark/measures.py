"""What is measured of scores: AUROC, F1 and the overlap of histograms. Arrays in, numbers out."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BINS = 50
TAIL = 0.1
"""Histograms have ``BINS`` bins from the ``TAIL`` to the 100 - ``TAIL`` percentile of all scores;
the scores beyond are counted in the outermost bins."""


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
        lower, upper = (np.searchsorted(below[row], query, side) for side in ("left", "right"))
        placed[row][order[row]] = (lower + upper) / (2 * n)
    return placed


def auroc(inliers: Array, outliers: Array) -> Array:
    """Area under the ROC curve, (..., n) and (..., m) to (...): P(inlier < outlier) + P(=) / 2."""
    return np.asarray(placements(inliers, outliers).mean(axis=-1))


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


def overlap(inliers: npt.NDArray[np.integer[Any]], outliers: npt.NDArray[np.integer[Any]]) -> float:
    """Percentage of overlap of two histograms on the same bins, 0..100.

    The paper's A.2: the number of samples in the overlapped region of the histograms over the total
    number of samples. In a bin with a inliers and b outliers the overlapped region is min(a, b)
    high and holds min(a, b) samples of each histogram, so the percentage is
    100 * 2 * sum(min(a, b)) / sum(a + b): 0 for disjoint histograms, 100 for equal ones. (Counting
    the region's samples once instead would halve every percentage.)
    """
    total = inliers.sum() + outliers.sum()
    return float(200 * np.minimum(inliers, outliers).sum() / total) if total else float("nan")


def bin_edges(values: Array) -> Array:
    """Edges of the histograms' bins for pooled scores, (BINS + 1,)."""
    low, high = np.percentile(values, [TAIL, 100 - TAIL])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def counts(values: Array, edges: Array) -> npt.NDArray[np.int64]:
    """Samples per bin, (BINS,); those beyond the edges lie in the outermost bins."""
    return np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].astype(np.int64)
