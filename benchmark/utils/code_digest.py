"""A digest of code, so that no result is older than the code that computes it.

Snakemake notices a change of a script, but not of a package that the script imports. Therefore the
``params`` of a rule have a digest of the syntax trees of all modules that the result depends on: an
edit of code reruns the rule; an edit of a comment, a docstring or the line breaks does not.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

from benchmark.utils.imports import PACKAGES, find, imported_from, parse, top


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
    """What a digest takes from the syntax tree of a module: the modules it imports, its code."""

    imports: frozenset[str]
    code: str


@cache
def _read(module: str) -> _Module:
    # Past the cache of ``parse``: if the trees of all modules stayed in memory, every garbage
    # collection of the process would be slow.
    tree = parse.__wrapped__(module)
    return _Module(_imports(module, tree), _dump(tree))


def _imports(module: str, tree: ast.Module) -> frozenset[str]:
    """The modules that a module's code imports anywhere, with the packages on the way."""
    names = set(_with_parents(module))
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names.update(_with_parents(alias.name))
        elif isinstance(node, ast.ImportFrom):
            source = imported_from(node, module)
            names.update(_with_parents(source))
            # ``from package import name``: the name may be a module.
            names.update(f"{source}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names - {module} if find(name))


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

    Unlike ``ast.dump`` it needs no copy of the tree from which the docstrings are removed.
    """
    if isinstance(value, list):
        return f"[{','.join(filter(None, map(_dump, value)))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    if isinstance(value, ast.Expr) and isinstance(value.value, ast.Constant):
        return ""
    fields = ",".join(_dump(field) for _, field in ast.iter_fields(value))
    return f"{type(value).__name__}({fields})"
