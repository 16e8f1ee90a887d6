"""GradCon in plain lines: one network, one training step, one score. Read this first.

This is the official formulation as it stands in the authors' code, without anything that makes it
fast: one ``torch.autograd.grad`` call per decoder layer, ``torch.optim.Adam``, one backward pass
per test image. It shares nothing with the rest of the package but the networks: the tests hold the
fast path to it, and the benchmarks measure against it.

>>> import torch
>>> from gradcon.networks import Autoencoder, initialised
>>> network = initialised(Autoencoder, channels=1, image_size=28, seed=0)
>>> optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
>>> reference = Reference(network)
>>> images = torch.rand(4, 1, 28, 28)
>>> for _ in range(2):
...     losses = training_step(network, optimiser, reference, images, alpha=0.03)
>>> reconstruction, gradient = score(network, reference, images)
>>> anomaly_score = reconstruction + 0.12 * gradient  # (4,), higher is more anomalous
>>> anomaly_score.shape
torch.Size([4])
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Reference:
    """The running mean, over all training iterations so far, of each decoder layer's gradient.

    Attributes:
        weights: of the decoder's layers; biases take no part.
        means: one per weight, in its shape.
        count: gradients that entered.
    """

    def __init__(self, network: nn.Module) -> None:
        self.weights = decoder_layers(network)
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.count = 0

    def update(self, gradients: Sequence[Tensor]) -> None:
        """Let one more gradient per layer into the means."""
        self.count += 1
        for mean, gradient in zip(self.means, gradients, strict=True):
            mean += (gradient.detach() - mean) / self.count


def decoder_layers(network: nn.Module) -> list[Tensor]:
    """The weights of the decoder's transposed convolutions."""
    layers = network.get_submodule("decoder").children()
    return [layer.weight for layer in layers if isinstance(layer, nn.ConvTranspose2d)]


def cosine(gradient: Tensor, mean: Tensor) -> Tensor:
    """Cosine of two tensors as vectors, 0-d."""
    return F.cosine_similarity(gradient.reshape(1, -1), mean.reshape(1, -1)).squeeze()


def gradient_loss(gradients: Sequence[Tensor], means: Sequence[Tensor]) -> Tensor:
    """Minus the mean cosine over the decoder's layers, 0-d, in [-1, 1] (paper, equation 3)."""
    cosines = [cosine(own, mean) for own, mean in zip(gradients, means, strict=True)]
    return -torch.stack(cosines).mean()


def training_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    reference: Reference,
    images: Tensor,
    alpha: float,
) -> tuple[float, float]:
    """One iteration on a batch (B, C, H, W) in [0, 1].

    The constraint is off in the first iteration, which has no reference yet. What enters the
    reference is the gradient of the total loss, as in the code that made the paper's tables.

    Returns:
        The losses before the step: reconstruction error and gradient loss.
    """
    optimiser.zero_grad()
    reconstruction = F.mse_loss(torch.sigmoid(network(images).logits), images)
    constraint = torch.zeros(())
    if alpha and reference.count:
        own = [
            torch.autograd.grad(reconstruction, weight, create_graph=True)[0]
            for weight in reference.weights
        ]
        constraint = gradient_loss(own, reference.means)
    torch.autograd.backward(reconstruction + alpha * constraint)
    reference.update([_gradient(weight) for weight in reference.weights])
    optimiser.step()
    return reconstruction.item(), constraint.item()


def score(
    network: nn.Module,
    reference: Reference | Sequence[Tensor],
    images: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
) -> tuple[Tensor, Tensor]:
    """Reconstruction error and gradient loss of each image, (N,) each, one image at a time.

    Args:
        network: trained.
        reference: of its training, or the means alone.
        images: (N, C, H, W) in [0, 1].
        loss: of a reconstruction (1, C, H, W) and its image, 0-d.
    """
    means = reference.means if isinstance(reference, Reference) else reference
    weights = decoder_layers(network)
    errors, gradients = [], []
    for image in torch.split(images, 1):
        network.zero_grad()
        error = loss(torch.sigmoid(network(image).logits), image)
        torch.autograd.backward(error)
        errors.append(error.detach())
        gradients.append(gradient_loss([_gradient(weight) for weight in weights], means))
    return torch.stack(errors), torch.stack(gradients)


def _gradient(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return weight.grad
