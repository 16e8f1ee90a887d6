"""Decisions: equivalence, difference, and correction for several tests."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from benchmark.statistics.intervals import LEVEL, Array, _z
from benchmark.statistics.replicates import Sample, prediction_interval

MARGIN = 0.01
"""Two AUROCs that differ by less are held to be the same."""

MOST_RUNS = 200
"""How far ``runs_to_decide`` looks."""

Decision = Literal["same", "above", "below", "open"]


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


def holm(p: Sequence[float]) -> Array:
    """Holm's adjusted p-values (1979): all tests at a family-wise level, in the given order."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
