"""Say what the missing runs of a configuration cost on this machine, and what they could decide.

>>> python -m benchmark forecast --configfile config/quick.yaml --cores 8  # doctest: +SKIP

Each method is measured for some seconds on images of each form; nothing is written but, with
``--write``, the rates by which jobs ask a cluster for time and memory. Beside the time that follows
stands the one recorded in committed runs of the same settings, on their machines. The times are
those of a CPU core that does nothing else; the last line says how much of a core there was. Data
sets that are not prepared are read for it, and downloaded where the pipeline would.
"""

import heapq
import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark import config as configuration
from benchmark import data as datasets
from benchmark import jobs, layout, part, published
from benchmark.config import Config
from benchmark.detector import Images
from benchmark.layout import RunKey
from benchmark.scheduling import decides, order, requests, state
from benchmark.scheduling.rates import MANY, Rate, Recorded, Size, measure, recorded, split_sizes

HORIZONS = {"hour": 3600.0, "day": 86_400.0, "week": 604_800.0}


@dataclass(frozen=True)
class Series:
    """The missing runs of a data set and method: how many, what one costs, and by which rate."""

    dataset: str
    method: str
    missing: int
    seconds: float
    recorded: Recorded | None
    memory: float | None
    of: requests.Key
    rate: Rate


def forecast(config: Config, root: Path) -> list[Series]:
    """What the missing runs cost, a row per data set and method that has some.

    Raises:
        InputError: a precision that a CPU, on which it is measured, does not have.
    """
    jobs.check_precision(config, root, "cpu")
    missing = state.missing(config, root)
    counts = Counter((key.dataset, key.method) for key in missing)
    examples = {(key.dataset, key.method): key for key in missing}
    measured: dict[tuple[str, tuple[int, ...]], Rate] = {}
    series = []
    for dataset in dict.fromkeys(dataset for dataset, _ in counts):
        images, size = _images_and_size(config, root, dataset)
        for method in config.methods:
            if (dataset, method) not in counts:
                continue
            form = method, images.shape[1:]
            if form not in measured:
                print(f"measuring {method} on {dataset} ...", file=sys.stderr, flush=True)
                settings = config.methods[method]
                measured[form] = measure(settings.detector, settings.params, images)
            rate = measured[form]
            before = recorded(config, examples[dataset, method], rate)
            milestones = jobs.run_parameters(config, method)["milestones"]
            seconds = rate.seconds(size, milestones)
            memory = before.memory if before and before.memory else rate.memory
            number = counts[dataset, method]
            detector = config.methods[method].detector
            key = requests.Key(method, detector, images.shape[3], images.shape[1])
            series.append(Series(dataset, method, number, seconds, before, memory, key, rate))
    return series


def _images_and_size(config: Config, root: Path, dataset: str) -> tuple[Images, Size]:
    """Some images of a data set, and how many a class has in each part."""
    folder = layout.data(root, dataset)
    if (folder / "dataset.json").is_file():
        read = datasets.load(folder)
    else:
        read = datasets.read(**jobs.data_parameters(config, dataset))
    sizes = split_sizes(config, root, dataset)
    if not sizes:
        from benchmark import splits

        settings = config.datasets[dataset]
        parameters = jobs.split_parameters(config, dataset)
        drawn = jobs.draw_split(read, settings.folds[0], parameters, settings)
        sizes = [*splits.sizes(drawn).values()]
    parts = {
        name: sum(part.get(name, 0) for part in sizes) / len(sizes)
        for name in ("train", "validation", "test_inliers", "test_outliers")
    }
    tested = parts["test_inliers"] + parts["test_outliers"]
    return read.images[:MANY], Size(parts["train"], parts["validation"], tested)


def done_after(
    config: Config, root: Path, seconds: Mapping[tuple[str, str], float], cores: int, limit: float
) -> list[RunKey]:
    """The runs that are there after some time, if they take what is forecast.

    Args:
        config: of the runs.
        root: the folder of results.
        seconds: of one run, by data set and method.
        cores: how many runs are made at a time, in their order.
        limit: how long, in seconds.
    """
    missing = state.missing(config, root)
    needs = order.replicates_needed(config, root)
    done = [*{*jobs.runs(config)} - {*missing}]
    free = [0.0] * cores
    for key in order.ordered(config, missing, needs):
        end = heapq.heappop(free) + seconds[key.dataset, key.method]
        heapq.heappush(free, end)
        if end <= limit:
            done.append(key)
    return done


def lines(config: Config, root: Path, series: Sequence[Series], cores: int) -> Iterator[str]:
    """The forecast as text."""
    for name, settings in config.datasets.items():
        if not settings.available:
            yield f"Left out: {name}, as {settings.path} is not there."
    if not series:
        yield "No run is missing."
        return
    yield from _table(config, series)
    total = sum(each.missing * each.seconds for each in series)
    number, memory = sum(each.missing for each in series), max(each.memory or 0 for each in series)
    yield (
        f"In all: {number} runs, {_time(total)} of one core, {_time(total / cores)} on {cores} "
        f"cores, with up to {cores} x {memory / 1e9:.1f} GB of memory."
    )
    seconds = {(each.dataset, each.method): each.seconds for each in series}
    needs = order.replicates_needed(config, root)
    yield (
        f"{decides.decided(config, root)} of {len(published.load())} published numbers are "
        "decided. Numbers and claims that have all runs that a verdict needs at least:"
    )
    known: set[Any] = set()
    for name, limit in {"now": 0.0, **HORIZONS}.items():
        done = done_after(config, root, seconds, cores, limit)
        numbers = decides.numbers(config, done, needs)
        ids = decides.claim_ids(config, done, needs)
        after = name if name == "now" else f"after one {name}"
        places = Counter(f"{row.data_source} {row.run_method}" for row in numbers - known)
        more = ", ".join(f"{count} of {place}" for place, count in places.most_common())
        yield (
            f"  {after}: {len(numbers)} numbers{f' (more: {more})' * bool(more)}; claims: "
            f"{', '.join(ids) or 'none'}"
        )
        known |= numbers


def _with_memory(series: Series) -> Rate:
    """A rate with the memory of whole runs, where there were some."""
    return replace(series.rate, memory=int(series.memory) if series.memory else None)


def _table(config: Config, series: Sequence[Series]) -> Iterator[str]:
    head = ("data set", "method", "missing", "one run", "recorded", "in all", "memory")
    rows = [head]
    for each in series:
        before = _time(each.recorded.seconds) if each.recorded else "-"
        memory = f"{each.memory / 1e9:.1f} GB" if each.memory else "-"
        rows.append(
            (
                *(each.dataset, each.method, str(each.missing), _time(each.seconds), before),
                *(_time(each.missing * each.seconds), memory),
            )
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    for row in rows:
        left = (cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True))
        right = (cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True))
        yield "  ".join([*left, *right])


def _time(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> _time(5400)
    '1.5 h'
    """
    for unit, length in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s"


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command ``forecast``."""
    parser.add_argument("--configfile", nargs="+", type=Path, default=[Path("config/paper.yaml")])
    part.add_arguments(parser)
    parser.add_argument("--results", type=Path, help="default: the configuration's, results")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="runs at a time")
    parser.add_argument(
        "--write",
        nargs="?",
        type=Path,
        const=True,
        metavar="FILE",
        help=f"keep the rates for the jobs of a cluster; default: <results>/{requests.FILE}",
    )


def run(chosen: Namespace) -> int:
    """Print the forecast of one configuration; the exit status."""
    config = part.read(chosen)
    configuration.check_data(config, " ".join(map(str, chosen.configfile)))
    root = chosen.results / config.name if chosen.results else config.root
    begin = time.monotonic(), time.process_time()
    series = forecast(config, root)
    if chosen.write and series:
        file = root / requests.FILE if chosen.write is True else chosen.write
        requests.write(file, {each.of: _with_memory(each) for each in series})
    clock, processor = time.monotonic() - begin[0], time.process_time() - begin[1]
    for line in lines(config, root, series, max(1, chosen.cores)):
        print(line)
    print(f"Measured for {clock:.0f} s, with {processor / clock:.0%} of a core.")
    return 0
