"""What happens after a fault: ``python -m tests.faults [--quick] [--write] [part ...]``.

A tiny configuration runs in copies of the working tree, one for each lane. It is disturbed, by one
fault at a time, and started again by one call of ``make run``; see README.md for what is compared.
The outcome of each fault is printed and appended to ``outcomes.jsonl`` in the folder of the copies,
from which a run that was ended itself goes on (``--folder``).

The exit status is 1 if something was wrong after a fault.
"""

import json
import random
import signal
import sys
import tempfile
import threading
import traceback
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

from tests.faults import files, kills, system, table
from tests.faults.project import Outcome, Project

PARTS = {"kills": kills.faults, "files": files.faults, "system": system.faults}


def main(arguments: Sequence[str]) -> int:
    """Make the faults of the named parts; the exit status."""
    parser = ArgumentParser(prog="python -m tests.faults", description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="one fault of each kind")
    parser.add_argument("--write", action="store_true", help="write the table of README.md")
    parser.add_argument("--lanes", type=int, default=2, help="faults at a time (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (0)")
    parser.add_argument("--folder", type=Path, help="of an earlier run, to go on with it")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; name {', '.join(PARTS)}")
    # A program that was started in the background ignores it, and what it starts does too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="faults-"))
    folder.mkdir(exist_ok=True)
    parts = [PARTS[name] for name in chosen.parts or PARTS]
    faults = dict(fault for part in parts for fault in part(1 if chosen.quick else 10))
    record = folder / "outcomes.jsonl"
    lines = record.read_text().splitlines() if record.exists() else []
    done = {entry.pop("name"): Outcome(**entry) for entry in map(json.loads, lines)}
    print(f"{len(faults)} faults, {len(done)} of them made already; in {folder}", flush=True)
    kept = folder / "kept"
    lanes: SimpleQueue[Project] = SimpleQueue()
    projects = [Project(folder / f"lane-{number}") for number in range(chosen.lanes)]
    if not kept.exists():
        call = projects[0].finish()
        if call.status:
            print(call.output)
            return 1
        projects[0].keep(kept)
    projects[0].restore(kept)
    undisturbed = projects[0].state()
    for project in projects:
        lanes.put(project)
    writing = threading.Lock()

    def make(name: str) -> None:
        project = lanes.get()
        try:
            outcome = faults[name](
                project, kept, undisturbed, random.Random(f"{chosen.seed} {name}")
            )
        except Exception as error:
            traceback.print_exc()
            outcome = Outcome(*name.split(", ")[:2], wrong=[f"the script failed: {error}"])
        finally:
            lanes.put(project)
        with writing:
            done[name] = outcome
            with record.open("a") as file:
                file.write(json.dumps({"name": name} | asdict(outcome)) + "\n")
            print(f"{'WRONG' if outcome.wrong else 'fine '}  {name}: {outcome.said}", flush=True)
            for problem in outcome.wrong[:10]:
                print(f"       {problem}", flush=True)

    with ThreadPoolExecutor(chosen.lanes) as pool:
        list(pool.map(make, _order(faults, done, chosen.seed)))
    wrong = sum(bool(outcome.wrong) for outcome in done.values())
    print(f"{wrong} of {len(done)} faults left something wrong")
    if chosen.write:
        table.write(done.values())
    return int(wrong > 0)


def _order(names: Iterable[str], done: Iterable[str], seed: int) -> list[str]:
    """What is not done: kills first, and one of each kind before the second of any.

    So a run that is ended early has seen some of each.
    """
    done = set(done)
    left = [name for name in names if name not in done]
    random.Random(seed).shuffle(left)
    seen, rank = Counter(map(_kind, done)), {}
    for name in left:
        rank[name] = seen[_kind(name)]
        seen[_kind(name)] += 1
    return sorted(left, key=lambda name: (not name.startswith("SIGKILL"), rank[name]))


def _kind(name: str) -> str:
    fault, place, *number = name.split(", ")
    return fault if number else place


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
