"""Data sets: one reader per source, one form for all of them.

``class_names``, ``has_official_split`` and ``labels`` check a configuration in milliseconds,
``fingerprint`` tells whether files changed, ``read`` gives the images at the size that the models
take, ``prepare`` and ``load`` keep them on disk between jobs.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from benchmark.data import digits, folder, npz, torchvision_sets
from benchmark.data.challenges import cure_tsr, gtsrb
from benchmark.data.challenges.selection import Selection
from benchmark.data.dataset import Dataset, Labels, check
from benchmark.data.prepared import (
    forget_files,
    hashes,
    images_sha256,
    load,
    prepare,
    prepared_images,
)
from benchmark.errors import InputError

__all__ = [
    "CHALLENGED",
    "SOURCES",
    "Dataset",
    "class_names",
    "fingerprint",
    "forget_files",
    "has_official_split",
    "hashes",
    "images_sha256",
    "labels",
    "load",
    "prepare",
    "prepared_images",
    "read",
    "reader_module",
]


class Reader(Protocol):
    """A source of images; a module with these functions is one.

    ``options`` are none but for the sources in ``CHALLENGED``: they get a ``Selection``, and
    ``read`` after it a folder for what else it writes, or None.
    """

    def read(self, path: Path, image_size: int, *options: Any) -> Dataset:
        """Read everything, or what is selected; images at ``image_size``."""

    def class_names(self, path: Path, *options: Any) -> tuple[str, ...]:
        """Name the classes without reading an image: ``clean``, then the selected conditions."""

    def has_official_split(self, path: Path) -> bool:
        """Whether the source says which images are for training."""

    def labels(self, path: Path) -> tuple[Labels, int | None] | None:
        """The labels and ``n_train`` without reading an image; None where every class has many."""

    def files(self, path: Path, *options: Any) -> Iterable[Path]:
        """The files that ``read`` reads, but those of a download, which never differ."""


CHALLENGED = ("cure_tsr", "gtsrb_challenges")
"""The sources with challenges, which take a ``Selection``."""

_READERS: Mapping[str, Reader] = {
    "digits": digits,
    "mnist": torchvision_sets.MNIST,
    "fashion_mnist": torchvision_sets.FASHION_MNIST,
    "cifar10": torchvision_sets.CIFAR10,
    "npz": npz,
    "folder": folder,
    "cure_tsr": cure_tsr,
    "gtsrb_challenges": gtsrb,
}

SOURCES = tuple(_READERS)
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
    reader, place, options = _reader(source, path, selection)
    dataset = reader.read(place, image_size, *options, *([keep] if options else []))
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
    reader, place, options = _reader(source, path, selection)
    return reader.class_names(place, *options)


def has_official_split(source: str, path: str | Path | None) -> bool:
    """Whether the protocol ``official`` is possible; reads no images.

    Arguments and errors are those of ``class_names``.
    """
    reader, place, _ = _reader(source, path)
    return reader.has_official_split(place)


def labels(source: str, path: str | Path | None) -> tuple[Labels, int | None] | None:
    """The labels, (N,), and the length of the official training part; reads no images.

    None for a source whose classes all have images enough for any protocol. Arguments and errors
    are those of ``class_names``.
    """
    reader, place, _ = _reader(source, path)
    return reader.labels(place)


def fingerprint(
    source: str,
    path: str | Path | None,
    selection: Selection | Mapping[str, Any] | None = None,
) -> str:
    """A hash of the names, sizes and times of the files that ``read`` reads; opens none.

    Files of a download are left out: they are the same whenever they are downloaded.

    Arguments and errors are those of ``class_names``.
    """
    reader, place, options = _reader(source, path, selection)
    total = hashlib.sha256()
    for file in reader.files(place, *options):
        about = file.stat()
        total.update(f"{file.relative_to(place)!a} {about.st_size} {about.st_mtime_ns}\n".encode())
    return total.hexdigest()


def reader_module(source: str) -> str:
    """The dotted name of the module that reads a source.

    >>> reader_module("mnist")
    'benchmark.data.torchvision_sets'
    """
    reader = _READERS[source]
    module = reader if isinstance(reader, ModuleType) else type(reader)
    return module.__name__ if module is reader else module.__module__


def _reader(
    source: str, path: str | Path | None, selection: Selection | Mapping[str, Any] | None = None
) -> tuple[Reader, Path, Sequence[Selection]]:
    """The reader of a source, its path with ``~`` replaced, and its options."""
    if source not in SOURCES:
        raise InputError(f"unknown data source {source!r}; choose one of {', '.join(SOURCES)}")
    if path is None and source != "digits":
        raise InputError(f"the data source {source!r} needs a path; give `path:` in the config")
    options = [Selection.model_validate(selection or {})] if source in CHALLENGED else []
    return _READERS[source], Path(path or "").expanduser(), options
