"""Gather a configuration's results to be committed: its runs without weights, and what they give.

>>> python -m benchmark.publish --configfile config/paper.yaml local.yaml  # doctest: +SKIP

copies them from ``results/paper`` to ``results/reference/paper``, with one ``config.yaml`` that
rebuilds them, and rebuilds them there. Runs that are there already stay if their images, splits and
hyperparameters are the same, so those of several machines add up; a complete run takes the place of
an earlier one. Files after the first say where data and results lie on this machine; nothing of
that is copied.
"""

import argparse
import shutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import yaml

from benchmark import config as configuration
from benchmark import drift
from benchmark.config import REFERENCE, Config
from benchmark.cure_tsr import plate
from benchmark.datasets.prepared import GROUPS
from benchmark.errors import InputError
from benchmark.files import atomic
from benchmark.reanalyse import reanalyse
from benchmark.scores import collect, read, stated

OPTIONAL = ("epochs.parquet", "history.csv", "reconstructions.npz")
RUN = ("run.json", "scores.parquet", *OPTIONAL)
DATA = ("dataset.json", GROUPS, plate.FILE)
"""What is read of a data set once there are scores: class names, signs of a challenge study."""

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
            in ``folder`` already have other images or splits, or are not asked for; the
            configuration is not valid, or its first file has a path of this machine.
    """
    found = configuration.read(*files, data=False)
    plain = _settings(files, folder)
    config = configuration.load(plain, " + ".join(map(str, files)), data=False)
    if config.root.resolve() == found.root.resolve():
        raise InputError(f"{config.root}: is where the runs are; name another folder")
    beside = config.root.with_name(f".{config.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if config.root.is_dir():
            _require_alike(config, config.root, found.root)
            _copy(config, config.root, beside, RUN)
        if not _copy(found, found.root, beside, [name for name in RUN if name not in without]):
            raise InputError(f"{found.root}/runs: no run there; run `snakemake all` first")
        reanalyse(config, beside)
        number = sum(run.status != "missing" for run in collect(config, beside))
        with atomic(beside / "config.yaml") as path:
            text = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100)
            path.write_text(HEAD + text)
        shutil.rmtree(config.root, ignore_errors=True)
        beside.rename(config.root)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return config.root, number


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


def _require_alike(config: Config, kept: Path, new: Path) -> None:
    """Refuse what would mix runs of other images or splits, or lose some."""
    for path in sorted([*kept.glob("data/*/dataset.json"), *kept.glob("splits/*/fold-*.json")]):
        other = new / path.relative_to(kept)
        if other.is_file() and stated(path, "sha256") != stated(other, "sha256"):
            raise InputError(
                f"{other}: its sha256 is not that of {path}, which the runs there were made with; "
                "publish to another folder"
            )
    wanted = {run.directory for run in collect(config, kept)}
    there = {path.parent for path in kept.glob("runs/*/*/fold-*/inlier-*/seed-*/run.json")}
    if lost := sorted(there - wanted):
        more = f" and {len(lost) - 1} more" * (len(lost) > 1)
        raise InputError(
            f"{lost[0]}{more}: there already, but not asked for by the configuration; add what it "
            "lacks, or delete these runs"
        )


def _copy(config: Config, root: Path, target: Path, names: Iterable[str]) -> int:
    """Copy what is needed of all runs under ``root`` that are complete or failed; how many."""
    runs = [read(run)[0] if run.usable else run for run in collect(config, root)]
    wrong = [run.reason for run in runs if run.status == "refused"]
    if wrong := [*wrong, *drift.otherwise(config, runs)]:
        raise InputError("\n".join(wrong))
    there = [run for run in runs if run.status != "missing"]
    for run in there:
        place = target / "runs" / run.key.path
        if place.is_dir() and not run.usable:
            continue  # a failure takes no run's place
        shutil.rmtree(place, ignore_errors=True)
        _copy_files(run.directory, place, names)
    for dataset, settings in config.datasets.items():
        _copy_files(root / "data" / dataset, target / "data" / dataset, DATA)
        splits = [f"fold-{k}.{suffix}" for k in settings.folds for suffix in ("json", "parquet")]
        _copy_files(root / "splits" / dataset, target / "splits" / dataset, splits)
    return len(there)


def _copy_files(source: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        if (source / name).is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def main(arguments: list[str] | None = None) -> int:
    """Publish one configuration's results; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.publish", description=__doc__)
    parser.add_argument("--configfile", nargs="+", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=REFERENCE, help=f"default: {REFERENCE}")
    parser.add_argument("--without", nargs="+", choices=OPTIONAL, default=[], help="save space")
    chosen = parser.parse_args(arguments)
    try:
        root, number = publish(chosen.configfile, chosen.to, chosen.without)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{number} runs are in {root}; commit what git sees there.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
