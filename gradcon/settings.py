"""The hyperparameters of a training."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of a training; the defaults of the detectors are the paper's."""

    epochs: int
    batch_size: int
    learning_rate: float
    alpha: float
    """Weight of the gradient loss; 0 trains a plain autoencoder that still keeps a reference."""
    reference: Literal["total", "reconstruction"]
    """Which loss's gradient the reference averages: of the total loss, as in the official code, or
    of the reconstruction loss, as the paper writes."""
    reconstruction_loss: Literal["squared_error", "cross_entropy"]
    latent_weight: float
    """Weight of the latent loss per pixel: the sum of the losses over an image is
    reconstruction + latent_weight * latent."""
    precision: Literal["float32", "bfloat16"]
    """Of the forward and backward passes; weights, losses and Adam are float32 in both."""
    checkpoint_every: int
    """An epoch can become the best model only if its index (from 0) is a multiple of this, or if
    it is the last; 1 considers all, 5 is the official code's rule."""
