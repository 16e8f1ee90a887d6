"""Scores of test images: exact gradients of every single image, computed for a whole chunk at once.

One forward and one backward pass give each decoder layer's input a and the gradient d of the loss
at its output, image by image, since the images do not interact. The gradient of a layer's weights
is then a matrix product over the P positions of the layer's input,

    G[i, o k l] = sum_p a[i, p] U[o k l, p],

with U the 4x4 patches of d that the transposed convolution connects to each position.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcon.batches import to_unit
from gradcon.losses import gradient_loss
from gradcon.networks import Autoencoder, decoder_weights

CHUNK = 256
"""Images scored at once: bounds the memory (some 0.7 MB an image) whatever the number of images."""


def decoder_gradients(
    network: Autoencoder, images: Tensor, reconstruction_loss: Callable[[Tensor, Tensor], Tensor]
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Per-image gradients of the reconstruction loss at the decoder's weights.

    Args:
        network: on the device of the images.
        images: (B, C, H, W) in [0, 1].
        reconstruction_loss: per image, from logits and images.

    Returns:
        Gradients per decoder layer, (B, in, out, 4, 4); reconstruction loss, (B,); latent, (B,).
    """
    with torch.no_grad():
        activation, latent_loss = network.encode(images)
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    with torch.enable_grad():
        activation.requires_grad_()
        for layer in network.decoder:
            if isinstance(layer, nn.ConvTranspose2d):
                inputs.append(activation)
                activation = layer(activation)
                outputs.append(activation)
            else:
                activation = layer(activation)
        loss = reconstruction_loss(activation, images)
        at_outputs = torch.autograd.grad(loss.sum(), outputs)
    layers = [layer for layer in network.decoder if isinstance(layer, nn.ConvTranspose2d)]
    gradients = [
        _weight_gradient(layer, a.detach(), d)
        for layer, a, d in zip(layers, inputs, at_outputs, strict=True)
    ]
    return gradients, loss.detach(), latent_loss


def _weight_gradient(layer: nn.ConvTranspose2d, a: Tensor, d: Tensor) -> Tensor:
    side, padding = layer.kernel_size[0], int(layer.padding[0])
    patches = F.unfold(d, layer.kernel_size, stride=layer.stride, padding=padding)
    gradient = torch.bmm(a.flatten(2), patches.transpose(1, 2))
    return gradient.view(len(a), a.shape[1], -1, side, side)


def score_images(
    network: Autoencoder,
    reference: Mapping[str, Tensor],
    images: Tensor,
    reconstruction_loss: Callable[[Tensor, Tensor], Tensor],
    chunk: int = CHUNK,
) -> dict[str, Tensor]:
    """The losses of test images; higher is more anomalous.

    Args:
        network: a trained network.
        reference: mean training gradient of each decoder weight.
        images: (N, C, H, W) uint8.
        reconstruction_loss: per image, from logits and images.
        chunk: images at once.

    Returns:
        ``reconstruction``, ``latent`` and ``gradient``, each (N,), on the CPU.
    """
    device = next(network.parameters()).device
    means = [reference[name].unsqueeze(0).to(device) for name in decoder_weights(network)]
    parts: dict[str, list[Tensor]] = {"reconstruction": [], "latent": [], "gradient": []}
    for batch in torch.split(images, chunk):
        pixels = to_unit(batch.to(device), next(network.parameters()).dtype)
        gradients, reconstruction, latent = decoder_gradients(network, pixels, reconstruction_loss)
        parts["reconstruction"].append(reconstruction)
        parts["latent"].append(latent)
        parts["gradient"].append(gradient_loss(gradients, means))
    return {name: torch.cat(values).detach().cpu() for name, values in parts.items()}
