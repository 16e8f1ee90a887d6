"""Add the runs of a configuration to the committed results, without their weights.

>>> python -m benchmark publish --configfile config/paper.yaml local.yaml  # doctest: +SKIP

copies the runs from ``results/paper`` to ``results/reference/paper``, writes one ``config.yaml``
beside them, and rebuilds their tables and figures there. Runs that were published before stay, if
settings, images and splits are the same: so the runs of several machines add up. A complete run
with other scores replaces an earlier one. Configuration files after the first hold the paths of
data and results on this machine, which are not copied.
"""

import json
import lzma
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from benchmark import config as configuration
from benchmark import layout
from benchmark.config import REFERENCE, Config
from benchmark.data.challenges import sign_sheet
from benchmark.data.prepared import GROUPS
from benchmark.errors import InputError
from benchmark.reanalyse import reanalyse
from benchmark.reference import compatibility, verify
from benchmark.scores import Run, collect, read_scores
from benchmark.utils.files import atomic, recover_folder, replace_folder, sha256
from benchmark.utils.parquet import write_parquet

OPTIONAL = ("epochs.parquet", "history.csv", "reconstructions.npz")
RUN_FILES = ("run.json", "scores.parquet", *OPTIONAL)
DATA_FILES = ("dataset.json", GROUPS, sign_sheet.FILE)
"""What reanalysis reads of a data set: class names, groups and signs of a challenge study."""

NOT_COPIED = ("tables", "figures", "metrics", "verdicts", "report", "logs", "benchmarks")
"""Folders that are rebuilt, or not published."""

HEAD = """\
# yaml-language-server: $schema=../../../config/schema.json
# What made the runs beside it; `snakemake reanalyse` rebuilds their tables and figures.
"""


def publish(
    files: list[Path], folder: Path = REFERENCE, without: Collection[str] = ()
) -> tuple[Path, int]:
    """Add the runs of a configuration that exist to ``folder/<name>`` and rebuild the rest.

    Args:
        files: the configuration files.
        folder: the folder of published results.
        without: names of files in ``OPTIONAL`` that are not copied.

    Returns:
        The folder of the published runs, and their number.

    Raises:
        InputError: a run is damaged or has other hyperparameters, or there is none; the runs
            published before have other settings, images or splits (see ``compatibility``); the
            configuration is not valid, or its first file has a path of this machine.
    """
    local = configuration.read(*files, data=False)
    settings = _settings(files, folder)
    config = configuration.load(settings, " + ".join(map(str, files)), data=False)
    root, source = config.root, local.root
    if root.resolve() == source.resolve():
        raise InputError(f"{root}: is where the runs are; name another folder")
    recover_folder(root)
    new, published = _runs(local, source), []
    if not new:
        raise InputError(f"{source}/runs: no run there; run `snakemake all` first")
    beside = root.with_name(f".{root.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if root.is_dir():
            compatibility.require_settings(root / "config.yaml", settings)
            published = _runs(config, root)
            datasets = {run.key.dataset for run in published} & {run.key.dataset for run in new}
            compatibility.require_images(root, source, sorted(datasets))
            compatibility.require_splits(published, new)
            shutil.copytree(root, beside, ignore=shutil.ignore_patterns(*NOT_COPIED))
        _add_runs(new, published, beside, [name for name in RUN_FILES if name not in without])
        _add_data(config, source, beside)
        reanalyse(config, beside)
        with atomic(beside / "config.yaml") as path:
            text = yaml.safe_dump(settings, sort_keys=False, default_flow_style=None, width=100)
            path.write_text(HEAD + text)
        replace_folder(root, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return root, len({run.key for run in (*published, *new)})


def _settings(files: list[Path], folder: Path) -> dict[str, Any]:
    """The settings of all files together, but the data sets' paths of the first."""
    merged, first = configuration.merged(*files), configuration.merged(files[0])
    for key, entry in merged["datasets"].items():
        path = first.get("datasets", {}).get(key, {}).get("path") or entry.get("path")
        if path is None:
            continue
        if Path(path).expanduser().is_absolute():
            raise InputError(
                f"{files[0]}: datasets.{key}.path: {path} is a place on this machine; write "
                "`data` there, and this path in a file after it"
            )
        entry["path"] = path
    rest = {key: value for key, value in merged.items() if key not in ("name", "results")}
    return {"name": merged["name"], "results": str(folder), **rest}


def _runs(config: Config, root: Path) -> list[Run]:
    """The runs under ``root`` that are complete or failed."""
    runs = [read_scores(run)[0] if run.usable else run for run in collect(config, root)]
    refused = [run.reason for run in runs if run.status == "refused"]
    if problems := [*refused, *verify.other_hyperparameters(config, runs)]:
        raise InputError("\n".join(problems))
    return [run for run in runs if run.status != "missing"]


def _add_runs(
    new: Iterable[Run], published: Iterable[Run], root: Path, names: Iterable[str]
) -> None:
    """Copy runs to ``root``, except failures and repetitions of published runs."""
    earlier = {run.key: run for run in published}
    for run in new:
        before = earlier.get(run.key)
        if before is None or (run.usable and not _same_scores(before, run)):
            target = layout.run(root, run.key)
            shutil.rmtree(target, ignore_errors=True)
            _copy_files(run.directory, target, names)
            compress(target)


def _same_scores(*runs: Run) -> bool:
    tables = [pd.read_parquet(run.directory / "scores.parquet") for run in runs]
    return tables[0].equals(tables[1])


def compress(directory: Path) -> None:
    """Write the files of a run again in little space, and the hashes of scores into ``run.json``.

    ``history.csv`` becomes ``history.csv.xz``, which ``pandas.read_csv`` reads as well.
    """
    record = json.loads((directory / "run.json").read_text())
    for file in ("scores", "epochs"):
        path = directory / f"{file}.parquet"
        if path.is_file():
            with atomic(path) as beside:
                write_parquet(pd.read_parquet(path), beside)
            record[f"{file}_sha256"] = sha256(path)
    with atomic(directory / "run.json") as beside:
        beside.write_text(json.dumps(record, indent=1) + "\n")
    history = directory / "history.csv"
    if history.is_file():
        with atomic(directory / "history.csv.xz") as beside:
            beside.write_bytes(lzma.compress(history.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
        history.unlink()


def _add_data(config: Config, source: Path, root: Path) -> None:
    """Copy the descriptions of images, and the splits, that are missing in ``root``."""
    for dataset, settings in config.datasets.items():
        _copy_files(layout.data(source, dataset), layout.data(root, dataset), DATA_FILES)
        for fold, suffix in product(settings.folds, ("json", "parquet")):
            split, copy = (layout.split(r, dataset, fold, suffix) for r in (source, root))
            _copy_files(split.parent, copy.parent, [split.name])


def _copy_files(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copy the files that ``source`` has and ``target`` has not."""
    for name in names:
        if (source / name).is_file() and not (target / name).exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command ``publish``."""
    parser.add_argument("--configfile", nargs="+", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=REFERENCE, help=f"default: {REFERENCE}")
    parser.add_argument("--without", nargs="+", choices=OPTIONAL, default=[], help="save space")


def run(chosen: Namespace) -> int:
    """Publish the results of one configuration; the exit status."""
    root, number = publish(chosen.configfile, chosen.to, chosen.without)
    print(f"{number} runs are in {root}; commit what git sees there.")
    return 0
