"""Any ``.npz`` file: ``x_train, y_train, x_test, y_test``, or ``x, y`` without an official split.

An optional array ``class_names`` names the classes; otherwise their indices do.
"""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.dataset import Dataset, Labels
from benchmark.data.images import as_images, resize
from benchmark.errors import InputError

Arrays = Mapping[str, npt.NDArray[Any]]
"""The arrays of an open file by name; each is read when it is asked for."""

_OFFICIAL = (("x_train", "y_train"), ("x_test", "y_test"))
_POOLED = (("x", "y"),)


def class_names(path: Path) -> tuple[str, ...]:
    """The names in the file, or the labels 0..K-1 as text; reads the labels only."""
    with open_npz(path) as arrays:
        labels = [read_labels(arrays, y, path) for _, y in _parts(arrays, path)]
        return _names(arrays, np.concatenate(labels), path)


def has_official_split(path: Path) -> bool:
    """Whether the file has ``x_train, y_train, x_test, y_test``."""
    with open_npz(path) as arrays:
        return _parts(arrays, path) == _OFFICIAL


def read(path: Path, image_size: int) -> Dataset:
    """Read and resize all images, the training part first.

    Raises:
        InputError: a missing or corrupt file, absent arrays, a wrong shape, channel count or
            dtype, or lengths that disagree.
    """
    images, labels = [], []
    with open_npz(path) as arrays:
        parts = _parts(arrays, path)
        for x, y in parts:
            images.append(resize(as_images(arrays[x], f"{path}, {x}"), image_size))
            labels.append(read_labels(arrays, y, path))
            if len(images[-1]) != len(labels[-1]):
                raise InputError(
                    f"{path}: {len(images[-1])} images in {x} but {len(labels[-1])} labels in {y}; "
                    "give each image one label"
                )
        if len({part.shape[-1] for part in images}) > 1:
            raise InputError(
                f"{path}: x_train and x_test differ in channels; make both gray or both RGB"
            )
        pooled = np.concatenate(labels)
        return Dataset(
            images=np.concatenate(images),
            labels=pooled,
            class_names=_names(arrays, pooled, path),
            n_train=len(labels[0]) if parts == _OFFICIAL else None,
        )


@contextmanager
def open_npz(path: Path) -> Iterator[Arrays]:
    """Open an ``.npz`` file.

    Raises:
        InputError: a missing or damaged file; also for damage that shows as arrays are read.
    """
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {problem}; `path:` must be an .npz file")
    try:
        # numpy would leave a damaged file open that it opened itself.
        with path.open("rb") as stream:
            arrays = np.load(stream, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: a single array; save it with numpy.savez and names")
            with arrays:
                yield arrays
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path}: {error.strerror}; give read permission") from error
    # zip, deflate and numpy's header each report damage in their own way.
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: corrupt, truncated or no .npz file ({reason}); copy or save it again"
        ) from error


def read_labels(arrays: Arrays, name: str, path: Path) -> Labels:
    """An array of integers, (N,) or (N, 1), as (N,) int64.

    Raises:
        InputError: another dtype or shape.
    """
    labels = arrays[name]
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1 or flat.dtype.kind not in "iu":
        raise InputError(
            f"{path}, {name}: labels are {labels.dtype} of shape {labels.shape}; "
            "save integers of shape (N,)"
        )
    return flat.astype(np.int64)


def _parts(arrays: Arrays, path: Path) -> tuple[tuple[str, str], ...]:
    """The names of images and labels, of the training and test part or of all."""
    for parts in (_OFFICIAL, _POOLED):
        if all(name in arrays for pair in parts for name in pair):
            return parts
    raise InputError(
        f"{path}: needs the arrays x_train, y_train, x_test, y_test (or x, y); "
        f"found {', '.join(arrays) or 'none'}"
    )


def _names(arrays: Arrays, labels: Labels, path: Path) -> tuple[str, ...]:
    if "class_names" in arrays:
        names = arrays["class_names"]
        if names.ndim != 1 or names.dtype.kind != "U":
            raise InputError(
                f"{path}, class_names: {names.dtype} of shape {names.shape}; "
                "save them as text of shape (K,)"
            )
        return tuple(names.tolist())
    classes = np.unique(labels)
    absent = np.setdiff1d(np.arange(len(classes)), classes)
    if len(absent):
        raise InputError(
            f"{path}: {len(classes)} classes from {classes[0]} to {classes[-1]}, but class "
            f"{absent[0]} has no images; number them 0 to {len(classes) - 1}"
        )
    return tuple(str(label) for label in classes.tolist())
