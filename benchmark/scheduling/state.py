"""What a folder of results holds, against what its configuration says.

Snakemake compares parameters only where it has made a file itself. What was made without it, or
lies in a folder before it is first called, is compared here, by what the files say of themselves.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmark import data as datasets
from benchmark import jobs, layout
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.utils.milestones import lacking_milestones

FILES = ("run.json", "scores.parquet", "epochs.parquet", "history.csv")
"""The files that are made for every run; the first of them last."""


def missing(config: Config, root: Path) -> list[RunKey]:
    """The runs that are not there, in the order of the configuration."""
    if config.committed:  # the first ones have fewer files
        return [
            key for key in jobs.runs(config) if not (layout.run(root, key) / FILES[0]).is_file()
        ]
    return [key for key in jobs.runs(config) if any(lacking(layout.run(root, key)))]


def lacking(run: Path) -> Iterator[str]:
    """The files that the folder of a run lacks; for one of them Snakemake makes it again too."""
    return (name for name in FILES if not (run / name).is_file())


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
    images = cache(datasets.prepared_images)
    for key in jobs.runs(config):
        yield from run_differs(config, root, key, images)


def data_differs(
    config: Config, root: Path, dataset: str, files: Callable[[], str] | None = None
) -> Iterator[str]:
    """At most one line on a prepared data set; none if it is absent.

    Where its files are is not compared: a copy on another machine has another path. Their images
    are. ``files`` gives the ``fingerprint`` of the files, where it need not be taken again.
    """
    file = layout.data(root, dataset) / "dataset.json"
    if file.is_file():
        settings, size = config.datasets[dataset], [config.image_size] * 2
        now = {"source": settings.source, "size": size, "classes": [*settings.class_names()]}
        made = _read(file, "source", "shape", "class_names")
        before = {"source": made["source"], "size": made["shape"][1:3]}
        before["classes"] = made["class_names"]
        lines = [*_first_difference(before, now)]
        parameters = jobs.data_parameters(config, dataset)
        files = files or partial(jobs.fingerprint, parameters)
        if not lines and jobs.images_differ(made, parameters, files):
            lines = [f"was made from other images than {settings.path} has"]
        for line in lines:
            yield f"{file}: {line}"


def split_differs(config: Config, root: Path, dataset: str, fold: int) -> Iterator[str]:
    """At most one line on a split; none if it is absent."""
    file = layout.split(root, dataset, fold, "json")
    if file.is_file():
        made = _read(file, "protocol", "split_seed", "sizes")
        parameters, sizes = jobs.split_parameters(config, dataset), made["sizes"]
        before = {name: made[name] for name in ("protocol", "split_seed")}
        now = {name: parameters[name] for name in before}
        if ratio := parameters["max_ratio"]:
            # Only here, as the Snakefile reads this module.
            from benchmark.data.dataset import outlier_count

            of = "test_inliers", "test_outliers"
            inliers, before["test_outliers"] = ([part[n] for part in sizes.values()] for n in of)
            now["test_outliers"] = [outlier_count(n, ratio) for n in inliers]
        for line in _first_difference(before, now):
            yield f"{file}: {line}"


def run_differs(
    config: Config,
    root: Path,
    key: RunKey,
    images: Callable[[Path], str | None] = datasets.prepared_images,
    *,
    code: bool = False,
) -> Iterator[str]:
    """At most one line on a run; none if it is absent.

    Args:
        config: the settings that it should have.
        root: the folder of results.
        key: the run.
        images: ``prepared_images``, or the same of what is read once.
        code: whether the code that made it is compared too, as Snakemake does.
    """
    file = layout.run(root, key) / "run.json"
    if file.is_file():
        record = _read(file)
        lines = [*record_differs(config, key, record, images(layout.data(root, key.dataset)))]
        if code and not lines and record.get("code_digest") != code_digest(config, key):
            lines = ["was made by other code"]
        yield from (f"{file}: {line}" for line in lines)


def record_differs(
    config: Config, key: RunKey, record: Mapping[str, Any], images: str | None = None
) -> Iterator[str]:
    """At most one line on what the ``run.json`` of a run says of its settings, but its code.

    Args:
        config: the settings that it should have.
        key: the run that it should be.
        record: what ``run.json`` says.
        images: the sha256 of the prepared images; None if there are none.
    """
    of = {name: record.get(name, value) for name, value in key._asdict().items()}
    if of != key._asdict():
        yield f"is of another run, {', '.join(f'{name} {value}' for name, value in of.items())}"
        return
    if images and record.get("images_sha256", images) != images:
        yield "was made from other images than those that are prepared"
        return
    parameters = jobs.run_parameters(config, key.method)
    now = {"detector": parameters["detector"], "config": parameters["params"]}
    made = {name: record.get(name) for name in now}
    if lines := [*_first_difference(made, json.loads(json.dumps(now)))]:
        yield from lines
    elif lacking := lacking_milestones(record, parameters["milestones"]):
        yield f"was made without the milestones {lacking}"


def code_digest(config: Config, key: RunKey) -> str:
    """The digest of the code that makes a run."""
    return str(jobs.run_parameters(config, key.method)["code_digest"])


def _first_difference(
    before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and old != new:
            yield from _first_difference(old, new, f"{prefix}{name}.")
            return
        if old != new:
            yield f"was made with {prefix}{name} {old}, the configuration has {new}"
            return


def _read(file: Path, *needed: str) -> dict[str, Any]:
    """The keys of a JSON file that a job has written.

    Raises:
        InputError: it is damaged, or one of the keys that are needed is absent.
    """
    try:
        content = json.loads(file.read_text())
        if not isinstance(content, dict):
            raise ValueError("no keys in it")
        if absent := [name for name in needed if name not in content]:
            raise ValueError(f"no {absent[0]!r} in it")
    except ValueError as error:
        raise InputError(f"{file}: damaged ({error}); delete it and run again") from None
    return content
