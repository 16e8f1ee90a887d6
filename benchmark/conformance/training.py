"""Small trainings that the checks share, and comparisons of their outcomes."""

import inspect
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch

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


@cache
def fitted(subject: Subject, channels: int = 1) -> Detector:
    """The same once for all checks, which must leave it as it is."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    return fit(subject, channels)


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
