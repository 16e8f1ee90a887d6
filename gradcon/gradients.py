"""Losses of one model for a batch, and their gradients, by explicit passes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gradcon.kernels.double_backward import decode, decoder_layers
from gradcon.kernels.im2col import to_blocks
from gradcon.losses import RECONSTRUCTION_SLOPES, gradient_loss_slopes
from gradcon.networks import Autoencoder
from gradcon.settings import Settings

Tensors = dict[str, Tensor]


class Gradients(NamedTuple):
    """Of one batch."""

    losses: Tensor
    """(4,) total, reconstruction, latent, gradient."""
    own: list[Tensor]
    """Of the reconstruction loss by the decoder's kernels; empty without constraint."""
    total: Tensors
    """Of the total loss by all parameters."""


class _Encoding(nn.Module):
    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.network.encode(images, noise)


def gradients(
    network: Autoencoder,
    settings: Settings,
    parameters: Tensors,
    reference: Tensors,
    images: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> Gradients:
    """Losses and gradients of one model.

    Args:
        network: gives the architecture; its encoder is ``explicit``.
        settings: hyperparameters.
        parameters: without the stack's dimension, as all others.
        reference: of the decoder's kernels.
        images: (B, C, H, H) in [0, 1].
        weight: (B,), 1 for an image and 0 for padding.
        noise: (B, Z) or none.
    """
    precision = torch.bfloat16 if settings.precision == "bfloat16" else images.dtype
    share = weight / weight.sum().clamp_min(1)
    encoding = {n: v for n, v in parameters.items() if not n.startswith("decoder.")}
    encoding = {name: value.detach().requires_grad_() for name, value in encoding.items()}
    with torch.enable_grad():
        low = {f"network.{name}": value.to(precision) for name, value in encoding.items()}
        inputs = (images.to(precision), None if noise is None else noise.to(precision))
        code, latent = functional_call(_Encoding(network), low, inputs)
        latent = settings.latent_weight / images[0].numel() * (latent.to(images.dtype) @ share)
    kernels = [parameters[name] for name in reference]
    biases = [parameters[name.replace(".weight", ".bias")] for name in reference]
    convolutions = [m for m in network.decoder if isinstance(m, nn.ConvTranspose2d)]
    layers = decoder_layers(convolutions, len(images), code.shape[2])
    means = [f.matrix(reference[name]) for f, name in zip(layers, reference, strict=True)]
    targets = to_blocks(images, int(convolutions[-1].padding[0]))
    pixels = layers[-1].real.to(images.dtype).expand(-1, images.shape[1]).reshape(1, -1)
    scale = (share.unsqueeze(1) / images[0].numel() * pixels).view_as(targets)
    slopes_of = RECONSTRUCTION_SLOPES[settings.reconstruction_loss]

    def loss(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = logits.view_as(targets).to(targets.dtype)
        value, slope, curvature = slopes_of(logits, targets)
        return (value * scale).sum(), slope.mul_(scale), curvature.mul_(scale)

    def constraint(own: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        value, slopes = gradient_loss_slopes([g.to(images.dtype) for g in own], means)
        return value, [settings.alpha * slope for slope in slopes]

    constrained = settings.alpha > 0 or settings.reference == "reconstruction"
    with torch.no_grad():
        flat = code.detach().permute(0, 2, 3, 1).reshape(-1, code.shape[1])
        found = decode(layers, flat, kernels, biases, loss, constraint if constrained else None)
        at_code = found.code.view(code.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
    heads, slopes = [code], [at_code]
    if latent.requires_grad:
        heads, slopes = [code, latent], [at_code, torch.ones_like(latent)]
    by_encoding = torch.autograd.grad(heads, list(encoding.values()), slopes)
    total = dict(zip(encoding, by_encoding, strict=True))
    for name, kernel, bias in zip(reference, found.kernels, found.biases, strict=True):
        total |= {name: kernel, name.replace(".weight", ".bias"): bias}
    latent = latent.detach()
    all_losses = found.reconstruction + latent + settings.alpha * found.gradient
    losses = torch.stack([all_losses, found.reconstruction, latent, found.gradient])
    own = (
        [f.kernel(g, kernel) for f, g, kernel in zip(layers, found.own, kernels, strict=False)]
        if settings.reference == "reconstruction"
        else []
    )
    return Gradients(losses, own, {name: total[name] for name in parameters})
