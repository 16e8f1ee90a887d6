"""Hyperparameters read from source text: held to what importing the class says."""

import importlib
import inspect
import sys

import pytest
from pydantic import ValidationError

from benchmark.config.methods import METHODS, create, hyperparameters
from benchmark.errors import InputError
from benchmark.utils import imports

INSTALLED = {
    slug: method for slug, method in METHODS.items() if imports.find(method.path.split(":")[0])
}


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Write modules, by dotted name, that fail when they are imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(importable=False, **files):
        for name, text in files.items():
            path = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in path.relative_to(tmp_path).parents:
                if folder.name and not (tmp_path / folder / "__init__.py").exists():
                    (tmp_path / folder / "__init__.py").write_text("")
            path.write_text(text + ("" if importable else "\nraise RuntimeError('imported')\n"))

    return write


@pytest.mark.parametrize("slug", INSTALLED)
def test_the_text_says_what_the_class_says(slug):
    path = METHODS[slug].path
    module, name = path.split(":")
    arguments = dict(
        inspect.signature(getattr(importlib.import_module(module), name).__init__).parameters
    )
    del arguments["self"]
    fields = hyperparameters(path).model_fields
    assert list(fields) == list(arguments)
    for argument, parameter in arguments.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert fields[argument].default == parameter.default
        assert not fields[argument].is_required(), f"{argument} has no default"


@pytest.mark.parametrize("slug", INSTALLED)
def test_defaults_are_valid_and_build_the_class(slug):
    params = hyperparameters(METHODS[slug].path).model_validate_json("{}").model_dump()
    assert type(create(METHODS[slug].path, params)).__name__ == METHODS[slug].path.split(":")[1]


def test_slugs_and_titles_are_unique():
    assert len({method.title for method in METHODS.values()}) == len(METHODS)
    assert len({method.path for method in METHODS.values()}) == len(METHODS)


def test_types_ranges_and_defaults(source):
    source(
        mine="""
from typing import Annotated, Literal
from annotated_types import Interval
from benchmark.detector import PositiveInt, Fraction

KINDS = Literal["a", "b"]
WIDTH = 8

class Mine:
    def __init__(
        self,
        *,
        width: PositiveInt = 2 * WIDTH,
        kind: KINDS = "b",
        widths: tuple[int, ...] = (1, 2),
        share: "Fraction" = 0.5,
        angle: Annotated[float, Interval(gt=-1, lt=1)] = -0.5,
        level: int | None = None,
        needed: bool,
    ): ...
"""
    )
    model = hyperparameters("mine:Mine")
    assert model.model_validate_json('{"needed": true}').model_dump() == {
        "width": 16,
        "kind": "b",
        "widths": (1, 2),
        "share": 0.5,
        "angle": -0.5,
        "level": None,
        "needed": True,
    }
    for wrong in (
        "{}",
        '{"needed": 1}',
        '{"needed": true, "width": 0}',
        '{"needed": true, "width": 1.5}',
        '{"needed": true, "kind": "c"}',
        '{"needed": true, "share": 1.1}',
        '{"needed": true, "angle": 1}',
        '{"needed": true, "other": 1}',
        '{"needed": true, "widths": ["1"]}',
    ):
        with pytest.raises(ValidationError):
            model.model_validate_json(wrong)
    assert "mine" not in sys.modules


def test_inherited_across_modules_of_the_project(source):
    source(
        lab__base="""
from ._names import SIZE as LARGE
class Base:
    def __init__(self, *, size: int = LARGE): ...
""",
        lab___names="SIZE = 5",
        lab__methods="""
from abc import ABC
import torch.nn as nn
import lab.base
from lab.base import Base as Root
class Plain(ABC): ...
class First(Root): ...
class Second(nn.Module, lab.base.Base): ...
class Third(First):
    def __init__(self, *, depth: int = 3): ...
""",
        lab__reexported="from .methods import Third as Best",
    )
    assert list(hyperparameters("lab.methods:First").model_fields) == ["size"]
    assert hyperparameters("lab.methods:Second").model_fields["size"].default == 5
    assert list(hyperparameters("lab.methods:Third").model_fields) == ["depth"]
    assert list(hyperparameters("lab.methods:Plain").model_fields) == []
    assert list(hyperparameters("lab.reexported:Best").model_fields) == ["depth"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("class Other: ...", "no class 'Mine'"),
        ("class Mine:\n    def __init__(self, width=3): ...", "keyword-only"),
        ("class Mine:\n    def __init__(self, **rest): ...", "keyword-only"),
        ("class Mine:\n    def __init__(self, *, x: Strange = 3): ...", "'x'"),
        ("class Mine:\n    def __init__(self, *, x: int = open('f')): ...", "'x'"),
        ("class Mine(:", "syntax"),
    ],
)
def test_a_class_that_cannot_be_read_is_named(source, code, says):
    name = f"unreadable_{abs(hash(code))}"
    source(**{name: code})
    with pytest.raises(InputError, match=name) as caught:
        hyperparameters(f"{name}:Mine")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_create_names_what_is_missing(source):
    with pytest.raises(InputError, match=r"nowhere\.here"):
        create("nowhere.here:Mine", {})
    source(
        importable=True,
        needy="import a_package_that_nobody_has\nclass Mine: ...",
        simple="class Mine:\n    def __init__(self, *, width=1): self.width = width",
    )
    with pytest.raises(InputError, match="a_package_that_nobody_has"):
        create("needy:Mine", {})
    with pytest.raises(InputError, match="'Yours'"):
        create("simple:Yours", {})
    assert create("simple:Mine", {"width": 4}).width == 4
