"""A plain GradCon in the official formulation: the yardstick for speed and the oracle for numbers.

One ``torch.nn`` network, one ``autograd.grad`` call per decoder layer, ``torch.optim.Adam``, one
backward pass per test image. Slow, short, and sharing nothing with ``gradcon`` but the networks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Reference:
    """The running mean of each decoder layer's training gradient."""

    def __init__(self, network: nn.Module) -> None:
        self.weights = [m.weight for m in network.decoder if isinstance(m, nn.ConvTranspose2d)]
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.count = 0

    def update(self, gradients: list[Tensor]) -> None:
        """Let one more gradient per layer into the means."""
        self.count += 1
        for mean, gradient in zip(self.means, gradients, strict=True):
            mean += (gradient.detach() - mean) / self.count


def cosine(gradient: Tensor, mean: Tensor) -> Tensor:
    """Cosine of two tensors as vectors."""
    return F.cosine_similarity(gradient.reshape(1, -1), mean.reshape(1, -1)).squeeze()


def training_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    reference: Reference,
    images: Tensor,
    alpha: float,
) -> tuple[float, float]:
    """One iteration; the losses before it: reconstruction and gradient."""
    optimiser.zero_grad()
    reconstruction = F.mse_loss(torch.sigmoid(network(images).logits), images)
    gradient_loss = torch.zeros(())
    if alpha and reference.count:
        cosines = []
        for weight, mean in zip(reference.weights, reference.means, strict=True):
            (own,) = torch.autograd.grad(reconstruction, weight, create_graph=True)
            cosines.append(cosine(own, mean))
        gradient_loss = -sum(cosines) / len(cosines)
    (reconstruction + alpha * gradient_loss).backward()
    reference.update([weight.grad for weight in reference.weights])
    optimiser.step()
    return reconstruction.item(), gradient_loss.item()


def score(
    network: nn.Module, reference: Reference | list[Tensor], images: Tensor, loss=F.mse_loss
) -> tuple[Tensor, Tensor]:
    """Reconstruction and gradient loss of each image, one at a time, (N,) each."""
    means = reference.means if isinstance(reference, Reference) else reference
    weights = [m.weight for m in network.decoder if isinstance(m, nn.ConvTranspose2d)]
    reconstruction, gradient = [], []
    for image in images.split(1):
        network.zero_grad()
        error = loss(torch.sigmoid(network(image).logits), image)
        error.backward()
        cosines = [cosine(w.grad, m) for w, m in zip(weights, means, strict=True)]
        reconstruction.append(error.detach())
        gradient.append(-sum(cosines) / len(cosines))
    return torch.stack(reconstruction), torch.stack(gradient)
