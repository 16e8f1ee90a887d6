"""Intervals and their level."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

LEVEL = 0.95
"""Of every interval; tests are at 1 - ``LEVEL``."""


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def percentiles(draws: Array, level: float = LEVEL) -> Interval:
    """The middle of bootstrap draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def normal_quantile(level: float) -> float:
    """Half width, in standard deviations, of a normal's interval of this level."""
    return float(stats.norm.ppf((1 + level) / 2))
