"""The losses, of shape (B,) for a batch, so that they can be averaged, weighted or ranked.

Beside each loss stand its derivatives, which the explicit passes need and autograd does not.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-8
"""The least norm that a cosine divides by, as in the official code's ``cosine_similarity``: the
gradient of a saturated output is nearly zero, and its direction is rounding."""


def squared_error(logits: Tensor, images: Tensor) -> Tensor:
    """Mean squared error over the pixels of each image, (B,), as in the official code."""
    return (torch.sigmoid(logits) - images).square().flatten(1).mean(1)


def cross_entropy(logits: Tensor, images: Tensor) -> Tensor:
    """Binary cross-entropy in nats, mean over the pixels of each image, (B,)."""
    return F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).mean(1)


RECONSTRUCTION: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared_error": squared_error,
    "cross_entropy": cross_entropy,
}


def squared_error_derivatives(logits: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The squared error of each pixel and its first and second derivative by the logit."""
    output = torch.sigmoid(logits)
    error, slope = output - images, output * (1 - output)
    return error.square(), 2 * error * slope, 2 * slope * (slope + error * (1 - 2 * output))


def cross_entropy_derivatives(logits: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cross-entropy of each pixel and its first and second derivative by the logit."""
    output = torch.sigmoid(logits)
    value = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return value, output - images, output * (1 - output)


RECONSTRUCTION_DERIVATIVES: Mapping[
    str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
] = {
    "squared_error": squared_error_derivatives,
    "cross_entropy": cross_entropy_derivatives,
}


def gradient_loss(gradients: Sequence[Tensor], reference: Sequence[Tensor]) -> Tensor:
    """Minus the mean over layers of the cosine with the reference gradient (paper, equation 3).

    Args:
        gradients: per decoder layer, (K, ...): K models in training, or K images in testing.
        reference: per decoder layer, (K, ...) or (1, ...).

    Returns:
        (K,) in [-1, 1]. A reference of zeros, as before the first training iteration, gives 0 with
        derivative 0, which turns the constraint off.
    """
    cosines = [
        F.cosine_similarity(gradient.flatten(1), mean.flatten(1), dim=1)
        for gradient, mean in zip(gradients, reference, strict=True)
    ]
    return -torch.stack(cosines).mean(0)


def gradient_loss_derivatives(
    gradients: Sequence[Tensor], reference: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """The gradient loss of one model, or (S,) of a stack, and its derivative by each gradient.

    With c the cosine of g and r, the derivative of c by g is (r / |r| - c g / |g|) / |g|.

    Args:
        gradients: per decoder layer, as a matrix, or (S, ...) matrices.
        reference: per decoder layer, in the same shapes.
    """
    cosines, derivatives = [], []
    for gradient, mean in zip(gradients, reference, strict=True):
        norm = _norm(gradient)
        direction = mean / _norm(mean)
        cosine = (gradient * direction).sum((-2, -1), keepdim=True) / norm
        cosines.append(cosine)
        derivatives.append((direction - gradient * (cosine / norm)) / (-len(gradients) * norm))
    return -torch.stack(cosines).mean(0)[..., 0, 0], derivatives


def _norm(matrix: Tensor) -> Tensor:
    """The norm of each matrix, (..., 1, 1), or the least that a cosine divides by."""
    norm: Tensor = torch.linalg.vector_norm(matrix, dim=(-2, -1), keepdim=True)
    return norm.clamp_min(EPSILON)
