"""Deep SVDD: deep one-class classification (Ruff et al., ICML 2018), its one-class objective.

An autoencoder is trained first; then its encoder alone is trained to map inliers close to a fixed
centre. This follows the authors' released code: the PyTorch version, and the scripts of the older
Theano version where those differ.

Preprocessing: each image's contrast is normalised (its mean is subtracted, then it is divided by
its mean absolute deviation, both over all pixels and channels). Then all images are scaled so that
the training inliers' values, over all channels, fill [0, 1]; values of test images may lie outside.
The original lists these two constants as numbers for each class; here they are computed.

Architecture (no biases anywhere; BN = batch norm without affine part, eps 1e-4; LReLU 0.01; up =
nearest neighbour, twice the size):

======= ==================================== ====================================================
part    C = 1: the MNIST net                 C = 3: the CIFAR-10 net
======= ==================================== ====================================================
encoder conv 5x5 p2 1->8, BN, LReLU, pool 2  conv 5x5 p2 3->32, BN, LReLU, pool 2        (14)
        conv 5x5 p2 8->4, BN, LReLU, pool 2  conv 5x5 p2 32->64, BN, LReLU, pool 2        (7)
                                             conv 5x5 p2 64->128, BN, LReLU, pool 2       (4)
        linear 196->32                       linear 2048->128
decoder                                      BN
        as 2 x 4 x 4                         as 8 x 4 x 4
                                             LReLU, deconv 5x5 p2 8->128, BN              (4)
        LReLU, up, deconv 5x5 p2 2->4, BN    LReLU, up, deconv 5x5 p2 128->64, BN         (8)
        LReLU, up, deconv 5x5 p3 4->8, BN    LReLU, up, deconv 5x5 p3 64->32, BN         (14)
        LReLU, up, deconv 5x5 p2 8->1        LReLU, up, deconv 5x5 p2 32->3              (28)
        sigmoid                              sigmoid
weights 8,472 (encoder 7,272)                804,544 (encoder 520,544)
======= ==================================== ====================================================

Losses: first (pre-training) the squared error summed over an image, then the squared distance of
the code to the centre; both as a mean over the batch. The centre is the mean code of the training
inliers after pre-training, in evaluation mode. Its coordinates within 0.1 of zero are set to 0.1 or
-0.1, by their sign; one that is exactly zero stays.

Schedule: Adam 1e-4, batch 200, the learning rate a tenth after the drop epoch:

============ ============= =================
phase        MNIST (C = 1) CIFAR-10 (C = 3)
============ ============= =================
pre-training 150 epochs    350 epochs
             drop at 50    drop at 250
             decay 5e-4    decay 5e-7
Deep SVDD    150 epochs    150 epochs
             drop at 50    drop at 50
             decay 5e-7    decay 5e-7
============ ============= =================

A pre-training hyperparameter that is ``None`` has the value of this table for the images' channels.
Fashion-MNIST is not in the paper; like all images of one channel it is trained as MNIST.

Score: the squared distance to the centre.

Deviations: the CIFAR-10 net is made for 32x32. At 28x28 the last pooling of its encoder rounds its
output size up (7 to 4), so that all weights have the same shapes, and the decoder's third
deconvolution crops 16 to 14 by a padding of 3, as in the MNIST net. The best model is the one of
lowest distance on inlier validation images, where the original takes the last. The soft-boundary
objective is not implemented. A constant image, for which the original divides by zero, becomes zero
before scaling.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from baselines._images import in_batches
from baselines._networks import squared_error
from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend, drop_after
from baselines.dcae import lenet_decoder, lenet_encoder
from benchmark.detector import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

T = TypeVar("T")

CENTRE_MARGIN = 0.1
"""The least absolute value of the centre's coordinates: at zero, zero weights would be optimal."""


@dataclass(frozen=True)
class Design:
    """What differs between the paper's two data sets."""

    code: int
    encoder: Callable[[], nn.Sequential]
    decoder: Callable[[], nn.Sequential]
    pretrain_epochs: int
    pretrain_drop_epoch: int
    pretrain_weight_decay: float


def cifar_encoder() -> nn.Sequential:
    """Make the CIFAR-10 encoder: (B, 3, 28, 28) to codes (B, 128)."""
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 128)):
        layers += [
            nn.Conv2d(before, after, 5, padding=2, bias=False),
            nn.BatchNorm2d(after, eps=1e-4, affine=False),
            nn.LeakyReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
    return _xavier(nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 16, 128, bias=False)))


def cifar_decoder() -> nn.Sequential:
    """Make the CIFAR-10 decoder: codes (B, 128) to (B, 3, 28, 28) in (0, 1)."""
    layers: list[nn.Module] = [nn.Unflatten(1, (8, 4, 4)), nn.LeakyReLU()]
    for before, after, padding in ((8, 128, 2), (128, 64, 2), (64, 32, 3)):
        layers += [
            nn.ConvTranspose2d(before, after, 5, padding=padding, bias=False),
            nn.BatchNorm2d(after, eps=1e-4, affine=False),
            nn.LeakyReLU(),
            nn.Upsample(scale_factor=2),
        ]
    last = nn.ConvTranspose2d(32, 3, 5, padding=2, bias=False)
    norm = nn.BatchNorm1d(128, eps=1e-4, affine=False)
    return _xavier(nn.Sequential(norm, *layers, last, nn.Sigmoid()))


def _xavier(network: nn.Sequential) -> nn.Sequential:
    for module in network:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight, nn.init.calculate_gain("leaky_relu"))
    return network


DESIGNS: Mapping[int, Design] = {
    1: Design(
        code=32,
        encoder=lambda: lenet_encoder("mnist", 1),
        decoder=lambda: lenet_decoder("mnist", 1),
        pretrain_epochs=150,
        pretrain_drop_epoch=50,
        pretrain_weight_decay=5e-4,
    ),
    3: Design(
        code=128,
        encoder=cifar_encoder,
        decoder=cifar_decoder,
        pretrain_epochs=350,
        pretrain_drop_epoch=250,
        pretrain_weight_decay=5e-7,
    ),
}
"""By the number of channels."""


class Networks(nn.Module):
    """Encoder and decoder, the centre, and the constants of the preprocessing."""

    centre: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        design = DESIGNS[channels]
        self.channels = channels
        self.encoder = design.encoder()
        self.decoder = design.decoder()
        self.register_buffer("centre", torch.zeros(design.code))
        self.register_buffer("lowest", torch.zeros(()))
        self.register_buffer("highest", torch.ones(()))

    def prepare(self, images: Tensor) -> Tensor:
        """Normalise and scale images in [0, 1]; training inliers then fill [0, 1]."""
        return (normalise_contrast(images) - self.lowest) / (self.highest - self.lowest)

    def distance(self, images: Tensor) -> Tensor:
        """Return the squared distance (B,) of images in [0, 1] to the centre."""
        codes: Tensor = self.encoder(self.prepare(images))
        return (codes - self.centre).square().sum(1)


def normalise_contrast(images: Tensor) -> Tensor:
    """Subtract each image's mean, and divide by its mean absolute deviation."""
    centred = images - images.mean((1, 2, 3), keepdim=True)
    # The bound is far below the deviation of an image with one pixel one gray level off.
    return centred / centred.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-7)


def away_from_zero(centre: Tensor, margin: float = CENTRE_MARGIN) -> Tensor:
    """Set coordinates within the margin of zero to plus or minus the margin, by their sign."""
    return torch.where(centre.abs() < margin, margin * centre.sign(), centre)


class DeepSVDD(TorchDetector[Networks]):
    """One-class Deep SVDD; component ``score`` is the squared distance to the centre.

    Args:
        epochs: passes over the training images after pre-training.
        drop_epoch: the epoch of these after which the learning rate is a tenth.
        weight_decay: of Adam (L2) after pre-training.
        pretrain_epochs: passes over the training images in pre-training. Here and in the next two,
            None stands for the paper's value for the images' channels.
        pretrain_drop_epoch: the epoch of these after which the learning rate is a tenth.
        pretrain_weight_decay: of Adam (L2) in pre-training.
        batch_size: images per step.
        learning_rate: of Adam.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)

    def __init__(
        self,
        *,
        epochs: PositiveInt = 150,
        drop_epoch: NonNegativeInt = 50,
        weight_decay: NonNegativeFloat = 5e-7,
        pretrain_epochs: PositiveInt | None = None,
        pretrain_drop_epoch: NonNegativeInt | None = None,
        pretrain_weight_decay: NonNegativeFloat | None = None,
        batch_size: PositiveInt = 200,
        learning_rate: PositiveFloat = 1e-4,
    ) -> None:
        self.epochs = epochs
        self.drop_epoch = drop_epoch
        self.weight_decay = weight_decay
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_drop_epoch = pretrain_drop_epoch
        self.pretrain_weight_decay = pretrain_weight_decay
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def build(self, channels: int, size: int) -> Networks:
        """Make encoder and decoder."""
        return Networks(channels)

    def phases(self, networks: Networks) -> Sequence[Phase]:
        """Train the autoencoder, then move the codes towards the centre."""
        return [self._autoencoder(networks), self._svdd(networks)]

    def anomaly(self, networks: Networks, images: Tensor) -> Mapping[str, Tensor]:
        """Return the squared distance of each image's code to the centre."""
        return {"score": networks.distance(images)}

    def _autoencoder(self, networks: Networks) -> Phase:
        design = DESIGNS[networks.channels]
        adam = torch.optim.Adam(
            [*networks.encoder.parameters(), *networks.decoder.parameters()],
            lr=self.learning_rate,
            weight_decay=_or_default(self.pretrain_weight_decay, design.pretrain_weight_decay),
        )

        def begin(pixels: Tensor) -> None:
            extremes = [normalise_contrast(x).aminmax() for x in in_batches(pixels, 256)]
            networks.lowest.copy_(torch.stack([low for low, _ in extremes]).min())
            networks.highest.copy_(torch.stack([high for _, high in extremes]).max())

        def losses(images: Tensor) -> Losses:
            prepared = networks.prepare(images)
            reconstructions = networks.decoder(networks.encoder(prepared))
            return {"reconstruction": squared_error(prepared, reconstructions).mean()}

        def step(images: Tensor, epoch: int) -> Losses:
            result = losses(images)
            descend(adam, result["reconstruction"])
            return result

        return Phase(
            _or_default(self.pretrain_epochs, design.pretrain_epochs),
            self.batch_size,
            {"autoencoder": adam},
            step,
            losses,
            drop_after(_or_default(self.pretrain_drop_epoch, design.pretrain_drop_epoch)),
            begin,
        )

    def _svdd(self, networks: Networks) -> Phase:
        adam = torch.optim.Adam(
            networks.encoder.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )

        def begin(pixels: Tensor) -> None:
            total = torch.zeros_like(networks.centre)
            for images in in_batches(pixels, 256):
                total += networks.encoder(networks.prepare(images)).sum(0)
            networks.centre.copy_(away_from_zero(total / len(pixels)))

        def losses(images: Tensor) -> Losses:
            return {"distance": networks.distance(images).mean()}

        def step(images: Tensor, epoch: int) -> Losses:
            result = losses(images)
            descend(adam, result["distance"])
            return result

        schedule = drop_after(self.drop_epoch)
        return Phase(self.epochs, self.batch_size, {"svdd": adam}, step, losses, schedule, begin)


def _or_default(value: T | None, default: T) -> T:
    return default if value is None else value
