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
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from benchmark.detector import FitFailed
from benchmark.errors import InputError
from gradcon import gradients
from gradcon import training_state as states
from gradcon.batches import batch_order, latent_noise, resident, take_batch, upload, without_padding
from gradcon.kernels.adam import adam_step
from gradcon.kernels.cuda_graphs import captured
from gradcon.kernels.precision import full_float32, warn_of_slow_bfloat16
from gradcon.kernels.runtime import keep_freed_memory
from gradcon.losses import RECONSTRUCTION, gradient_loss
from gradcon.networks import Autoencoder, initialised
from gradcon.settings import Settings
from gradcon.stack import Stack
from gradcon.training_state import State, Tensors, Trained

CHECKPOINT_SECONDS = 30.0


@full_float32()
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
        InputError: a checkpoint of another training, or one past a milestone that it did not keep.
        ValueError: unsupported images.
    """
    channels, image_size = data[0].shape[1], data[0].shape[2]
    modules = [initialised(network, channels, image_size, seed) for seed in seeds]
    modules = [module.to(device, dtype) for module in modules]
    identity = _identity(network, settings, data, validation, seeds)
    state = states.initial(modules)
    if checkpoint is not None and checkpoint.exists():
        states.restore(state, checkpoint, identity)
        if state.epoch > settings.epochs:
            raise InputError(
                f"{checkpoint}: holds a training of {state.epoch} epochs, {settings.epochs} are "
                "wanted; delete the file to start over"
            )
        passed = [m for m in milestones if m <= state.epoch and f"epoch-{m}" not in state.kept]
        if passed:
            raise InputError(
                f"{checkpoint}: is at epoch {state.epoch} and kept no milestones {passed}; "
                "delete the file to start over, or leave them out"
            )
    on_cpu = torch.device(device).type == "cpu"
    if on_cpu:
        keep_freed_memory()
    batched = not on_cpu if vectorise is None else vectorise
    precision = torch.bfloat16 if settings.precision == "bfloat16" else None
    if on_cpu and precision is not None:
        warn_of_slow_bfloat16()
    stack = Stack(modules[0], vectorise=batched, precision=precision)
    images, counts = resident(data, device)
    validation_images, validation_counts = resident(validation, device)
    validation_order = upload(batch_order(validation_counts, settings.batch_size), device)
    capture = captured if images.is_cuda else None
    train_epoch = Epoch(
        partial(iterate, stack, settings, state),
        images,
        settings.batch_size,
        dtype,
        states.tensors(state),
        capture,
    )
    validate_epoch = Epoch(
        partial(validate, stack, settings, state),
        validation_images,
        settings.batch_size,
        dtype,
        [],
        capture,
    )
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
        begun = time.monotonic()
        left = [0 if f else n for n, f in zip(counts, state.failures, strict=True)]
        if not any(left):
            break
        order = batch_order(left, settings.batch_size, seeds, epoch)
        noise = latent_noise(
            left, settings.batch_size, network.noise_size(image_size), seeds, epoch, dtype
        )
        losses = train_epoch(
            upload(order, device), None if noise is None else upload(noise, device)
        )
        validation_losses = validate_epoch(validation_order, None)
        states.record(state, settings, epoch, losses, validation_losses)
        if epoch in milestones:
            states.keep(state, f"epoch-{epoch}")
        state.seconds += time.monotonic() - begun
        bar.set_postfix_str(f"validation loss {min(state.best_loss):.4g}", refresh=False)
        due = time.monotonic() - written > CHECKPOINT_SECONDS or epoch == settings.epochs
        if checkpoint is not None and due:
            states.write(state, checkpoint, identity)
            written = time.monotonic()
    return [states.outcome(state, k) for k in range(len(data))]


_Step = Callable[[Tensor, Tensor, Tensor | None], Tensor]
_Capture = Callable[[Callable[[], None], Sequence[Tensor]], Callable[[], None]]


class Epoch:
    """One pass over images, batch by batch, on buffers that stay in place.

    On a CUDA device a step is recorded once as a CUDA graph and then replayed, so that no step
    waits for Python, and nothing is read back before the epoch ends. On a CPU the same step is
    called, on batches without the padding that all models share.

    Args:
        step: losses, (K, 4), of a batch, its weights and noise, as in ``iterate``.
        images: (K, N, C, H, W) uint8.
        batch_size: B, images of each model in a batch.
        dtype: of the batches.
        changed: the tensors that a step changes in place.
        capture: what records a step (``gradcon.kernels.cuda_graphs.captured``), or none to call it.
    """

    def __init__(
        self,
        step: _Step,
        images: Tensor,
        batch_size: int,
        dtype: torch.dtype,
        changed: Sequence[Tensor],
        capture: _Capture | None,
    ) -> None:
        self.step = step
        self.images = images
        self.dtype = dtype
        self.changed = changed
        self.capture = capture
        self.numbers = torch.full((len(images), batch_size), -1, device=images.device)
        self.noise: Tensor | None = None
        self.sums = images.new_zeros((len(images), 4), dtype=torch.float64)
        self._run: Callable[[], None] | None = None

    def __call__(self, order: Tensor, noise: Tensor | None) -> Tensor:
        """Take one step per batch.

        Args:
            order: image numbers, (K, batches, B); -1 for none.
            noise: (K, batches, B, Z), or none.

        Returns:
            Losses as a mean over the epoch's images, (K, 4): total, reconstruction, latent,
            gradient.
        """
        if self._run is None:
            self.noise = None if noise is None else noise[:, 0].clone()
            self.numbers.copy_(order[:, 0])
            self._run = self._take_step
            if self.capture is not None:
                self._run = self.capture(self._take_step, [self.sums, *self.changed])
        self.sums.zero_()
        for step in range(order.shape[1]):
            self.numbers.copy_(order[:, step])
            if self.noise is not None and noise is not None:
                self.noise.copy_(noise[:, step])
            self._run()
        return self.sums / (order >= 0).sum((1, 2)).clamp_min(1).unsqueeze(1)

    def _take_step(self) -> None:
        numbers = without_padding(self.numbers) if self.capture is None else self.numbers
        batch, weight = take_batch(self.images, numbers, self.dtype)
        noise = None if self.noise is None else self.noise[:, : batch.shape[1]]
        losses = self.step(batch, weight, noise)
        self.sums += losses.double() * weight.sum(1, keepdim=True)


def iterate(
    stack: Stack,
    settings: Settings,
    state: State,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> Tensor:
    """One iteration of every model that has images in this batch.

    Args:
        stack: the network.
        settings: hyperparameters.
        state: updated in place.
        batch: (K, B, C, H, W) in [0, 1].
        weight: (K, B), 1 for an image and 0 for padding.
        noise: (K, B, Z) standard normal, or none.

    Returns:
        Losses before the update, (K, 4): total, reconstruction, latent, gradient.
    """
    compute = _one_by_one if stack.explicit else _all_at_once
    losses, own, gradients = compute(stack, settings, state, batch, weight, noise)
    with torch.no_grad():
        active = (weight.sum(1) > 0).to(losses.dtype)
        state.iterations += active
        averaged = own or [gradients[name] for name in state.reference]
        share = active / state.iterations.clamp_min(1)
        for mean, value in zip(state.reference.values(), averaged, strict=True):
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
    return losses


_Gradients = tuple[Tensor, Sequence[Tensor], Tensors]
"""Losses (K, 4); the gradients that the reference averages, none if these are the total loss's;
the gradients of the total loss."""


def _one_by_one(
    stack: Stack,
    settings: Settings,
    state: State,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> _Gradients:
    found = [
        gradients.gradients(
            stack.module,
            settings,
            {name: value[k] for name, value in state.parameters.items()},
            {name: value[k] for name, value in state.reference.items()},
            images,
            weight[k],
            None if noise is None else noise[k],
        )
        for k, images in enumerate(batch)
    ]
    total = {name: torch.stack([f.total[name] for f in found]) for name in state.parameters}
    own = [torch.stack(values) for values in zip(*(f.own for f in found), strict=True)]
    return torch.stack([f.losses for f in found]), own, total


def _all_at_once(
    stack: Stack,
    settings: Settings,
    state: State,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> _Gradients:
    parameters = {n: value.detach().requires_grad_() for n, value in state.parameters.items()}
    decoder = [parameters[name] for name in state.reference]
    reference = list(state.reference.values())
    reconstruction, latent = batch_losses(stack, settings, parameters, batch, weight, noise)
    gradient = torch.zeros_like(reconstruction)
    own: tuple[Tensor, ...] = ()
    if settings.alpha > 0 or settings.reference == "reconstruction":
        own = torch.autograd.grad(
            reconstruction.sum(), decoder, retain_graph=True, create_graph=settings.alpha > 0
        )
        gradient = gradient_loss(own, reference)
    total = reconstruction + latent + settings.alpha * gradient
    values = torch.autograd.grad(total.sum(), list(parameters.values()))
    gradients = dict(zip(parameters, values, strict=True))
    losses = torch.stack([total, reconstruction, latent, gradient], 1).detach()
    return losses, own if settings.reference == "reconstruction" else (), gradients


def validate(
    stack: Stack,
    settings: Settings,
    state: State,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> Tensor:
    """The losses of ``iterate`` without its update, (K, 4); arguments as there.

    The gradient loss is that of the batch's gradient, as in training.
    """
    constrained = settings.alpha > 0
    parameters = {
        name: value.detach().requires_grad_(constrained and name in state.reference)
        for name, value in state.parameters.items()
    }
    reconstruction, latent = batch_losses(stack, settings, parameters, batch, weight, noise)
    gradient = torch.zeros_like(reconstruction)
    if constrained:
        decoder = [parameters[name] for name in state.reference]
        own = torch.autograd.grad(reconstruction.sum(), decoder)
        gradient = gradient_loss(own, list(state.reference.values()))
    total = reconstruction + latent + settings.alpha * gradient
    return torch.stack([total, reconstruction, latent, gradient], 1).detach()


def batch_losses(
    stack: Stack,
    settings: Settings,
    parameters: Tensors,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Batch means of the reconstruction loss and of the weighted latent loss, (K,) each."""
    output = stack(parameters, batch, noise)
    per_image = RECONSTRUCTION[settings.reconstruction_loss]
    errors = per_image(output.logits.flatten(0, 1), batch.flatten(0, 1)).view(weight.shape)
    count = weight.sum(1).clamp_min(1)
    latent = settings.latent_weight / batch[0, 0].numel() * output.latent_loss
    return (errors * weight).sum(1) / count, (latent * weight).sum(1) / count


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
