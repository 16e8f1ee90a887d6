"""Any ``.npz`` file: ``x_train, y_train, x_test, y_test``, or ``x, y`` without an official split.

An optional array ``class_names`` names the classes; otherwise their indices do.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.dataset import Dataset, Labels
from benchmark.data.images import as_images, check_form, resize
from benchmark.errors import InputError

Arrays = np.lib.npyio.NpzFile
"""The arrays of an open file by name; each is read when it is asked for."""

_OFFICIAL = (("x_train", "y_train"), ("x_test", "y_test"))
_POOLED = (("x", "y"),)


def class_names(path: Path) -> tuple[str, ...]:
    """The names in the file, or the labels 0..K-1 as text; reads the labels only."""
    with open_npz(path) as arrays:
        parts = [read_labels(arrays, y, path) for _, y in _parts(arrays, path)]
        return _names(arrays, np.concatenate(parts), path)


def has_official_split(path: Path) -> bool:
    """Whether the file has ``x_train, y_train, x_test, y_test``."""
    with open_npz(path) as arrays:
        return _parts(arrays, path) == _OFFICIAL


def labels(path: Path) -> tuple[Labels, int | None]:
    """The labels, and the length of the training part; of the images only shape and type are read.

    Raises:
        InputError: a missing or corrupt file, absent arrays, a wrong shape, channel count or
            dtype, or lengths that disagree.
    """
    with open_npz(path) as arrays:
        parts = _parts(arrays, path)
        classes = [read_labels(arrays, y, path) for _, y in parts]
        shapes = []
        for (x, y), part in zip(parts, classes, strict=True):
            shape, dtype = _header(arrays, x)
            check_form(shape, dtype, f"{path}, {x}")
            if shape[0] != len(part):
                raise InputError(
                    f"{path}: {shape[0]} images in {x} but {len(part)} labels in {y}; "
                    "give each image one label"
                )
            shapes.append(shape)
        if len({(*shape, 1)[3] for shape in shapes}) > 1:
            raise InputError(
                f"{path}: x_train and x_test differ in channels; make both gray or both RGB"
            )
        return np.concatenate(classes), len(classes[0]) if parts == _OFFICIAL else None


def files(path: Path) -> tuple[Path, ...]:
    """The file."""
    return (path,)


def read(path: Path, image_size: int) -> Dataset:
    """Read and resize all images, the training part first."""
    classes, n_train = labels(path)
    with open_npz(path) as arrays:
        images = [
            resize(as_images(arrays[x], f"{path}, {x}"), image_size)
            for x, _ in _parts(arrays, path)
        ]
        return Dataset(np.concatenate(images), classes, _names(arrays, classes, path), n_train)


@contextmanager
def open_npz(path: Path) -> Iterator[Arrays]:
    """Open an ``.npz`` file; ``InputError`` also for damage that shows as arrays are read."""
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
    """An array of integers, (N,) or (N, 1), as (N,) int64; ``InputError`` for any other."""
    shape, dtype = _header(arrays, name)
    if shape[1:] not in ((), (1,)) or not shape or dtype.kind not in "iu":
        raise InputError(
            f"{path}, {name}: labels are {dtype} of shape {shape}; save integers of shape (N,)"
        )
    return arrays[name].reshape(-1).astype(np.int64)


def _header(arrays: Arrays, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, which is not read: one of Python objects cannot be."""
    assert arrays.zip is not None
    with arrays.zip.open(f"{name}.npy") as stream:
        if np.lib.format.read_magic(stream) == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


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
        shape, dtype = _header(arrays, "class_names")
        if len(shape) != 1 or dtype.kind != "U":
            raise InputError(
                f"{path}, class_names: {dtype} of shape {shape}; save them as text of shape (K,)"
            )
        return tuple(arrays["class_names"].tolist())
    classes = np.unique(labels)
    absent = np.setdiff1d(np.arange(len(classes)), classes)
    if len(absent):
        raise InputError(
            f"{path}: {len(classes)} classes from {classes[0]} to {classes[-1]}, but class "
            f"{absent[0]} has no images; number them 0 to {len(classes) - 1}"
        )
    return tuple(str(label) for label in classes.tolist())
