"""Data sets: one reader per source, one form for all of them.

``class_names`` and ``has_official_split`` check a configuration in milliseconds, ``read`` gives the
images at the size that the models take, ``prepare`` and ``load`` keep them on disk between jobs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from benchmark.data import digits, folder, npz, torchvision_sets
from benchmark.data.challenges import cure_tsr, gtsrb
from benchmark.data.challenges.selection import Selection
from benchmark.data.dataset import Dataset, check
from benchmark.data.prepared import load, prepare
from benchmark.errors import InputError

__all__ = [
    "CHALLENGED",
    "SOURCES",
    "Dataset",
    "class_names",
    "has_official_split",
    "load",
    "prepare",
    "read",
]


class Reader(Protocol):
    """What a source offers; a module with these three functions is one."""

    def read(self, path: Path, image_size: int) -> Dataset:
        """Read everything; images at ``image_size``."""
        ...

    def class_names(self, path: Path) -> tuple[str, ...]:
        """Name the classes without reading an image."""
        ...

    def has_official_split(self, path: Path) -> bool:
        """Whether the source says which images are for training."""
        ...


_EMBEDDED: dict[str, Reader] = {"digits": digits}
_FROM_PATH: dict[str, Reader] = {
    "mnist": torchvision_sets.MNIST,
    "fashion_mnist": torchvision_sets.FASHION_MNIST,
    "cifar10": torchvision_sets.CIFAR10,
    "npz": npz,
    "folder": folder,
}


class ChallengeReader(Protocol):
    """A source of clean and challenged images; a module with these three functions is one."""

    def read(self, path: Path, selection: Selection, image_size: int, keep: Path | None) -> Dataset:
        """Read what is selected; ``keep`` is a folder for an index and an account of problems."""
        ...

    def class_names(self, path: Path, selection: Selection) -> tuple[str, ...]:
        """``clean``, then the conditions."""
        ...

    def has_official_split(self, path: Path, selection: Selection) -> bool:
        """Whether the source says which images are for training."""
        ...


@dataclass(frozen=True)
class _Selected:
    """A source of challenges as a plain reader."""

    source: ChallengeReader
    selection: Selection
    keep: Path | None = None

    def read(self, path: Path, image_size: int) -> Dataset:
        return self.source.read(path, self.selection, image_size, self.keep)

    def class_names(self, path: Path) -> tuple[str, ...]:
        return self.source.class_names(path, self.selection)

    def has_official_split(self, path: Path) -> bool:
        return self.source.has_official_split(path, self.selection)


_CHALLENGES: dict[str, ChallengeReader] = {"cure_tsr": cure_tsr, "gtsrb_challenges": gtsrb}

CHALLENGED = tuple(_CHALLENGES)
"""The sources with challenges, which take a ``Selection``."""

SOURCES = (*_EMBEDDED, *_FROM_PATH, *CHALLENGED)
"""The sources that a configuration can name."""


def read(
    source: str,
    path: str | Path | None,
    image_size: int,
    selection: Selection | Mapping[str, Any] | None = None,
    keep: Path | None = None,
) -> Dataset:
    """Read a data set, check it, and resize it to ``image_size`` x ``image_size``.

    Args:
        source: one of ``SOURCES``.
        path: for ``mnist``, ``fashion_mnist`` and ``cifar10`` torchvision's root folder, which is
            filled by a download when the files are absent, or an ``.npz`` file of the same images;
            for ``npz`` the file; for ``folder`` the folder; not used for ``digits``.
        image_size: height and width in pixels. Lanczos resampling with antialiasing, as in the
            paper, where the size differs.
        selection: for the sources in ``CHALLENGED``, which challenges and signs.
        keep: for ``cure_tsr``, a folder for its index and its account of what was left out.

    Raises:
        InputError: a missing, corrupt or malformed file, or a class too small to split.
    """
    reader, place = _reader(source, path, selection, keep)
    dataset = replace(reader.read(place, image_size), source=source)
    # A challenge that is absent has been accounted for; without clean signs there is no model.
    check(dataset, source if path is None else place, [0] if source in CHALLENGED else None)
    return dataset


def class_names(
    source: str, path: str | Path | None, selection: Selection | None = None
) -> tuple[str, ...]:
    """Name the classes, in the order of their labels, without reading images.

    Raises:
        InputError: an unknown source, or a missing or malformed file or folder. Files that can be
            downloaded may be missing.
    """
    reader, place = _reader(source, path, selection)
    return reader.class_names(place)


def has_official_split(
    source: str, path: str | Path | None, selection: Selection | None = None
) -> bool:
    """Whether the protocol ``official`` is possible; reads no images, errors as above."""
    reader, place = _reader(source, path, selection)
    return reader.has_official_split(place)


def _reader(
    source: str,
    path: str | Path | None,
    selection: Selection | Mapping[str, Any] | None = None,
    keep: Path | None = None,
) -> tuple[Reader, Path]:
    if source in _EMBEDDED:
        return _EMBEDDED[source], Path()
    if source not in SOURCES:
        raise InputError(f"unknown data source {source!r}; choose one of {', '.join(SOURCES)}")
    if path is None:
        raise InputError(f"the data source {source!r} needs a path; give `path:` in the config")
    place = Path(path).expanduser()
    if source in _CHALLENGES:
        return _Selected(
            _CHALLENGES[source], Selection.model_validate(selection or {}), keep
        ), place
    return _FROM_PATH[source], place
