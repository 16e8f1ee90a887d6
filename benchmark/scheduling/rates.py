"""What a run costs: measured on this machine in seconds, and as recorded in runs that were made.

A method is fitted to a few images for one epoch, twice, with one thread, and scores a few. The
time of a run is extrapolated from that: in proportion to images and epochs, for a method without
epochs by the power of the number of images that two fits show. It is processor time: what else the
machine does meanwhile is not in it.
"""

import io
import json
import math
import statistics
import time
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmark import layout
from benchmark.config import REFERENCE, Config, methods
from benchmark.detector import Images
from benchmark.layout import RunKey
from benchmark.runs import device as devices

FEW = 32
"""How many images a method is first fitted to, and scores. Then they are more and more, until the
difference of two times is ``ENOUGH`` or there are no more."""

MANY = 2000
"""The most images that a method is fitted to, and scores."""

ENOUGH = 1.0
"""Seconds that are long enough to be measured."""


@dataclass(frozen=True)
class Size:
    """Images per inlier class, on average over the classes: to train, validate and test."""

    train: float
    validation: float
    test: float


@dataclass(frozen=True)
class Rate:
    """What a method needs on this machine.

    Attributes:
        epochs: of a run; 0 for a method without.
        fit: seconds per training image and epoch, its share of validation included; without
            epochs, seconds of a fit to ``images``.
        score: seconds per test image and model; without epochs, after a fit to ``images``.
        memory: peak of the process that measured it, in bytes; None if not known.
        images: how many a method without epochs was fitted to.
        power: of the number of images, to which the time of its fit is proportional.
    """

    epochs: int
    fit: float
    score: float
    memory: int | None
    images: int = 1
    power: float = 1.0

    def seconds(self, size: Size, milestones: Iterable[int]) -> float:
        """The time of one run."""
        growth = size.train / self.images
        models = 2 + sum(milestone <= self.epochs for milestone in milestones)
        if self.epochs:
            return self.fit * growth * self.epochs + self.score * size.test * models
        fit = self.fit * float(growth**self.power)
        return fit + self.score * growth * size.test * models


@dataclass(frozen=True)
class Recorded:
    """Medians of runs of a data set and method: seconds of one run, and its peak memory."""

    seconds: float
    memory: float | None


def measure(path: str, params: Mapping[str, Any], images: Images) -> Rate:
    """The rate of a method on the CPU of this machine.

    Args:
        path: the class, ``package.module:Class``.
        params: its hyperparameters.
        images: of the data set, (N, H, W, C) uint8, at most ``MANY`` are used.
    """
    import torch

    torch.set_num_threads(1)
    with redirect_stderr(io.StringIO()):  # progress bars
        return _measure(path, params, images)


def _measure(path: str, params: Mapping[str, Any], images: Images) -> Rate:
    once = {name: 1 for name in params if name == "epochs" or name.endswith("_epochs")}
    brief = {**params, **once}
    if not once:
        some = images[:MANY]
        _fit(path, brief, some[: len(some) // 2])  # what only the first call needs
        _, half = _fit(path, brief, some[: len(some) // 2])
        detector, whole = _fit(path, brief, some)
        power = min(3.0, max(0.0, math.log2(whole / half)))
        score = _score(detector, images)
        return Rate(0, whole, score, devices.peak_memory("cpu"), len(some), power)
    number = 3 * FEW
    _fit(path, brief, images[:number])  # what only the first call needs
    _, few = _fit(path, brief, images[:FEW])
    detector, more = _fit(path, brief, images[:number])
    while more - few < ENOUGH and number < len(images):
        number = min(3 * number, len(images))
        detector, more = _fit(path, brief, images[:number])
    per_image = max(more - few, 0.05 * more) / (number - FEW) / len(once)
    epochs = _epochs(path, params, images)
    return Rate(epochs, per_image, _score(detector, images), devices.peak_memory("cpu"))


def recorded(config: Config, key: RunKey, rate: Rate) -> Recorded | None:
    """What runs of the same data set, method and settings took on a CPU, whatever their epochs.

    They are the committed ones, of any configuration, and those of this one. Their time is that of
    the epochs of ``rate``. None if there are none.
    """
    seconds, memory = [], []
    for record in _records(config, key):
        settings = config.methods[key.method].params
        if _without_epochs(record["config"]) == _without_epochs(json.loads(json.dumps(settings))):
            epochs = record["facts"].get("epochs") or 0
            scale = rate.epochs / epochs if epochs else 1.0
            seconds.append(record["seconds"]["fit"] * scale + record["seconds"]["score"])
            if record.get("memory_bytes"):
                memory.append(record["memory_bytes"])
    if not seconds:
        return None
    return Recorded(statistics.median(seconds), statistics.median(memory) if memory else None)


def _records(config: Config, key: RunKey) -> Iterable[dict[str, Any]]:
    pattern = RunKey(key.dataset, key.method, *"***").path
    roots = [*sorted(path for path in REFERENCE.glob("*") if path.is_dir()), config.root]
    for file in chain.from_iterable(root.glob(f"runs/{pattern}/run.json") for root in roots):
        record = json.loads(file.read_text())
        on_cpu = record.get("environment", {}).get("device") == "cpu"
        if record.get("status") == "complete" and on_cpu:
            yield record


def _without_epochs(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if not name.endswith("epochs")}


def _fit(path: str, params: Mapping[str, Any], images: Images) -> tuple[Any, float]:
    """A detector fitted to the images, a tenth of them for validation, and the seconds it took."""
    detector = methods.create(path, params)
    held = max(2, len(images) // 10)
    begin = time.process_time()
    detector.fit(images[held:], images[:held], seed=0)
    return detector, time.process_time() - begin


def _score(detector: Any, images: Images) -> float:
    """Seconds per image."""
    number, took = FEW, 0.0
    detector.score(images[:number])  # what only the first call needs
    while True:
        begin = time.process_time()
        detector.score(images[:number])
        took = time.process_time() - begin
        if took >= ENOUGH / 3 or number >= len(images):
            return took / number
        number = min(4 * number, len(images))


def _epochs(path: str, params: Mapping[str, Any], images: Images) -> int:
    """The epochs of a run, those of pre-training included."""
    detector: Any = methods.create(path, params)
    if hasattr(detector, "phases"):
        networks = detector.build(images.shape[3], images.shape[1])
        return sum(phase.epochs for phase in detector.phases(networks))
    return int(params["epochs"])


def split_sizes(config: Config, root: Path, dataset: str) -> list[dict[str, int]]:
    """The sizes of the parts of each inlier class, from the splits that are there."""
    files = (layout.split(root, dataset, fold, "json") for fold in config.datasets[dataset].folds)
    sizes = (json.loads(file.read_text())["sizes"] for file in files if file.is_file())
    return [part for by_class in sizes for part in by_class.values()]
