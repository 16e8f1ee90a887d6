"""Networks and training states as safetensors files: no pickles, never half-written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmark.errors import InputError
from benchmark.utils.files import atomic

State = dict[str, Tensor]
"""A ``state_dict`` on the CPU."""


def copy_state(networks: nn.Module) -> State:
    """Copy all parameters and persistent buffers to the CPU."""
    return {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in networks.state_dict().items()
    }


def write_tensors(path: Path, tensors: State, header: Mapping[str, Any] | None = None) -> None:
    """Write tensors, with JSON values in the header of the file.

    Raises:
        OSError: the file cannot be written (safetensors has an error of its own for that).
    """
    with atomic(path) as beside:
        try:
            save_file(tensors, beside, {k: json.dumps(v) for k, v in (header or {}).items()})
        except SafetensorError as error:
            raise OSError(str(error)) from error


def read_tensors(path: Path) -> tuple[State, dict[str, Any]]:
    """Read tensors and header values from what ``write_tensors`` wrote."""
    with safe_open(path, framework="pt") as file:
        header = {k: json.loads(v) for k, v in (file.metadata() or {}).items()}
        return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118


@dataclass(frozen=True)
class StateFile:
    """The training state of one fit: a file, and what must agree to continue from it."""

    path: Path
    identity: Mapping[str, Any]

    def write(
        self,
        progress: Mapping[str, Any],
        models: Mapping[str, State],
        optimizers: Mapping[str, Optimizer],
    ) -> None:
        """Replace the file by this state."""
        tensors = {
            f"model/{model}/{name}": tensor
            for model, state in models.items()
            for name, tensor in state.items()
        }
        for name, optimizer in optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                tensors |= {
                    f"optimizer/{name}/{index}/{slot}": tensor.detach().cpu().contiguous()
                    for slot, tensor in slots.items()
                    if tensor is not None
                }
        write_tensors(self.path, tensors, {"identity": self.identity, "progress": progress})

    def read(
        self,
    ) -> tuple[dict[str, Any], dict[str, State], dict[str, dict[int, dict[str, Tensor]]]]:
        """Read progress, models, and optimiser states by optimiser, parameter and slot.

        Raises:
            InputError: not a training state, or one of another fit.
        """
        remedy = "delete the file to train from the start"
        try:
            tensors, header = read_tensors(self.path)
            identity, progress = header["identity"], header["progress"]
        except (SafetensorError, KeyError) as error:
            raise InputError(f"{self.path} is not a training state: {remedy}") from error
        here = json.loads(json.dumps(self.identity))
        for key in sorted(identity.keys() | here.keys()):
            if identity.get(key) != here.get(key):
                raise InputError(
                    f"{self.path} is the training state of another fit "
                    f"({key}: {identity.get(key)} there, {here.get(key)} here): {remedy}"
                )
        models: dict[str, State] = {}
        optimizers: dict[str, dict[int, dict[str, Tensor]]] = {}
        for key, tensor in tensors.items():
            kind, owner, name = key.split("/", 2)
            if kind == "model":
                models.setdefault(owner, {})[name] = tensor
            else:
                index, slot = name.split("/", 1)
                optimizers.setdefault(owner, {}).setdefault(int(index), {})[slot] = tensor
        return progress, models, optimizers
