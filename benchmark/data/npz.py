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
import numpy.typing as npt

from benchmark.data.dataset import Dataset, Labels
from benchmark.data.images import as_images, resize
from benchmark.detector import Images
from benchmark.errors import InputError

_OFFICIAL = (("x_train", "y_train"), ("x_test", "y_test"))
_POOLED = (("x", "y"),)
_Arrays = np.lib.npyio.NpzFile


def class_names(path: Path) -> tuple[str, ...]:
    """The names in the file, or the labels 0..K-1 as text; reads the labels only."""
    with open_file(path) as arrays:
        labels = [_labels(arrays, y, path) for _, y in _parts(arrays, path)]
        return _names(arrays, np.concatenate(labels), path)


def has_official_split(path: Path) -> bool:
    """Whether the file has ``x_train`` and its companions."""
    with open_file(path) as arrays:
        return _parts(arrays, path) == _OFFICIAL


def read(path: Path, image_size: int) -> Dataset:
    """Read and resize all images, the training part first.

    Raises:
        InputError: a missing or corrupt file, absent arrays, a wrong shape, channel count or
            dtype, or lengths that disagree.
    """
    with open_file(path) as arrays:
        parts = _parts(arrays, path)
        pairs = [_pair(arrays, x, y, path, image_size) for x, y in parts]
        channels = {images.shape[-1] for images, _ in pairs}
        if len(channels) > 1:
            raise InputError(
                f"{path}: x_train and x_test differ in channels; make both gray or both RGB"
            )
        labels = np.concatenate([labels for _, labels in pairs])
        return Dataset(
            images=np.concatenate([images for images, _ in pairs]),
            labels=labels,
            class_names=_names(arrays, labels, path),
            n_train=len(pairs[0][1]) if parts == _OFFICIAL else None,
        )


@contextmanager
def open_file(path: Path) -> Iterator[_Arrays]:
    """Open an ``.npz`` file.

    Raises:
        InputError: a missing or damaged file; also for damage that shows as arrays are read.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {found}; `path:` must be an .npz file")
    try:
        # A stream of our own, as numpy leaves its own open when the file is damaged.
        with path.open("rb") as stream:
            arrays = np.load(stream, allow_pickle=False)
            if not isinstance(arrays, _Arrays):
                raise InputError(f"{path}: a single array; save it with numpy.savez and names")
            with arrays:
                yield arrays
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path}: {error.strerror}; give read permission") from error
    # Damage shows itself in as many ways as there are layers: zip, deflate and numpy's header.
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: corrupt, truncated or no .npz file ({reason}); copy or save it again"
        ) from error


def _parts(arrays: _Arrays, path: Path) -> tuple[tuple[str, str], ...]:
    for parts in (_OFFICIAL, _POOLED):
        if all(name in arrays.files for pair in parts for name in pair):
            return parts
    raise InputError(
        f"{path}: needs the arrays x_train, y_train, x_test, y_test (or x, y); "
        f"found {', '.join(arrays.files) or 'none'}"
    )


def _pair(arrays: _Arrays, x: str, y: str, path: Path, image_size: int) -> tuple[Images, Labels]:
    images, labels = as_images(arrays[x], f"{path}, {x}"), _labels(arrays, y, path)
    if len(images) != len(labels):
        raise InputError(
            f"{path}: {len(images)} images in {x} but {len(labels)} labels in {y}; "
            "give each image one label"
        )
    return resize(images, image_size), labels


def _labels(arrays: _Arrays, y: str, path: Path) -> Labels:
    labels: npt.NDArray[Any] = arrays[y]
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1 or flat.dtype.kind not in "iu":
        raise InputError(
            f"{path}, {y}: labels are {labels.dtype} of shape {labels.shape}; "
            "save them as integers of shape (N,)"
        )
    return flat.astype(np.int64)


def _names(arrays: _Arrays, labels: Labels, path: Path) -> tuple[str, ...]:
    if "class_names" in arrays.files:
        names: npt.NDArray[Any] = arrays["class_names"]
        if names.ndim != 1 or names.dtype.kind != "U":
            raise InputError(
                f"{path}, class_names: {names.dtype} of shape {names.shape}; "
                "save them as text of shape (K,)"
            )
        return tuple(names.tolist())
    found = np.unique(labels)
    missing = np.setdiff1d(np.arange(len(found)), found)
    if len(missing):
        raise InputError(
            f"{path}: {len(found)} classes from {found[0]} to {found[-1]}, but class {missing[0]} "
            f"has no images; number them 0 to {len(found) - 1}"
        )
    return tuple(str(label) for label in found.tolist())
