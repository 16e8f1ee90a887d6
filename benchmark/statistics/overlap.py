"""The percentage of overlap of two histograms, and its chance over test samples."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmark.statistics.intervals import Array

Counts = npt.NDArray[np.integer[Any]]
Redrawn = Literal["both", "outliers"]

BINS = 50
TAIL = 0.1
"""Histograms have ``BINS`` bins from the ``TAIL`` to the 100 - ``TAIL`` percentile of all scores;
the scores beyond are counted in the outermost bins."""


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


def overlap_draws(
    inliers: Counts,
    outliers: Counts,
    draws: int = 1000,
    seed: int = 0,
    redrawn: Redrawn = "both",
) -> Array:
    """Bootstrap draws of the percentage of overlap of two histograms over their samples, (draws,).

    Inliers and outliers, or the outliers alone, are drawn anew, each from its own histogram, the
    bins staying as they are.
    A minimum of noisy counts is too small on average; the draws are mirrored at the percentage of
    the histograms themselves (the basic bootstrap), which removes the bias that drawing adds. They
    stay in 0..100.
    """
    rng = np.random.default_rng(seed)
    sides = [
        rng.multinomial(bars.sum(), bars / bars.sum(), size=draws) for bars in (inliers, outliers)
    ]
    if redrawn == "outliers":
        sides[0] = np.broadcast_to(inliers, sides[0].shape)
    drawn = np.array([overlap(a, b) for a, b in zip(*sides, strict=True)])
    return np.clip(2 * overlap(inliers, outliers) - drawn, 0.0, 100.0)
