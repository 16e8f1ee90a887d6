"""Whether a process of Snakemake, or of one of its jobs, runs in this folder.

A Snakemake that is killed leaves its own lock behind, without saying whose it was. Therefore all
its processes share a lock of the operating system, which ends with the process however that ends.
Who gets this lock alone knows that nobody owns Snakemake's. Those who wait for that take turns.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from benchmark.errors import InputError

FILE = Path(".snakemake/running")
"""The file that the lock is on."""

TURN = FILE.with_name("turn")
"""The file that one of those who want to be alone has locked."""


def share() -> TextIO | None:
    """Share the lock until the file that is returned is closed; None where it cannot be had."""
    try:
        FILE.parent.mkdir(exist_ok=True)
        file = FILE.open("w")
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return None
    return file


def wait_alone() -> TextIO:
    """Wait until no process shares the lock, saying so if one does.

    Until the file that is returned is closed, by this process or the program that takes its place,
    others wait here.
    """
    FILE.parent.mkdir(exist_ok=True)
    turn = TURN.open("w")
    os.set_inheritable(turn.fileno(), True)
    with FILE.open("w") as shared:
        for file in (turn, shared):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                line = "Snakemake, or a job that it has left, runs here: waiting until it ends"
                print(line, file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
    return turn


@contextmanager
def alone() -> Iterator[None]:
    """Keep the lock from all others.

    Raises:
        InputError: another process has it.
    """
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{FILE}: Snakemake, or another training, runs here; wait until it ends"
            ) from None
        yield


def taken() -> bool:
    """Whether a process keeps the lock from all others."""
    file = share()
    if file is None:
        return FILE.exists()
    file.close()
    return False
