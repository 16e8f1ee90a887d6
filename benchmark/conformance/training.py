"""Small trainings that the checks share, and comparisons of their outcomes."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch.nn.modules import module as torch_module

from benchmark.conformance.subject import Subject, require
from benchmark.detector import Detector

SEED = 3
MILESTONES = (1, 3, 50)

# 33 = 2 * 16 + 1: the last batch has one image, which batch normalisation alone cannot take.
TRAIN, VALIDATION = (0, 33), (33, 50)


def fit(subject: Subject, channels: int = 1, checkpoint: Path | None = None) -> Detector:
    """Train on a few images."""
    return subject.create().fit(
        subject.inliers(*TRAIN, channels),
        subject.inliers(*VALIDATION, channels),
        seed=SEED,
        checkpoint=checkpoint,
        milestones=MILESTONES,
    )


@dataclass(frozen=True)
class Training:
    """A training that was watched.

    Attributes:
        detector: what was trained.
        passes: how often a torch module was called, 0 without any.
        moved: whether the state of a global generator was another afterwards.
    """

    detector: Detector
    passes: int
    moved: bool


@cache
def training(subject: Subject, channels: int = 1) -> Training:
    """``fit``, once for all checks, which must leave the detector as it is."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    before, passes = global_generators(), 0

    def count() -> None:
        nonlocal passes
        passes += 1

    with before_each_pass(count):
        detector = fit(subject, channels)
    return Training(detector, passes, global_generators() != before)


def fitted(subject: Subject, channels: int = 1) -> Detector:
    """The detector of ``training``."""
    return training(subject, channels).detector


@contextmanager
def before_each_pass(hook: Callable[[], None]) -> Iterator[None]:
    """Call ``hook`` before each forward pass of any torch module."""
    handle = torch_module.register_module_forward_pre_hook(lambda *_: hook())
    try:
        yield
    finally:
        handle.remove()


def global_generators() -> dict[str, tuple[int, int]]:
    """Checksums of the states of the global generators."""
    state: Any = np.random.get_state()  # noqa: NPY002
    _, keys, position, *_ = state
    return {
        "torch": (crc32(torch.get_rng_state().numpy().tobytes()), 0),
        "numpy": (crc32(keys.tobytes()), int(position)),
    }


def require_equal(
    subject: Subject, one: Detector, other: Detector, models: Sequence[str], what: str
) -> None:
    """Bit-equal scores of some models, history and facts; else ``Broken`` with ``what`` differs."""
    images = subject.tests()
    for model in models:
        scores, others = one.score(images, model), other.score(images, model)
        require(list(scores) == list(others), f"{what}: other components")
        for name in scores:
            apart = np.abs(scores[name].astype(float) - others[name]).max()
            require(
                scores[name].tobytes() == others[name].tobytes(),
                f"{what}: the component {name!r} of the model {model!r} differs, by up to "
                f"{apart:.3g}",
            )
    require(list(one.history) == list(other.history), f"{what}: another history")
    require(dict(one.facts) == dict(other.facts), f"{what}: other facts")


def positional(function: object) -> list[str]:
    """The names of the arguments of a method that may be given without them, but ``self``."""
    arguments = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return [each.name for each in arguments if each.kind is each.POSITIONAL_OR_KEYWORD][1:]
