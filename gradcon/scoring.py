"""Scores of test images: the gradient of every single image, exactly, for a whole chunk at once.

One forward and one backward pass give each decoder layer's input a and the gradient d of the loss
at its output, image by image, since the images do not interact. The gradient of a layer's weights
is then a matrix product over the P positions of the layer's input,

    G[i, o] = sum_p a[i, p] u[o, p],

with u the 4x4 patches of d that the transposed convolution connects to each position, o counting
output channels and places in the kernel. The cosine with the reference R needs <G, R> and |G|^2.
Where the positions are fewer than the entries of G would ask for, neither needs G itself:

    <G, R> = <conv_transpose(a, R), d>,    |G|^2 = sum_pq (a^T a)[p, q] (u^T u)[p, q].
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcon.batches import to_unit, upload
from gradcon.kernels.precision import full_float32
from gradcon.kernels.runtime import keep_freed_memory
from gradcon.losses import EPSILON
from gradcon.networks import Autoencoder, decoder_weights

CHUNK = 64
"""Images scored at once: bounds the memory whatever the number of images, and fits the caches."""
GPU_CHUNK = 1024
"""The same on a GPU, which a small chunk does not fill."""


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
    """Reconstruction, latent and gradient losses, (B,) each."""
    with torch.no_grad():
        activation, latent_loss = network.encode(images)
    layers: list[nn.ConvTranspose2d] = []
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    with torch.enable_grad():
        activation.requires_grad_()
        for layer in network.decoder:
            if isinstance(layer, nn.ConvTranspose2d):
                layers.append(layer)
                inputs.append(activation)
                activation = layer(activation)
                outputs.append(activation)
            else:
                activation = layer(activation)
        loss = reconstruction_loss(activation, images)
        at_outputs = torch.autograd.grad(loss.sum(), outputs)
    with torch.no_grad():
        cosines = [
            _cosine(layer, a, d, mean)
            for layer, a, d, mean in zip(layers, inputs, at_outputs, means, strict=True)
        ]
    return loss.detach(), latent_loss, -torch.stack(cosines).mean(0)


def _cosine(layer: nn.ConvTranspose2d, a: Tensor, d: Tensor, mean: Tensor) -> Tensor:
    """Cosine of each image's weight gradient with the reference, (B,); 0 where either vanishes."""
    padding = int(layer.padding[0])
    u = F.unfold(d, layer.kernel_size, stride=layer.stride, padding=padding)
    flat = a.flatten(2)
    rows, columns, positions = flat.shape[1], u.shape[1], flat.shape[2]
    if positions * (rows + columns) < rows * columns:
        through = F.conv_transpose2d(a, mean, None, layer.stride, padding)
        product = (through * d).flatten(1).sum(1)
        gram = torch.bmm(flat.mT, flat) * torch.bmm(u.mT, u)
        square = gram.flatten(1).sum(1)
    else:
        gradient = torch.bmm(flat, u.mT).flatten(1)
        product = gradient @ mean.reshape(-1)
        square = gradient.square().sum(1)
    own = square.clamp_min(0).sqrt().clamp_min(EPSILON)
    cosine: Tensor = product / (own * torch.linalg.vector_norm(mean).clamp_min(EPSILON))
    return cosine
