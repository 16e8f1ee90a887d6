"""What is made once for all processes of the tests: pytest-xdist gives each its own fixtures."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def once(
    name: str,
    make: Callable[[Path], object],
    config: pytest.Config,
    factory: pytest.TempPathFactory,
) -> Path:
    """A folder that ``make`` has filled, in whichever process asked first; others wait for it.

    The tests of all processes read the folder at the same time, and must leave it as it is.
    """
    base = factory.getbasetemp()
    if hasattr(config, "workerinput"):  # a process of pytest-xdist, with a folder of its own in it
        base = base.parent
    folder = base / "shared" / name
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if not lock.read():
            shutil.rmtree(folder)  # what one that failed has left
            folder.mkdir()
            make(folder)
            lock.write("made")
    return folder
