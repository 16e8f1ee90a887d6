"""A digest of code, so that numbers are never older than the code that they come from.

Snakemake sees a change of a script, but not of a package that the script imports. A digest in a
rule's ``params`` does: it covers the syntax trees of the modules that a result depends on, so that
an edit of code reruns it, and an edit of a comment, a docstring or the layout does not.
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
        without: modules and packages to leave out with what only they import, because all they do
            shows in a rule's inputs and other params.

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
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        left_out = any(name in without for name in _with_parents(module))
        if module not in found and top(module) in packages and not left_out:
            found.add(module)
            waiting += _imports(module)
    return tuple(sorted(found))


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
            # What is imported from a package may be a module of it or a name in it.
            names.update(f"{source}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names - {module} if find(name))


def _run_time(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree, less those under ``if TYPE_CHECKING:``."""
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
    """Drops bare strings: docstrings, and those below a module's or a class's attributes."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Keep whatever does something."""
        bare = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if bare else node
