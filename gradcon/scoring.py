"""Scores of test images: the exact gradient of every single image, for a whole chunk at once.

Images do not interact, so one forward and one backward pass of a chunk give, for each image and
each decoder layer, the layer's input a and the derivative d of the loss by its output. The gradient
of the layer's kernel is a sum over the P positions of its input,

    (1)  G[i, o] = sum_p a[i, p] u[o, p],

where i counts input channels, o output channels and places in the kernel, and u holds, for each
position p, the 4x4 patch of d that the transposed convolution connects with it. The cosine of G
with the reference R is <G, R> / (|G| |R|). In a layer of few positions it is cheaper without G:

    (2)  <G, R> = <conv_transpose(a, R), d>,
    (3)  |G|^2 = sum_pq (a^T a)[p, q] (u^T u)[p, q].
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.utils.precision import full_float32
from gradcon.batches import to_unit, upload
from gradcon.kernels.runtime import keep_freed_memory
from gradcon.losses import EPSILON
from gradcon.networks import Autoencoder, decoder_weights

CHUNK = 64
"""Images scored at once on a CPU: few enough for its caches. It bounds the memory needed."""
GPU_CHUNK = 1024
"""Images scored at once on a GPU: enough to keep it busy."""


@full_float32()
def score_images(
    network: Autoencoder,
    reference: Mapping[str, Tensor],
    images: Tensor,
    reconstruction_loss: Callable[[Tensor, Tensor], Tensor],
    chunk: int | None = None,
) -> dict[str, Tensor]:
    """The losses of test images; higher is more anomalous.

    Args:
        network: a trained network.
        reference: mean training gradient of each decoder weight.
        images: (N, C, H, W) uint8.
        reconstruction_loss: per image, from logits and images.
        chunk: images at once; by default ``CHUNK``, on a GPU ``GPU_CHUNK``.

    Returns:
        ``reconstruction``, ``latent`` and ``gradient``, each (N,), on the CPU.
    """
    first = next(network.parameters())
    # Copied, because a matrix product's last bit can depend on how its memory is aligned, which
    # differs between trained and loaded tensors.
    means = [reference[name].to(first, copy=True) for name in decoder_weights(network)]
    if first.device.type == "cpu":
        keep_freed_memory()
    chunk = chunk or (GPU_CHUNK if first.is_cuda else CHUNK)
    scores = first.new_empty(3, len(images))
    for start in range(0, len(images), chunk):
        batch = images[start : start + chunk]
        pixels = to_unit(upload(batch, first.device), first.dtype)
        if not pixels.is_cuda:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        losses = _score_chunk(network, means, pixels, reconstruction_loss)
        scores[:, start : start + len(batch)] = torch.stack(losses)
    return dict(zip(("reconstruction", "latent", "gradient"), scores.cpu(), strict=True))


def _score_chunk(
    network: Autoencoder,
    means: list[Tensor],
    images: Tensor,
    reconstruction_loss: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Reconstruction, latent and gradient losses, (B,) each, of images (B, C, H, W) in [0, 1]."""
    with torch.no_grad():
        code, latent_loss = network.encode(images)
    layers, inputs, outputs, logits = _decode(network.decoder, code)
    with torch.enable_grad():
        loss = reconstruction_loss(logits, images)
        derivatives = torch.autograd.grad(loss.sum(), outputs)
    with torch.no_grad():
        cosines = [
            _cosine(layer, a, d, mean)
            for layer, a, d, mean in zip(layers, inputs, derivatives, means, strict=True)
        ]
    return loss.detach(), latent_loss, -torch.stack(cosines).mean(0)


@torch.enable_grad()
def _decode(
    decoder: nn.Sequential, code: Tensor
) -> tuple[list[nn.ConvTranspose2d], list[Tensor], list[Tensor], Tensor]:
    """The transposed convolutions, their inputs and their outputs, and the logits, of a code."""
    layers: list[nn.ConvTranspose2d] = []
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    activation = code.requires_grad_()
    for layer in decoder:
        x, activation = activation, layer(activation)
        if isinstance(layer, nn.ConvTranspose2d):
            layers.append(layer)
            inputs.append(x)
            outputs.append(activation)
    return layers, inputs, outputs, activation


def _cosine(layer: nn.ConvTranspose2d, a: Tensor, d: Tensor, mean: Tensor) -> Tensor:
    """Cosine of each image's gradient with the reference, (B,); 0 where either is 0.

    Args:
        layer: a transposed convolution.
        a: its inputs, (B, in, H, W).
        d: derivatives of the loss by its outputs, (B, out, H', W').
        mean: the reference R, (in, out, 4, 4).
    """
    padding = int(layer.padding[0])
    u = F.unfold(d, layer.kernel_size, stride=layer.stride, padding=padding)
    flat = a.flatten(2)
    rows, columns, positions = flat.shape[1], u.shape[1], flat.shape[2]
    if positions * (rows + columns) < rows * columns:
        along_mean = F.conv_transpose2d(a, mean, None, layer.stride, padding)
        inner_product = (along_mean * d).flatten(1).sum(1)  # (2)
        gram = torch.bmm(flat.mT, flat) * torch.bmm(u.mT, u)
        squared_norm = gram.flatten(1).sum(1)  # (3)
    else:
        gradient = torch.bmm(flat, u.mT).flatten(1)  # (1)
        inner_product = gradient @ mean.reshape(-1)
        squared_norm = gradient.square().sum(1)
    norm = squared_norm.clamp_min(0).sqrt().clamp_min(EPSILON)
    cosine: Tensor = inner_product / (norm * torch.linalg.vector_norm(mean).clamp_min(EPSILON))
    return cosine
