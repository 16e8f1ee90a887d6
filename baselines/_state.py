"""Networks and optimisers as arrays, and the file from which an interrupted fit continues."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmark.utils.tensors import Arrays, read_tensors, write_tensors

OptimizerState = dict[int, dict[str, Tensor]]
"""The tensors that an optimiser keeps of each parameter: by the parameter's number, by name."""


def copy_state(networks: nn.Module) -> Arrays:
    """Copy all parameters and persistent buffers."""
    return {name: _copy(tensor) for name, tensor in networks.state_dict().items()}


def load_state(networks: nn.Module, state: Arrays) -> None:
    """Put back what ``copy_state`` returned."""
    networks.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})


def _copy(tensor: Tensor) -> Any:
    return np.array(tensor.detach().cpu().numpy(), order="C")


@dataclass(frozen=True)
class StateFile:
    """The file of a fit's training state, and what must be the same to continue from it."""

    path: Path
    identity: Mapping[str, Any]

    def write(
        self,
        progress: Mapping[str, Any],
        models: Mapping[str, Arrays],
        optimizers: Mapping[str, Optimizer],
    ) -> None:
        """Replace the file by this state."""
        arrays = {
            f"model/{model}/{name}": array
            for model, state in models.items()
            for name, array in state.items()
        }
        for name, optimizer in optimizers.items():
            for number, slots in optimizer.state_dict()["state"].items():
                arrays |= {
                    f"optimizer/{name}/{number}/{key}": _copy(tensor)
                    for key, tensor in slots.items()
                    if tensor is not None
                }
        write_tensors(self.path, arrays, self.identity, progress)

    def read(self) -> tuple[dict[str, Any], dict[str, Arrays], dict[str, OptimizerState]]:
        """Read the progress, the models and the optimisers' states.

        Raises:
            InputError: the file is no training state, or that of another fit.
        """
        arrays, progress = read_tensors(self.path, self.identity)
        models: dict[str, Arrays] = {}
        optimizers: dict[str, OptimizerState] = {}
        for path, array in arrays.items():
            kind, owner, name = path.split("/", 2)
            if kind == "model":
                models.setdefault(owner, {})[name] = array
            else:
                number, key = name.split("/", 1)
                states = optimizers.setdefault(owner, {})
                states.setdefault(int(number), {})[key] = torch.from_numpy(array)
        return progress, models, optimizers
