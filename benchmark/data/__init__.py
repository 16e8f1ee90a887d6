"""Data sets: one reader per source, one form for all of them.

``class_names``, ``has_official_split`` and ``labels`` check a configuration in milliseconds,
``fingerprint`` tells whether files changed, ``read`` gives the images at the size that the models
take, ``prepare`` and ``load`` keep them on disk between jobs.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from benchmark.data import digits, folder, npz, torchvision_sets
from benchmark.data.challenges import cure_tsr, gtsrb
from benchmark.data.challenges.selection import Selection
from benchmark.data.dataset import Dataset, Labels, check
from benchmark.data.prepared import images_sha256, load, prepare
from benchmark.errors import InputError

__all__ = [
    "CHALLENGED",
    "SOURCES",
    "Dataset",
    "class_names",
    "fingerprint",
    "has_official_split",
    "images_sha256",
    "labels",
    "load",
    "prepare",
    "read",
    "reader_module",
]


class Reader(Protocol):
    """A source of images; a module with these functions is one."""

    def read(self, path: Path, image_size: int) -> Dataset:
        """Read everything; images at ``image_size``."""

    def class_names(self, path: Path) -> tuple[str, ...]:
        """Name the classes without reading an image."""

    def has_official_split(self, path: Path) -> bool:
        """Whether the source says which images are for training."""

    def labels(self, path: Path) -> tuple[Labels, int | None] | None:
        """The labels and ``n_train`` without reading an image; None where every class has many."""

    def files(self, path: Path) -> Iterable[Path]:
        """The files that ``read`` reads, but those of a download, which never differ."""


class ChallengeReader(Protocol):
    """A source of clean and challenged images; a module with these functions is one."""

    def read(self, path: Path, image_size: int, selection: Selection, keep: Path | None) -> Dataset:
        """Read what is selected; ``keep`` is a folder for what else the reader writes."""

    def class_names(self, path: Path, selection: Selection) -> tuple[str, ...]:
        """``clean``, then the conditions."""

    def has_official_split(self, path: Path) -> bool:
        """Whether the source says which images are for training."""

    def files(self, path: Path, selection: Selection) -> Iterable[Path]:
        """The files that ``read`` reads, but those of a download, which never differ."""


_READERS: Mapping[str, Reader] = {
    "digits": digits,
    "mnist": torchvision_sets.MNIST,
    "fashion_mnist": torchvision_sets.FASHION_MNIST,
    "cifar10": torchvision_sets.CIFAR10,
    "npz": npz,
    "folder": folder,
}
_CHALLENGE_READERS: Mapping[str, ChallengeReader] = {
    "cure_tsr": cure_tsr,
    "gtsrb_challenges": gtsrb,
}

CHALLENGED = tuple(_CHALLENGE_READERS)
"""The sources with challenges, which take a ``Selection``."""

SOURCES = (*_READERS, *CHALLENGED)
"""The sources that a configuration can name."""


def read(
    source: str,
    path: str | Path | None,
    image_size: int,
    selection: Selection | Mapping[str, Any] | None = None,
    keep: Path | None = None,
) -> Dataset:
    """Read a data set, check it, and resize it to ``image_size`` x ``image_size``.

    >>> dataset = read("digits", None, 28)
    >>> dataset.images.shape, dataset.labels[:3]
    ((1797, 28, 28, 1), array([0, 1, 2]))

    Args:
        source: one of ``SOURCES``.
        path: for ``mnist``, ``fashion_mnist`` and ``cifar10`` torchvision's root folder, which is
            filled by a download when the files are absent, or an ``.npz`` file of the same images;
            for ``npz`` the file; for ``folder`` the folder; not used for ``digits``.
        image_size: height and width in pixels. Lanczos resampling with antialiasing, as in the
            paper, where the size differs.
        selection: for the sources in ``CHALLENGED``, which challenges and signs.
        keep: for the sources in ``CHALLENGED``, a folder for pictures of one sign and, for
            ``cure_tsr``, for its index and its account of what was left out.

    Raises:
        InputError: a missing, corrupt or malformed file, or a class without images.
    """
    place = _place(source, path)
    if source in CHALLENGED:
        chosen = Selection.model_validate(selection or {})
        dataset = _CHALLENGE_READERS[source].read(place, image_size, chosen, keep)
    else:
        dataset = _READERS[source].read(place, image_size)
    where = source if path is None else place
    # An absent challenge only lacks outliers; without clean signs there is no model.
    check(dataset, where, [0] if source in CHALLENGED else None)
    for note in dataset.notes:
        print(f"{where}: {note}", file=sys.stderr)
    return replace(dataset, source=source)


def class_names(
    source: str, path: str | Path | None, selection: Selection | None = None
) -> tuple[str, ...]:
    """The classes, in the order of their labels; reads no images.

    >>> class_names("cifar10", "data")[:3]
    ('plane', 'car', 'bird')

    Raises:
        InputError: an unknown source, or a missing or malformed file or folder. Files that can be
            downloaded may be missing.
    """
    place = _place(source, path)
    if source in CHALLENGED:
        return _CHALLENGE_READERS[source].class_names(place, selection or Selection())
    return _READERS[source].class_names(place)


def has_official_split(source: str, path: str | Path | None) -> bool:
    """Whether the protocol ``official`` is possible; reads no images.

    Arguments and errors are those of ``class_names``.
    """
    place = _place(source, path)
    reader = _CHALLENGE_READERS[source] if source in CHALLENGED else _READERS[source]
    return reader.has_official_split(place)


def labels(source: str, path: str | Path | None) -> tuple[Labels, int | None] | None:
    """The labels, (N,), and the length of the official training part; reads no images.

    None for a source whose classes all have images enough for any protocol. Arguments and errors
    are those of ``class_names``.
    """
    place = _place(source, path)
    return None if source in CHALLENGED else _READERS[source].labels(place)


def fingerprint(source: str, path: str | Path | None, selection: Selection | None = None) -> str:
    """A hash of the names, sizes and times of the files that ``read`` reads; opens none.

    Files of a download are left out: they are the same whenever they are downloaded.

    Arguments and errors are those of ``class_names``.
    """
    place = _place(source, path)
    if source in CHALLENGED:
        files = _CHALLENGE_READERS[source].files(place, selection or Selection())
    else:
        files = _READERS[source].files(place)
    total = hashlib.sha256()
    for file in files:
        about = file.stat()
        total.update(f"{file.relative_to(place)!a} {about.st_size} {about.st_mtime_ns}\n".encode())
    return total.hexdigest()


def reader_module(source: str) -> str:
    """The dotted name of the module that reads a source.

    >>> reader_module("mnist")
    'benchmark.data.torchvision_sets'
    """
    reader = _CHALLENGE_READERS[source] if source in CHALLENGED else _READERS[source]
    module = reader if isinstance(reader, ModuleType) else type(reader)
    return module.__name__ if module is reader else module.__module__


def _place(source: str, path: str | Path | None) -> Path:
    """The path that a reader gets, with ``~`` replaced."""
    if source not in SOURCES:
        raise InputError(f"unknown data source {source!r}; choose one of {', '.join(SOURCES)}")
    if path is None and source != "digits":
        raise InputError(f"the data source {source!r} needs a path; give `path:` in the config")
    return Path(path or "").expanduser()
