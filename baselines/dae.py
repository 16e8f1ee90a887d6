"""DAE: the denoising autoencoder of Tables 3 and 4 (CIFAR-10, MNIST).

Source: the tables' column is, by way of OCGAN's tables, from Abati et al. (LSA; "AND" in its first
version), who trained their own autoencoder, without the density estimator, to denoise (Vincent et
al., ICML 2008). They published neither code nor noise level for it, so that this is the method, but
need not be their instance of it.

Architecture: LSA's autoencoder, encoder and decoder; layer table in ``baselines._lsa_networks``.

Loss: squared error between the reconstruction of the noisy image and the clean image, summed over
the image, mean over the batch (LSA's reconstruction term). Noise: Gaussian, new in every epoch,
clipped to [0, 1] (the kind of noise that LSA's repository has). Schedule: Adam 1e-4, batch 256, 200
epochs, as LSA's authors describe their training. Score: squared error of the clean image's
reconstruction, summed over the image.

Deviations: the standard deviation of the noise, 0.2, is a choice of ours; the best model is the one
of lowest denoising error on inlier validation images, with the same noise in every epoch.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from baselines._images import add_noise
from baselines._lsa_networks import decoder, encoder
from baselines._networks import Autoencoder, squared_error
from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend
from benchmark.detector import Images, NonNegativeFloat, PositiveFloat, PositiveInt


class DAE(TorchDetector[Autoencoder]):
    """A denoising autoencoder; component ``score`` is the summed squared error.

    Args:
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam.
        noise: standard deviation of the Gaussian noise, in units of the [0, 1] pixel range.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)

    def __init__(
        self,
        *,
        epochs: PositiveInt = 200,
        batch_size: PositiveInt = 256,
        learning_rate: PositiveFloat = 1e-4,
        noise: NonNegativeFloat = 0.2,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.noise = noise

    def build(self, channels: int, size: int) -> Autoencoder:
        """Make LSA's autoencoder."""
        return Autoencoder(encoder(channels), decoder(channels))

    def phases(self, networks: Autoencoder) -> Sequence[Phase]:
        """Reconstruct the clean image from a noisy one."""
        adam = torch.optim.Adam(networks.parameters(), lr=self.learning_rate)

        def losses(images: Tensor) -> Losses:
            denoised = networks(add_noise(images, self.noise))
            return {"denoising": squared_error(images, denoised).mean()}

        def step(images: Tensor, epoch: int) -> Losses:
            result = losses(images)
            descend(adam, result["denoising"])
            return result

        return [Phase(self.epochs, self.batch_size, {"adam": adam}, step, losses)]

    def anomaly(self, networks: Autoencoder, images: Tensor) -> Mapping[str, Tensor]:
        """Return the summed squared error of each image, without noise."""
        return {"score": squared_error(images, networks(images))}

    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """Reconstruct uint8 images (N, H, W, C)."""
        return self._reconstructed(lambda networks, x: networks(x), images, model)
