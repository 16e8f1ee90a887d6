"""The methods: where each one is, and which hyperparameters it takes.

A method is a class with the interface of ``benchmark.detector``. Its hyperparameters are read from
the source text of its ``__init__``, so that a configuration is checked without importing methods,
and a method that is not installed is no error until it is used.

>>> defaults(METHODS["kde"].path)
{'bandwidth': None, 'grid': 'paper', 'variance': 0.95}
"""

import ast
import collections.abc
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import annotated_types
from pydantic import BaseModel, ConfigDict, create_model

from benchmark import detector
from benchmark.errors import InputError
from benchmark.utils import imports


@dataclass(frozen=True)
class Method:
    """A method's name in tables and figures, and its class as ``package.module:Class``."""

    title: str
    path: str


METHODS: Mapping[str, Method] = {
    "cae": Method("CAE", "gradcon.detectors:CAE"),
    "cae_grad": Method("CAE + Grad", "gradcon.detectors:GradCon"),
    "vae": Method("VAE", "gradcon.detectors:VAE"),
    "vae_grad": Method("VAE + Grad", "gradcon.detectors:GradConVAE"),
    "alocc": Method("ALOCC", "baselines.alocc:ALOCC"),
    "and_vae": Method("VAE (LSA network)", "baselines.and_vae:ANDVAE"),
    "anogan": Method("AnoGAN", "baselines.anogan:AnoGAN"),
    "dae": Method("DAE", "baselines.dae:DAE"),
    "dcae": Method("DCAE", "baselines.dcae:DCAE"),
    "deep_svdd": Method("Deep SVDD", "baselines.deep_svdd:DeepSVDD"),
    "gpnd": Method("GPND", "baselines.gpnd:GPND"),
    "kde": Method("KDE", "baselines.kde:KDE"),
    "lsa": Method("LSA", "baselines.lsa:LSA"),
    "ocgan": Method("OCGAN", "baselines.ocgan:OCGAN"),
    "ocsvm": Method("OCSVM", "baselines.ocsvm:OCSVM"),
    "pixelcnn": Method("PixelCNN", "baselines.pixelcnn:PixelCNN"),
}
"""The methods that a configuration can name without saying where they are."""


def create(path: str, params: Mapping[str, Any]) -> detector.Detector:
    """Import a method's class, ``package.module:Class``, and build it with its hyperparameters.

    Raises ``InputError`` if the class, or a package that it needs, is missing.
    """
    built: detector.Detector = imports.load(path)(**params)
    return built


@cache
def hyperparameters(path: str) -> type[BaseModel]:
    """The hyperparameters of ``package.module:Class`` as a pydantic model.

    They are the keyword-only arguments of the class's own or inherited ``__init__``. Annotations
    and defaults may use the built-in types, ``typing``, ``annotated_types``, the names of
    ``benchmark.detector``, and names that the module assigns or imports from the same project.

    Raises:
        InputError: no such module or class, or an ``__init__`` of another form.
    """
    module, name = imports.split(path)
    _, definition = _resolve(module, name) or (None, None)
    if not isinstance(definition, ast.ClassDef):
        raise InputError(f"{imports.find(module)} has no class {name!r}; correct `{path}`")
    module, init = _find_member(module, name, "__init__") or (module, None)
    if not isinstance(init, ast.FunctionDef):
        return create_model(name, __config__=_STRICT)
    arguments = init.args
    if len([*arguments.posonlyargs, *arguments.args]) > 1 or arguments.vararg or arguments.kwarg:
        raise InputError(
            f"{path}: the arguments of __init__ must be keyword-only and named; "
            "write `def __init__(self, *, ...)`"
        )
    namespace = _Namespace(module)
    fields: dict[str, Any] = {}
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        try:
            annotation = namespace.annotation(argument.annotation)
            value = ... if default is None else namespace.evaluate(default)
        except Exception as error:
            raise InputError(
                f"{path}: the argument {argument.arg!r} of __init__ cannot be read "
                f"({type(error).__name__}: {error}); use plain types, benchmark.detector's names "
                "or the module's own"
            ) from error
        fields[argument.arg] = (annotation, value)
    return create_model(name, __config__=_STRICT, **fields)


@cache
def image_sizes(path: str) -> Sequence[int]:
    """The image heights (= widths) in pixels that a method takes, its ``sizes``; empty for any."""
    sizes: Sequence[int] = _class_value(path, "sizes", ())
    return sizes


@cache
def is_deterministic(path: str) -> bool:
    """Whether a method gives the same for every seed, as its ``deterministic`` says."""
    return bool(_class_value(path, "deterministic", False))


@cache
def uses_gpu(path: str) -> bool:
    """Whether a method is to be given a GPU: ``uses_gpu`` of its class; True if it does not say."""
    return bool(_class_value(path, "uses_gpu", True))


def _class_value(path: str, name: str, default: Any) -> Any:
    """The value of a class's own or inherited attribute, read from the source."""
    module, node = _find_member(*imports.split(path), name) or ("", None)
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return default
    return _Namespace(module).evaluate(node.value)


@cache
def trains_in_stacks(path: str) -> bool:
    """Whether a method's class has ``fit_stack``; errors are those of ``hyperparameters``."""
    return _find_member(*imports.split(path), "fit_stack") is not None


@cache
def defaults(path: str) -> dict[str, Any]:
    """The default values of a method's hyperparameters, in the form of ``run.json``.

    Those of ``METHODS`` are the paper's or, for a compared method, of its own paper or code.
    """
    fields = hyperparameters(path).model_fields
    values = {name: field.default for name, field in fields.items() if not field.is_required()}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


_STRICT = ConfigDict(extra="forbid", strict=True, protected_namespaces=(), allow_inf_nan=False)


def _find_member(module: str, name: str, member: str) -> tuple[str, ast.stmt] | None:
    """What a class defines or inherits as ``member``, with its module; None if nothing."""
    module, definition = _resolve(module, name) or (module, None)
    if not isinstance(definition, ast.ClassDef):
        return None
    for statement in definition.body:
        if member in _names(statement):
            return module, statement
    bases = (base.value if isinstance(base, ast.Subscript) else base for base in definition.bases)
    inherited = (_find_member(module, ast.unparse(base), member) for base in bases)
    return next(filter(None, inherited), None)


def _names(statement: ast.stmt) -> list[str]:
    """The names that a statement defines: a function's, or those that it assigns to."""
    if isinstance(statement, ast.FunctionDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [target.id for target in targets if isinstance(target, ast.Name)]
    return []


@cache
def _resolve(module: str, name: str) -> tuple[str, ast.ClassDef | ast.expr] | None:
    """The class, or the expression, that a name in a module stands for, and the module it is in.

    None unless it is defined in the benchmark or in the project that the module belongs to.
    """
    tree = imports.parse(module)
    for node in reversed(tree.body):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and name in _names(node):
            return module, node.value
    prefix, _, last = name.rpartition(".")
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ImportFrom):
            package = f"{imports.imported_from(statement, module)}."
        elif isinstance(statement, ast.Import):
            package = ""
        else:
            continue
        for alias in statement.names:
            if (alias.asname or alias.name) == (prefix or last):
                whole = package + alias.name + (f".{last}" if prefix else "")
                source, _, original = whole.rpartition(".")
                in_project = imports.top(source) in imports.PACKAGES | {imports.top(module)}
                return _resolve(source, original) if in_project and imports.find(source) else None
    return None


_TYPES: Mapping[str, Any] = {
    **{
        name: value
        for module in (typing, collections.abc, annotated_types, detector)
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    },
    **{t.__name__: t for t in (bool, dict, float, frozenset, int, list, range, set, str, tuple)},
    "typing": typing,
    "annotated_types": annotated_types,
}


class _Namespace(dict[str, Any]):
    """What annotations and defaults can name: known types, and what the module itself assigns."""

    def __init__(self, module: str) -> None:
        super().__init__(_TYPES)
        self._module = module

    def __missing__(self, name: str) -> Any:
        module, definition = _resolve(self._module, name) or ("", None)
        if not isinstance(definition, ast.expr):
            raise KeyError(name)
        return _Namespace(module).evaluate(definition)

    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression, in which only the names of this namespace exist."""
        expression = compile(ast.Expression(node), self._module, "eval")
        return eval(expression, {"__builtins__": {}}, self)

    def annotation(self, node: ast.expr | None) -> Any:
        """The type that an annotation means, quoted or not; Any without an annotation."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = ast.parse(node.value, mode="eval").body
        return Any if node is None else self.evaluate(node)
