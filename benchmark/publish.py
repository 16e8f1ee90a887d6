"""Gather a configuration's results to be committed: its runs without weights, and what they give.

>>> python -m benchmark.publish --configfile config/paper.yaml local.yaml  # doctest: +SKIP

copies them from ``results/paper`` to ``results/reference/paper``, with one ``config.yaml`` that
rebuilds them, and rebuilds them there. What was there before is replaced. Files after the first say
where data and results lie on this machine; nothing of that is copied.
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
from benchmark.scores import collect, read

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
    """Copy the runs of a configuration that exist into ``folder/<name>`` and rebuild the rest.

    Args:
        files: of the configuration.
        folder: where to.
        without: names of files in ``OPTIONAL`` that are not copied.

    Returns:
        Where they are now, and how many runs there are.

    Raises:
        InputError: a run is damaged or has other hyperparameters, or there is none; the
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
        number = _copy(found, beside, [name for name in RUN if name not in without])
        reanalyse(config, beside)
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


def _copy(config: Config, target: Path, names: Iterable[str]) -> int:
    """Copy what is needed of all runs that are complete or failed; how many there are."""
    runs = [read(run)[0] if run.usable else run for run in collect(config, config.root)]
    wrong = [run.reason for run in runs if run.status == "refused"]
    if wrong := [*wrong, *drift.otherwise(config, runs)]:
        raise InputError("\n".join(wrong))
    there = [run for run in runs if run.status != "missing"]
    for run in there:
        _copy_files(run.directory, target / "runs" / run.key.path, names)
    for dataset, settings in config.datasets.items():
        _copy_files(config.root / "data" / dataset, target / "data" / dataset, DATA)
        splits = [f"fold-{k}.{suffix}" for k in settings.folds for suffix in ("json", "parquet")]
        _copy_files(config.root / "splits" / dataset, target / "splits" / dataset, splits)
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
