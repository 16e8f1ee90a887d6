"""Print how time and memory grow, on generated configurations and scores.

    python -m performance.scale                                    # a quarter of an hour
    python -m performance.scale --jobs 50000 --runs 10000 --no-report    # longer

Processor time is that of all processes of a call. 0 jobs stand for ``config/paper.yaml``. The
exponent is that of time against the number, from the row before of the same name.
"""

import argparse
import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from performance.scale import aggregation, planning
from performance.scale.aggregation import Row

HEAD = ("what", "number", "processor s", "elapsed s", "MB", "exponent")


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m performance.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--jobs", type=int, nargs="*", default=[0, 2000, 10_000], metavar="N")
    parser.add_argument("--runs", type=int, nargs="*", default=[120, 400, 1600], metavar="N")
    parser.add_argument("--report", action=argparse.BooleanOptionalAction, default=True)
    chosen = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        measured = chain(
            planning.rows(chosen.jobs, place),
            aggregation.rows(chosen.runs, place),
            aggregation.reports(place) if chosen.report else (),
        )
        print(f"| {' | '.join(HEAD)} |\n| --- |{' ---: |' * (len(HEAD) - 1)}")
        for line in lines(measured):
            print(line, flush=True)


def lines(measured: Iterator[Row]) -> Iterator[str]:
    """A line of a Markdown table for each measurement."""
    before: dict[str, tuple[int, float]] = {}
    for name, number, cost in measured:
        exponent = ""
        if number and name in before:
            smaller, seconds = before[name]
            exponent = f"{math.log(cost.seconds / seconds) / math.log(number / smaller):.2f}"
        if number:
            before[name] = number, cost.seconds
        numbers = f"{cost.seconds:.1f} | {cost.elapsed:.0f} | {cost.megabytes:.1f}"
        yield f"| {name} | {number:,} | {numbers} | {exponent} |"


if __name__ == "__main__":
    main()
