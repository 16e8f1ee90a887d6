"""The losses for a batch and their gradients, by the explicit passes: of a model, or of a stack.

The decoder's gradients, and the gradient constraint, are those of ``kernels.double_backward``. The
encoder sees both losses of the decoder only through their derivative by the code, so one ordinary
backward pass from the code gives it its gradients.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gradcon.kernels.double_backward import Constraint, Loss, decoder_gradients, decoder_layers
from gradcon.kernels.im2col import Layer, to_blocks
from gradcon.losses import RECONSTRUCTION_DERIVATIVES, gradient_loss_derivatives
from gradcon.networks import Autoencoder
from gradcon.settings import Settings
from gradcon.training_state import Tensors


class Gradients(NamedTuple):
    """Losses of a batch and their gradients; those of a stack have a leading dimension K."""

    losses: Tensor
    """(4,) total, reconstruction, latent, gradient."""
    reconstruction: Sequence[Tensor]
    """Of the reconstruction loss by the decoder's kernels, for the reference to average; empty if
    the reference averages those of the total loss."""
    total: Tensors
    """Of the total loss by all parameters; of a stack that is computed at once, in one buffer."""


class _Encoding(NamedTuple):
    """The code of a batch, from which autograd can go back to the parameters before it."""

    parameters: Tensors
    """All but the decoder's."""
    code: Tensor
    """(B, C, n, n)."""
    latent_loss: Tensor
    """(), the weighted mean over the batch."""


def batch_gradients(
    network: Autoencoder,
    settings: Settings,
    parameters: Tensors,
    reference: Tensors,
    images: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> Gradients:
    """Losses and gradients of one model, or of the models of a stack at once.

    For a stack all tensors have a leading dimension, given and returned.

    Args:
        network: gives the architecture; its encoder is ``explicit``.
        settings: hyperparameters.
        parameters: of the model.
        reference: mean gradients of the decoder's kernels.
        images: (B, C, H, H) in [0, 1].
        weight: (B,), 1 for an image and 0 for padding.
        noise: (B, Z) standard normal, or none.
    """
    share = weight / weight.sum(-1, keepdim=True).clamp_min(1)
    encoding = _encode(network, settings, parameters, images, share, noise)
    convolutions = [m for m in network.decoder if isinstance(m, nn.ConvTranspose2d)]
    side = encoding.code.shape[-1]
    layers = decoder_layers(convolutions, weight.numel(), side, images.device)
    kernels = [parameters[name] for name in reference]
    biases = [parameters[_bias(name)] for name in reference]
    loss = _loss(settings, layers[-1], int(convolutions[-1].padding[0]), images, share)
    constraint = None
    if settings.alpha > 0 or settings.reference == "reconstruction":
        means = [f.matrix(mean) for f, mean in zip(layers, reference.values(), strict=True)]
        constraint = _constraint(settings.alpha, means)
    with torch.no_grad():
        code = encoding.code.detach().movedim(-3, -1)
        flat = code.reshape(-1, code.shape[-1])
        decoder = decoder_gradients(layers, flat, kernels, biases, loss, constraint)
        by_code = decoder.code.view(code.shape).movedim(-1, -3)
    total = _encoder_gradients(encoding, by_code)
    total |= dict(zip(reference, decoder.kernels, strict=True))
    total |= dict(zip(map(_bias, reference), decoder.biases, strict=True))
    reconstruction = (
        [f.kernel(g, w) for f, g, w in zip(layers, decoder.reconstruction, kernels, strict=True)]
        if settings.reference == "reconstruction"
        else []
    )
    return Gradients(
        _losses(settings, decoder.reconstruction_loss, encoding.latent_loss, decoder.gradient_loss),
        reconstruction,
        {name: total[name] for name in parameters},
    )


class _EncodeModule(nn.Module):
    """A network's ``encode`` as a module's call, which is what ``functional_call`` takes."""

    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.network.encode(images, noise)


def _encode(
    network: Autoencoder,
    settings: Settings,
    parameters: Tensors,
    images: Tensor,
    share: Tensor,
    noise: Tensor | None,
) -> _Encoding:
    """The code in the precision of the passes; arguments as in ``batch_gradients``.

    ``share``, (B,), is the weight of each image over their sum.
    """
    precision = torch.bfloat16 if settings.precision == "bfloat16" else images.dtype
    leaves = {
        name: value.detach().requires_grad_()
        for name, value in parameters.items()
        if not name.startswith("decoder.")
    }
    with torch.enable_grad():
        cast = {f"network.{name}": value.to(precision) for name, value in leaves.items()}
        inputs = (images.to(precision), None if noise is None else noise.to(precision))
        code, latent = functional_call(_EncodeModule(network), cast, inputs)
        per_pixel = settings.latent_weight / images.shape[-3:].numel()
        latent_loss = torch.linalg.vecdot(latent.to(images.dtype), share)
        return _Encoding(leaves, code, per_pixel * latent_loss)


def _loss(settings: Settings, last: Layer, padding: int, images: Tensor, share: Tensor) -> Loss:
    """The reconstruction loss of logits that are stored by blocks, as the last layer gives them."""
    targets = to_blocks(images.flatten(0, -4), padding)
    channels, pixels = images.shape[-3], images.shape[-3:].numel()
    is_pixel = last.is_pixel.to(images.dtype).expand(-1, channels).reshape(1, -1)
    scale = (share.reshape(-1, 1) / pixels * is_pixel).view_as(targets)
    derivatives = RECONSTRUCTION_DERIVATIVES[settings.reconstruction_loss]

    def loss(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        value, first, second = derivatives(logits.view_as(targets).to(targets.dtype), targets)
        total = (value * scale).view(*share.shape[:-1], -1).sum(-1)
        return total, first.mul_(scale), second.mul_(scale)

    return loss


def _constraint(alpha: float, means: Sequence[Tensor]) -> Constraint:
    """The gradient loss, and alpha times its derivatives, for reference gradients as matrices M."""

    def constraint(gradients: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        cast = [gradient.to(mean.dtype) for gradient, mean in zip(gradients, means, strict=True)]
        value, derivatives = gradient_loss_derivatives(cast, means)
        return value, [alpha * derivative for derivative in derivatives]

    return constraint


def _encoder_gradients(encoding: _Encoding, by_code: Tensor) -> Tensors:
    """Gradients of the total loss by all parameters before the code, from that by the code."""
    outputs, derivatives = [encoding.code], [by_code]
    if encoding.latent_loss.requires_grad:
        outputs.append(encoding.latent_loss)
        derivatives.append(torch.ones_like(encoding.latent_loss))
    values = torch.autograd.grad(outputs, list(encoding.parameters.values()), derivatives)
    return dict(zip(encoding.parameters, values, strict=True))


def _losses(settings: Settings, reconstruction: Tensor, latent: Tensor, gradient: Tensor) -> Tensor:
    """(4,): the total and its parts."""
    latent = latent.detach()
    total = reconstruction + latent + settings.alpha * gradient
    return torch.stack([total, reconstruction, latent, gradient], -1)


def _bias(kernel: str) -> str:
    """The name of the bias beside a kernel."""
    return kernel.replace(".weight", ".bias")
