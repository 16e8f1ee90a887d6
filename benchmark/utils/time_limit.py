"""A training that has only some time: when it writes its checkpoint, and when it ends.

``end_at`` sets a time limit in a process. From then on every training writes its checkpoint and
ends, by ``OutOfTime``, before an epoch that would not fit. A call without a limit never ends it.
``ending_on_signals`` has an interruption be such a limit.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

LONGER = 1.2
"""How much longer than the last epoch the next one may take."""

MARGIN = 0.3
"""Seconds that a process needs to end, beside those for the checkpoint."""


GRACE = 20.0
"""Seconds after a signal in which a training may end its epoch and write its checkpoint."""


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


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Have SIGINT and SIGTERM end a training with a checkpoint of the epoch under way.

    What has not ended after ``GRACE`` seconds, a long epoch or something else than a training, ends
    there. Further signals change nothing: a terminal sends them to all, and Snakemake does too.

    Raises:
        KeyboardInterrupt: the training, or what else it was, has been ended.
    """

    def begin_to_end(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        end_at(lambda: now)
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    signals = signal.SIGINT, signal.SIGTERM
    before = {number: signal.signal(number, begin_to_end) for number in signals}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        yield
    except OutOfTime:
        raise KeyboardInterrupt from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        end_at()
        for number, handler in before.items():
            signal.signal(number, handler)


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
        now = time.monotonic()
        ends = not last and self._lacks_time(now, seconds)
        first = _end() < math.inf and self._cost is None
        if self.write is not None and (ends or first or last or now - self._written > self.every):
            self.write()
            self._written = time.monotonic()
            self._cost = self._written - now
            ends = not last and (ends or self._lacks_time(self._written, seconds))
        if ends:
            raise OutOfTime

    def _lacks_time(self, now: float, seconds: float) -> bool:
        """Whether another epoch and the checkpoint after it would end too late."""
        return now + LONGER * seconds + 2 * (self._cost or 0.0) + MARGIN > _end()
