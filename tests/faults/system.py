"""A full disk, a file system that can only be read, two calls at once, and a clock set back."""

import os
import random
import shlex
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.faults import kills, phases
from tests.faults.project import SECONDS, Call, Outcome, Project, State, last, line

YEAR = 365 * 24 * 3600 * 10**9

MOUNTED = """
mount -t tmpfs -o size=64m tmpfs {root} && cp -a {kept} {root} || exit 99
mount -o {options} {root} || exit 99
{call} > {first} 2>&1; echo $? > {first}.status
mount -o remount,rw,size=64m {root} || exit 99
{call} > {second} 2>&1; status=$?
cp -a {root}/. {copy}; exit $status
"""
"""In a mount namespace of its own, which ends with the last process in it, so that no mount stays
and no right beyond that of user namespaces is needed."""


def faults(each: int) -> Iterator[tuple[str, kills.Fault]]:
    """The faults with their names."""
    for number in range(max(1, each // 2)):
        yield f"full disk, results, {number + 1}", partial(_mounted, "full disk")
        yield f"clock set back, between calls, {number + 1}", _clock_between
        yield f"clock set back, in a call, {number + 1}", _clock_within
    for number in range(max(1, each // 4)):
        yield f"read-only, results, {number + 1}", partial(_mounted, "read-only")
        yield f"two at once, make run twice, {number + 1}", _two_runs
        yield f"two at once, snakemake beside make run, {number + 1}", _snakemake_beside


def _mounted(
    fault: str, project: Project, kept: Path, undisturbed: State, rng: random.Random
) -> Outcome:
    """The results on a small tmpfs that is full, or read-only, in a first call only."""
    missing = rng.choice([["*"], kills.missing("run", rng), kills.missing("aggregation", rng)])
    project.restore(kept, missing)
    used = sum(path.stat().st_size for path in project.root.rglob("*") if path.is_file())
    whole = sum(path.stat().st_size for path in (kept / "results").rglob("*") if path.is_file())
    size = used + int(rng.uniform(0.05, 0.9) * (whole - used)) if used else whole // 2
    start, copy = project.folder / "start", project.folder / "copy"
    for folder in (start, copy):
        subprocess.run(["rm", "-rf", folder], check=True)
    project.root.rename(start)
    project.root.mkdir()
    options = "remount,ro" if fault == "read-only" else f"remount,size={-(-size // 4096) * 4096}"
    script = MOUNTED.format(
        root=shlex.quote(str(project.root)),
        kept=shlex.quote(f"{start}/."),
        options=options,
        call=shlex.join(project.command),
        first=shlex.quote(str(project.folder / "first")),
        second=shlex.quote(str(project.folder / "second")),
        copy=shlex.quote(str(copy)),
    )
    copy.mkdir()
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=project.tree,
        env=project.environment(),
        timeout=2 * SECONDS,
        capture_output=True,
        text=True,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        raise RuntimeError(f"no file system can be mounted here: {done.stderr}")
    project.root.rmdir()
    copy.rename(project.root)
    reason = "Read-only file system" if fault == "read-only" else "No space left on device"
    said = line(lambda text: "cannot be written" in text and reason in text, project.said())
    outcome = kills.judged(
        fault, "results", said, project, undisturbed, Call(done.returncode, project.said("second"))
    )
    if (project.folder / "first.status").read_text().strip() == "0":
        outcome.wrong.append("the first call did not fail")
    if "Traceback" in project.said():
        outcome.wrong.append("there is a traceback")
    if not said:
        outcome.wrong.append(last(project.said()))
    return outcome


def _two_runs(project: Project, kept: Path, undisturbed: State, rng: random.Random) -> Outcome:
    """``make run`` twice, the second up to five seconds later."""
    project.restore(kept, kills.missing("run", rng))
    first = project.start(output="first")
    time.sleep(rng.uniform(0, 5))
    second = project.start(output="second")
    calls = [
        Call(process.wait(timeout=2 * SECONDS), project.said(output))
        for process, output in ((first, "first"), (second, "second"))
    ]
    said = line(lambda text: "waiting until it ends" in text, *(call.output for call in calls))
    worse = max(calls, key=lambda call: call.status)
    return kills.judged("two at once", "make run twice", said, project, undisturbed, worse)


def _snakemake_beside(
    project: Project, kept: Path, undisturbed: State, rng: random.Random
) -> Outcome:
    """``snakemake all`` while ``make run`` trains."""
    project.restore(kept, kills.missing("run", rng))
    first = project.start()
    kills.reached(project, first, {phases.TRAINING}, SECONDS)
    command = [project.command[0], "-m", "snakemake", "all", "--cores", "1", "--nocolor"]
    refused = subprocess.run(
        [*command, "--configfile", "faults.yaml"],
        cwd=project.tree,
        env=project.environment(),
        capture_output=True,
        text=True,
    )
    said = line(lambda text: "cannot be locked" in text, refused.stdout + refused.stderr)
    call = Call(first.wait(timeout=SECONDS), project.said())
    where = "snakemake beside make run"
    return kills.judged("two at once", where, said, project, undisturbed, call)


def _clock_between(project: Project, kept: Path, undisturbed: State, rng: random.Random) -> Outcome:
    """All files there are dated a year ahead, as by a clock that was set back since."""
    phase = rng.choice([phases.TRAINING, phases.SCORING, "aggregation", "report"])
    kills.struck(project, kept, phase, rng, kills.kill)
    _date_ahead(project)
    call = project.finish()
    said = line(lambda text: "of the future" in text, call.output)
    return kills.judged("clock set back", "between calls", said, project, undisturbed, call)


def _clock_within(project: Project, kept: Path, undisturbed: State, rng: random.Random) -> Outcome:
    """The same while a call trains: what it makes then is older than what it is made from."""
    project.restore(kept, kills.missing("run", rng))
    process = project.start()
    kills.reached(project, process, {phases.TRAINING}, SECONDS)
    _date_ahead(project)
    process.wait(timeout=SECONDS)
    call = project.finish()
    said = line(lambda text: "of the future" in text, call.output)
    return kills.judged("clock set back", "in a call", said, project, undisturbed, call)


def _date_ahead(project: Project) -> None:
    for folder in (project.root, project.tree / ".snakemake"):
        for file in folder.rglob("*"):
            if file.is_file():
                then = file.stat().st_mtime_ns + YEAR
                os.utime(file, ns=(then, then))
