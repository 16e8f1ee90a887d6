"""Decisions about a published number: equivalent, different, compatible, or not decided.

``docs/verdicts.md`` has the rule with its formulas, its reasons and how often it errs. In short,
the published number being one draw, and all runs of ours sharing their test outliers:

above, below
    it lies outside the 95 % prediction interval of a new run with other test outliers, and more
    than ``LEAST`` away from our mean
same
    otherwise, if ``bound``, the distance under which our mean is shown to be, is at most ``MARGIN``
noisy
    neither, nor would ``MOST_RUNS`` further runs of the same mean and spread show either
open
    neither, but so many further runs would (``runs_to_decide``)
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from benchmark.statistics.intervals import LEVEL, Array
from benchmark.statistics.replicates import Sample, Variance, prediction_interval

LEAST = 0.01
"""Difference of two AUROCs under which none is called higher or lower."""

MARGIN = 0.03
"""Distance of two AUROCs up to which they count as equivalent."""

MOST_RUNS = 40
"""The most further runs that a verdict asks for."""

Decision = Literal["same", "above", "below", "noisy", "open"]


def bound(runs: Sample, value: float, test_variance: float = 0.0) -> float:
    """95 % upper bound of the distance between ``value`` and our mean, without any chance in it.

    Args:
        runs: at least two runs of a class.
        value: the published number.
        test_variance: variance of the average over the test outliers, which our runs share.
    """
    variance = runs.of_mean + Variance(known=test_variance)
    return abs(runs.mean - value) + variance.reach(1 - LEVEL)


def equivalence_p(
    runs: Sample, value: float, test_variance: float = 0.0, margin: float = MARGIN
) -> float:
    """P-value of two one-sided tests: small if the distance of ``bound`` is under ``margin``."""
    variance = runs.of_mean + Variance(known=test_variance)
    return variance.tail(margin - abs(runs.mean - value))


def decide(
    runs: Sample,
    value: float,
    test_variance: float = 0.0,
    margin: float = MARGIN,
    least: float = LEAST,
) -> Decision:
    """What ``runs`` say of a number ``value`` that one run gave; see above.

    Always ``open`` where the spread of runs is not known.
    """
    if not runs.spread_known:
        return "open"
    decision = _decide(runs, value, test_variance, margin, least)
    if decision != "open":
        return decision
    decidable = _decide(_further(runs, MOST_RUNS), value, test_variance, margin, least) != "open"
    return "open" if decidable else "noisy"


def runs_to_decide(
    runs: Sample,
    value: float,
    test_variance: float = 0.0,
    margin: float = MARGIN,
    least: float = LEAST,
) -> int | None:
    """How many further runs would make an ``open`` decision, or None if that is not known.

    Counted are those of the classes with the fewest; the others get runs once these have as many.
    Mean and spread are assumed to stay.
    """
    if not runs.spread_known:
        return None
    for number in range(1, MOST_RUNS + 1):
        if _decide(_further(runs, number), value, test_variance, margin, least) != "open":
            return number
    return None


def _further(runs: Sample, number: int) -> Sample:
    fewest = runs.counts.min()
    return runs.with_runs(int(fewest) + number) if np.isfinite(fewest) else runs


def _decide(
    runs: Sample, value: float, test_variance: float, margin: float, least: float
) -> Decision:
    """The decision of these runs alone."""
    difference = runs.mean - value
    low, high = prediction_interval(runs, 2 * test_variance)
    if abs(difference) > least and not low <= value <= high:
        return "above" if difference > 0 else "below"
    return "same" if bound(runs, value, test_variance) <= margin else "open"


def holm(p: Sequence[float]) -> Array:
    """Holm's adjusted p-values (1979): all tests at a family-wise level, in the given order."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
