"""What every method that derives from ``BaseDetector`` answers to the mistakes of its user."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.base_detector import BaseDetector
from benchmark.config import methods
from benchmark.conformance.subject import NotApplicable, Subject, require
from benchmark.conformance.training import TRAIN, VALIDATION, fitted
from benchmark.detector import Images
from benchmark.errors import InputError


@dataclass(frozen=True)
class Mistake:
    """Something that a user does wrong, and the error that every method must answer with."""

    make: Callable[[Subject, Path], object]
    error: type[Exception]
    message: str
    """A regular expression: what is wrong, and what to do."""


def _out_of_range(subject: Subject) -> dict[str, Any]:
    """A hyperparameter below its range: the epochs, or another one where there are none."""
    fields = methods.hyperparameters(subject.path)
    if "epochs" in fields.model_fields:
        return {"epochs": 0}
    for name in (*numeric(subject, "integer"), *numeric(subject, "number")):
        try:
            fields.model_validate({name: -1})
        except ValueError:
            return {name: -1}
    raise NotApplicable("has no number with a range among its hyperparameters")


def _first(subject: Subject, kind: str) -> str:
    for name in numeric(subject, kind):
        return name
    raise NotApplicable(f"has no hyperparameter that is {kind}")


def numeric(subject: Subject, kind: str) -> list[str]:
    """The hyperparameters of a JSON type: "integer" or "number"."""
    schema = methods.hyperparameters(subject.path).model_json_schema()["properties"]
    return [
        name
        for name, value in schema.items()
        if kind in (value.get("type"), *(each.get("type") for each in value.get("anyOf", ())))
    ]


def _load_changed(file: str, content: bytes | None) -> Callable[[Subject, Path], object]:
    """Load a saved detector of which one file is another (None: the first half of itself)."""

    def load(subject: Subject, folder: Path) -> object:
        detector = fitted(subject)
        detector.save(folder)
        path = folder / file
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content is None else content)
        return type(detector).load(folder)

    return load


def _load_with(key: str, value: object) -> Callable[[Subject, Path], object]:
    """Load a saved detector whose ``detector.json`` has another value of a key."""

    def load(subject: Subject, folder: Path) -> object:
        detector = fitted(subject)
        detector.save(folder)
        path = folder / "detector.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
        return type(detector).load(folder)

    return load


def _load_without_last(subject: Subject, folder: Path) -> object:
    fitted(subject).save(folder)
    (folder / "last.safetensors").unlink()
    return type(fitted(subject)).load(folder)


def _fit_with(**arguments: Any) -> Callable[[Subject, Path], object]:
    """Fit with arguments that are no seed or no device."""
    return lambda subject, folder: subject.create().fit(subject.inliers(*TRAIN), **arguments)


def _fit_on_no_gpu(subject: Subject, folder: Path) -> object:
    if not _any(subject.create()).uses_gpu:
        raise NotApplicable("computes on the CPU wherever it is called")
    return _fit_with(device="cuda:99")(subject, folder)


def _positional(subject: Subject, folder: Path) -> object:
    return type(subject.create())(3)  # type: ignore[call-arg]


def _subclass_with(definition: str) -> Callable[[Subject, Path], object]:
    """Derive a class with another ``__init__``."""

    def derive(subject: Subject, folder: Path) -> object:
        names: dict[str, Any] = {}
        exec(definition, names)
        return type("Mine", (type(subject.create()),), {"__init__": names["__init__"]})

    return derive


def _as_list(images: Images) -> Any:
    return list(images)


def _any(detector: object) -> Any:
    """A detector that may be used against its types."""
    return detector


KEYWORD_ONLY = r".+:Mine: write `def __init__\(self, \*, \.\.\.\)`, with named arguments only"
SEED_RANGE = r"give \w+ a whole number of at least 0"
DEVICES = r"give \w+ cpu, cuda or cuda:1"
EPOCHS = r"give \w+ a list of epochs, each from 1"
NO_GPU = r"device is 'cuda:99', but torch sees \d+ GPUs here \(nvidia-smi lists them\); give cpu"
UNREADABLE = r"detector\.json: cannot be read \(.+\); name a directory that \w+ has saved"
NO_ARRAY = r"images are a list; give \w+ a NumPy array"
NOT_FITTED = r"\w+ is not fitted: call fit or load first"
MISTAKES = {
    "a hyperparameter out of range": Mistake(
        lambda subject, folder: subject.create(**_out_of_range(subject)),
        InputError,
        r"\w+ is (0|-1); give \w+ .*number.*",
    ),
    "a hyperparameter of another kind": Mistake(
        lambda subject, folder: subject.create(**{_first(subject, "integer"): 2.5}),
        InputError,
        r"\w+ is 2\.5; give \w+ .*whole number.*",
    ),
    "a text for a number": Mistake(
        lambda subject, folder: subject.create(**{_first(subject, "number"): "0.5"}),
        InputError,
        r"\w+ is '0\.5'; give \w+ .*number.*",
    ),
    "a hyperparameter without a name": Mistake(
        _positional, InputError, r"\w+: give each hyperparameter by its name, as name=value"
    ),
    "a subclass with **": Mistake(
        _subclass_with("def __init__(self, **keywords): pass"), InputError, KEYWORD_ONLY
    ),
    "a subclass with *": Mistake(
        _subclass_with("def __init__(self, *values): pass"), InputError, KEYWORD_ONLY
    ),
    "a subclass with a positional argument": Mistake(
        _subclass_with("def __init__(self, epochs=3): pass"), InputError, KEYWORD_ONLY
    ),
    "no seed": Mistake(_fit_with(seed=None), InputError, r"seed is None; " + SEED_RANGE),
    "a negative seed": Mistake(_fit_with(seed=-1), InputError, r"seed is -1; " + SEED_RANGE),
    "half a seed": Mistake(_fit_with(seed=0.5), InputError, r"seed is 0\.5; " + SEED_RANGE),
    "a seed as text": Mistake(_fit_with(seed="1"), InputError, r"seed is '1'; " + SEED_RANGE),
    "unknown device": Mistake(_fit_with(device="gpu"), InputError, r"device is 'gpu'; " + DEVICES),
    "device without number": Mistake(
        _fit_with(device="cuda:"), InputError, r"device is 'cuda:'; " + DEVICES
    ),
    "no device": Mistake(_fit_with(device=None), InputError, r"device is None; " + DEVICES),
    "no such GPU": Mistake(_fit_on_no_gpu, InputError, NO_GPU),
    "an unknown hyperparameter": Mistake(
        lambda subject, folder: subject.create(unheard_of=1),
        InputError,
        r"\w+ has no hyperparameter 'unheard_of'; it has .+",
    ),
    "milestones as text": Mistake(
        _fit_with(milestones="12"), InputError, r"milestones is \['1', '2'\]; " + EPOCHS
    ),
    "one milestone": Mistake(_fit_with(milestones=5), InputError, "milestones is 5; " + EPOCHS),
    "a milestone before the first epoch": Mistake(
        _fit_with(milestones=(0,)), InputError, r"milestones is \[0\]; " + EPOCHS
    ),
    "a milestone past the last epoch": Mistake(
        lambda subject, folder: fitted(subject).score(subject.tests(), "epoch-99999"),
        KeyError,
        r".no model 'epoch-99999': there are best, last.*, of \d+ epochs.",
    ),
    "labels as validation images": Mistake(
        lambda subject, folder: subject.create().fit(subject.inliers(*TRAIN), _any(np.ones(3))),
        InputError,
        r"validation images are of shape \(3,\); give \w+ inliers of shape .+, and no labels",
    ),
    "a path for images": Mistake(
        lambda subject, folder: subject.create().fit(_any("parts/good")),
        InputError,
        r"images are a str; give \w+ a NumPy array",
    ),
    "fit to no images": Mistake(
        lambda subject, folder: subject.create().fit(subject.inliers(0, 0), subject.inliers(0, 0)),
        InputError,
        r"\w+ needs at least \d+ training images and 1 validation image, not 0 and 0: add some",
    ),
    "fit to one image": Mistake(
        lambda subject, folder: subject.create().fit(subject.inliers(0, 1)),
        InputError,
        r"\w+ needs at least \d+ training images and 1 validation image, not 0 and 1: add some",
    ),
    "validation images of another shape": Mistake(
        lambda subject, folder: subject.create().fit(
            subject.inliers(*TRAIN), subject.inliers(*VALIDATION, 3)
        ),
        InputError,
        r"training images are \(28, 28, 1\), validation \(28, 28, 3\): give both the same shape",
    ),
    "fit to a list": Mistake(
        lambda subject, folder: subject.create().fit(
            _as_list(subject.inliers(*TRAIN)), subject.inliers(*VALIDATION), seed=0
        ),
        InputError,
        NO_ARRAY,
    ),
    "score a list": Mistake(
        lambda subject, folder: fitted(subject).score(_as_list(subject.tests())),
        InputError,
        NO_ARRAY,
    ),
    "score before fit": Mistake(
        lambda subject, folder: subject.create().score(subject.tests()), RuntimeError, NOT_FITTED
    ),
    "anomaly_score before fit": Mistake(
        lambda subject, folder: _any(subject.create()).anomaly_score(subject.tests()),
        RuntimeError,
        NOT_FITTED,
    ),
    "save before fit": Mistake(
        lambda subject, folder: subject.create().save(folder), RuntimeError, NOT_FITTED
    ),
    "load an empty folder": Mistake(
        lambda subject, folder: type(subject.create()).load(folder), InputError, UNREADABLE
    ),
    "load, path as text": Mistake(
        lambda subject, folder: _any(subject.create()).load(str(folder)), InputError, UNREADABLE
    ),
    "load a file": Mistake(
        lambda subject, folder: _any(subject.create()).load(__file__), InputError, UNREADABLE
    ),
    "load nothing": Mistake(
        lambda subject, folder: _any(subject.create()).load(None),
        InputError,
        UNREADABLE,
    ),
    **{
        f"{key} is {json.dumps(value)}": Mistake(
            _load_with(key, value),
            InputError,
            UNREADABLE.replace(".+", re.escape(f"{key} is {value!r}; give it {allowed}")),
        )
        for key, value, allowed in [
            ("hyperparameters", None, "a dictionary"),
            ("shape", None, "height, width and channels"),
            ("shape", "abc", "height, width and channels"),
            ("shape", [28, 28], "height, width and channels"),
            ("history", 3, "a list"),
            ("history", [3], "a list"),
            ("facts", None, "a dictionary"),
            ("seconds", "long", "a number"),
        ]
    },
    "detector.json is {}": Mistake(
        _load_changed("detector.json", b"{}"), InputError, UNREADABLE.replace(".+", "no .+ in it")
    ),
    "detector.json is a list": Mistake(
        _load_changed("detector.json", b"[]"),
        InputError,
        UNREADABLE.replace(".+", r"content is \[\]; give it a dictionary"),
    ),
    "detector.json of another class": Mistake(
        _load_changed("detector.json", b'{"detector": "elsewhere:Other"}'),
        InputError,
        UNREADABLE.replace(".+", r"holds a elsewhere:Other, not a .+"),
    ),
    "detector.json is cut": Mistake(_load_changed("detector.json", None), InputError, UNREADABLE),
    "best.safetensors is cut": Mistake(
        _load_changed("best.safetensors", None),
        InputError,
        r"best\.safetensors: missing, damaged or [^;]+; name a directory that \w+ has saved",
    ),
    "last.safetensors is missing": Mistake(
        _load_without_last,
        InputError,
        r"last\.safetensors: missing, damaged or [^;]+; name a directory that \w+ has saved",
    ),
}


def answer(subject: Subject, mistake: str, folder: Path) -> str:
    """What the method answers to a mistake of ``MISTAKES``; ``Broken`` if that is not as it must.

    ``folder`` is empty. ``NotApplicable`` without the base class, or nothing to do wrong.
    """
    case = MISTAKES[mistake]
    if not isinstance(subject.create(), BaseDetector):
        raise NotApplicable("does not derive from BaseDetector")
    try:
        case.make(subject, folder)
    except NotApplicable:
        raise
    except Exception as error:
        given = f"{type(error).__name__}: {str(error).replace(str(folder), 'FOLDER')}"
        as_said = type(error) is case.error and re.fullmatch(f"(.*/)?{case.message}", str(error))
        require(as_said, f"it answers {given}; expected {case.error.__name__}: {case.message}")
        return given
    require(False, f"it is taken without a word; expected {case.error.__name__}: {case.message}")
    return ""
