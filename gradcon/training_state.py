"""The state of a training: what it updates, the models it keeps, and its checkpoint file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.detector import FitFailed
from benchmark.utils.tensors import read_tensors, write_tensors
from gradcon.flat import Flat
from gradcon.networks import Autoencoder, decoder_weights
from gradcon.settings import Settings

Tensors = dict[str, Tensor]

_STACKED = ("parameters", "first_moment", "second_moment", "reference")
_PROGRESS = ("epoch", "seconds", "best_loss", "best_epoch", "history", "failures")
_LOSSES = ("loss", "reconstruction", "latent", "gradient")


@dataclass
class Model:
    """Weights and reference gradients, each without the stack's dimension."""

    parameters: Tensors
    reference: Tensors


@dataclass
class Trained:
    """The outcome of one training."""

    models: dict[str, Model]
    history: list[dict[str, float]]
    best_epoch: int
    seconds: float
    """Time spent in epochs, over all sessions; of a stack, the share of one model."""
    form: str
    """How its passes were computed in this session; see ``gradcon.forms``."""


@dataclass
class State:
    """Everything that a checkpoint holds; tensors are (K, ...), lists have K entries."""

    parameters: Flat
    """The constrained weights first."""
    first_moment: Flat
    second_moment: Flat
    reference: Flat
    """Of the constrained weights, in their order."""
    iterations: Tensor
    """(K,) iterations of each model so far: the number of gradients that its reference averages."""
    kept: dict[str, tuple[Tensors, Tensors]] = field(default_factory=dict)
    """Parameters and references of ``best`` and of the milestones."""
    epoch: int = 0
    """Epochs so far."""
    seconds: float = 0.0
    best_loss: list[float] = field(default_factory=list)
    best_epoch: list[int] = field(default_factory=list)
    history: list[list[dict[str, float]]] = field(default_factory=list)
    failures: list[str | None] = field(default_factory=list)
    """Per model why its training ended early, or none."""
    form: str = ""
    """As in ``Trained``."""


def initial(modules: Sequence[Autoencoder]) -> State:
    """The state before training, with the modules' weights."""
    constrained = decoder_weights(modules[0])
    names = [name for name, _ in modules[0].named_parameters()]
    own = [dict(module.named_parameters()) for module in modules]
    parameters = Flat.of(
        {
            name: torch.stack([each[name].detach() for each in own])
            for name in (*constrained, *(name for name in names if name not in constrained))
        }
    )
    count = len(modules)
    buffer = parameters.buffer
    return State(
        parameters=parameters,
        first_moment=parameters.at(torch.zeros_like(buffer)),
        second_moment=parameters.at(torch.zeros_like(buffer)),
        reference=Flat.of({name: torch.zeros_like(parameters[name]) for name in constrained}),
        iterations=buffer.new_zeros(count),
        best_loss=[float("inf")] * count,
        best_epoch=[0] * count,
        history=[[] for _ in modules],
        failures=[None] * count,
    )


def updated_tensors(state: State) -> list[Tensor]:
    """The tensors that an iteration updates in place."""
    return [state.iterations, *(getattr(state, group).buffer for group in _STACKED)]


def record(
    state: State, settings: Settings, epoch: int, losses: Tensor, validation_losses: Tensor
) -> None:
    """Add an epoch to the history and keep the models that are the best so far.

    Args:
        state: updated in place.
        settings: hyperparameters.
        epoch: its number, from 1.
        losses: of training, (K, 4): total, reconstruction, latent, gradient.
        validation_losses: likewise.
    """
    table = torch.cat([losses, validation_losses], 1).cpu()
    used = (True, True, table[:, 2].any(), settings.alpha > 0)
    parts = [i for i, is_used in enumerate(used) if is_used]
    may_keep = (epoch - 1) % settings.checkpoint_every == 0 or epoch == settings.epochs
    if "best" not in state.kept:
        keep(state, "best")
    for k, row in enumerate(table.tolist()):
        if state.failures[k]:
            continue
        state.failures[k] = _divergence(row, epoch)
        if state.failures[k]:
            continue
        state.history[k].append(
            {"epoch": float(epoch)}
            | {f"train_{_LOSSES[i]}": row[i] for i in parts}
            | {f"validation_{_LOSSES[i]}": row[4 + i] for i in parts}
        )
        if row[4] < state.best_loss[k]:
            state.best_loss[k] = row[4]
            if may_keep:
                state.best_epoch[k] = epoch
                _keep_as_best(state, k)
    state.epoch = epoch


def _keep_as_best(state: State, k: int) -> None:
    """Keep the present model k as its best."""
    parameters, reference = state.kept["best"]
    for name, value in state.parameters.items():
        parameters[name][k] = value[k]
    for name, value in state.reference.items():
        reference[name][k] = value[k]


def _divergence(row: Sequence[float], epoch: int) -> str | None:
    """Why to end a training: one of its 4 losses, or of the 4 in validation, is not finite."""
    for part, values in (("training", row[:4]), ("validation", row[4:])):
        if not all(map(math.isfinite, values)):
            return f"the {part} loss is {values[0]} in epoch {epoch}; try a lower learning_rate"
    return None


def keep(state: State, name: str) -> None:
    """Keep the present models of the stack under a name."""
    state.kept[name] = (
        {key: value.clone() for key, value in state.parameters.items()},
        {key: value.clone() for key, value in state.reference.items()},
    )


def outcome(state: State, k: int) -> Trained | FitFailed:
    """Model k of a finished training, on the CPU, or why it failed."""
    reason = state.failures[k]
    if reason is not None:
        return FitFailed(reason)
    kept = {"best": state.kept["best"], "last": (state.parameters, state.reference)}
    kept |= {name: value for name, value in state.kept.items() if name != "best"}
    models = {
        name: Model(
            {key: value[k].cpu().clone() for key, value in parameters.items()},
            {key: value[k].cpu().clone() for key, value in reference.items()},
        )
        for name, (parameters, reference) in kept.items()
    }
    seconds = state.seconds / len(state.failures)
    return Trained(models, state.history[k], state.best_epoch[k], seconds, state.form)


def write(state: State, path: Path, identity: Mapping[str, Any]) -> None:
    """Write a checkpoint; ``identity`` says of which training it is."""
    tensors: Tensors = {"iterations": state.iterations}
    for group in _STACKED:
        tensors |= {f"{group}/{name}": value for name, value in getattr(state, group).items()}
    for kept, (parameters, reference) in state.kept.items():
        tensors |= {f"kept/{kept}/parameters/{name}": value for name, value in parameters.items()}
        tensors |= {f"kept/{kept}/reference/{name}": value for name, value in reference.items()}
    arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    write_tensors(path, arrays, identity, {name: getattr(state, name) for name in _PROGRESS})


def restore(state: State, path: Path, identity: Mapping[str, Any]) -> None:
    """Read a checkpoint into ``state``, in place.

    Raises:
        InputError: a damaged file, or a checkpoint of another training.
    """
    arrays, progress = read_tensors(path, identity)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    state.iterations.copy_(tensors["iterations"])
    for group in _STACKED:
        for name, value in getattr(state, group).items():
            value.copy_(tensors[f"{group}/{name}"])
    device = state.iterations.device
    for key, tensor in tensors.items():
        if key.startswith("kept/"):
            _, kept, group, name = key.split("/", 3)
            parameters, reference = state.kept.setdefault(kept, ({}, {}))
            (parameters if group == "parameters" else reference)[name] = tensor.to(device)
    for name in _PROGRESS:
        setattr(state, name, progress[name])
