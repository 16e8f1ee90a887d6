"""What a folder of results holds, against what its configuration says.

Snakemake compares parameters only where it has made a file itself. What was made without it, or
lies in a folder before it is first called, is compared here, by what the files say of themselves.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark import jobs, layout
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.layout import RunKey

OF_A_RUN = ("detector", "config", "milestones")
"""The keys of ``run.json`` that the configuration decides, beside those of the run's folder."""


def missing(config: Config, root: Path) -> list[RunKey]:
    """The runs that have no ``run.json``, in the order of the configuration."""
    return [key for key in jobs.runs(config) if not (layout.run(root, key) / "run.json").is_file()]


def require_same_settings(config: Config, root: Path) -> None:
    """Refuse a folder of results of another configuration.

    Raises:
        InputError: the first file that was made with other settings.
    """
    for line in differences(config, root):
        raise InputError(f"{line}; name another folder of results, or delete what differs")


def differences(config: Config, root: Path) -> Iterator[str]:
    """A line for each prepared data set, split and run that was made with other settings."""
    for dataset in jobs.available(config):
        yield from data_differs(config, root, dataset)
        for fold in config.datasets[dataset].folds:
            yield from split_differs(config, root, dataset, fold)
    for key in jobs.runs(config):
        yield from run_differs(config, root, key)


def data_differs(config: Config, root: Path, dataset: str) -> Iterator[str]:
    """At most one line on a prepared data set; none if it is absent.

    Where its files are is not compared: a copy on another machine has another path.
    """
    file = layout.data(root, dataset) / "dataset.json"
    if file.is_file():
        made = _read(file)
        size = [config.image_size] * 2
        settings = config.datasets[dataset]
        yield from _first_difference(
            file,
            {"source": made["source"], "size": made["shape"][1:3], "classes": made["class_names"]},
            {"source": settings.source, "size": size, "classes": [*settings.class_names()]},
        )


def split_differs(config: Config, root: Path, dataset: str, fold: int) -> Iterator[str]:
    """At most one line on a split; none if it is absent."""
    file = layout.split(root, dataset, fold, "json")
    if file.is_file():
        made, parameters = _read(file), jobs.split_parameters(config, dataset)
        names = ("protocol", "split_seed")
        before = {name: made[name] for name in names} | {"inliers": sorted(map(int, made["sizes"]))}
        now = {name: parameters[name] for name in names} | {"inliers": parameters["inliers"]}
        if ratio := parameters["max_ratio"]:
            sizes = [*made["sizes"].values()]
            before["test_outliers"] = [part["test_outliers"] for part in sizes]
            now["test_outliers"] = [
                round(part["test_inliers"] * ratio / (1 - ratio)) for part in sizes
            ]
        yield from _first_difference(file, before, now)


def run_differs(config: Config, root: Path, key: RunKey) -> Iterator[str]:
    """At most one line on a run; none if it is absent. Its code is not compared."""
    file = layout.run(root, key) / "run.json"
    if file.is_file():
        made, now = _read(file), _of_a_run(config, key)
        yield from _first_difference(file, {name: made[name] for name in OF_A_RUN}, now)


def run_is_outdated(config: Config, root: Path, key: RunKey) -> Iterator[str]:
    """At most one line on a run that Snakemake would make again; its code is compared too."""
    file = layout.run(root, key) / "run.json"
    yield from run_differs(config, root, key)
    if file.is_file():
        digest = jobs.run_parameters(config, key.method)["code_digest"]
        if _read(file)["code_digest"] != digest:
            yield f"{file}: was made by other code"


def _of_a_run(config: Config, key: RunKey) -> dict[str, Any]:
    method = config.methods[key.method]
    now = {"detector": method.detector, "config": method.params, "milestones": config.milestones}
    plain: dict[str, Any] = json.loads(json.dumps(now))
    return plain


def _first_difference(
    file: Path, before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and old != new:
            yield from _first_difference(file, old, new, f"{prefix}{name}.")
            return
        if old != new:
            yield f"{file}: was made with {prefix}{name} {old}, the configuration has {new}"
            return


def _read(file: Path) -> dict[str, Any]:
    """The keys of a JSON file; a key that is absent has the value None."""
    try:
        content = json.loads(file.read_text())
        if not isinstance(content, dict):
            raise ValueError("it has no keys")
    except ValueError as error:
        raise InputError(f"{file}: damaged ({error}); delete it and run again") from None
    return _Absent(content)


class _Absent(dict[str, Any]):
    def __missing__(self, key: str) -> None:
        return None
