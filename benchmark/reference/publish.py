"""Gather a configuration's results to be committed: its runs without weights, and what they give.

>>> python -m benchmark publish --configfile config/paper.yaml local.yaml  # doctest: +SKIP

copies them from ``results/paper`` to ``results/reference/paper``, with one ``config.yaml`` that
rebuilds them, and rebuilds them there. Runs that are there already stay if their settings, images
and splits are the same, so those of several machines add up; a complete run of other scores takes
the place of an earlier one. Files after the first say where data and results lie on this machine;
nothing of that is copied.
"""

import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterable
from itertools import product
from pathlib import Path
from typing import Any

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
from benchmark.utils.files import atomic, recover_folder, replace_folder

OPTIONAL = ("epochs.parquet", "history.csv", "reconstructions.npz")
RUN = ("run.json", "scores.parquet", *OPTIONAL)
DATA = ("dataset.json", GROUPS, sign_sheet.FILE)
"""What is read of a data set once there are scores: class names, signs of a challenge study."""

DERIVED = ("tables", "figures", "metrics", "verdicts", "report", "logs", "benchmarks")
"""Folders that are made again, or not published."""

HEAD = """\
# yaml-language-server: $schema=../../../config/schema.json
# What made the runs beside it; `snakemake reanalyse` rebuilds their tables and figures.
"""


def publish(
    files: list[Path], folder: Path = REFERENCE, without: Collection[str] = ()
) -> tuple[Path, int]:
    """Add the runs of a configuration that exist to ``folder/<name>`` and rebuild the rest.

    Args:
        files: of the configuration.
        folder: where to.
        without: names of files in ``OPTIONAL`` that are not copied.

    Returns:
        Where they are now, and how many runs there are.

    Raises:
        InputError: a run is damaged or has other hyperparameters, or there is none; those that are
            there already have other settings, images or splits (see ``compatibility``); the
            configuration is not valid, or its first file has a path of this machine.
    """
    found = configuration.read(*files, data=False)
    plain = _settings(files, folder)
    config = configuration.load(plain, " + ".join(map(str, files)), data=False)
    root = config.root
    if root.resolve() == found.root.resolve():
        raise InputError(f"{root}: is where the runs are; name another folder")
    recover_folder(root)
    new, kept = _runs(found, found.root), []
    if not new:
        raise InputError(f"{found.root}/runs: no run there; run `snakemake all` first")
    beside = root.with_name(f".{root.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if root.is_dir():
            compatibility.require_settings(root / "config.yaml", plain)
            kept = _runs(config, root)
            both = {run.key.dataset for run in kept} & {run.key.dataset for run in new}
            compatibility.require_images(root, found.root, sorted(both))
            compatibility.require_splits(kept, new)
            shutil.copytree(root, beside, ignore=shutil.ignore_patterns(*DERIVED))
        _add(new, kept, beside, [name for name in RUN if name not in without])
        _add_data(config, found.root, beside)
        reanalyse(config, beside)
        with atomic(beside / "config.yaml") as path:
            text = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100)
            path.write_text(HEAD + text)
        replace_folder(root, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return root, len({run.key for run in (*kept, *new)})


def _settings(files: list[Path], folder: Path) -> dict[str, Any]:
    """The files as one, the places those of the first."""
    whole, first = configuration.merged(*files), configuration.merged(files[0])
    for key, entry in whole["datasets"].items():
        path = first.get("datasets", {}).get(key, {}).get("path") or entry.get("path")
        if path is None:
            continue
        if Path(path).expanduser().is_absolute():
            raise InputError(
                f"{files[0]}: datasets.{key}.path: {path} is a place on this machine; write data "
                "there, and name the place in a file after it"
            )
        entry["path"] = path
    rest = {key: value for key, value in whole.items() if key not in ("name", "results")}
    return {"name": whole["name"], "results": str(folder), **rest}


def _runs(config: Config, root: Path) -> list[Run]:
    """The runs under ``root`` that are complete or failed."""
    runs = [read_scores(run)[0] if run.usable else run for run in collect(config, root)]
    wrong = [run.reason for run in runs if run.status == "refused"]
    if wrong := [*wrong, *verify.otherwise(config, runs)]:
        raise InputError("\n".join(wrong))
    return [run for run in runs if run.status != "missing"]


def _add(new: Iterable[Run], kept: Iterable[Run], root: Path, names: Iterable[str]) -> None:
    """Copy runs to ``root``, but for failures and repetitions of runs that are there."""
    published = {run.key: run for run in kept}
    for run in new:
        earlier = published.get(run.key)
        if earlier and (not run.usable or _scores(earlier) == _scores(run)):
            continue
        place = layout.run(root, run.key)
        shutil.rmtree(place, ignore_errors=True)
        _copy_files(run.directory, place, names)


def _scores(run: Run) -> Any:
    return run.manifest.get("scores_sha256")


def _add_data(config: Config, source: Path, root: Path) -> None:
    """Copy the descriptions of images, and the splits, that ``root`` has not."""
    for dataset, settings in config.datasets.items():
        _copy_files(layout.data(source, dataset), layout.data(root, dataset), DATA)
        for fold, suffix in product(settings.folds, ("json", "parquet")):
            here, there = (layout.split(at, dataset, fold, suffix) for at in (source, root))
            _copy_files(here.parent, there.parent, [here.name])


def _copy_files(source: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        if (source / name).is_file() and not (target / name).exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def add_arguments(parser: ArgumentParser) -> None:
    """Those of the command ``publish``."""
    parser.add_argument("--configfile", nargs="+", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=REFERENCE, help=f"default: {REFERENCE}")
    parser.add_argument("--without", nargs="+", choices=OPTIONAL, default=[], help="save space")


def run(chosen: Namespace) -> int:
    """Publish one configuration's results; the exit status."""
    root, number = publish(chosen.configfile, chosen.to, chosen.without)
    print(f"{number} runs are in {root}; commit what git sees there.")
    return 0
