"""What the stages after the scores cost on generated scores, and how heavy their report is."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmark import layout
from benchmark.config import Config
from benchmark.config.methods import METHODS
from benchmark.layout import RunKey
from performance.scale import generated
from performance.scale.process import Cost, measured
from tests.browser import Browser, executable
from tests.synthetic import make_run

STAGES = """
from pathlib import Path
from benchmark import config, {stages}
settings = config.read(Path("config.yaml"), data=False)
for stage in ({stages},):
    stage.write(settings, settings.root)
"""
LATER = "verdicts, tables, figures, report"
SAMPLES = 2000

PAPER = {name: name for name in ("mnist", "fashion_mnist", "cifar10")}
MANY = {f"set_{number}": "npz" for number in range(50)}

Row = tuple[str, int, Cost]


def rows(numbers: Sequence[int], folder: Path) -> Iterator[Row]:
    """Of so many runs: the metrics, those after the scores of one run are others, what follows."""
    for runs in numbers:
        place = folder / f"runs-{runs}"
        content = generated.settings({"first": "npz", "second": "npz"}, runs)
        config = generated.write_runs(place, content, SAMPLES)
        yield "metrics", runs, _stages(place, "metrics")
        _score_again(config, place)
        yield "metrics, one run is new", runs, _stages(place, "metrics")
        yield LATER, runs, _stages(place, LATER)


def reports(folder: Path) -> Iterator[Row]:
    """Opening the reports of the runs of the paper, and of 50 data sets, and their sizes."""
    cases: dict[str, dict[str, Any]] = {
        "paper": generated.settings(PAPER, 5680, [*METHODS]),
        "many": generated.settings(MANY, 2500),
    }
    for name, content in cases.items():
        config = generated.write_runs(folder / name, content, 200)
        _stages(folder / name, f"metrics, {LATER}")
        page = folder / name / layout.report(config, config.root)[0]
        runs = len(content["seeds"]) * 10 * len(config.datasets) * len(config.methods)
        title = f"opening the report of {len(config.datasets)} data sets"
        yield title, runs, _opened(page, folder / f"profile-{name}")


def _stages(folder: Path, stages: str) -> Cost:
    return measured(["-c", STAGES.format(stages=stages)], folder)


def _score_again(config: Config, folder: Path) -> None:
    """Other scores of one run."""
    key = RunKey("first", next(iter(config.methods)), 0, 0, config.seeds[0])
    place = layout.run(folder / config.root, key)
    make_run(config, key, "class 0", place, SAMPLES // 2, lambda *of: of[2].random(of[3] + of[4]))


def _opened(page: Path, profile: Path) -> Cost:
    """Of opening a page in a Chromium that runs; in place of the memory its size."""
    command = executable()
    size = page.stat().st_size / 1e6
    if command is None:
        return Cost(float("nan"), float("nan"), size)
    with Browser.started(command, profile) as browser:
        before, begin = _processor_time(), time.monotonic()
        browser.open(page.as_uri(), 1280)
        return Cost(_processor_time() - before, time.monotonic() - begin, size)


def _processor_time() -> float:
    """Seconds of all processes below this one that run."""
    times: list[Mapping[str, float]] = []
    for process in psutil.Process().children(recursive=True):
        try:
            times.append(process.cpu_times()._asdict())
        except psutil.Error:
            continue
    return sum(each["user"] + each["system"] for each in times)
