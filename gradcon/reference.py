"""GradCon in plain lines: one network, one training step, one score. Read this first.

This is the method as in the authors' code, without anything that makes it fast: one
``torch.autograd.grad`` call per decoder layer, ``torch.optim.Adam``, one backward pass per test
image. It uses nothing else of the package (the networks come from the caller). The tests compare
the fast code with it, and ``performance`` measures speed against it.

>>> import torch
>>> from gradcon.networks import Autoencoder, initialised
>>> network = initialised(Autoencoder, channels=1, image_size=28, seed=0)
>>> optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
>>> reference = Reference(network)
>>> images = torch.rand(4, 1, 28, 28)
>>> for _ in range(2):
...     losses = training_step(network, optimiser, reference, images, alpha=0.03)
>>> reference.count
2
>>> reconstruction, gradient = score(network, reference, images)
>>> anomaly_score = reconstruction + 0.12 * gradient  # higher is more anomalous
>>> anomaly_score.shape
torch.Size([4])
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Reference:
    """The mean, over all training iterations so far, of the gradient of each decoder layer.

    Attributes:
        weights: of the decoder's transposed convolutions; their biases take no part.
        means: mean gradients, one per weight and in its shape; zeros before the first iteration.
        count: number of gradients averaged.
    """

    def __init__(self, network: nn.Module) -> None:
        self.weights = decoder_layer_weights(network)
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.count = 0

    def update(self, gradients: Sequence[Tensor]) -> None:
        """Include one more gradient per layer in the means."""
        self.count += 1
        for mean, gradient in zip(self.means, gradients, strict=True):
            mean += (gradient - mean) / self.count


def decoder_layer_weights(network: nn.Module) -> list[Tensor]:
    """The weights of the transposed convolutions in ``network.decoder``, in their order."""
    layers = network.get_submodule("decoder").children()
    return [layer.weight for layer in layers if isinstance(layer, nn.ConvTranspose2d)]


def gradient_loss(gradients: Sequence[Tensor], means: Sequence[Tensor]) -> Tensor:
    """Minus the mean cosine over the decoder's layers, 0-d, in [-1, 1] (paper, equation 3)."""
    cosines = [
        F.cosine_similarity(gradient.flatten(), mean.flatten(), dim=0)
        for gradient, mean in zip(gradients, means, strict=True)
    ]
    return -torch.stack(cosines).mean()


def training_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    reference: Reference,
    images: Tensor,
    alpha: float,
) -> tuple[float, float]:
    """One iteration of CAE + Grad on a batch (B, C, H, W) in [0, 1].

    There is no constraint in the first iteration, which has no reference yet. The reference
    averages the gradient of the total loss, as in the code that made the paper's tables.

    Returns:
        The losses before the step: reconstruction error and gradient loss.
    """
    reconstruction = F.mse_loss(torch.sigmoid(network(images).logits), images)
    constraint = torch.zeros(())
    if alpha and reference.count:
        gradients = [
            torch.autograd.grad(reconstruction, weight, create_graph=True)[0]
            for weight in reference.weights
        ]
        constraint = gradient_loss(gradients, reference.means)
    optimiser.zero_grad()
    torch.autograd.backward(reconstruction + alpha * constraint)
    reference.update(_gradients(reference.weights))
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
        reference: of its training, or the mean gradients alone.
        images: (N, C, H, W) in [0, 1].
        loss: of a reconstruction (1, C, H, W) and its image, 0-d.
    """
    means = reference.means if isinstance(reference, Reference) else reference
    weights = decoder_layer_weights(network)
    reconstruction_errors, gradient_losses = [], []
    for image in torch.split(images, 1):
        network.zero_grad()
        error = loss(torch.sigmoid(network(image).logits), image)
        torch.autograd.backward(error)
        reconstruction_errors.append(error.detach())
        gradient_losses.append(gradient_loss(_gradients(weights), means))
    return torch.stack(reconstruction_errors), torch.stack(gradient_losses)


def _gradients(weights: Sequence[Tensor]) -> list[Tensor]:
    """What the last backward pass left at the weights."""
    return [weight.grad for weight in weights if weight.grad is not None]
