"""A digest of code, so that no result is older than the code that computes it.

Snakemake notices a change of a script, but not of a package that the script imports. Therefore the
``params`` of a rule have a digest of the syntax trees of all modules that the result depends on: an
edit of code reruns the rule; an edit of a comment, a docstring or the line breaks does not.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator
from copy import deepcopy
from functools import cache

from benchmark.utils.imports import PACKAGES, find, imported_from, parse, top


def digest(*modules: str, without: Collection[str] = ()) -> str:
    """The sha256 of the code of some modules and of all that they import in the project.

    Modules outside of the project are followed within their own top-level packages. Nothing is
    imported.

    Args:
        *modules: dotted names.
        without: modules and packages to leave out, with the modules that only they import.

    Raises:
        InputError: a module is missing or has a syntax error.
    """
    content = hashlib.sha256()
    for module in closure(*modules, without=without):
        content.update(f"{module}:{_code(module)}".encode())
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
        left_out = any(name in without for name in _with_parents(module))
        if module not in visited and top(module) in packages and not left_out:
            visited.add(module)
            waiting += _imports(module)
    return tuple(sorted(visited))


@cache
def _imports(module: str) -> frozenset[str]:
    """The modules that a module's code imports anywhere, with the packages on the way."""
    names = set(_with_parents(module))
    for node in _run_time(parse(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names.update(_with_parents(alias.name))
        elif isinstance(node, ast.ImportFrom):
            source = imported_from(node, module)
            names.update(_with_parents(source))
            # ``from package import name``: the name may be a module.
            names.update(f"{source}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names - {module} if find(name))


def _run_time(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree, except those under ``if TYPE_CHECKING:``."""
    yield node
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = iter(node.orelse)
    for child in children:
        yield from _run_time(child)


def _with_parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


@cache
def _code(module: str) -> str:
    return ast.dump(_WithoutText().visit(deepcopy(parse(module))))


class _WithoutText(ast.NodeTransformer):
    """Removes docstrings, those of attributes included."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Remove an expression that is only a string."""
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else node
