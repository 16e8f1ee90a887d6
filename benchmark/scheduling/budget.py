"""Train the missing runs of a configuration within some minutes, those that decide most first.

>>> python -m benchmark train --configfile config/quick.yaml --minutes 9  # doctest: +SKIP

On the CPU as many runs are trained at a time as there are cores, on a GPU a stack of them. When the
time is over, every training has written its checkpoint; called again, here or with a copy of the
folder of results on another machine, it goes on. The clock starts when PyTorch has been imported.
The files are those of ``snakemake all``, which afterwards trains only what is missing; Snakemake
itself is not needed.
"""

import math
import multiprocessing
import os
import signal
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any

from benchmark import config as configuration
from benchmark import jobs, layout, part
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.runs import device as devices
from benchmark.scheduling import order, state
from benchmark.scheduling.units import prepare, prepared, require_usable_checkpoints, units
from benchmark.scheduling.workers import DONE, FAILED, REFUSED, STOPPED, Task, Worker
from benchmark.utils import running
from benchmark.utils.text import counted

CORES = os.cpu_count() or 1
"""Runs at a time on the CPU, where no other number is given."""

TO_LEAVE = 1.0
"""Seconds between the end of trainings and that of the time given: the processes end in them."""


@dataclass
class Outcome:
    """What became of the time.

    Attributes:
        finished: runs that are trained and scored.
        advanced: runs that were stopped, with a checkpoint of this time.
        ended: jobs that had to be ended before they had anything to keep, by their logs.
        troubled: jobs that did not succeed, by their logs, and the reasons.
    """

    finished: list[RunKey] = field(default_factory=list)
    advanced: list[RunKey] = field(default_factory=list)
    ended: list[Path] = field(default_factory=list)
    troubled: dict[Path, str] = field(default_factory=dict)


def train(config: Config, files: str, seconds: float, device: str, cores: int) -> Outcome:
    """Train missing runs for some seconds.

    Args:
        config: what to run.
        files: names the configuration's files, for messages.
        seconds: how long, after the imports.
        device: a torch device.
        cores: how many runs at a time on the CPU.

    Raises:
        InputError: the configuration's runs are committed; its data sets, the device, files in the
            folder of results or checkpoints are not as the configuration says; something else
            trains here.
    """
    root = config.root
    if config.committed:
        raise InputError(f"{files}: its runs are committed; add a file with `results: results`")
    configuration.check_data(config, files)
    devices.check(device)
    jobs.check_precision(config, root, device)
    with running.alone():
        state.require_same_settings(config, root)
        session = _Session(config, device)
        session.run(seconds, cores if device == "cpu" else 1)
    return session.outcome


def remaining(config: Config, root: Path, device: str) -> list[tuple[RunKey, ...]]:
    """The missing runs in the groups and the order in which they are trained."""
    needs = order.replicates_needed(config, root)
    keys = order.ordered(config, state.missing(config, root), needs)
    return units(config, root, keys, device)


class _Session:
    """The workers and what they do, until the time is over."""

    def __init__(self, config: Config, device: str) -> None:
        self.config, self.root, self.device = config, config.root, device
        self.waiting = remaining(config, self.root, device)
        require_usable_checkpoints(config, self.root, self.waiting)
        self.outcome = Outcome()
        self.begun: set[RunKey] = set()
        self.doing: dict[Worker, str | tuple[RunKey, ...]] = {}
        """What each worker does or has done last: prepare a data set, or train runs."""
        self.began = time.time()
        self.end = multiprocessing.get_context("spawn").Value("d", math.inf, lock=False)

    def run(self, seconds: float, number: int) -> None:
        """Train until nothing is left, the time is over, or the machine is in trouble."""
        workers = [
            Worker(self.end, self.device == "cpu") for _ in range(min(number, len(self.waiting)))
        ]
        try:
            for worker in workers:
                worker.wait_ready()
            self.began = time.time()
            last = time.monotonic() + seconds
            self.end.value = last - min(TO_LEAVE, seconds / 10)
            with _ending_on_signals(self.end):
                self._work(workers, last)
        finally:
            for worker in workers:
                worker.end()

    def _work(self, workers: Sequence[Worker], last: float) -> None:
        while True:
            for worker in workers:
                if worker.task is None and time.monotonic() < self.end.value:
                    self._begin(worker)
            busy = {worker.connection: worker for worker in workers if worker.task}
            left = last - time.monotonic()
            if not busy or left <= 0:
                break
            for connection in wait([*busy], timeout=left):
                self._note(busy[connection])  # type: ignore[index]
        for worker in busy.values():
            self._note_ended(worker)

    def _begin(self, worker: Worker) -> None:
        """Give a worker the first runs whose images are there, or images to prepare."""
        in_preparation = {what for other, what in self.doing.items() if other.task}
        datasets = {group[0].dataset for group in self.waiting}
        ready = {each for each in datasets if prepared(self.config, self.root, each)}
        for group in self.waiting:
            dataset = group[0].dataset
            if dataset in ready:
                self.waiting.remove(group)
                self.begun.update(group)
                self.doing[worker] = group
                worker.begin(self._training(group))
                return
            if dataset not in in_preparation:
                log = self.root / "logs" / f"{layout.DATA.format(dataset=dataset)}.log"
                self.doing[worker] = dataset
                worker.begin(Task(prepare, (self.config, self.root, dataset), log))
                return

    def _training(self, group: tuple[RunKey, ...]) -> Task:
        first = group[0]
        arguments = (
            [layout.run(self.root, key) for key in group],
            layout.data(self.root, first.dataset),
            layout.split(self.root, first.dataset, first.fold),
            jobs.run_parameters(self.config, first.method),
            self.device,
        )
        return Task(jobs.make_runs, arguments, self.root / "logs" / "runs" / f"{first.path}.log")

    def _note(self, worker: Worker) -> None:
        """Take down how a worker's task ended."""
        task, what = worker.task, self.doing[worker]
        assert task is not None
        kind, reason = worker.report()
        _say(f"{_label(what)}: {reason or kind}")
        if kind in (REFUSED, FAILED):
            self.outcome.troubled[task.log] = reason
        if kind == FAILED:  # by the machine, which the next run would meet too
            self.end.value = time.monotonic()
        if isinstance(what, str):
            self._note_prepared(what, task.log if kind == DONE else None)
        elif kind in (DONE, STOPPED):
            {DONE: self.outcome.finished, STOPPED: self.outcome.advanced}[kind].extend(what)

    def _note_prepared(self, dataset: str, log: Path | None) -> None:
        """Group the runs of a data set by its checkpoints; leave them out without a log."""
        rest = [group for group in self.waiting if group[0].dataset != dataset]
        if log is not None:
            groups = remaining(self.config, self.root, self.device)
            groups = [group for group in groups if self.begun.isdisjoint(group)]
            try:
                require_usable_checkpoints(self.config, self.root, groups)
            except InputError as error:
                self.outcome.troubled[log] = str(error)
            else:
                rest = [g for g in groups if g in rest or g[0].dataset == dataset]
        self.waiting = rest

    def _note_ended(self, worker: Worker) -> None:
        """Take down what a worker could not bring to its end."""
        task, what = worker.task, self.doing[worker]
        assert task is not None
        runs = () if isinstance(what, str) else what
        checkpoints = (file for key in runs for file in _checkpoints(self.root, key))
        if any(file.stat().st_mtime > self.began for file in checkpoints):
            self.outcome.advanced += runs
        else:
            self.outcome.ended.append(task.log)


def _checkpoints(root: Path, key: RunKey) -> Iterator[Path]:
    return layout.run(root, key).glob(layout.CHECKPOINTS)


def _label(what: str | tuple[RunKey, ...]) -> str:
    if isinstance(what, str):
        return what
    return f"{what[0].path}{f' and {len(what) - 1} more' * (len(what) > 1)}"


@contextmanager
def _ending_on_signals(end: Any) -> Iterator[None]:
    """Have an interruption end the time, so that checkpoints are written."""

    def end_now(number: int, frame: FrameType | None) -> None:
        end.value = time.monotonic()

    before = {number: signal.signal(number, end_now) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def minutes(text: str) -> float:
    """A positive number of minutes.

    >>> minutes("9")
    9.0
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text!r} is no time; give minutes above 0, such as 9")
    return value


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command ``train``."""
    parser.add_argument("--configfile", nargs="+", type=Path, default=[Path("config/paper.yaml")])
    part.add_arguments(parser)
    parser.add_argument("--minutes", type=minutes, required=True, help="after the imports")
    parser.add_argument("--device", help="cpu, cuda or cuda:1; by default a GPU if there is one")
    parser.add_argument("--cores", type=int, default=CORES, help="runs at a time on the CPU")


def run(chosen: Namespace) -> int:
    """Train for the minutes that were given, and say what is there now; the exit status."""
    if chosen.device:
        os.environ[devices.VARIABLE] = chosen.device
    config = part.read(chosen)
    files = " ".join(map(str, chosen.configfile))
    outcome = train(config, files, 60 * chosen.minutes, devices.choose(), max(1, chosen.cores))
    again = f"--configfile {files}{part.options(chosen)} --minutes {chosen.minutes:g}"
    again += f" --device {chosen.device}" * bool(chosen.device)
    again += f" --cores {chosen.cores}" * (chosen.cores != CORES)
    for line in _summary(config, files, again, outcome):
        print(line)
    for line in _problems(chosen.minutes, outcome):
        print(line, file=sys.stderr)
    return int(any(_problems(chosen.minutes, outcome)))


def _summary(config: Config, files: str, again: str, outcome: Outcome) -> Iterator[str]:
    left = len(state.missing(config, config.root))
    finished, advanced = counted(len(outcome.finished), "run"), len(outcome.advanced)
    yield f"{finished} trained and scored, {advanced} stopped with a checkpoint, {left} missing."
    if left:
        yield f"Go on: python -m benchmark train {again}"
    yield f"Tables and report: python -m benchmark reanalyse --configfile {files}"


def _problems(given: float, outcome: Outcome) -> Iterator[str]:
    """Why jobs did not succeed, those of the same reason in one line; and too short a time."""
    by_reason: dict[str, list[Path]] = {}
    for log, reason in outcome.troubled.items():
        by_reason.setdefault(reason, []).append(log)
    for reason, (first, *others) in by_reason.items():
        yield f"{first}{f' and {len(others)} more' * bool(others)}: {reason}"
    if outcome.ended and not (outcome.finished or outcome.advanced or outcome.troubled):
        yield (
            f"{given:g} minutes are too short for an epoch, or to prepare images, and nothing was "
            f"trained; give more ({outcome.ended[0]})"
        )
