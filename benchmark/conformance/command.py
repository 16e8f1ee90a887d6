"""Check that a class does what the benchmark asks of a method, and say in words what breaks.

>>> python -m benchmark conformance mylab:Mine --hyperparameters '{"width": 4}'  # doctest: +SKIP

Run it where Python finds the class: in the folder of ``mylab.py``, or with it installed. It trains
on some digits, a few times. Everything that is checked must hold; docs/adding_a_method.md has an
example of 30 lines of which it does.
"""

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmark.config import methods
from benchmark.conformance.checks import CHECKS
from benchmark.conformance.mistakes import MISTAKES, answer
from benchmark.conformance.subject import Broken, NotApplicable, Subject
from benchmark.errors import InputError
from benchmark.utils import imports


class Outcome(NamedTuple):
    """What came of a check: a ``problem``, or why it was ``skipped``; neither if it holds."""

    statement: str
    problem: str = ""
    skipped: str = ""


def outcomes(subject: Subject) -> Iterator[Outcome]:
    """Every check of a method, one after the other."""
    for check in CHECKS:
        yield _outcome(_statement(check), partial(check, subject))
    for mistake in MISTAKES:
        yield _outcome(f"Answered in one line: {mistake}.", partial(answer, subject, mistake))


def require_class(subject: Subject) -> None:
    """Refuse a path that names no class, or hyperparameters that it does not take.

    Raises:
        InputError: one line.
    """
    try:
        imports.load(subject.path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{subject.path} cannot be imported ({_in_words(error)})") from error
    unknown = subject.hyperparameters.keys() - subject.fields.keys()
    if unknown:
        names = ", ".join(subject.fields) or "none"
        raise InputError(f"{subject.path} has no hyperparameter {min(unknown)!r}; it has {names}")


def _outcome(statement: str, check: Callable[[Path], object]) -> Outcome:
    with TemporaryDirectory() as folder:
        try:
            check(Path(folder))
        except NotApplicable as reason:
            return Outcome(statement, skipped=str(reason))
        except Broken as broken:
            return Outcome(statement, problem=str(broken))
        except Exception as error:
            return Outcome(statement, problem=_in_words(error))
    return Outcome(statement)


def _statement(check: object) -> str:
    return " ".join(str(check.__doc__).split("\n\n")[0].split()).replace("``", "")


def _in_words(error: Exception) -> str:
    """An error of the method's own code, with the line that raised it."""
    place, trace = "", error.__traceback__
    while trace:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {' '.join(str(error).split())} ({place})"


def _json(text: str) -> str:
    try:
        if isinstance(json.loads(text), dict):
            return text
    except ValueError:
        pass
    raise ArgumentTypeError(f'{text!r} is no JSON mapping, such as {{"width": 4}}')


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command ``conformance``."""
    parser.add_argument("detector", metavar="PACKAGE.MODULE:CLASS", help="or a key such as kde")
    parser.add_argument(
        "--hyperparameters",
        type=_json,
        default="{}",
        metavar="JSON",
        help="small ones; unless they are named, epochs are 3 and batches 16",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=8,
        metavar="N",
        help="after which outliers must have higher scores (8)",
    )
    parser.add_argument(
        "--undirected",
        nargs="+",
        default=[],
        metavar="COMPONENT",
        help="components that need not be higher for outliers after so few epochs",
    )


def run(chosen: Namespace) -> int:
    """Print a line per check; the exit status is 1 unless all hold."""
    known = methods.METHODS.get(chosen.detector)
    subject = Subject(
        known.path if known else chosen.detector,
        chosen.hyperparameters,
        chosen.epochs,
        frozenset(chosen.undirected),
    )
    require_class(subject)
    held, broken = 0, []
    for outcome in outcomes(subject):
        mark = "BROKEN" if outcome.problem else "-" if outcome.skipped else "holds"
        why = outcome.problem or outcome.skipped
        print(f"{mark:6}  {outcome.statement}{f' {why}' * bool(why)}", flush=True)
        held += mark == "holds"
        broken += [outcome] * bool(outcome.problem)
    print(f"{subject.path}: {held} checks hold, {len(broken)} are broken.")
    return int(bool(broken))
