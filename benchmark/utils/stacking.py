"""Whether the models of a stack train at once, as one batched network, or one after the other."""

import os

from benchmark.errors import InputError

VARIABLE = "GRADCON_STACKS"
"""The environment variable that has a CPU train as a GPU does, for tests: it is slower there."""


def stacked(device: str) -> bool:
    """Whether runs of a data set, method and fold train at once: always on a GPU.

    Raises:
        InputError: the environment variable is neither 0 nor 1.
    """
    forced = os.environ.get(VARIABLE, "") or "0"
    if forced not in ("0", "1"):
        raise InputError(f"{VARIABLE}={forced}: set it to 1, to train in stacks on a CPU, or to 0")
    return forced == "1" or device != "cpu"
