"""Add the runs of packs to the results of the same configuration on this machine.

>>> python -m benchmark unpack --configfile config/quick.yaml --packs *.zip  # doctest: +SKIP

Every pack is checked before the first file is written: each run has to be of this configuration,
code, images and split, and whole. A run that is here already is kept. Images and splits are
prepared if they are not there, so that ``snakemake all`` takes the runs as its own.
"""

import hashlib
import json
import zipfile
import zlib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import config as configuration
from benchmark import data as datasets
from benchmark import jobs, layout
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.scheduling import state
from benchmark.scheduling.pack import FILES
from benchmark.scheduling.units import prepare
from benchmark.scores import read_key
from benchmark.utils import running
from benchmark.utils.files import atomic
from benchmark.utils.text import counted

_DAMAGED = (OSError, ValueError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a file raises that is no pack, or one that was damaged on its way."""


@dataclass(frozen=True)
class _Packed:
    """A run in a pack: its key, what its ``run.json`` says, and its files by name."""

    pack: Path
    key: RunKey
    record: Mapping[str, Any]
    files: Mapping[str, bytes]

    def refused(self, reason: str) -> InputError:
        return InputError(f"{self.pack}: {self.key.path}: {reason}")


def unpack(config: Config, root: Path, packs: Sequence[Path]) -> tuple[int, int]:
    """Add the runs of packs to those under ``root``; how many were added, and were there already.

    Raises:
        InputError: a pack is damaged, or one of its runs is not as this machine would make it.
    """
    with running.alone():
        state.require_same_settings(config, root)
        expected = {*jobs.runs(config)}
        runs = [run for path in packs for run in _read(path)]
        for run in runs:
            if run.key not in expected:
                raise run.refused("the configuration has no such run; name the one that has")
        for dataset in {run.key.dataset: None for run in runs}:
            prepare(config, root, dataset)
        for run in runs:
            _check(config, root, run)
        added = {run.key: run for run in runs if any(state.lacking(layout.run(root, run.key)))}
        for key, run in added.items():
            _write(layout.run(root, key), run.files)
            if checkpoint := jobs.checkpoint(config, root, [key]):
                checkpoint.unlink(missing_ok=True)
    return len(added), len({run.key for run in runs}) - len(added)


def _read(path: Path) -> Iterator[_Packed]:
    """The runs of a pack."""
    by_folder: dict[str, dict[str, bytes]] = {}
    try:
        with zipfile.ZipFile(path) as file:
            for name in file.namelist():
                folder, _, last = name.rpartition("/")
                by_folder.setdefault(folder, {})[last] = file.read(name)
        for folder, files in by_folder.items():
            key = RunKey.of(Path(folder))
            if key.path != folder or not {*state.FILES} <= files.keys() <= {*FILES}:
                raise ValueError(f"{folder or 'a file'} is no run")
            record = json.loads(files["run.json"])
            if not isinstance(record, dict) or record.get("status") not in ("complete", "failed"):
                raise ValueError(f"{folder}/run.json does not say how the run ended")
            yield _Packed(path, key, record, files)
        if not by_folder:
            raise ValueError("no run in it")
    except _DAMAGED as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{path}: no pack, or damaged ({reason}); copy it again") from None


def _check(config: Config, root: Path, run: _Packed) -> None:
    """Refuse a run that is not whole, or not the one that this machine would make."""
    for file in ("scores", "epochs"):
        if hashlib.sha256(run.files[f"{file}.parquet"]).hexdigest() != run.record.get(
            f"{file}_sha256"
        ):
            raise run.refused(f"{file}.parquet is not what run.json says; pack it again")
    for line in state.record_differs(config, run.key, run.record):
        raise run.refused(f"{line}; make the settings the same")
    if run.record.get("code_digest") != state.code_digest(config, run.key):
        made_by = run.record.get("environment")
        commit = made_by.get("commit") if isinstance(made_by, dict) else None
        raise run.refused(f"was made by other code; check out its commit ({commit or 'another'})")
    split = layout.split(root, run.key.dataset, run.key.fold, "json")
    if run.record.get("split_sha256") != read_key(split, "sha256"):
        raise run.refused(f"scored on another split than {split}; make them with one split_seed")
    data = layout.data(root, run.key.dataset)
    if run.record.get("images_sha256") != datasets.images_sha256(data):
        raise run.refused(
            f"made with other images than {data} has; use the same files and image_size"
        )


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a run, ``run.json`` last, as that makes it complete."""
    for name in sorted(files, key="run.json".__eq__):
        with atomic(directory / name) as beside:
            beside.write_bytes(files[name])


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command ``unpack``."""
    parser.add_argument("--configfile", nargs="+", type=Path, required=True)
    parser.add_argument("--packs", nargs="+", type=Path, required=True)


def run(chosen: Namespace) -> int:
    """Unpack into the results of one configuration; the exit status."""
    config = configuration.read(*chosen.configfile, data=False)
    files = " ".join(map(str, chosen.configfile))
    if config.committed:
        raise InputError(f"{files}: its runs are committed; add a file with `results: results`")
    configuration.check_data(config, files)
    added, there = unpack(config, config.root, chosen.packs)
    print(f"{counted(added, 'run')} added to {config.root}/runs, {there} there before and kept.")
    print(f"Tables and report: python -m benchmark reanalyse --configfile {files}")
    return 0
