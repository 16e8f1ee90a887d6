"""Training with the gradient constraint, for one model or a stack of K models of one architecture.

An iteration is in ``iteration``; here are the epochs around it: their batches, validation, the
models that are kept, and the checkpoint from which a training that was stopped goes on.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from benchmark.detector import FitFailed
from benchmark.errors import InputError
from benchmark.utils.precision import float32_arithmetic
from benchmark.utils.stacking import stacked
from benchmark.utils.time_limit import Checkpoints
from gradcon import training_state as states
from gradcon.batches import Batches, DrawnAhead, batch_order, latent_noise, resident, upload
from gradcon.epochs import Epoch
from gradcon.forms import FORMS, STEPS, fastest
from gradcon.iteration import iterate, validate
from gradcon.kernels.cuda_graphs import captured
from gradcon.kernels.runtime import keep_freed_memory, warn_of_slow_bfloat16
from gradcon.networks import Autoencoder, initialised
from gradcon.settings import Settings
from gradcon.stack import Stack
from gradcon.training_state import State, Trained

CHECKPOINT_SECONDS = 30.0


def train(
    network: type[Autoencoder],
    settings: Settings,
    data: Sequence[Tensor],
    validation: Sequence[Tensor],
    *,
    seeds: Sequence[int],
    checkpoint: Path | None = None,
    milestones: Sequence[int] = (),
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    vectorise: bool | None = None,
    form: str | None = None,
) -> list[Trained | FitFailed]:
    """Train one model per entry of ``data``.

    Args:
        network: the architecture.
        settings: hyperparameters, the same for all.
        data: training images of each model, (N_k, C, H, W) uint8.
        validation: inlier images of each model, (M_k, C, H, W) uint8.
        seeds: of each model: initial weights, batch order, latent noise.
        checkpoint: file to write the state to and to continue from.
        milestones: epochs (from 1) whose model is kept.
        device: where to train.
        dtype: of weights and activations.
        vectorise: run the stack as one batched network rather than model by model; by default as
            ``benchmark.utils.stacking`` says.
        form: of a batched network, from ``gradcon.forms``; by default the fastest on a GPU.

    Returns:
        Per model its outcome, or the reason why it failed; the others are not affected.

    Raises:
        InputError: a checkpoint of another training, or one past a milestone that it did not keep;
            unsupported images; a precision that the device does not have.
        OutOfTime: see ``benchmark.utils.time_limit``.
    """
    _require_precision(settings, device)
    with float32_arithmetic("tf32" if settings.precision == "tf32" else "ieee"):
        return _train(
            network,
            settings,
            data,
            validation,
            seeds,
            checkpoint,
            milestones,
            device,
            dtype,
            stacked(device) if vectorise is None else vectorise,
            form,
        )


def _train(
    network: type[Autoencoder],
    settings: Settings,
    data: Sequence[Tensor],
    validation: Sequence[Tensor],
    seeds: Sequence[int],
    checkpoint: Path | None,
    milestones: Sequence[int],
    device: str,
    dtype: torch.dtype,
    vectorise: bool,
    form: str | None,
) -> list[Trained | FitFailed]:
    """``train`` with everything chosen but the form."""
    channels, image_size = data[0].shape[1], data[0].shape[2]
    modules = [initialised(network, channels, image_size, seed) for seed in seeds]
    modules = [module.to(device, dtype) for module in modules]
    state = states.initial(modules)
    identity = _identity(network, settings, data, validation, seeds)
    if checkpoint is not None and checkpoint.exists():
        _resume(state, checkpoint, identity, settings.epochs, milestones)
    stacks = _stacks(modules[0], settings, vectorise, form)
    state.form = next(iter(stacks)) if len(stacks) == 1 else ""
    run_epoch = _epochs(stacks, settings, state, data, validation, seeds, device, dtype)
    write = None if checkpoint is None else partial(states.write, state, checkpoint, identity)
    checkpoints = Checkpoints(write, CHECKPOINT_SECONDS)
    bar = _progress(state.epoch, settings.epochs)
    for epoch in bar:
        if all(state.failures):
            break
        begun = time.monotonic()
        states.record(state, settings, epoch, *run_epoch(epoch))
        if epoch in milestones:
            states.keep(state, f"epoch-{epoch}")
        state.seconds += time.monotonic() - begun
        bar.set_postfix_str(f"validation loss {min(state.best_loss):.4g}", refresh=False)
        checkpoints.after_epoch(time.monotonic() - begun, epoch == settings.epochs)
    return [states.outcome(state, k) for k in range(len(data))]


def _resume(
    state: State,
    checkpoint: Path,
    identity: Mapping[str, Any],
    epochs: int,
    milestones: Sequence[int],
) -> None:
    """Read a checkpoint into ``state``, unless it is past what is asked for."""
    states.restore(state, checkpoint, identity)
    if state.epoch > epochs:
        raise InputError(
            f"{checkpoint}: holds a training of {state.epoch} epochs, {epochs} are "
            "wanted; delete the file to start over"
        )
    passed = [m for m in milestones if m <= state.epoch and f"epoch-{m}" not in state.kept]
    if passed:
        raise InputError(
            f"{checkpoint}: is at epoch {state.epoch} and kept no milestones {passed}; "
            "delete the file to start over, or leave them out"
        )


def _require_precision(settings: Settings, device: str) -> None:
    """Refuse a precision that the device does not have; warn of one that is slow there."""
    if torch.device(device).type != "cpu":
        return
    if settings.precision == "tf32":
        raise InputError("precision is tf32, which only a GPU has: set it to float32 on a CPU")
    if settings.precision == "bfloat16":
        warn_of_slow_bfloat16()


def _stacks(
    module: Autoencoder, settings: Settings, vectorise: bool, form: str | None
) -> dict[str, Stack]:
    """The stack in the form that is asked for, or in those that the device can choose from."""
    precision = torch.bfloat16 if settings.precision == "bfloat16" else None
    on_cpu = next(module.parameters()).device.type == "cpu"
    if on_cpu:
        keep_freed_memory()
    if not vectorise:
        return {"model by model": Stack(module, vectorise=False, precision=precision)}
    names = [form] if form else ["convolutions"] if on_cpu else [*FORMS]
    return {
        name: Stack(deepcopy(module), vectorise=True, form=FORMS[name], precision=precision)
        for name in names
    }


class _Passes(NamedTuple):
    """An epoch of training and one of validation."""

    train: Epoch
    validate: Epoch


def _epochs(
    stacks: Mapping[str, Stack],
    settings: Settings,
    state: State,
    data: Sequence[Tensor],
    validation: Sequence[Tensor],
    seeds: Sequence[int],
    device: str,
    dtype: torch.dtype,
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """A function that runs the epoch of a number (from 1) for all models that have not failed.

    It returns the losses of training and of validation, (K, 4) each. On its first call it chooses
    the fastest of several stacks.
    """
    size = settings.batch_size
    images, counts = resident(data, device)
    validation_images, validation_counts = resident(validation, device)
    validation_order = upload(batch_order(validation_counts, size), device)
    capture = captured if images.is_cuda else None
    changed = states.updated_tensors(state)
    forms = {
        name: _Passes(
            Epoch(partial(iterate, stack, settings, state), images, size, dtype, changed, capture),
            Epoch(
                partial(validate, stack, settings, state),
                validation_images,
                size,
                dtype,
                [],
                capture,
            ),
        )
        for name, stack in stacks.items()
    }
    noise_size = next(iter(stacks.values())).module.noise_size(images.shape[-1])

    def draw(epoch: int, counts: Sequence[int]) -> Batches:
        noise = latent_noise(counts, size, noise_size, seeds, epoch, dtype)
        return batch_order(counts, size, seeds, epoch), noise

    batched = next(iter(stacks.values())).vectorise
    batches = DrawnAhead(draw, settings.epochs) if batched else draw

    def run(epoch: int) -> tuple[Tensor, Tensor]:
        remaining = [
            0 if failure else count for count, failure in zip(counts, state.failures, strict=True)
        ]
        drawn_order, drawn_noise = batches(epoch, remaining)
        order = upload(drawn_order, device)
        noise = None if drawn_noise is None else upload(drawn_noise, device)
        if len(forms) > 1:
            few = order[:, :STEPS], None if noise is None else noise[:, :STEPS]
            calls = {name: partial(passes.train, *few) for name, passes in forms.items()}
            chosen = fastest(calls, changed)
            for name in [*forms]:
                if name != chosen:
                    del forms[name]
        ((state.form, passes),) = forms.items()
        losses = passes.train(order, noise)
        return losses, passes.validate(validation_order, None)

    return run


def _progress(done: int, epochs: int) -> "tqdm[int]":
    """The epochs that are left, from 1, with a progress bar."""
    return tqdm(
        range(done + 1, epochs + 1),
        initial=done,
        total=epochs,
        unit="epoch",
        file=sys.stderr,
        mininterval=1.0,
    )


def _identity(
    network: type[Autoencoder],
    settings: Settings,
    data: Sequence[Tensor],
    validation: Sequence[Tensor],
    seeds: Sequence[int],
) -> dict[str, Any]:
    """What a checkpoint must agree on; the number of epochs may differ, so training can go on."""
    values = {name: value for name, value in vars(settings).items() if name != "epochs"}
    digest = hashlib.sha256()
    for part in (*data, *validation):
        digest.update(part.contiguous().numpy().tobytes())
    return {
        "architecture": network.__name__,
        "image shape": list(data[0].shape[1:]),
        **values,
        "seeds": list(seeds),
        "images (sha256)": digest.hexdigest(),
    }
