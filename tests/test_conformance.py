"""Every method of the suite does what ``benchmark.conformance`` asks; the checks themselves.

``-k mistake -s`` prints what each method answers to the mistakes of its users.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmark.config import methods
from benchmark.conformance.checks import CHECKS, Check
from benchmark.conformance.mistakes import MISTAKES, answer
from benchmark.conformance.subject import NotApplicable, Subject

SMALL: dict[str, dict[str, Any]] = {
    "alocc": {"architecture": "released"},
    "anogan": {"width": 4, "search_steps": 5, "validation_steps": 2},
    "gpnd": {"width": 8, "latent": 4},
    "lsa": {"width": 2, "bins": 10},
    "ocgan": {"width": 2, "discriminator_width": 2, "mining_after": 1},
    "pixelcnn": {"width": 8, "blocks": 2, "head_width": 16},
}
"""Hyperparameters that keep a method fast, beside 3 epochs and batches of 16."""

LONGER: dict[str, int] = {
    "alocc": 15,
    "anogan": 25,
    "ocgan": 8,
}
"""Epochs until the scores of noise are those of outliers, where 4 are not enough."""

UNDIRECTED = {
    "ocgan": {"d", "dr"},  # a discriminator's output for images unlike its training images
    "cae": {"gradient"},  # of a model without the constraint
    "vae": {"gradient", "latent"},  # one term of a sum, near zero at first
    "vae_grad": {"latent"},
}
"""Components that need not be higher for noise than for inliers after a short training."""


def subject(slug: str) -> Subject:
    """A method of the suite with small hyperparameters."""
    return Subject(
        methods.METHODS[slug].path,
        json.dumps(SMALL.get(slug, {})),
        LONGER.get(slug, 4),
        frozenset(UNDIRECTED.get(slug, ())),
    )


@contextmanager
def skipping() -> Iterator[None]:
    """Skip a test whose check does not concern the method."""
    try:
        yield
    except NotApplicable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("slug", methods.METHODS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_holds(check: Check, slug: str, tmp_path: Path) -> None:
    with skipping():
        check(subject(slug), tmp_path)


@pytest.mark.parametrize("slug", methods.METHODS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_answered_in_one_line(mistake: str, slug: str, tmp_path: Path) -> None:
    with skipping():
        given = answer(subject(slug), mistake, tmp_path)
    print(f"\n{slug:10} | {mistake:30} | {given}", end="")
