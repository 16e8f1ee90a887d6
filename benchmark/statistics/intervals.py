"""Intervals and their level."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEVEL = 0.95
"""Of every interval; tests are at 1 - ``LEVEL``."""


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float
