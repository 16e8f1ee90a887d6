"""The losses of an image, each of shape (B,) so that one can be averaged, weighted or ranked."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


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


def gradient_loss(gradients: Sequence[Tensor], reference: Sequence[Tensor]) -> Tensor:
    """Minus the mean over layers of the cosine with the reference gradient (paper, equation 3).

    Args:
        gradients: per decoder layer, (K, ...): K models in training, or K images in testing.
        reference: per decoder layer, (K, ...) or (1, ...).

    Returns:
        (K,) in [-1, 1]. A reference of zeros, as before the first training iteration, gives 0 with
        no gradient, which turns the constraint off.
    """
    cosines = [
        F.cosine_similarity(gradient.flatten(1), mean.flatten(1), dim=1)
        for gradient, mean in zip(gradients, reference, strict=True)
    ]
    return -torch.stack(cosines).mean(0)
