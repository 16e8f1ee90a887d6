"""CAE + Grad whose epochs take as long, and whose checkpoints are as rare, as variables say."""

import os
import time

import gradcon.training
from benchmark.detector import PositiveInt
from benchmark.utils.time_limit import Checkpoints
from gradcon import GradCon

EPOCH, CHECKPOINT = "EPOCH_SECONDS", "CHECKPOINT_SECONDS"
"""Environment variables: seconds that an epoch takes more, and from a checkpoint to the next."""

gradcon.training.CHECKPOINT_SECONDS = float(os.environ.get(CHECKPOINT, 0))


class LongGradCon(GradCon):
    """CAE + Grad."""

    def __init__(self, *, epochs: PositiveInt) -> None:
        super().__init__(epochs=epochs)


_after_epoch = Checkpoints.after_epoch


def _sleep_first(self: Checkpoints, seconds: float, last: bool) -> None:
    longer = float(os.environ.get(EPOCH, 0))
    time.sleep(longer)
    _after_epoch(self, seconds + longer, last)


Checkpoints.after_epoch = _sleep_first  # type: ignore[method-assign]
