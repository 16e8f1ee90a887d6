"""Tensors with a JSON header in one safetensors file: no pickle, never half-written, hashed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from benchmark.errors import InputError
from benchmark.utils.files import atomic

Arrays = dict[str, npt.NDArray[Any]]
"""Tensors by name. They are NumPy arrays, so that no torch is needed to read and write them."""


class UnusableFile(InputError):
    """A file of tensors that is damaged, or that belongs to something else."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path


def write_tensors(
    path: Path, tensors: Arrays, identity: Mapping[str, Any], progress: Mapping[str, Any]
) -> None:
    """Write a file; a kill at any moment leaves the earlier file or the new one.

    ``identity`` says what the tensors belong to, and ``progress`` is more for the reader; both are
    JSON values. Raises ``OSError`` if the file cannot be written.
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    text = json.dumps({"identity": identity, "progress": progress})
    # One entry only: their order in the file is not fixed.
    header = {"json": f"{_sha256(text, contiguous)} {text}"}
    with atomic(path) as beside:
        # Its own writer, save_file, has a temporary file that nobody would remove after a kill.
        beside.write_bytes(save(contiguous, header))


def read_tensors(path: Path, identity: Mapping[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    """Tensors and progress; ``UnusableFile`` for a damaged file or one of another identity."""
    try:
        with safe_open(path, framework="np") as file:
            sha256, _, text = file.metadata()["json"].partition(" ")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if sha256 != _sha256(text, tensors):
            raise ValueError("its content is not what its sha256 says")
        header = json.loads(text)
        stored, progress = header["identity"], header["progress"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UnusableFile(
            path,
            f"{path}: missing, damaged or not written by this project "
            f"({' '.join(str(error).split())}); delete it to start over, or put it back",
        ) from error
    expected = json.loads(json.dumps(identity))
    for key in {**expected, **stored}:
        if expected.get(key) != stored.get(key):
            raise UnusableFile(
                path,
                f"{path}: {key} is {stored.get(key)!r} there but {expected.get(key)!r} here; "
                "delete the file to start over, or restore what it was made with",
            )
    return tensors, progress


def _sha256(text: str, tensors: Arrays) -> str:
    """The hash of a header and of all tensors: names, types, shapes and bytes."""
    total = hashlib.sha256(text.encode())
    for name, array in sorted(tensors.items()):
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()
