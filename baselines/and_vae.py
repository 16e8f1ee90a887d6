"""VAE: the variational autoencoder of Tables 3 and 4 (CIFAR-10, MNIST).

Source: the tables' column is, by way of OCGAN's tables, from Abati et al. (LSA; "AND" in its first
version), who gave their own autoencoder a Gaussian code (Kingma and Welling, ICLR 2014) and scored
by the evidence lower bound (ELBO). They released no code for it. GradCon's own VAE, whose code has
576 numbers, is another method (``gradcon``).

Architecture: LSA's autoencoder, layer table in ``baselines._lsa_networks``; its last linear layer
and sigmoid (the code) are replaced by two linear layers for the mean and the log variance of 64
independent Gaussians.

Loss: the negative ELBO, mean over the batch, with z = mean + exp(log variance / 2) * eps:

    |x - decoder(z)|^2  +  sum over z of (mean^2 + variance - log variance - 1) / 2

The first term is LSA's reconstruction term and, up to a constant, the negative log-likelihood of a
Gaussian with variance 1/2 per pixel; the second is the divergence from the standard normal. Both
are sums, over pixels and over the code: beside a mean over pixels the divergence would weigh 784
times more, and the code would carry no information. Schedule: Adam 1e-4, batch 256, 200 epochs, as
for LSA. Score: the negative ELBO with the expectation over z replaced by its value at the mean, so
that a score has no noise.

Deviations: the original's likelihood is not published, so this one is a choice of ours; the best
model is the one of lowest score on inlier validation images. In the first few hundred updates the
divergence falls towards zero and every reconstruction is the mean image; only later does the code
carry information (MNIST digit 1, 1500 images: after about 450 updates at 1e-4). A short training
therefore understates the method.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines._lsa_networks import CODE, decoder, trunk
from baselines._networks import squared_error
from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend
from benchmark.detector import Images, PositiveFloat, PositiveInt


class VariationalAutoencoder(nn.Module):
    """LSA's autoencoder with a Gaussian code."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.trunk, hidden = trunk(channels)
        self.mean = nn.Linear(hidden, CODE)
        self.log_variance = nn.Linear(hidden, CODE)
        self.decoder = decoder(channels)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, 28, 28) to mean and log variance, each (B, 64)."""
        hidden = self.trunk(images)
        return self.mean(hidden), self.log_variance(hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct images from the mean of their codes."""
        reconstructions: Tensor = self.decoder(self.encode(images)[0])
        return reconstructions


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of Gaussians (B, D) from the standard normal, as (B,), in nats."""
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2


class ANDVAE(TorchDetector[VariationalAutoencoder]):
    """LSA's autoencoder as a VAE; component ``score`` is the negative ELBO.

    Args:
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)

    def __init__(
        self,
        *,
        epochs: PositiveInt = 200,
        batch_size: PositiveInt = 256,
        learning_rate: PositiveFloat = 1e-4,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def build(self, channels: int, size: int) -> VariationalAutoencoder:
        """Make the autoencoder."""
        return VariationalAutoencoder(channels)

    def phases(self, networks: VariationalAutoencoder) -> Sequence[Phase]:
        """Minimise the negative ELBO."""
        adam = torch.optim.Adam(networks.parameters(), lr=self.learning_rate)

        def losses(images: Tensor, draw: bool) -> Losses:
            mean, log_variance = networks.encode(images)
            noise = (log_variance / 2).exp() * torch.randn_like(mean) if draw else 0
            reconstruction = squared_error(images, networks.decoder(mean + noise)).mean()
            latent = divergence(mean, log_variance).mean()
            return {
                "negative_elbo": reconstruction + latent,
                "reconstruction": reconstruction,
                "latent": latent,
            }

        def step(images: Tensor, epoch: int) -> Losses:
            result = losses(images, draw=True)
            descend(adam, result["negative_elbo"])
            return result

        def validation(images: Tensor) -> Losses:
            return losses(images, draw=False)

        return [Phase(self.epochs, self.batch_size, {"adam": adam}, step, validation)]

    def anomaly(self, networks: VariationalAutoencoder, images: Tensor) -> Mapping[str, Tensor]:
        """Return the negative ELBO of each image, at the mean of its code."""
        mean, log_variance = networks.encode(images)
        error = squared_error(images, networks.decoder(mean))
        return {"score": error + divergence(mean, log_variance)}

    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """Reconstruct uint8 images (N, H, W, C) from the mean of their codes."""
        return self._reconstructed(lambda networks, x: networks(x), images, model)
