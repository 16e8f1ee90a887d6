"""Find, read and load classes by import path, ``package.module:Class``.

Finding and parsing a module imports neither it nor its parent packages, so that a configuration is
checked, and a digest computed, without importing a deep-learning library.
"""

import ast
import importlib
import importlib.util
import sysconfig
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from benchmark.errors import InputError

PACKAGES = frozenset({"baselines", "benchmark", "gradcon"})
"""The packages of the project."""

_LIBRARIES = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
"""The folders of installed libraries."""


def top(module: str) -> str:
    """The top-level package or module that a module belongs to."""
    return module.partition(".")[0]


@cache
def find(module: str) -> Path | None:
    """The source file of a module or package (its ``__init__.py``); None if there is none."""
    name, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def is_installed(file: Path) -> bool:
    """Whether a source file lies in a folder of installed libraries."""
    return any(file.is_relative_to(folder) for folder in _LIBRARIES)


def source(module: str) -> Path:
    """The source file of a module; ``InputError`` if there is none."""
    path = find(module)
    if path is None:
        raise InputError(f"no module {module!r} here; correct its name or install it")
    return path


@cache
def parse(module: str) -> ast.Module:
    """The syntax tree of a module; ``InputError`` if there is none, or a syntax error in it."""
    path = source(module)
    try:
        return ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: {error.msg}; correct the syntax") from error


def imported_from(node: ast.ImportFrom, module: str) -> str:
    """The module that ``from ... import`` in a module's code names, relative or not."""
    if not node.level:
        return node.module or ""
    path = find(module)
    package = module.split(".")
    above = node.level - (path is not None and path.name == "__init__.py")
    return ".".join([*package[: len(package) - above], *filter(None, [node.module])])


def split(path: str) -> tuple[str, str]:
    """Module and class name of an import path; ``InputError`` for another form."""
    module, _, name = path.partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise InputError(f"{path!r} is no import path; write `package.module:Class`")
    return module, name


def load(path: str) -> Any:
    """Import ``package.module:Class``; ``InputError`` if it, or a package it needs, is missing."""
    module, name = split(path)
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"{path} needs {error.name!r}, which is not installed") from error
    try:
        return getattr(imported, name)
    except AttributeError as error:
        raise InputError(f"{imported.__file__} has no class {name!r}; correct {path!r}") from error
