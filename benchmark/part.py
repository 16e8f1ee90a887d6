"""A part of a configuration, by names: ``--config method=cae_grad inlier=plane``.

>>> whole = {
...     "name": "example",
...     "seeds": [0],
...     "datasets": {"digits": {"source": "digits", "protocol": "folds"}},
...     "methods": {"cae": {}, "kde": {}},
... }
>>> part = of(whole | {"method": "KDE", "inlier": "3,8"})
>>> part["methods"], part["datasets"]["digits"]["inliers"]
({'kde': {}}, ['3', '8'])
"""

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from benchmark.config import Config, load, merged
from benchmark.config.models import suggestion
from benchmark.errors import InputError
from benchmark.layout import configured_inliers

KEYS = ("dataset", "method", "inlier")
"""What a part is chosen by; they are no keys of a file."""


def of(mapping: Mapping[str, Any], source: str = "config") -> dict[str, Any]:
    """The configuration that has only the data sets, methods and inlier classes that are named.

    Args:
        mapping: a whole configuration, and perhaps ``KEYS``: names, or several with commas between
            them. A data set and a method is named by its key or title, a class by its name. Data
            sets without any of the classes are left out.
        source: named in messages.

    Raises:
        InputError: no such data set, method or class here, and which there are.
    """
    chosen = {key: _names(mapping[key]) for key in KEYS if mapping.get(key) is not None}
    part = {key: value for key, value in mapping.items() if key not in KEYS}
    if not chosen:
        return part
    whole = load(part, source, data=False)
    for key, entries in (("dataset", whole.datasets), ("method", whole.methods)):
        if key in chosen:
            by_title = {entry.title: name for name, entry in entries.items()}
            names = [by_title.get(name, name) for name in chosen[key]]
            _require(key, names, [*entries])
            part[f"{key}s"] = {name: part[f"{key}s"][name] for name in entries if name in names}
    if "inlier" in chosen:
        part["datasets"] = _with_inliers(part["datasets"], whole, chosen["inlier"])
    return part


def _with_inliers(
    datasets: Mapping[str, Any], whole: Config, names: list[str]
) -> dict[str, dict[str, Any]]:
    """Those of the data sets that have some of the classes, with these."""
    classes: dict[str, list[str]] = {}
    for dataset in datasets:
        settings = whole.datasets[dataset]
        with suppress(InputError):  # without its files it has no classes, as ``check_data`` says
            here = configured_inliers(settings, dict(enumerate(settings.class_names())))
            classes[dataset] = [*here.values()]
    _require("inlier class", names, dict.fromkeys(chain.from_iterable(classes.values())))
    return {
        dataset: {**datasets[dataset], "inliers": inliers}
        for dataset, of_dataset in classes.items()
        if (inliers := [name for name in of_dataset if name in names])
    }


def _require(kind: str, names: Iterable[str], there: Iterable[str]) -> None:
    there = [*there]
    for name in names:
        if name not in there:
            raise InputError(f"no {kind} {name!r} in this configuration; {suggestion(name, there)}")


def _names(value: Any) -> list[str]:
    """One name or several, with commas between them or as a list, as text."""
    values = value if isinstance(value, list | tuple) else str(value).split(",")
    return [str(each).strip() for each in values]


def add_arguments(parser: ArgumentParser) -> None:
    """The options that choose a part: a name, or several with commas between them."""
    parser.add_argument("--dataset", metavar="NAMES", help="only these data sets: key or title")
    parser.add_argument("--method", metavar="NAMES", help="only these methods: key or title")
    parser.add_argument("--inlier", metavar="NAMES", help="only these inlier classes, by name")


def read(chosen: Namespace) -> Config:
    """The part of the configuration of ``--configfile`` that the options name, or the whole."""
    names = {key: vars(chosen)[key] for key in KEYS}
    files = " + ".join(map(str, chosen.configfile))
    return load(of(merged(*chosen.configfile, names), files), files, data=False)


def options(chosen: Namespace) -> str:
    """The options that name the part, as they are written on a command line."""
    given = ((key, vars(chosen)[key]) for key in KEYS)
    return "".join(f" --{key} {shlex.quote(value)}" for key, value in given if value is not None)
