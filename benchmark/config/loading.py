"""Reading configuration files, and saying in one line per mistake what is wrong with them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from benchmark import external
from benchmark.config.data_check import check_data
from benchmark.config.methods import METHODS, hyperparameters
from benchmark.config.models import METHOD_KEYS, Config, DatasetConfig, suggestion
from benchmark.data import CHALLENGED
from benchmark.data.challenges import gtsrb
from benchmark.data.challenges.selection import CLEAN, Selection
from benchmark.errors import InputError
from benchmark.utils import shipped


def load(mapping: Mapping[str, Any], source: str = "config", data: bool = True) -> Config:
    """Check a configuration that was read already.

    >>> config = load({
    ...     "name": "example",
    ...     "seeds": [0],
    ...     "datasets": {"digits": {"source": "digits", "protocol": "folds"}},
    ...     "methods": {"cae_grad": {"epochs": 3}},
    ... })
    >>> config.methods["cae_grad"].title, config.methods["cae_grad"].params["epochs"]
    ('CAE + Grad', 3)

    The keys are those of ``config/README.md``. With ``data``, which what is computed from scores
    alone does without, the data sets' files are checked too, see ``check_data``.

    Raises:
        InputError: one line per problem: ``source``, key, what is wrong, what to do.
    """
    plain = _with_defaults(dict(mapping))
    try:
        config = Config.model_validate_json(json.dumps(plain, default=str))
    except ValidationError as error:
        lines = [f"{source}: {_message(problem, plain)}" for problem in error.errors()]
        raise InputError("\n".join(lines)) from None
    if data:
        check_data(config, source)
    return config


def read(*paths: Path, data: bool = True) -> Config:
    """Read and check configuration files; errors are those of ``merged`` and ``load``.

    >>> config = read(Path("config/demo.yaml"))
    >>> config.name, list(config.datasets)
    ('demo', ['digits'])
    """
    return load(merged(*paths), " + ".join(map(str, paths)), data)


def merged(*sources: Path | Mapping[str, Any]) -> dict[str, Any]:
    """The keys and values of configuration files or mappings, later ones in the place of earlier.

    Raises ``InputError`` for a file that is missing or is not a YAML mapping.
    """
    whole: dict[str, Any] = {}
    for source in sources:
        whole = _overridden(whole, _from_file(source) if isinstance(source, Path) else source)
    return whole


def _from_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(shipped.file(path).read_bytes(), _Loader)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a configuration file") from error
    except yaml.reader.ReaderError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: no keys at the top level; see config/README.md")
    return content


class _Loader(yaml.SafeLoader):
    """YAML 1.2, where 1e-4 is a number, and no, 010, 1:30 and 2020-01-01 are text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are text, as it is written; an error for a key that repeats."""
        keys: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in keys:
                problem = f"the key {key.value!r} is there twice, remove one"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            keys.add(str(key.value))
            if key.tag != "tag:yaml.org,2002:merge":
                key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {}
for _tag, _form, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(0|[1-9]\d*)", "-+0123456789"),
    ("float", r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})$"), list(_first)
    )


def _overridden(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one, the values of the second first."""
    both = {
        key: _overridden(base[key], value)
        for key, value in over.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), dict)
    }
    return base | dict(over) | both


def _with_defaults(mapping: dict[str, Any]) -> dict[str, Any]:
    """Add the values that follow from the key of a data set or method, or from its source."""
    filled = dict(mapping)
    for kind, fill in (("datasets", _dataset), ("methods", _method)):
        if isinstance(entries := mapping.get(kind), dict):
            filled[kind] = {key: fill(key, entry) for key, entry in entries.items()}
    return filled


def _dataset(key: str, entry: Any) -> Any:
    """A data set's entry with its title and, for a source with challenges, what is always so."""
    if not isinstance(entry, dict):
        return entry
    defaults: dict[str, Any] = {"title": key}
    if entry.get("source") in CHALLENGED:
        defaults |= {"protocol": "official", "inliers": [CLEAN], "challenges": {}}
    if entry.get("source") == "gtsrb_challenges":
        defaults["title"] = gtsrb.NAME[:1].upper() + gtsrb.NAME[1:]
    return defaults | entry


def _method(key: str, entry: Any) -> Any:
    """A method's entry with its title and class, and its hyperparameters under ``params``."""
    entry = entry or {}
    if not isinstance(entry, dict):
        return entry
    defaults = {"title": key}
    if method := METHODS.get(key):
        defaults |= {"title": method.title, "detector": method.path}
    own = {name: value for name, value in entry.items() if name in METHOD_KEYS}
    params = {name: value for name, value in entry.items() if name not in own}
    filled: dict[str, Any] = defaults | own | {"params": params}
    if filled.get("detector") == external.DETECTOR:
        filled["title"] = f"{str(filled['title']).removesuffix(external.MARK)}{external.MARK}"
    return filled


def _message(error: ErrorDetails, mapping: Mapping[str, Any]) -> str:
    """One problem as ``key: what is wrong; what to do``."""
    path = error["loc"]
    key = ".".join(str(part) for part in path if part not in ("params", "[key]"))
    last = str(path[-1]) if path else ""
    match error["type"]:
        case "extra_forbidden":
            text = f"unknown key; {suggestion(last, _accepted_keys(path, mapping))}"
        case "missing" if path[0] == "methods" and last == "detector":
            slug = str(path[1])
            key = f"methods.{slug}"
            text = (
                "no such method, and no `detector: package.module:Class` that says where it is; "
                f"{suggestion(slug, list(METHODS))}"
            )
        case "missing":
            text = "missing; add this key"
        case "too_short" if not error["input"]:
            text = "is empty; give at least one"
        case "value_error":
            text = str(error["ctx"]["error"])
        case "string_pattern_mismatch":
            text = f"{error['input']!r} becomes part of paths; write lower-case letters, digits, _"
        case "model_type" | "dict_type":
            text = f"keys belong here, not {error['input']!r}; see config/README.md"
        case _:
            message = error["msg"].removeprefix("Input ")
            text = f"{message[:1].lower()}{message[1:]}, not {error['input']!r}"
    return f"{key}: {text}"


def _accepted_keys(path: tuple[int | str, ...], mapping: Mapping[str, Any]) -> list[str]:
    """The keys that exist where an unknown one was given."""
    if path[0] == "datasets" and len(path) > 1:
        return list((Selection if path[2] == "challenges" else DatasetConfig).model_fields)
    if path[0] == "methods" and len(path) > 1:
        model = hyperparameters(mapping["methods"][path[1]]["detector"])
        return [*model.model_fields, *METHOD_KEYS]
    return list(Config.model_fields)
