"""Events on a Slurm of one node: ``python -m tests.slurm [--write] [event ...]``.

A tiny configuration runs on this machine, then, once for each event, on a cluster that is started
for it: first without accounting, then with. The scores have to be those of this machine.

It needs Linux, Debian's packages (installed, or to be had by ``apt-get download``, which needs no
root), and ``pip install -e ".[slurm]"``. It takes about half an hour on two cores, a gigabyte of
memory and one of disk, in a temporary folder. Nothing is left of it: no process, no file, no user.

The exit status is 1 if something was not as it should be.
"""

import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from benchmark.errors import InputError
from tests.slurm import events, table
from tests.slurm.cluster import Cluster, running
from tests.slurm.packages import Programs, programs
from tests.slurm.project import Call, Project, jobs
from tests.slurm.table import Row

CORES = 4
"""That the node has for Slurm, whatever this machine has."""


def main(arguments: Sequence[str]) -> int:
    """Run the named events, or all; the exit status."""
    known = [*events.WITHOUT_ACCOUNTING, *events.EVENTS]
    parser = ArgumentParser(prog="python -m tests.slurm", description=__doc__.split("\n")[0])
    parser.add_argument("events", nargs="*", metavar="event", help=", ".join(known))
    parser.add_argument("--write", action="store_true", help="write the table of docs/cluster.md")
    parser.add_argument("--accounting", choices=("with", "without"), help="default: both")
    parser.add_argument("--packages", type=Path, help="folder to keep what is unpacked")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.events if name not in known]:
        parser.error(f"no event {unknown[0]!r}; there are {', '.join(known)}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        if not find_spec("snakemake_executor_plugin_slurm"):
            raise InputError('no plugin for Slurm; pip install -c constraints.txt -e ".[slurm]"')
        with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
            rows = _rows(Path(folder), chosen.events or known, chosen.accounting, chosen.packages)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything is ended and removed", file=sys.stderr)
        return 128 + signal.SIGINT
    print(table.markdown(rows), end="")
    if chosen.write:
        table.write(rows)
    return int(not all(row.well for row in rows))


def _rows(folder: Path, names: Sequence[str], only: str | None, packages: Path | None) -> list[Row]:
    project = Project(folder / "tree")
    local = Call(project, "--cores", "2")
    try:
        if local.wait():
            raise InputError(f"the configuration does not run here: {local.last_line()}")
    finally:
        local.kill()
    scores = project.scores()
    seconds = time.monotonic() - local.began
    rows = [Row("this machine", "no Slurm", "ended with 0", 0, seconds, len(scores), len(scores))]
    _say(rows[-1])
    for accounting in (False, True):
        which = "with" if accounting else "without"
        if only not in (None, which):
            continue
        place = programs(packages or folder / "packages", accounting)
        possible = events.EVENTS if accounting else events.WITHOUT_ACCOUNTING | events.EVENTS
        for name in (name for name in possible if name in names):
            project.forget()
            event = possible[name]
            rows.append(_row(name, which, event, project, place, folder / "cluster", scores))
            _say(rows[-1])
    return rows


def _row(
    name: str,
    accounting: str,
    event: events.Event,
    project: Project,
    place: Programs,
    folder: Path,
    scores: dict[str, str],
) -> Row:
    with running(place, folder, accounting == "with", CORES) as cluster:
        began = time.monotonic()
        try:
            seen = event(project, cluster)
        except InputError as error:
            seen = f"failed: {error}"
        seconds = time.monotonic() - began
        number = _number(cluster)
    equal = sum(project.scores().get(path) == value for path, value in scores.items())
    return Row(name, accounting, seen, number, seconds, equal, len(scores))


def _number(cluster: Cluster) -> int:
    return len(jobs(cluster))


def _say(row: Row) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {' | '.join(row.cells)}", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # What is cleared up now is not to be interrupted again.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
