"""A training that has only some time: when it writes its checkpoint, and when it ends.

``end_at`` sets a time limit in a process. From then on every training writes its checkpoint and
ends, by ``OutOfTime``, before an epoch that would not fit. A call without a limit never ends it.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LONGER = 1.2
"""How much longer than the last epoch the next one may take."""

MARGIN = 0.3
"""Seconds that a process needs to end, beside those for the checkpoint."""


class OutOfTime(BaseException):
    """The time is over: the training ends here and goes on from its checkpoint.

    It is no ``Exception``, so that nothing takes it for a failure of the method.
    """


def _never() -> float:
    return math.inf


_end: Callable[[], float] = _never


def end_at(moment: Callable[[], float] = _never) -> None:
    """Set the time limit of this process; ``moment`` gives it as ``time.monotonic`` does."""
    global _end
    _end = moment


@dataclass
class Checkpoints:
    """The checkpoints of one training.

    Attributes:
        write: writes the checkpoint; None for a training without.
        every: seconds from one to the next. With a time limit there is one after the first epoch
            too, which tells how long it takes.
    """

    write: Callable[[], None] | None
    every: float
    _written: float = field(default_factory=lambda: time.monotonic())
    _cost: float | None = None

    def after_epoch(self, seconds: float, last: bool) -> None:
        """Write the checkpoint if it is due after an epoch that took some seconds.

        Raises:
            OutOfTime: the epoch was not the last one, and there is no time for the next.
        """
        limited = _end() < math.inf
        ends = not last and self._lacks_time(seconds)
        first = limited and self._cost is None
        begun = time.monotonic()
        if self.write is not None and (ends or first or last or begun - self._written > self.every):
            self.write()
            self._written = time.monotonic()
            self._cost = self._written - begun
            ends = not last and (ends or self._lacks_time(seconds))
        if ends:
            raise OutOfTime

    def _lacks_time(self, seconds: float) -> bool:
        """Whether another epoch and the checkpoint after it would end too late."""
        needed = LONGER * seconds + 2 * (self._cost or 0.0) + MARGIN
        return time.monotonic() + needed > _end()
