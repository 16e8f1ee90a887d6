"""The hierarchical bootstrap of an average over inlier classes."""

from collections.abc import Sequence

import numpy as np

from benchmark.statistics.intervals import Array
from benchmark.statistics.replicates import sample


def bootstrap_means(
    groups: Sequence[Array], test_variance: float = 0.0, draws: int = 4000, seed: int = 0
) -> Array:
    """Hierarchical bootstrap of the average over classes, (draws,).

    Runs are drawn with replacement within each class. With few runs a bootstrap is too narrow, so
    their deviations from the class's mean are widened: by sqrt(n / (n - 1)) (Rao and Wu, JASA 1988)
    and, draw by draw, by the factor that turns a normal into Student's t with the degrees of
    freedom of all runs, so that the far tails are long enough for p-values. A class with one run
    takes the deviation of a run of another class, drawn anew each time. The variance over test
    samples is added as a normal.

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
    replicated = [own for own in widened if own.size > 1] or [np.zeros(1)]
    for group, own in zip(groups, widened, strict=True):
        if group.size > 1:
            deviations = own[rng.integers(0, group.size, size=(draws, group.size))].mean(axis=1)
        else:
            deviations = _pooled(replicated, draws, rng)
        total += group.mean() + few * deviations
    return total / len(groups) + rng.normal(scale=np.sqrt(test_variance), size=draws)


def _pooled(replicated: Sequence[Array], draws: int, rng: np.random.Generator) -> Array:
    """Deviations of one run, (draws,), each of a class with several runs, drawn anew."""
    sizes = np.array([own.size for own in replicated])
    chosen = rng.integers(0, len(replicated), size=draws)
    first = np.cumsum(sizes) - sizes
    drawn: Array = np.concatenate(replicated)[first[chosen] + rng.integers(0, sizes[chosen])]
    return drawn
