"""Reading and checking configuration files."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import (
    ValidationError,
)
from pydantic_core import ErrorDetails

from benchmark.config.methods import METHODS, hyperparameters
from benchmark.config.models import Config, DatasetConfig, _choice
from benchmark.data import CHALLENGED
from benchmark.data.challenges.gtsrb import NAME as STAND_IN
from benchmark.data.challenges.selection import CLEAN
from benchmark.errors import InputError


def load(mapping: Mapping[str, Any], source: str = "config", data: bool = True) -> Config:
    """Check a configuration.

    Args:
        mapping: what the file says.
        source: the file or files, for the messages.
        data: whether to look at the data sets' files: that they exist, have the protocol's split
            and the inlier classes. They are not needed once there are scores.

    Raises:
        InputError: one line per problem: file, key, what is wrong, what to do.
    """
    return _checked(_with_defaults(_numbers(dict(mapping))), source, data)


def check_data(config: Config, source: str = "config") -> None:
    """Look at the data sets' files, for a configuration that was loaded without.

    Raises:
        InputError: as ``load`` does.
    """
    _checked(config.model_dump(mode="json"), source, data=True)


def _checked(plain: Mapping[str, Any], source: str, data: bool) -> Config:
    try:
        return Config.model_validate_json(json.dumps(plain, default=str), context=data)
    except ValidationError as error:
        lines = [f"{source}: {_line(problem, plain)}" for problem in error.errors()]
        raise InputError("\n".join(lines)) from None


def read(*paths: Path, data: bool = True) -> Config:
    """Load configuration files; later ones override the keys of earlier ones.

    Raises:
        InputError: a file is missing or no YAML mapping, or as ``load`` does.
    """
    return load(merged(*paths), " + ".join(map(str, paths)), data)


def merged(*paths: Path) -> dict[str, Any]:
    """What configuration files say together, unchecked.

    Raises:
        InputError: a file is missing or no YAML mapping.
    """
    import yaml

    whole: dict[str, Any] = {}
    for path in paths:
        try:
            content = yaml.safe_load(path.read_text())
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; name a configuration file") from error
        except yaml.YAMLError as error:
            raise InputError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
        if not isinstance(content, dict):
            raise InputError(f"{path}: no keys at the top level; see config/README.md")
        whole = _merged(whole, content)
    return whole


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(base[key], value)
        for key, value in over.items()
        if isinstance(value, dict) and isinstance(base.get(key), dict)
    }
    return base | over | both


def _numbers(value: Any) -> Any:
    """Turn 1e-4 into a number, as its author meant it: in YAML 1.1 it is a text."""
    if isinstance(value, Mapping):
        return {str(key): _numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def _with_defaults(mapping: dict[str, Any]) -> dict[str, Any]:
    """Fill in what follows from the keys of data sets and methods."""
    filled = dict(mapping)
    if isinstance(datasets := mapping.get("datasets"), dict):
        filled["datasets"] = {
            key: {"title": key} | _challenged(entry) | entry if isinstance(entry, dict) else entry
            for key, entry in datasets.items()
        }
    if isinstance(methods := mapping.get("methods"), dict):
        filled["methods"] = {key: _method(key, entry or {}) for key, entry in methods.items()}
    return filled


def _challenged(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What follows for a data set from its being one of challenges."""
    if entry.get("source") not in CHALLENGED:
        return {}
    title = {"title": STAND_IN[:1].upper() + STAND_IN[1:]}
    return {
        "protocol": "official",
        "inliers": [CLEAN],
        "challenges": {},
        **(title if entry["source"] == "gtsrb_challenges" else {}),
    }


def _method(key: str, entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    known = {"title": key}
    if method := METHODS.get(key):
        known |= {"title": method.title, "detector": method.path}
    own = {name: value for name, value in entry.items() if name in ("detector", "title")}
    params = {name: value for name, value in entry.items() if name not in own}
    return known | own | {"params": params}


def _line(error: ErrorDetails, mapping: Mapping[str, Any]) -> str:
    """One problem as ``key: what is wrong; what to do``."""
    place = error["loc"]
    key = ".".join(str(part) for part in place if part not in ("params", "[key]"))
    last = str(place[-1]) if place else ""
    match error["type"]:
        case "extra_forbidden":
            text = f"unknown key; {_choice(last, _keys(place, mapping))}"
        case "missing" if place[0] == "methods" and last == "detector":
            slug = str(place[1])
            key = f"methods.{slug}"
            text = (
                "no such method, and no `detector: package.module:Class` that says where it is; "
                f"{_choice(slug, METHODS)}"
            )
        case "missing":
            text = "missing; add this key"
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


def _keys(place: tuple[int | str, ...], mapping: Mapping[str, Any]) -> list[str]:
    """The keys that are known where a key is not."""
    if place[0] == "datasets" and len(place) > 1:
        return list(DatasetConfig.model_fields)
    if place[0] == "methods" and len(place) > 1:
        model = hyperparameters(mapping["methods"][place[1]]["detector"])
        return [*model.model_fields, "detector", "title"]
    return list(Config.model_fields)
