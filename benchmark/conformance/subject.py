"""A method under examination, and the small images that it is examined with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmark.config import methods
from benchmark.data import read
from benchmark.detector import Detector, Images


class Broken(AssertionError):
    """A method does not do what it must; the message says what it does instead."""


class NotApplicable(Exception):
    """A check does not concern this method; the message says why."""


def require(holds: object, otherwise: str) -> None:
    """Raise ``Broken`` with these words unless something holds."""
    if not holds:
        raise Broken(otherwise)


@dataclass(frozen=True)
class Subject:
    """A detector class, with small hyperparameters for it.

    Attributes:
        path: the class, ``package.module:Class``.
        hyperparameters_json: those that are not the defaults, a JSON mapping. Unless they are
            among them, all ``epochs`` are 3 and each ``batch_size`` is 16.
        epochs: until outliers are to have the higher scores, where a method has epochs.
        undirected: components that need not be higher for outliers after a short training.
    """

    path: str
    hyperparameters_json: str = "{}"
    epochs: int = 8
    undirected: frozenset[str] = frozenset()

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters of a small training."""
        names = self.fields
        epochs = {name: 3 for name in names if name.endswith("epochs")}
        batches = {name: 16 for name in names if name.endswith("batch_size")}
        given: dict[str, Any] = json.loads(self.hyperparameters_json)
        return {**epochs, **batches, **given}

    @property
    def fields(self) -> Mapping[str, Any]:
        """The hyperparameters that the class takes, as fields of pydantic."""
        return methods.hyperparameters(self.path).model_fields

    @property
    def size(self) -> int:
        """Height and width of the images: 28, or the first that the class takes."""
        sizes = methods.image_sizes(self.path)
        return 28 if not sizes or 28 in sizes else sizes[0]

    def create(self, **changes: Any) -> Detector:
        """A detector that is not fitted, with changes of the small hyperparameters."""
        return methods.create(self.path, self.hyperparameters | changes)

    def inliers(self, start: int, stop: int, channels: int = 1) -> Images:
        """Some images of the digit 0, (N, size, size, channels), read-only as a memory map is."""
        return _frozen(np.repeat(_zeros(self.size)[start:stop], channels, axis=3))

    def noise(self, count: int) -> Images:
        """Images of uniform noise, (count, size, size, 1)."""
        shape = (count, self.size, self.size, 1)
        return _frozen(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))

    def tests(self, channels: int = 1) -> Images:
        """Six inliers that no training has seen, and five images of noise."""
        outliers = np.repeat(self.noise(5), channels, axis=3)
        return _frozen(np.concatenate([self.inliers(50, 56, channels), outliers]))


@cache
def _zeros(size: int) -> Images:
    digits = read("digits", None, size)
    zeros: Images = digits.images[digits.labels == 0]
    return zeros


def _frozen(images: Images) -> Images:
    images = images.copy()
    images.flags.writeable = False
    return images
