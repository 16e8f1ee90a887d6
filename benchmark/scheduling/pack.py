"""Put the scores of runs into files of at most 16 MiB, for the results of another machine.

>>> python -m benchmark pack --configfile config/quick.yaml --to packs  # doctest: +SKIP

A pack is a zip file of whole runs, without their weights. ``python -m benchmark unpack`` adds them
to the results of the same configuration elsewhere.
"""

import zipfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from benchmark import config as configuration
from benchmark import data as datasets
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.scheduling import state
from benchmark.scores import Run, collect, read_scores
from benchmark.utils.files import atomic
from benchmark.utils.text import counted

LIMIT = 16 * 2**20
"""The largest size of a pack, in bytes."""

FILES = (*state.FILES, "reconstructions.npz")
"""The files of a run in a pack."""

OVERHEAD = 512
"""More bytes than a zip file needs for the names and sizes of one file."""


def pack(config: Config, root: Path, folder: Path, limit: int = LIMIT) -> list[Path]:
    """Write packs of all runs under ``root`` that are complete or failed; their paths.

    Raises:
        InputError: a run is damaged, of other settings or larger than a pack; there is none; the
            folder holds packs of this configuration already.
    """
    runs = _runs(config, root)
    if not runs:
        raise InputError(f"{root}/runs: no run there; train some first")
    if there := sorted(folder.glob(f"{config.name}-*.zip")):
        raise InputError(f"{there[0]}: is there already; name another folder, or delete it")
    packs = []
    for number, part in enumerate(_in_parts(runs, limit), 1):
        path = folder / f"{config.name}-{number:03}.zip"
        with atomic(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as file:
            for run in part:
                for source in _files(run):
                    file.write(source, f"{run.key.path}/{source.name}")
        packs.append(path)
    return packs


def _runs(config: Config, root: Path) -> list[Run]:
    runs = [read_scores(run)[0] if run.usable else run for run in collect(config, root)]
    problems = [run.reason for run in runs if run.status == "refused"]
    images = cache(datasets.prepared_images)
    for run in runs:
        problems += state.run_differs(config, root, run.key, images)
        if run.status in ("complete", "failed"):
            lacking = state.lacking(run.directory)
            problems += [f"{run.directory}: has no {name}: run it again" for name in lacking]
    if problems:
        raise InputError("\n".join(problems))
    return [run for run in runs if run.status != "missing"]


def _in_parts(runs: Iterable[Run], limit: int) -> Iterator[Sequence[Run]]:
    """The runs in order, in parts that fit a pack even if nothing can be compressed."""
    part: list[Run] = []
    size = 0
    for run in runs:
        own = sum(file.stat().st_size + OVERHEAD for file in _files(run))
        if own > limit:
            raise InputError(f"{run.directory}: {own} bytes, a pack takes {limit}; copy it instead")
        if part and size + own > limit:
            yield part
            part, size = [], 0
        part.append(run)
        size += own
    yield part


def _files(run: Run) -> list[Path]:
    return [file for name in FILES if (file := run.directory / name).is_file()]


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command ``pack``."""
    parser.add_argument("--configfile", nargs="+", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True, help="the folder of the packs")


def run(chosen: Namespace) -> int:
    """Pack the runs of one configuration; the exit status."""
    config = configuration.read(*chosen.configfile, data=False)
    packs = pack(config, config.root, chosen.to)
    size = sum(path.stat().st_size for path in packs) / 2**20
    print(f"{counted(len(packs), 'pack')} in {chosen.to}, {size:.1f} MiB.")
    files, made = " ".join(map(str, chosen.configfile)), chosen.to / f"{config.name}-*.zip"
    print(f"There: python -m benchmark unpack --configfile {files} --packs {made}")
    return 0
