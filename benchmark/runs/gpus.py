"""The GPU that a job takes: a free one, which no other job of this project takes meanwhile.

A GPU is taken by a name of the operating system that only one process of the machine can hold at a
time, in whatever folder it runs, and that is free again when the process ends, however it ends.
"""

import errno
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

POLL_SECONDS = 1.0


@contextmanager
def taken(device: str) -> Iterator[str]:
    """Take a GPU until the end of the context; wait while there is none.

    Args:
        device: ``cuda`` for any, ``cuda:1`` for this one; ``cpu`` is taken by nobody.

    Yields:
        The device with its number, such as ``cuda:1``, or ``cpu``.

    Raises:
        RuntimeError: torch cannot use a GPU here; see ``benchmark.utils.machine``.
    """
    if device == "cpu":
        yield device
        return
    with _first_free(visible(device)) as name:
        yield name


def current(device: str) -> AbstractContextManager[object]:
    """A context in which torch does nothing on another GPU, not even for memory that it pins."""
    if device == "cpu":
        return nullcontext()
    import torch

    return torch.cuda.device(device)


def visible(device: str) -> dict[str, str]:
    """The GPUs that a device can mean: their names in torch, and what identifies them."""
    import torch

    torch.cuda.init()  # type: ignore[no-untyped-call]
    _, _, number = device.partition(":")
    numbers = [int(number)] if number else range(torch.cuda.device_count())
    # A number depends on the variables of the process, the identity does not.
    return {f"cuda:{k}": str(torch.cuda.get_device_properties(k).uuid) for k in numbers}


@contextmanager
def _first_free(identities: Mapping[str, str]) -> Iterator[str]:
    """Hold the first GPU that is free, by its name."""
    announced = False
    while True:
        for name, identity in identities.items():
            if holder := _hold(identity):
                with holder:
                    yield name
                return
        if not announced:
            names = ", ".join(identities)
            print(f"{names}: other jobs train there: waiting until one ends", file=sys.stderr)
            announced = True
        time.sleep(POLL_SECONDS)


def _hold(identity: str) -> socket.socket | None:
    """A socket of the name of a GPU, to be closed to free it; None if another process has it."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The zero byte makes it a name without a file, which ends with the process.
        holder.bind(f"\0gradcon-gpu-{identity}")
    except OSError as error:
        holder.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return holder
