"""The loop that trains every torch baseline.

A method defines the update by one batch (``Phase.step``) and the loss by which models are compared
(``Phase.validation``). The loop does the rest: batch order, random seeds, schedule, the choice of
models, the history, and the training state. An interrupted training continues from that state with
the same results, because the random numbers of an epoch depend on seed and epoch alone.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from baselines._images import in_batches, to_unit
from baselines._state import StateFile, copy_state, load_state
from benchmark.detector import FitFailed
from benchmark.utils.tensors import Arrays
from benchmark.utils.time_limit import Checkpoints

Losses = Mapping[str, Tensor]
"""Named losses of one batch, each a mean over its samples (0-d)."""

CHECKPOINT_SECONDS = 30.0
PROGRESS = ("epoch", "best_epoch", "best_value", "seconds", "history")
"""The fields of ``Training`` that a training state holds besides the models."""


@dataclass(frozen=True)
class Phase:
    """One phase of a training: its number of epochs, its optimisers and its losses.

    A method has one phase, or several in a row, as Deep SVDD, which trains an autoencoder first.
    The best model is one of the last phase.

    Attributes:
        epochs: number of passes over the training images, at least 1.
        batch_size: images per step. A last batch of one image joins the one before it, because
            batch normalisation needs two.
        optimizers: by name; the training state holds their states.
        step: ``(images, epoch) -> losses``: updates the networks on float images (B, C, H, W) in
            [0, 1], networks in training mode; ``epoch`` counts from 1 within the phase. May draw
            from torch's generators.
        validation: ``(images) -> losses``: the same for validation images, networks in evaluation
            mode, without gradients, and with the same noise in every epoch. The **first** loss is
            the one whose lowest mean makes the best model.
        schedule: ``(epoch) -> factor`` on every optimiser's learning rate.
        begin: called once before the first step, with all training images as uint8 (N, C, H, W)
            (see ``in_batches``), for example to set a centre. What it sets must be a parameter or
            a persistent buffer of the networks.
    """

    epochs: int
    batch_size: int
    optimizers: Mapping[str, Optimizer]
    step: Callable[[Tensor, int], Losses]
    validation: Callable[[Tensor], Losses]
    schedule: Callable[[int], float] = lambda epoch: 1.0
    begin: Callable[[Tensor], None] = lambda pixels: None


@dataclass
class Training:
    """The progress of a training and the models that it has kept."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = math.inf
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    models: dict[str, Arrays] = field(default_factory=dict)


def descend(optimizer: Optimizer, loss: Tensor) -> None:
    """Take one step of the optimiser down the loss."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Give a module's parameters no gradients; its inputs still get theirs."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def drop_after(*epochs: int, factor: float = 0.1) -> Callable[[int], float]:
    """Return the schedule that multiplies the learning rate by ``factor`` after each epoch."""
    return lambda epoch: factor ** sum(epoch > drop for drop in epochs)


@contextmanager
def own_generators(device: str) -> Iterator[None]:
    """Restore torch's global generators, of the CPU and of the device, on leaving."""
    cuda = torch.device(device).type == "cuda"
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if cuda else ()):
        yield


def seed_generators(device: str, *entropy: int) -> None:
    """Seed torch's global generators, of the CPU and of the device, from these numbers."""
    seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(seed)
    if torch.device(device).type == "cuda":
        torch.cuda.manual_seed_all(seed)


def run(
    networks: nn.Module,
    phases: Sequence[Phase],
    train: Tensor,
    validation: Tensor,
    *,
    seed: int,
    milestones: Sequence[int] = (),
    state_file: StateFile | None = None,
    title: str = "",
) -> Training:
    """Train the networks in place through all phases.

    Epochs are numbered through all phases. The models ``best``, ``last`` and ``epoch-<n>`` are
    those of the last phase; milestones in an earlier one keep no model.

    Args:
        networks: on the device of the images.
        phases: at least one.
        train: uint8 (N, C, H, W), at least two images.
        validation: uint8 (M, C, H, W), at least one image.
        seed: of batch order and noise.
        milestones: epochs whose model is kept.
        state_file: the training state to continue from. It is written between epochs, at most
            every ``CHECKPOINT_SECONDS``, and after the last one.
        title: of the progress bar.

    Raises:
        FitFailed: a loss is NaN or infinite; the message names it and the epoch.
        OutOfTime: see ``benchmark.utils.time_limit``.
    """
    plan = [(phase, epoch) for phase in phases for epoch in range(1, phase.epochs + 1)]
    training = Training()
    if state_file is not None and state_file.path.exists():
        _restore(state_file, training, networks, plan)
    checkpoints = Checkpoints(None, CHECKPOINT_SECONDS)
    with tqdm(
        total=len(plan),
        initial=training.epoch,
        desc=title,
        unit="epoch",
        mininterval=0.5 if sys.stderr.isatty() else 30,
    ) as bar:
        for phase, epoch in plan[training.epoch :]:
            begun = time.perf_counter()
            training.epoch += 1
            row = _epoch(networks, phase, epoch, train, validation, seed, training.epoch)
            training.history.append(row)
            if phase is phases[-1]:
                _keep(training, networks, milestones)
            took = time.perf_counter() - begun
            training.seconds += took
            if state_file is not None:
                checkpoints.write = partial(_write, state_file, training, networks, phase)
            checkpoints.after_epoch(took, training.epoch == len(plan))
            bar.set_postfix({k: f"{v:.4g}" for k, v in row.items() if k != "epoch"}, refresh=False)
            bar.update()
    training.models["last"] = copy_state(networks)
    return training


def _epoch(
    networks: nn.Module,
    phase: Phase,
    epoch: int,
    train: Tensor,
    validation: Tensor,
    seed: int,
    number: int,
) -> dict[str, float]:
    """Train and validate once; return the row of the history."""
    device = str(train.device)
    seed_generators(device, seed, number)
    if epoch == 1:
        networks.eval()
        with torch.no_grad():
            phase.begin(train)
    for group in (g for o in phase.optimizers.values() for g in o.param_groups):
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * phase.schedule(epoch)

    networks.train()
    order = torch.from_numpy(np.random.default_rng((seed, number)).permutation(len(train)))
    steps = (
        (len(batch), phase.step(to_unit(train[batch.to(device)]), epoch))
        for batch in split_order(order, phase.batch_size)
    )
    row = {"epoch": number, **_means("train", number, steps)}

    seed_generators(device, seed, 0)
    networks.eval()
    with torch.no_grad():
        checks = ((len(x), phase.validation(x)) for x in in_batches(validation, phase.batch_size))
        return row | _means("validation", number, checks)


def split_order(order: Tensor, size: int) -> list[Tensor]:
    """Cut an order of samples into batches; a last batch of one joins the batch before it."""
    batches = list(torch.split(order, size))
    if size > 1 and len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _means(part: str, epoch: int, losses: Iterator[tuple[int, Losses]]) -> dict[str, float]:
    """Average losses over samples; they are read from the device once."""
    count, sums = 0, dict[str, Tensor]()
    for size, batch in losses:
        count += size
        for name, value in batch.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value.detach() * size
    totals = torch.stack(list(sums.values())).tolist()
    means = {name: total / count for name, total in zip(sums, totals, strict=True)}
    for name, value in means.items():
        if not math.isfinite(value):
            raise FitFailed(f"epoch {epoch}: the {part} loss '{name}' is {value}")
    return {f"{part}_{name}": value for name, value in means.items()}


def _keep(training: Training, networks: nn.Module, milestones: Sequence[int]) -> None:
    """Copy the networks if this epoch is the best so far, or a milestone."""
    row = training.history[-1]
    value = next(value for name, value in row.items() if name.startswith("validation_"))
    if value < training.best_value:
        training.best_value, training.best_epoch = value, training.epoch
        training.models["best"] = copy_state(networks)
    if training.epoch in milestones:
        training.models[f"epoch-{training.epoch}"] = copy_state(networks)


def _write(state_file: StateFile, training: Training, networks: nn.Module, phase: Phase) -> None:
    progress = {name: getattr(training, name) for name in PROGRESS}
    models = {"now": copy_state(networks), **training.models}
    state_file.write(progress, models, phase.optimizers)


def _restore(
    state_file: StateFile,
    training: Training,
    networks: nn.Module,
    plan: Sequence[tuple[Phase, int]],
) -> None:
    progress, models, optimizers = state_file.read()
    for name in PROGRESS:
        setattr(training, name, progress[name])
    load_state(networks, models.pop("now"))
    training.models = models
    for name, optimizer in plan[training.epoch - 1][0].optimizers.items():
        state = {**optimizer.state_dict(), "state": optimizers.get(name, {})}
        optimizer.load_state_dict(state)
