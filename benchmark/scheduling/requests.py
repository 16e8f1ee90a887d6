"""What a job asks a cluster for: its time, memory and threads, from the forecast of its method.

The forecast is that of ``python -m benchmark forecast --write``: rates in the results of the
configuration, measured on a machine of the cluster, or else the ones here, of a core of an AMD EPYC
and the methods of ``config/paper.yaml``. Nothing is measured while Snakemake plans.
"""

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmark import layout
from benchmark.config import Config, methods
from benchmark.errors import InputError
from benchmark.scheduling.rates import Rate, Size
from benchmark.utils.files import atomic

HERE = Path(__file__).with_name("rates.csv")
"""The rates that hold where no other ones are."""

FILE = "rates.csv"
"""The name of the file with the rates of a configuration, in its folder of results."""

TYPICAL = Size(6000, 600, 10_000)
"""The images of an inlier class, as in MNIST, of a data set that has no splits yet."""

SLOWER = 2.0
"""How many times as long as forecast a job may take, on a slower or busy machine."""

START = 2
"""Minutes for a job to start and to import PyTorch, from a slow file system too."""

LARGER = 1.5
"""How many times the memory that was measured a job may need."""

UNKNOWN = Rate(0, 4 * 3600.0, 0.0, 2 * 10**9)
"""Of a method that has no rate: four hours, whatever its images are."""

SHORT = 300.0
"""Seconds below which the forecast of a run makes it no job of its own."""


THREADS = 1
"""Of a run on a CPU, whatever its method: two runs of one thread are faster than one of two, and
their bytes do not depend on the machine."""


class Request(NamedTuple):
    """What a job asks for in its first attempt."""

    minutes: int
    megabytes: int
    threads: int = THREADS


@dataclass(frozen=True)
class Key:
    """What a rate is of: a method, its class, and images of a number of channels and pixels."""

    method: str
    detector: str
    channels: int
    side: int


Rates = Mapping[Key, Rate]


def request(config: Config, root: Path, dataset: str, method: str) -> Request:
    """What one run asks for, of the images that its data set has or is thought to have."""
    time = seconds(config, root, dataset, method, _size(config, root, dataset) or TYPICAL)
    memory = _rate(config, root, dataset, method).memory or UNKNOWN.memory or 0
    megabytes = 500 * math.ceil(LARGER * memory / 1e6 / 500)
    return Request(math.ceil(SLOWER * time / 60) + START, megabytes)


def is_short(config: Config, root: Path, dataset: str, method: str) -> bool:
    """Whether a run is too short for a job of its own, the same before and after the splits."""
    return seconds(config, root, dataset, method, TYPICAL) < SHORT


def seconds(config: Config, root: Path, dataset: str, method: str, size: Size) -> float:
    """The forecast of one run."""
    rate = _rate(config, root, dataset, method)
    return rate.seconds(size, config.milestones_of(method)) if rate != UNKNOWN else UNKNOWN.fit


def _rate(config: Config, root: Path, dataset: str, method: str) -> Rate:
    """The rate of the same class, of this method and of as many channels where there is one."""
    configured = config.methods[method]
    known = {**read(HERE), **read(root / FILE)}
    of_class = {key: rate for key, rate in known.items() if key.detector == configured.detector}
    if not of_class:
        return UNKNOWN
    channels = _channels(root, dataset)
    key = max(
        of_class,
        key=lambda key: (key.method == method, key.channels == channels, of_class[key].fit),
    )
    rate, scale = of_class[key], (config.image_size / key.side) ** 2
    epochs = _epochs(configured.detector, configured.params, rate.epochs) if rate.epochs else 0
    return replace(rate, epochs=epochs, fit=rate.fit * scale, score=rate.score * scale)


def _epochs(detector: str, params: Mapping[str, Any], measured: int) -> int:
    """The epochs of a run, those of pre-training included, without importing the method.

    They are those that were ``measured`` if the method itself decides on some of them.
    """
    every = {**methods.defaults(detector), **params}
    stated = [n for name, n in every.items() if name == "epochs" or name.endswith("_epochs")]
    return measured if None in stated else sum(stated)


def _channels(root: Path, dataset: str) -> int:
    """The channels of a prepared data set, or three."""
    file = layout.data(root, dataset) / "dataset.json"
    return int(json.loads(file.read_text())["shape"][-1]) if file.is_file() else 3


def _size(config: Config, root: Path, dataset: str) -> Size | None:
    """The largest class of the first fold; None without its split."""
    file = _first_split(config, root, dataset)
    if not file.is_file():
        return None
    parts = json.loads(file.read_text())["sizes"].values()
    tested = max(part["test_inliers"] + part["test_outliers"] for part in parts)
    train, validation = (max(part[name] for part in parts) for name in ("train", "validation"))
    return Size(train, validation, tested)


def has_size(config: Config, root: Path, dataset: str) -> bool:
    """Whether a data set has its splits, which tell how many images a run is of."""
    return _first_split(config, root, dataset).is_file()


def _first_split(config: Config, root: Path, dataset: str) -> Path:
    return layout.split(root, dataset, config.datasets[dataset].folds[0], "json")


@cache
def read(path: Path) -> Rates:
    """The rates of a file; none without it.

    Raises:
        InputError: the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return dict(_parsed(row) for row in csv.DictReader(file))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); delete it, or write it again") from None


def write(path: Path, rates: Rates) -> None:
    """Put rates into a file, in the place of those of the same methods and images."""
    read.cache_clear()
    every = {**read(path), **rates}
    names = [field.name for kind in (Key, Rate) for field in fields(kind)]
    with atomic(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        table.writerows(_row(key, every[key]) for key in sorted(every, key=str))
    read.cache_clear()


def _row(key: Key, rate: Rate) -> dict[str, Any]:
    values = {**asdict(key), **asdict(rate)}
    return {
        name: f"{value:.4g}" if isinstance(value, float) else value
        for name, value in values.items()
    }


def _parsed(row: Mapping[str, str]) -> tuple[Key, Rate]:
    key = Key(row["method"], row["detector"], int(row["channels"]), int(row["side"]))
    return key, Rate(
        epochs=int(row["epochs"]),
        fit=float(row["fit"]),
        score=float(row["score"]),
        memory=int(row["memory"]) if row["memory"] else None,
        images=int(row["images"]),
        power=float(row["power"]),
    )
