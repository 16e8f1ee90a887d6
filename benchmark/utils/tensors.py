"""State on disk: tensors and a JSON description in one safetensors file, never a pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.errors import InputError
from benchmark.utils.files import atomic


def write(path: Path, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write beside, then rename: a kill at any moment leaves the former file or the new one."""
    contiguous = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    with atomic(path) as beside:
        try:
            save_file(contiguous, beside, metadata={"description": json.dumps(description)})
        except SafetensorError as error:
            raise OSError(str(error)) from error
        beside.chmod(0o644)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the description.

    Raises:
        InputError: the file is damaged or is no file of this kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads(file.metadata()["description"])
            return {name: file.get_tensor(name) for name in file.keys()}, description  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: damaged or not written by this project ({error}); delete it to start over"
        ) from error


def require_same(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse a file of another training or architecture, naming the first difference.

    Raises:
        InputError: a value in ``found`` differs from ``expected``.
    """
    for key, value in json.loads(json.dumps(expected)).items():
        if found.get(key) != value:
            raise InputError(
                f"{path}: {key} is {found.get(key)!r} there but {value!r} here; "
                "delete the file to start over, or restore the settings that it was made with"
            )
