"""CAE + Grad with a checkpoint after every epoch, which takes as long as a variable says."""

import os
import time

import gradcon.training
from benchmark.detector import PositiveInt
from benchmark.utils.time_limit import Checkpoints
from gradcon import GradCon

gradcon.training.CHECKPOINT_SECONDS = 0.0

VARIABLE = "EPOCH_SECONDS"
"""The environment variable: seconds that every epoch takes more."""


class LongGradCon(GradCon):
    """CAE + Grad."""

    def __init__(self, *, epochs: PositiveInt) -> None:
        super().__init__(epochs=epochs)


_after_epoch = Checkpoints.after_epoch


def _sleep_first(self: Checkpoints, seconds: float, last: bool) -> None:
    longer = float(os.environ.get(VARIABLE, 0))
    time.sleep(longer)
    _after_epoch(self, seconds + longer, last)


Checkpoints.after_epoch = _sleep_first  # type: ignore[method-assign]
