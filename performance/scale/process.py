"""What a command costs, whatever else the machine does."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).parents[2]


class Cost(NamedTuple):
    """Processor time of a command with all its processes, the clock's, and memory at most.

    Memory is the largest sum of the proportional shares of the processes that ran together.
    """

    seconds: float
    elapsed: float
    megabytes: float


def measured(arguments: Sequence[str], folder: Path) -> Cost:
    """The cost of ``python`` with these arguments, called in a folder.

    Raises:
        RuntimeError: the command fails; the message is the end of its output.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GRADCON_DEVICE": "cpu"}
    log = folder / "measured.log"
    begin, most = time.monotonic(), 0
    with log.open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environment, stdout=output, stderr=output
        )
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            most = max(most, _memory(process.pid))
            time.sleep(0.5)
    _, status, used = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {log.read_text()[-2000:]}")
    peak = max(most, 1024 * used.ru_maxrss)
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - begin, peak / 1e6)


def _memory(number: int) -> int:
    """Bytes that a process and all below it hold, those that they share counted once."""
    try:
        process = psutil.Process(number)
        return sum(one.memory_full_info().pss for one in (process, *process.children(True)))
    except psutil.Error:
        return 0
