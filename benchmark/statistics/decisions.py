"""Decisions about a published number: equivalent, different, or not decided."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from benchmark.statistics.intervals import LEVEL, Array, normal_quantile
from benchmark.statistics.replicates import Sample, prediction_interval

MARGIN = 0.01
"""Difference of two AUROCs that counts as none."""

MOST_RUNS = 200
"""The most further runs that ``runs_to_decide`` considers."""

Decision = Literal["same", "above", "below", "open"]


def tost(difference: float, error: float, freedom: float, margin: float = MARGIN) -> float:
    """P-value of two one-sided tests (Schuirmann 1987): small if |difference| is under ``margin``.

    Args:
        difference: of the two means.
        error: its standard error.
        freedom: degrees of freedom of ``error``, maybe infinite.
        margin: the largest difference that counts as none.
    """
    if error == 0:
        return 0.0 if abs(difference) < margin else 1.0
    return float(stats.t.sf((margin - abs(difference)) / error, freedom))


def decide(
    runs: Sample, value: float, test_variance: float = 0.0, margin: float = MARGIN
) -> Decision:
    """Whether the mean of ``runs`` is the same as a number ``value`` that one run gave.

    ``same``: the mean is shown (``tost``) to be nearer to it than ``margin`` or than one run's own
    spread, whichever is wider. ``above`` or ``below``: it is more than ``margin`` away, outside the
    prediction interval of a new run. Otherwise, or without two runs of any class, ``open``. With
    more and more runs both rules come to the same limit, so that enough of them always decide.
    """
    if not runs.spread_known:
        return "open"
    difference = runs.mean - value
    spread = normal_quantile(LEVEL) * np.sqrt(runs.run_variance + test_variance)
    allowed = max(margin, float(spread))
    if tost(difference, np.sqrt(runs.mean_variance), runs.freedom, allowed) < 1 - LEVEL:
        return "same"
    low, high = prediction_interval(runs, test_variance)
    if low <= value <= high or abs(difference) <= margin:
        return "open"
    return "above" if difference > 0 else "below"


def runs_to_decide(
    runs: Sample, value: float, test_variance: float = 0.0, margin: float = MARGIN
) -> int | None:
    """How many further runs would ``decide``, or None if more than ``MOST_RUNS``.

    Counted are those of the classes with the fewest; the others get runs once these have as many.
    Mean and spread are assumed to stay. Where the spread is not known, a run is assumed to vary as
    the test samples do, which gives a lower bound, or None where that is not known either.
    """
    if not runs.spread_known:
        if not test_variance:
            return None
        guess = np.full(runs.means.shape, test_variance * runs.means.size)
        runs = Sample(runs.means, guess, runs.counts)
    fewest = int(runs.counts.min())
    for number in range(fewest + 1, fewest + MOST_RUNS + 1):
        if decide(runs.with_runs(number), value, test_variance, margin) != "open":
            return number - fewest
    return None


def holm(p: Sequence[float]) -> Array:
    """Holm's adjusted p-values (1979): all tests at a family-wise level, in the given order."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
