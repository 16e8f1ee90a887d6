"""Gather a configuration's results to be committed: its runs without weights, and what they give.

>>> python -m benchmark.publish --configfile config/paper.yaml local.yaml  # doctest: +SKIP

copies them from ``results/paper`` to ``results/reference/paper``, with one ``config.yaml`` that
rebuilds them, and rebuilds them there. Runs that are there already stay if their settings, images
and splits are the same, so those of several machines add up; a complete run of other scores takes
the place of an earlier one. Files after the first say where data and results lie on this machine;
nothing of that is copied.
"""

import argparse
import shutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import yaml

from benchmark import alike, drift
from benchmark import config as configuration
from benchmark.config import REFERENCE, Config
from benchmark.cure_tsr import plate
from benchmark.datasets.prepared import GROUPS
from benchmark.errors import InputError
from benchmark.files import atomic, recover_folder, replace_folder
from benchmark.reanalyse import reanalyse
from benchmark.scores import Run, collect, read

OPTIONAL = ("epochs.parquet", "history.csv", "reconstructions.npz")
RUN = ("run.json", "scores.parquet", *OPTIONAL)
DATA = ("dataset.json", GROUPS, plate.FILE)
"""What is read of a data set once there are scores: class names, signs of a challenge study."""

DERIVED = ("tables", "figures", "metrics", "report", "logs", "benchmarks")
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
            there already have other settings, images or splits (``benchmark.alike``); the
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
            alike.require_settings(root / "config.yaml", plain)
            kept = _runs(config, root)
            both = {run.key.dataset for run in kept} & {run.key.dataset for run in new}
            alike.require_images(root, found.root, sorted(both))
            alike.require_splits(kept, new)
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
    runs = [read(run)[0] if run.usable else run for run in collect(config, root)]
    wrong = [run.reason for run in runs if run.status == "refused"]
    if wrong := [*wrong, *drift.otherwise(config, runs)]:
        raise InputError("\n".join(wrong))
    return [run for run in runs if run.status != "missing"]


def _add(new: Iterable[Run], kept: Iterable[Run], root: Path, names: Iterable[str]) -> None:
    """Copy runs to ``root``, but for failures and repetitions of runs that are there."""
    published = {run.key: run for run in kept}
    for run in new:
        earlier = published.get(run.key)
        if earlier and (not run.usable or _scores(earlier) == _scores(run)):
            continue
        place = root / "runs" / run.key.path
        shutil.rmtree(place, ignore_errors=True)
        _copy_files(run.directory, place, names)


def _scores(run: Run) -> Any:
    return run.manifest.get("scores_sha256")


def _add_data(config: Config, source: Path, root: Path) -> None:
    """Copy the descriptions of images, and the splits, that ``root`` has not."""
    for dataset, settings in config.datasets.items():
        _copy_files(source / "data" / dataset, root / "data" / dataset, DATA)
        splits = [f"fold-{k}.{suffix}" for k in settings.folds for suffix in ("json", "parquet")]
        _copy_files(source / "splits" / dataset, root / "splits" / dataset, splits)


def _copy_files(source: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        if (source / name).is_file() and not (target / name).exists():
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
