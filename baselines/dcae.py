"""DCAE: the deep convolutional autoencoder of the Fashion-MNIST table (GradCon, Table 7).

Source: the table's row cites a deep autoencoder, but we know of no published image autoencoder of
that name to copy: that of Sakurada and Yairi (2014) is fully connected and not for images. This is
the DCAE that Ruff et al. compare with in "Deep One-Class Classification" (ICML 2018) and in "Deep
Semi-Supervised Anomaly Detection" (ICLR 2020): a LeNet encoder, which Deep SVDD has too, and a
decoder that mirrors it. Whether it is the network behind the published row is not known.

Architecture (input C x 28 x 28; no biases anywhere; BN = batch norm without affine part, eps 1e-4;
LReLU 0.01; up = nearest neighbour, twice the size):

======== ======================================== ==========================================
part     ``fashion_mnist`` (Ruff et al. 2020)     ``mnist`` (Ruff et al. 2018)
======== ======================================== ==========================================
encoder  conv 5x5 p2 C->16, BN, LReLU, max-pool 2 conv 5x5 p2 C->8, BN, LReLU, max-pool 2
         conv 5x5 p2 16->32, BN, LReLU, pool      conv 5x5 p2 8->4, BN, LReLU, pool
         linear 1568->128, BN, LReLU              linear 196->32
         linear 128->64
decoder  linear 64->128, BN; as 8 x 4 x 4         code as 2 x 4 x 4
         LReLU, up, deconv 5x5 p2 8->32, BN       LReLU, up, deconv 5x5 p2 2->4, BN
         LReLU, up, deconv 5x5 p3 32->16, BN      LReLU, up, deconv 5x5 p3 4->8, BN
         LReLU, up, deconv 5x5 p2 16->C, sigmoid  LReLU, up, deconv 5x5 p2 8->C, sigmoid
weights  C = 1: 249,888; C = 3: 251,488           C = 1: 8,472; C = 3: 9,272
======== ======================================== ==========================================

Loss: squared error summed over an image, mean over the batch. Schedule: Adam with learning rate
1e-4, a tenth of that after epoch 50, 150 epochs, batch 200, weight decay 5e-4 (the 2018 code's
settings for pre-training on MNIST). Score: squared error summed over the image.

Deviations: pixels are scaled to [0, 1] only, without the 2018 code's global contrast normalisation
and its minimum and maximum for each class (the 2020 code omits both too). The best model is the one
of lowest error on inlier validation images, where the original takes the last. The batch norm of
the ``mnist`` net is PyTorch's default in an early version of that code and without affine part
later; here it is the later one.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from baselines._networks import Autoencoder, squared_error
from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend, drop_after
from benchmark.detector import Images, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

Architecture = Literal["fashion_mnist", "mnist"]


def lenet_encoder(architecture: Architecture, channels: int) -> nn.Sequential:
    """Make the LeNet encoder, to a code of 64 (``fashion_mnist``) or 32 (``mnist``)."""
    first, second = (16, 32) if architecture == "fashion_mnist" else (8, 4)
    convolutions = (
        nn.Conv2d(channels, first, 5, padding=2, bias=False),
        _norm2d(first),
        nn.LeakyReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5, padding=2, bias=False),
        _norm2d(second),
        nn.LeakyReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )
    if architecture == "mnist":
        return nn.Sequential(*convolutions, nn.Linear(second * 49, 32, bias=False))
    return nn.Sequential(
        *convolutions,
        nn.Linear(second * 49, 128, bias=False),
        nn.BatchNorm1d(128, eps=1e-4, affine=False),
        nn.LeakyReLU(),
        nn.Linear(128, 64, bias=False),
    )


def lenet_decoder(architecture: Architecture, channels: int) -> nn.Sequential:
    """Make the decoder that mirrors the encoder: a code to images in (0, 1)."""
    head: tuple[nn.Module, ...]
    if architecture == "mnist":
        code, first, second, head = 2, 4, 8, ()
    else:
        code, first, second = 8, 32, 16
        head = nn.Linear(64, 128, bias=False), nn.BatchNorm1d(128, eps=1e-4, affine=False)
    return nn.Sequential(
        *head,
        nn.Unflatten(1, (code, 4, 4)),
        nn.LeakyReLU(),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(code, first, 5, padding=2, bias=False),
        _norm2d(first),
        nn.LeakyReLU(),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(first, second, 5, padding=3, bias=False),
        _norm2d(second),
        nn.LeakyReLU(),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(second, channels, 5, padding=2, bias=False),
        nn.Sigmoid(),
    )


def _norm2d(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-4, affine=False)


class DCAE(TorchDetector[Autoencoder]):
    """The deep convolutional autoencoder; component ``score`` is the summed squared error.

    Args:
        architecture: which of Ruff et al.'s autoencoders.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam.
        drop_epoch: the epoch after which the learning rate is a tenth.
        weight_decay: of Adam (L2).
    """

    components: ClassVar[tuple[str, ...]] = ("score",)

    def __init__(
        self,
        *,
        architecture: Architecture = "fashion_mnist",
        epochs: PositiveInt = 150,
        batch_size: PositiveInt = 200,
        learning_rate: PositiveFloat = 1e-4,
        drop_epoch: NonNegativeInt = 50,
        weight_decay: NonNegativeFloat = 5e-4,
    ) -> None:
        self.architecture: Architecture = architecture
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.drop_epoch = drop_epoch
        self.weight_decay = weight_decay

    def build(self, channels: int, size: int) -> Autoencoder:
        """Make the autoencoder."""
        return Autoencoder(
            lenet_encoder(self.architecture, channels), lenet_decoder(self.architecture, channels)
        )

    def phases(self, networks: Autoencoder) -> Sequence[Phase]:
        """Minimise the summed squared error."""
        adam = torch.optim.Adam(
            networks.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )

        def losses(images: Tensor) -> Losses:
            return {"reconstruction": squared_error(images, networks(images)).mean()}

        def step(images: Tensor, epoch: int) -> Losses:
            result = losses(images)
            descend(adam, result["reconstruction"])
            return result

        schedule = drop_after(self.drop_epoch)
        return [Phase(self.epochs, self.batch_size, {"adam": adam}, step, losses, schedule)]

    def anomaly(self, networks: Autoencoder, images: Tensor) -> Mapping[str, Tensor]:
        """Return the summed squared error of each image."""
        return {"score": squared_error(images, networks(images))}

    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """Reconstruct uint8 images (N, H, W, C)."""
        return self._reconstructed(lambda networks, x: networks(x), images, model)
