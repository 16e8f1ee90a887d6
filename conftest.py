"""Options of the conformance test, for authors of methods; tests without deadlines."""

import json

import hypothesis
import pytest

from benchmark.config import methods
from benchmark.errors import InputError
from benchmark.utils import imports

# A busy machine is no failure: nothing here is timed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--detector`` and ``--hyperparameters``."""
    group = parser.getgroup("conformance", "conformance of a detector (tests/test_conformance.py)")
    group.addoption(
        "--detector",
        action="append",
        metavar="PACKAGE.MODULE:CLASS",
        help="test this detector in place of the registered ones; may be repeated",
    )
    group.addoption(
        "--hyperparameters",
        default="{}",
        metavar="JSON",
        help="its hyperparameters, small ones, such as '{\"width\": 4}'; by default epochs are 3 "
        "and batches 16",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a detector or hyperparameters that are not there, before a test is collected."""
    try:
        for path in config.getoption("--detector") or ():
            imports.load(path)
            methods.hyperparameters(path)
    except InputError as error:
        raise pytest.UsageError(f"--detector: {error}") from error
    try:
        json.loads(config.getoption("--hyperparameters"))
    except ValueError as error:
        raise pytest.UsageError(f"--hyperparameters: no JSON ({error})") from error
