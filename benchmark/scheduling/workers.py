"""The processes of a training within a given time.

Each takes one task after the other, with its messages in the log of the job that it stands for.
They end with the process that started them.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from benchmark.errors import InputError
from benchmark.utils import time_limit
from benchmark.utils.logs import logged
from benchmark.utils.time_limit import OutOfTime

READY, DONE, STOPPED, REFUSED, FAILED = "ready", "done", "stopped", "refused", "failed"
"""What a worker reports: that it can begin, and how a task ended. It is ``refused`` for a mistake
of the user, and has ``failed`` for a trouble of the machine."""


@dataclass(frozen=True)
class Task:
    """A function to call with some arguments; its messages go to a log."""

    function: Callable[..., None]
    arguments: tuple[Any, ...]
    log: Path


class Worker:
    """A process that has imported what a training needs, and waits for tasks.

    Args:
        end: the moment, as ``time.monotonic`` gives it, at which trainings have to have ended; it
            may be changed meanwhile.
        on_cpu: whether trainings take one thread each.
    """

    def __init__(self, end: Any, on_cpu: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=(other, end, on_cpu), daemon=True
        )
        self.task: Task | None = None
        self.process.start()
        other.close()

    def wait_ready(self) -> None:
        """Wait until the process has imported everything.

        Raises:
            InputError: it could not.
        """
        try:
            self.connection.recv()
        except EOFError:
            raise InputError("a worker has ended before its first task; see above") from None

    def begin(self, task: Task) -> None:
        """Give the process, which is idle, a task."""
        self.task = task
        self.connection.send(task)

    def report(self) -> tuple[str, str]:
        """How the task ended, and why if it did not succeed; the worker is idle then."""
        self.task = None
        try:
            kind, reason = self.connection.recv()
        except EOFError:
            return FAILED, "the process was ended, as by a lack of memory; then run again"
        return kind, reason

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, end: Any, on_cpu: bool) -> None:
    """Do the tasks that come; the process ends with its parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The parent alone decides what an interruption means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch
    from tqdm import tqdm

    import benchmark.runs.train  # noqa: F401

    # The default lock is one of the system's, which is left behind by a process that is killed.
    tqdm.set_lock(threading.RLock())
    if on_cpu:
        torch.set_num_threads(1)
    time_limit.end_at(lambda: float(end.value))
    connection.send(READY)
    while True:
        task: Task = connection.recv()
        connection.send(_do(task))


def _do(task: Task) -> tuple[str, str]:
    """Do a task; how it ended, and the reason that the log gives if it did not succeed."""
    try:
        task.log.parent.mkdir(parents=True, exist_ok=True)
        with logged(task.log):
            task.function(*task.arguments)
    except OutOfTime:
        return STOPPED, ""
    except SystemExit as error:
        kind = REFUSED if isinstance(error.__context__, InputError) else FAILED
        return kind, _last_line(task.log)
    except OSError as error:
        return FAILED, str(error)
    return DONE, ""


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return next((line for line in reversed(lines) if line.strip()), "ended without a word")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
