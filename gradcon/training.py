"""Training with the gradient constraint, for one model or a stack of K models of one architecture.

All state has a leading dimension K. The models of a stack do not interact: the sum of their losses
is differentiated, which gives each model its own gradient, and Adam works element by element. A
stack therefore computes what K separate trainings compute (a test holds them together).

One iteration, as in the official code (paper, section 4):

1. reconstruction loss of the batch and its gradient g at the decoder's weights, kept
   differentiable;
2. gradient loss: minus the mean cosine between g and the reference, per decoder layer;
3. gradient of (reconstruction + latent + alpha * gradient loss) at all weights;
4. the decoder's part of it enters the reference, the running mean over all iterations;
5. one step of Adam.
"""

import hashlib
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import functional_call
from tqdm import tqdm

from benchmark.detector import FitFailed
from gradcon import checkpoint as checkpoints
from gradcon.adam import adam_step
from gradcon.losses import RECONSTRUCTION, gradient_loss
from gradcon.networks import Autoencoder, Output, decoder_weights, initialised
from gradcon.scoring import to_unit

Tensors = dict[str, Tensor]
CHECKPOINT_SECONDS = 30.0


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of a training; the defaults of the detectors are the paper's."""

    epochs: int
    batch_size: int
    learning_rate: float
    alpha: float
    """Weight of the gradient loss; 0 trains a plain autoencoder that still keeps a reference."""
    reference: Literal["total", "reconstruction"]
    """Which loss's gradient the reference averages: of the total loss, as in the official code, or
    of the reconstruction loss, as the paper writes."""
    reconstruction_loss: Literal["squared_error", "cross_entropy"]
    latent_weight: float
    """Weight of the latent loss per pixel: the sum of the losses over an image is
    reconstruction + latent_weight * latent."""
    checkpoint_every: int
    """An epoch can become the best model only if its index (from 0) is a multiple of this, or if
    it is the last; 1 considers all, 5 is the official code's rule."""


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


@dataclass
class State:
    """Everything that a training carries from one iteration to the next; tensors are (K, ...)."""

    parameters: Tensors
    first_moment: Tensors
    second_moment: Tensors
    reference: Tensors
    iterations: Tensor
    """(K,) iterations that each model has seen; the reference is a mean over as many gradients."""
    kept: dict[str, tuple[Tensors, Tensors]] = field(default_factory=dict)
    """Weights and references of ``best`` and of the milestones."""
    epoch: int = 0
    best_loss: list[float] = field(default_factory=list)
    best_epoch: list[int] = field(default_factory=list)
    history: list[list[dict[str, float]]] = field(default_factory=list)
    failures: list[str | None] = field(default_factory=list)


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
        vectorise: run the stack as one batched network rather than model by model; the default
            does so on an accelerator.

    Returns:
        Per model its outcome, or the reason why it failed; the others are not affected.

    Raises:
        ValueError: unsupported images, or a checkpoint of another training.
    """
    channels, image_size = data[0].shape[1], data[0].shape[2]
    modules = [initialised(network, channels, image_size, seed) for seed in seeds]
    module = modules[0].to(device, dtype)
    identity = _identity(network, settings, data, validation, seeds)
    state = _initial([m.to(device, dtype) for m in modules])
    if checkpoint is not None and checkpoint.exists():
        _restore(state, checkpoint, identity)
    epoch_of = _Epochs(
        module,
        settings,
        vectorise=(device != "cpu" if vectorise is None else vectorise) and len(data) > 1,
    )
    train_images, train_counts = _resident(data, device)
    validation_images, validation_counts = _resident(validation, device)
    noise_size = network.noise_size(image_size)
    written = time.monotonic()
    bar = tqdm(
        range(state.epoch + 1, settings.epochs + 1),
        initial=state.epoch,
        total=settings.epochs,
        unit="epoch",
        file=sys.stderr,
        mininterval=1.0,
    )
    for epoch in bar:
        counts = [
            0 if failure else count
            for count, failure in zip(train_counts, state.failures, strict=True)
        ]
        if not any(counts):
            break
        order = _order(counts, settings.batch_size, seeds, epoch).to(device)
        noise = _noise(order, noise_size, seeds, epoch, dtype)
        losses = epoch_of.train(state, train_images, order, noise)
        fixed = _order(validation_counts, settings.batch_size).to(device)
        validation_losses = epoch_of.validate(state, validation_images, fixed)
        _record(state, settings, epoch, losses, validation_losses)
        if epoch in milestones:
            state.kept[f"epoch-{epoch}"] = (_copy(state.parameters), _copy(state.reference))
        bar.set_postfix_str(f"validation loss {min(state.best_loss):.4g}", refresh=False)
        due = time.monotonic() - written > CHECKPOINT_SECONDS or epoch == settings.epochs
        if checkpoint is not None and due:
            _write(state, checkpoint, identity)
            written = time.monotonic()
    return [_outcome(state, k) for k in range(len(data))]


class _Epochs:
    """One pass over the training or validation images of all models."""

    def __init__(self, module: Autoencoder, settings: Settings, *, vectorise: bool) -> None:
        self.module = module
        self.settings = settings
        self.vectorise = vectorise
        self.decoder = decoder_weights(module)

    def train(self, state: State, images: Tensor, order: Tensor, noise: Tensor | None) -> Tensor:
        """Update ``state`` once per batch; sums of losses over images, (K, 4)."""
        sums = images.new_zeros((len(images), 4), dtype=torch.float64)
        for step in range(order.shape[1]):
            batch, weight = _batch(images, order[:, step], self._dtype(state))
            epsilon = None if noise is None else noise[:, step, : batch.shape[1]]
            losses = self.iterate(state, batch, weight, epsilon)
            sums += losses.double() * weight.sum(1, keepdim=True)
        return sums / (order >= 0).sum((1, 2)).clamp_min(1).unsqueeze(1)

    def iterate(self, state: State, batch: Tensor, weight: Tensor, noise: Tensor | None) -> Tensor:
        """One iteration of every model that has images in this batch.

        Args:
            state: updated in place.
            batch: (K, B, C, H, W) in [0, 1].
            weight: (K, B), 1 for an image and 0 for padding.
            noise: (K, B, Z) standard normal, or none.

        Returns:
            Losses before the update, (K, 4): total, reconstruction, latent, gradient.
        """
        settings = self.settings
        parameters = {
            name: value.detach().requires_grad_() for name, value in state.parameters.items()
        }
        reference = list(state.reference.values())
        decoder = [parameters[name] for name in self.decoder]
        reconstruction, latent = self._losses(parameters, batch, weight, noise)
        gradient = torch.zeros_like(reconstruction)
        own: Sequence[Tensor] = ()
        if settings.alpha > 0 or settings.reference == "reconstruction":
            own = torch.autograd.grad(
                reconstruction.sum(), decoder, retain_graph=True, create_graph=settings.alpha > 0
            )
            gradient = gradient_loss(own, reference)
        total = reconstruction + latent + settings.alpha * gradient
        gradients = dict(
            zip(
                parameters,
                torch.autograd.grad(total.sum(), list(parameters.values())),
                strict=True,
            )
        )
        with torch.no_grad():
            active = (weight.sum(1) > 0).to(reconstruction.dtype)
            state.iterations += active
            entering = own if settings.reference == "reconstruction" else ()
            for mean, value in zip(
                reference, entering or [gradients[name] for name in self.decoder], strict=True
            ):
                share = active / state.iterations.clamp_min(1)
                mean.lerp_(value.detach(), share.view(-1, *[1] * (mean.dim() - 1)))
            adam_step(
                state.parameters,
                gradients,
                state.first_moment,
                state.second_moment,
                state.iterations,
                active,
                settings.learning_rate,
            )
        return torch.stack([total, reconstruction, latent, gradient], 1).detach()

    def validate(self, state: State, images: Tensor, order: Tensor) -> Tensor:
        """Mean losses over the validation images, (K, 4); the reference is left as it is."""
        settings = self.settings
        sums = images.new_zeros((len(images), 4), dtype=torch.float64)
        constrained = settings.alpha > 0
        for step in range(order.shape[1]):
            batch, weight = _batch(images, order[:, step], self._dtype(state))
            parameters = {
                name: value.detach().requires_grad_(constrained and name in self.decoder)
                for name, value in state.parameters.items()
            }
            reconstruction, latent = self._losses(parameters, batch, weight, None)
            gradient = torch.zeros_like(reconstruction)
            if constrained:
                own = torch.autograd.grad(
                    reconstruction.sum(), [parameters[name] for name in self.decoder]
                )
                gradient = gradient_loss(own, list(state.reference.values()))
            total = reconstruction + latent + settings.alpha * gradient
            losses = torch.stack([total, reconstruction, latent, gradient], 1).detach()
            sums += losses.double() * weight.sum(1, keepdim=True)
        return sums / (order >= 0).sum((1, 2)).clamp_min(1).unsqueeze(1)

    def _losses(
        self, parameters: Tensors, batch: Tensor, weight: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Batch means of reconstruction and weighted latent loss, each (K,)."""
        output = self._forward(parameters, batch, noise)
        per_image = RECONSTRUCTION[self.settings.reconstruction_loss](
            output.logits.flatten(0, 1), batch.flatten(0, 1)
        ).view(weight.shape)
        pixels = batch[0, 0].numel()
        count = weight.sum(1).clamp_min(1)
        reconstruction = (per_image * weight).sum(1) / count
        latent = (output.latent_loss * weight).sum(1) / count
        return reconstruction, self.settings.latent_weight * latent / pixels

    def _forward(self, parameters: Tensors, batch: Tensor, noise: Tensor | None) -> Output:
        """Logits (K, B, C, H, W) and latent losses (K, B)."""
        if self.vectorise:
            return self._vectorised(parameters, batch, noise)
        outputs = [
            functional_call(
                self.module,
                {name: value[k] for name, value in parameters.items()},
                (images, None if noise is None else noise[k]),
            )
            for k, images in enumerate(batch)
        ]
        logits, latent = zip(*outputs, strict=True)
        return Output(torch.stack(logits), torch.stack(latent))

    def _vectorised(self, parameters: Tensors, batch: Tensor, noise: Tensor | None) -> Output:
        def one(weights: Tensors, images: Tensor, epsilon: Tensor | None) -> tuple[Tensor, Tensor]:
            output = functional_call(self.module, weights, (images, epsilon))
            return output.logits, output.latent_loss

        dimensions = (0, 0, None if noise is None else 0)
        return Output(*torch.vmap(one, in_dims=dimensions)(parameters, batch, noise))

    def _dtype(self, state: State) -> torch.dtype:
        return next(iter(state.parameters.values())).dtype


def _initial(modules: Sequence[Autoencoder]) -> State:
    parameters = {
        name: torch.stack([dict(m.named_parameters())[name].detach() for m in modules])
        for name, _ in modules[0].named_parameters()
    }
    count = len(modules)
    any_parameter = next(iter(parameters.values()))
    return State(
        parameters=parameters,
        first_moment={name: torch.zeros_like(value) for name, value in parameters.items()},
        second_moment={name: torch.zeros_like(value) for name, value in parameters.items()},
        reference={
            name: torch.zeros_like(parameters[name]) for name in decoder_weights(modules[0])
        },
        iterations=any_parameter.new_zeros(count),
        best_loss=[float("inf")] * count,
        best_epoch=[0] * count,
        history=[[] for _ in modules],
        failures=[None] * count,
    )


def _resident(parts: Sequence[Tensor], device: str) -> tuple[Tensor, list[int]]:
    """All images as one uint8 tensor on the device, (K, N_max, C, H, W), padded with zeros."""
    counts = [len(part) for part in parts]
    images = parts[0].new_zeros((len(parts), max(counts), *parts[0].shape[1:]))
    for k, part in enumerate(parts):
        images[k, : len(part)] = part
    return images.to(device), counts


def _generator(seed: int, epoch: int, purpose: int) -> torch.Generator:
    """A generator that depends on nothing but its arguments, so that resuming needs no state."""
    key = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)


def _order(
    counts: Sequence[int], batch_size: int, seeds: Sequence[int] | None = None, epoch: int = 0
) -> Tensor:
    """Image numbers of every batch, (K, batches, B); -1 where a model has no image left.

    Shuffled by seed and epoch, or in order when no seeds are given. The last batch is smaller.
    """
    batches = -(-max(counts) // batch_size)
    order = torch.full((len(counts), batches * batch_size), -1)
    for k, count in enumerate(counts):
        order[k, :count] = (
            torch.arange(count)
            if seeds is None
            else torch.randperm(count, generator=_generator(seeds[k], epoch, 0))
        )
    return order.view(len(counts), batches, batch_size)


def _noise(
    order: Tensor, size: int, seeds: Sequence[int], epoch: int, dtype: torch.dtype
) -> Tensor | None:
    """Standard normal noise for every place of ``order``, (K, batches, B, size)."""
    if size == 0:
        return None
    noise = order.new_zeros((*order.shape, size), dtype=dtype)
    for k, seed in enumerate(seeds):
        count = int((order[k] >= 0).sum())
        values = torch.randn(count, size, generator=_generator(seed, epoch, 1))
        noise[k].view(-1, size)[:count] = values.to(noise)
    return noise


def _batch(images: Tensor, numbers: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Images in [0, 1], (K, B, C, H, W), and their weights, (K, B), for numbers of (K, B).

    On the CPU the padding that all models share is cut off.
    """
    if not numbers.is_cuda:
        numbers = numbers[:, : int((numbers >= 0).sum(1).max())]
    models = torch.arange(len(images), device=images.device).unsqueeze(1)
    batch = to_unit(images[models, numbers.clamp_min(0)], dtype)
    return batch, (numbers >= 0).to(dtype)


def _record(
    state: State, settings: Settings, epoch: int, losses: Tensor, validation_losses: Tensor
) -> None:
    """Note the epoch's losses and keep the models that are the best so far."""
    names = ["loss", "reconstruction"]
    if float(losses[:, 2].abs().max()) > 0:
        names.append("latent")
    if settings.alpha > 0:
        names.append("gradient")
    position = {"loss": 0, "reconstruction": 1, "latent": 2, "gradient": 3}
    may_keep = (epoch - 1) % settings.checkpoint_every == 0 or epoch == settings.epochs
    if "best" not in state.kept:
        state.kept["best"] = (_copy(state.parameters), _copy(state.reference))
    best_parameters, best_reference = state.kept["best"]
    table = torch.cat([losses, validation_losses], 1).cpu()
    for k, row in enumerate(table.tolist()):
        if state.failures[k]:
            continue
        state.failures[k] = _divergence(row, epoch)
        if state.failures[k]:
            continue
        state.history[k].append(
            {"epoch": float(epoch)}
            | {f"train_{name}": row[position[name]] for name in names}
            | {f"validation_{name}": row[4 + position[name]] for name in names}
        )
        if row[4] < state.best_loss[k]:
            state.best_loss[k] = row[4]
            if may_keep:
                state.best_epoch[k] = epoch
                for name, value in state.parameters.items():
                    best_parameters[name][k] = value[k]
                for name, value in state.reference.items():
                    best_reference[name][k] = value[k]
    state.epoch = epoch


def _divergence(row: Sequence[float], epoch: int) -> str | None:
    """Why the losses of an epoch, four of training and four of validation, end the training."""
    for part, values in (("training", row[:4]), ("validation", row[4:])):
        if not all(map(math.isfinite, values)):
            return f"the {part} loss is {values[0]} in epoch {epoch}; try a lower learning_rate"
    return None


def _outcome(state: State, k: int) -> Trained | FitFailed:
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
    return Trained(models, state.history[k], state.best_epoch[k])


def _copy(tensors: Tensors) -> Tensors:
    return {name: value.clone() for name, value in tensors.items()}


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


_STACKED = ("parameters", "first_moment", "second_moment", "reference")


def _write(state: State, path: Path, identity: Mapping[str, Any]) -> None:
    tensors: Tensors = {"iterations": state.iterations}
    for group in _STACKED:
        tensors |= {f"{group}/{name}": value for name, value in getattr(state, group).items()}
    for kept, (parameters, reference) in state.kept.items():
        tensors |= {f"kept/{kept}/parameters/{name}": value for name, value in parameters.items()}
        tensors |= {f"kept/{kept}/reference/{name}": value for name, value in reference.items()}
    progress = {
        name: getattr(state, name)
        for name in ("epoch", "best_loss", "best_epoch", "history", "failures")
    }
    checkpoints.write(path, tensors, {"identity": dict(identity), "progress": progress})


def _restore(state: State, path: Path, identity: Mapping[str, Any]) -> None:
    tensors, description = checkpoints.read(path)
    checkpoints.require_same(path, description.get("identity", {}), identity)
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
    for name, value in description["progress"].items():
        setattr(state, name, value)
