"""SIGKILL, SIGINT and SIGTERM at random moments of a phase."""

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.faults import phases
from tests.faults.project import Call, Outcome, Project, State, line

AFTER = ("metrics", "verdicts", "tables", "figures", "report")
RUN = "runs/digits/{method}/fold-0/inlier-{inlier}"
PHASES: dict[str, tuple[float, float]] = {
    phases.TRAINING: (2.0, 0.0),
    phases.SCORING: (2.0, 0.0),
    phases.WRITING: (12.0, 0.3),
    "aggregation": (8.0, 0.0),
    "report": (2.0, 0.0),
}
"""Phases with the longest delay of a kill after their begin, and the seconds that each file's
writing is made to last, both in seconds."""

STOPPED = "interrupted; the next call|on user request|Will exit after|Shutting down"
"""What a job or Snakemake says when it is asked to end."""

TRIES = 20
"""How often a kill that did not fall into its phase is tried again."""

WAIT = 300
"""Seconds in which a phase begins, or a process that was asked to end does so."""

Fault = Callable[[Project, Path, State, random.Random], Outcome]


def faults(each: int) -> Iterator[tuple[str, Fault]]:
    """So many kills in each phase, and half as many of the other signals, with their names."""
    for phase in PHASES:
        for number in range(each):
            yield f"SIGKILL, {phase}, {number + 1}", partial(_kill, phase)
    for name in ("SIGINT", "SIGTERM"):
        for number in range(max(1, each // 2)):
            phase = [*PHASES][number % len(PHASES)]
            yield f"{name}, {phase}, {number + 1}", partial(_interrupt, name, phase)


def missing(phase: str, rng: random.Random, inliers: Sequence[int] = ()) -> list[str]:
    """What is to be made when the call begins, such that the phase is near."""
    if phase == "report":
        made = ["report"]
    elif phase == "aggregation" or (phase == phases.WRITING and rng.random() < 0.4):
        made = [*AFTER]
    else:
        method = rng.choice(["gradcon", "dcae"])
        inliers = inliers or [rng.choice([0, 1])]
        made = [*(RUN.format(method=method, inlier=inlier) for inlier in inliers), *AFTER]
    return [*made, *(f"logs/{each}*" for each in made)]


def struck(
    project: Project,
    kept: Path,
    phase: str,
    rng: random.Random,
    strike: Callable[[int], None],
    inliers: Sequence[int] = (),
) -> set[str]:
    """Begin calls until one is struck in the phase; the phases that it was in.

    Of a run's phases one class is trained, or those that are named.

    Raises:
        RuntimeError: none was.
    """
    delay, slow = PHASES[phase]
    for _ in range(TRIES):
        project.restore(kept, missing(phase, rng, inliers))
        process = project.start(slow)
        if phase == phases.WRITING:
            reached(project, process, {*PHASES, "before the first checkpoint"}, WAIT)
            _pause(process, rng.uniform(0, delay))
        reached(project, process, {phase}, WAIT)
        _pause(process, rng.uniform(0, slow or delay))
        if process.poll() is None:
            found = phases.present(project.tree)
            strike(process.pid)
            process.wait(timeout=WAIT)
            if strike is kill:
                found = phases.present(project.tree)
            if phase in found and process.returncode:
                return found
        process.wait(timeout=WAIT)
    raise RuntimeError(f"no call could be struck in the phase {phase}")


def kill(group: int) -> None:
    """SIGKILL to a whole process group."""
    os.killpg(group, signal.SIGKILL)


def _kill(
    phase: str, project: Project, kept: Path, undisturbed: State, rng: random.Random
) -> Outcome:
    struck(project, kept, phase, rng, kill)
    call = project.finish()
    said = line(lambda text: "was killed" in text, call.output)
    return judged("SIGKILL", phase, said, project, undisturbed, call)


def _interrupt(
    name: str, phase: str, project: Project, kept: Path, undisturbed: State, rng: random.Random
) -> Outcome:
    """The signal to all, as from a terminal or a batch system, or to Snakemake alone."""
    number = getattr(signal, name)
    whole = rng.random() < 0.5
    strike = (
        (lambda group: os.killpg(group, number)) if whole else (lambda pid: os.kill(pid, number))
    )
    struck(project, kept, phase, rng, strike)
    said = line(lambda text: re.search(STOPPED, text), project.said())
    call = project.finish()
    return judged(name, phase, said, project, undisturbed, call)


def judged(
    fault: str, phase: str, said: str, project: Project, undisturbed: State, call: Call
) -> Outcome:
    """The outcome of a fault after one more call."""
    problems = project.wrong(undisturbed, call)
    return Outcome(fault, phase, said, problems if said else [*problems, "nothing was said"])


def reached(
    project: Project, process: "subprocess.Popen[bytes]", wanted: set[str], seconds: float
) -> None:
    """Wait until a call is in one of the phases, or has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if wanted & phases.present(project.tree):
            return
        time.sleep(0.01)


def _pause(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait so long, or until a call has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.005)
