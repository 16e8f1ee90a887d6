"""A resized data set on disk, which each job maps into memory instead of reading the source."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.dataset import Dataset
from benchmark.errors import InputError
from benchmark.utils.files import atomic

GROUPS = "groups.npy"
_OWN = "description_sha256"


def prepare(dataset: Dataset, directory: Path, files: str | None = None) -> None:
    """Write ``images.npy``, ``labels.npy`` and ``dataset.json``: all of them, or none.

    ``dataset.json`` holds the source, the class names, ``n_train``, the images' shape, the sha256
    of each array's bytes in C order, the reader's notes, as ``files``, where it is given, the
    ``fingerprint`` of what was read, and last a hash of all this. With groups, ``groups.npy`` is
    written first.
    """
    groups = directory / GROUPS
    description = {
        "source": dataset.source,
        "class_names": dataset.class_names,
        "n_train": dataset.n_train,
        "shape": dataset.images.shape,
        "sha256": hashes(dataset),
        "notes": dataset.notes,
        **({"files": files} if files else {}),
    }
    groups.unlink(missing_ok=True)
    if dataset.groups is not None:
        description["groups_sha256"] = _sha256(dataset.groups)
        with atomic(groups) as partial:
            write_array(partial, dataset.groups)
    # The innermost is renamed first, so dataset.json appears once the arrays exist.
    with (
        atomic(directory / "dataset.json") as json_path,
        atomic(directory / "labels.npy") as labels_path,
        atomic(directory / "images.npy") as images_path,
    ):
        write_array(images_path, dataset.images)
        write_array(labels_path, dataset.labels)
        _describe(json_path, description)


def forget_files(directory: Path) -> None:
    """State no longer from which files a data set was made, as for a machine that lacks them."""
    with _described(directory) as description:
        description.pop("files", None)
    with atomic(directory / "dataset.json") as beside:
        _describe(beside, description)


def _describe(path: Path, description: dict[str, Any]) -> None:
    described = {**description, _OWN: _own_sha256(description)}
    path.write_text(json.dumps(described, indent=2) + "\n")


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write the bytes of ``np.save``, which does not say why it could not, as of a full disk."""
    array = np.ascontiguousarray(array)
    with path.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(array.data)


def load(directory: Path) -> Dataset:
    """Open what ``prepare`` wrote; the images are mapped into memory, read-only.

    Raises ``InputError`` for a file that is missing or is not the one that ``dataset.json`` states.
    """
    with _described(directory) as description:
        dataset = Dataset(
            images=np.load(directory / "images.npy", mmap_mode="r"),
            labels=np.load(directory / "labels.npy"),
            class_names=tuple(description["class_names"]),
            n_train=description["n_train"],
            source=description["source"],
            groups=np.load(directory / GROUPS) if (directory / GROUPS).exists() else None,
        )
        stated = {**description["sha256"], "groups": description.get("groups_sha256")}
        if list(dataset.images.shape) != description["shape"]:
            raise ValueError("the images do not have the shape that dataset.json states")
        for name, sha256 in stated.items():
            array = getattr(dataset, name)
            if sha256 != (None if array is None else _sha256(array)):
                raise ValueError(f"{name}.npy is not the file that dataset.json states")
    return dataset


def class_names(directory: Path) -> tuple[str, ...]:
    """The class names that ``prepare`` wrote; errors as ``load``, but opens no array."""
    with _described(directory) as description:
        return tuple(description["class_names"])


def hashes(dataset: Dataset) -> dict[str, str]:
    """The sha256 of the bytes, in C order, of the ``images`` and of the ``labels``."""
    return {"images": _sha256(dataset.images), "labels": _sha256(dataset.labels)}


def images_sha256(directory: Path) -> str:
    """The sha256 of the images, as ``dataset.json`` states it; errors as ``class_names``."""
    with _described(directory) as description:
        return str(description["sha256"]["images"])


def prepared_images(directory: Path) -> str | None:
    """``images_sha256`` of a folder; None if no data set is prepared there."""
    return images_sha256(directory) if (directory / "dataset.json").is_file() else None


@contextmanager
def _described(directory: Path) -> Iterator[dict[str, Any]]:
    """What ``dataset.json`` says; what fails in the context is an ``InputError`` on the folder.

    A file without a hash of its own is taken as it is.
    """
    try:
        description = dict(json.loads((directory / "dataset.json").read_text()))
        if description.pop(_OWN, None) not in (None, _own_sha256(description)):
            raise ValueError("dataset.json is not as it was written")
        yield description
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{directory}: incomplete or damaged ({reason}); delete it and run again"
        ) from error


def _own_sha256(description: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def _sha256(array: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
