"""A digest of code, so that no result is older than the code that computes it.

Snakemake notices a change of a script, but not of a package that the script imports. Therefore the
``params`` of a rule have a digest of the syntax trees of all modules that the result depends on: an
edit of code reruns the rule; an edit of a comment, a docstring or the line breaks does not.
"""

import ast
import hashlib
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import cache_from_source
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.utils.files import atomic, sha256
from benchmark.utils.imports import (
    PACKAGES,
    find,
    imported_from,
    is_installed,
    parse,
    source,
    top,
)


def digest(*modules: str, without: Collection[str] = ()) -> str:
    """The sha256 of the code of some modules and of all that they import in the project.

    Modules outside of the project are followed within their own top-level packages. Nothing is
    imported. Modules and packages in ``without`` are left out, with what only they import;
    ``package.__init__`` leaves out no other module of the package. Raises ``InputError`` for a
    module that is missing or has a syntax error.
    """
    content = hashlib.sha256()
    for module in closure(*modules, without=without):
        content.update(f"{module}:{_read(module).code}".encode())
    return content.hexdigest()


def closure(*modules: str, without: Collection[str] = ()) -> tuple[str, ...]:
    """The modules and all that they import in the project, directly or not, sorted.

    Imports for type checkers only do not count. Arguments and errors are those of ``digest``.
    """
    packages = PACKAGES | {top(module) for module in modules}
    visited: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        names = (*_with_parents(module), f"{module}.__init__")
        left_out = any(name in without for name in names)
        if module not in visited and top(module) in packages and not left_out:
            visited.add(module)
            waiting += _read(module).imports
    return tuple(sorted(visited))


class _Module(NamedTuple):
    """What a digest takes from the syntax tree of a module: what it may import, its code."""

    names: tuple[str, ...]
    code: str

    @property
    def imports(self) -> Iterator[str]:
        """The modules among the names."""
        return filter(find, self.names)


@cache
def _read(module: str) -> _Module:
    path = source(module)
    key = f"{_here()} {sha256(path)} {module}"
    place = _place(path)
    if place is not None:
        with suppress(OSError, ValueError):
            known, names, code = place.read_text(encoding="utf-8").split("\n", 2)
            if known == f"{key} {_hash(names, code)}":
                return _Module(tuple(names.split()), code)
    # Past the cache of ``parse``: if the trees of all modules stayed in memory, every garbage
    # collection of the process would be slow.
    tree = parse.__wrapped__(module)
    read = _Module(_names(module, tree), _dump(tree))
    if place is not None and not sys.dont_write_bytecode:
        names = " ".join(read.names)
        with suppress(OSError, UnicodeError), atomic(place) as partial:
            text = f"{key} {_hash(names, read.code)}\n{names}\n{read.code}"
            partial.write_text(text, encoding="utf-8")
    return read


@cache
def _here() -> str:
    """The hash of this module, as another version may read another text from the same code."""
    return sha256(Path(__file__))


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _place(path: Path) -> Path | None:
    """Where the text of a source file is kept for other processes: beside Python's compiled file.

    Half of what a dry run does before its first job would be to read syntax trees. Nothing is kept
    in the folders of installed libraries, where it would outlast an uninstallation.
    """
    if is_installed(path):
        return None
    try:
        return Path(cache_from_source(str(path))).with_suffix(".digest")
    except NotImplementedError:
        return None


def _names(module: str, tree: ast.Module) -> tuple[str, ...]:
    """What a module's code imports anywhere, with the packages on the way: modules and others."""
    names = set(_with_parents(module))
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names.update(_with_parents(alias.name))
        elif isinstance(node, ast.ImportFrom):
            origin = imported_from(node, module)
            names.update(_with_parents(origin))
            # ``from package import name``: the name may be a module.
            names.update(f"{origin}.{alias.name}" for alias in node.names)
    return tuple(sorted(names - {module, ""}))


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The statements of a module, except those under ``if TYPE_CHECKING:``."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
        elif not isinstance(node, ast.expr):
            waiting += ast.iter_child_nodes(node)


def _with_parents(module: str) -> Iterator[str]:
    return accumulate(module.split("."), lambda package, name: f"{package}.{name}")


def _dump(value: Any) -> str:
    """A part of a syntax tree as text, without positions and docstrings (those of attributes too).

    Unlike ``ast.dump`` it needs no copy of the tree from which the docstrings are removed, and says
    the same in every version of Python: a newer one gives nodes more fields, which are empty where
    the code does not use what is new; some end the format in ``f"{x:{width}}"`` with an empty text.
    """
    if isinstance(value, ast.Expr) and isinstance(value.value, ast.Constant):
        return ""
    if isinstance(value, ast.JoinedStr):
        texts = [part for part in value.values if getattr(part, "value", None) != ""]
        return f"JoinedStr({_dump(texts)})"
    if isinstance(value, ast.AST):
        # The kind of a constant is how it was written: with or without the prefix u.
        fields = ((name, _dump(part)) for name, part in ast.iter_fields(value) if name != "kind")
        given = ",".join(f"{name}={text}" for name, text in fields if text not in ("None", "[]"))
        return f"{type(value).__name__}({given})"
    if isinstance(value, list):
        return f"[{','.join(filter(None, map(_dump, value)))}]"
    return ascii(value)
