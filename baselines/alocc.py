"""ALOCC: adversarially learned one-class classifier (Sabokrou et al., CVPR 2018).

A reconstructor R is trained to restore noisy inliers and to deceive a discriminator D, which is
trained to distinguish inliers from reconstructions. Components, both higher for outliers:

- ``d`` ("ALOCC D"): minus the logit of D(x), OCC1 in the paper's section 3.3;
- ``dr`` ("ALOCC DR"): minus the logit of D(R(x)), OCC2 there. It is the ``anomaly_score``, because
  it uses both networks.

The paper specifies neither strides nor optimiser, noise or schedule. The released TensorFlow code
(khalooei/ALOCC-CVPR2018) has another, smaller network and another loss, and computes neither score.
Here the paper holds where it speaks, and the code where the paper is silent.

Architecture (input C x 28 x 28). All layers are 5x5 convolutions of stride 2 (code) with bias, so
that 28 becomes 14, 7, 4, 2 and back; BN = batch norm, eps 1e-6, momentum 0.1 (paper); LReLU 0.2:

======= ================================ ================================
part    ``architecture="paper"``         ``architecture="released"``
======= ================================ ================================
R down  C->64->128->256->512 (2x2)       C->32->64->128 (4x4)
        each BN, LReLU                   each BN, LReLU
R up    512->256->128->64->C             128->32->16->C
        each BN, ReLU; last tanh         each BN, ReLU; last tanh
D       C->64->128->256->512, LReLU      C->16->32->64->128, LReLU
        BN from the second               BN from the second
        linear 2048->1                   linear 512->1
weights C = 1: 12,916,226                C = 1: 643,618
        C = 3: 12,925,828                C = 3: 646,820
======= ================================ ================================

Losses, with x the clean image and y = x + noise:

- D: -log D(x) - log(1 - D(R(y)));
- R: -log D(R(y)) + lambda |x - R(y)|^2, lambda = 0.4; the squared norm is the sum over the image,
  as the paper writes it.

Schedule (code): TensorFlow's RMSprop 0.002 for both, batch 128, 40 epochs, noise of deviation 0.155
clipped to [0, 1]; weights drawn from N(0, 0.02^2), cut at two deviations in convolutions, biases 0.
The paper updates R once per update of D, the code twice (``reconstructor_steps``).

Deviations from the released code, besides its network:

- it compares R(y) with the *noisy* image, by the cross entropy of the tanh output, with weight 0.2;
- it draws the noise once and never shuffles the images; here both are new in every epoch;
- its batch norm normalises test images by their batch, so that a score depends on the batch; here
  it uses the running averages;
- it drops an incomplete last batch; here that is used;
- its RMSprop adds 1e-10 under the square root; here 1e-5 is added to the root.

Deviations from the paper: R maximises log D(R(y)) instead of minimising log(1 - D(R(y))), as in the
code. The paper stops when an error falls below a threshold, whose value it does not give; here the
best model is the one of lowest reconstruction error on clean inlier validation images. The AUROC of
both scores changes widely from epoch to epoch and can be below 0.5, as users of the released code
report too. No rule is known that finds a good epoch from inliers alone.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from baselines._images import add_noise
from baselines._networks import Autoencoder, squared_error
from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend, frozen
from benchmark.detector import Images, NonNegativeFloat, PositiveFloat, PositiveInt

Architecture = Literal["paper", "released"]

SIDES = (28, 14, 7, 4, 2)
WIDTHS: Mapping[Architecture, tuple[Sequence[int], Sequence[int], Sequence[int]]] = {
    "paper": ((64, 128, 256, 512), (256, 128, 64), (64, 128, 256, 512)),
    "released": ((32, 64, 128), (32, 16), (16, 32, 64, 128)),
}
"""Channels of R's encoder, of R's decoder, and of D."""


class Networks(nn.Module):
    """The reconstructor and the discriminator, whose output is a logit (B,)."""

    def __init__(self, architecture: Architecture, channels: int) -> None:
        super().__init__()
        down, up, widths = WIDTHS[architecture]
        self.reconstructor = Autoencoder(
            _down((channels, *down), normalise_first=True),
            _up((down[-1], *up, channels), SIDES[: len(down) + 1][::-1]),
        )
        self.discriminator = nn.Sequential(
            _down((channels, *widths), normalise_first=False),
            nn.Flatten(),
            nn.Linear(widths[-1] * SIDES[-1] ** 2, 1),
            nn.Flatten(0),
        )
        self.apply(_initialise)


def _down(widths: Sequence[int], *, normalise_first: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers.append(nn.Conv2d(before, after, 5, stride=2, padding=2))
        if layers[1:] or normalise_first:
            layers.append(_norm(after))
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers)


def _up(widths: Sequence[int], sides: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (before, after), (small, large) in zip(pairwise(widths), pairwise(sides), strict=True):
        extra = large - (2 * small - 1)
        layers.append(
            nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=extra)
        )
        layers += [_norm(after), nn.ReLU()]
    return nn.Sequential(*layers[:-2], nn.Tanh())


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-6, momentum=0.1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04)
    elif isinstance(module, nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _rmsprop(module: nn.Module, learning_rate: float) -> torch.optim.RMSprop:
    """Make the RMSprop of TensorFlow 1: decay 0.9, and a mean square that is 1 at first."""
    optimizer = torch.optim.RMSprop(module.parameters(), lr=learning_rate, alpha=0.9, eps=1e-5)
    for parameter in module.parameters():
        ones = torch.ones_like(parameter)
        optimizer.state[parameter] = {"step": torch.zeros(()), "square_avg": ones}
    return optimizer


def discriminator_loss(real: Tensor, reconstructed: Tensor) -> Tensor:
    """Return -log D(x) - log(1 - D(R(y))), from logits (B,), as a mean."""
    return softplus(-real).mean() + softplus(reconstructed).mean()


def adversarial_loss(reconstructed: Tensor) -> Tensor:
    """Return -log D(R(y)), from logits (B,), as a mean."""
    return softplus(-reconstructed).mean()


class ALOCC(TorchDetector[Networks]):
    """Adversarially learned one-class classifier, with the components ``d`` and ``dr``.

    Args:
        architecture: the paper's widths or those of the released code.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of RMSprop, for both networks.
        reconstruction_weight: lambda, of the squared error in R's loss.
        noise: standard deviation of R's input noise, in units of the [0, 1] pixel range.
        reconstructor_steps: updates of R per update of D.
    """

    components: ClassVar[tuple[str, ...]] = ("d", "dr")
    anomaly_component: ClassVar[str] = "dr"

    def __init__(
        self,
        *,
        architecture: Architecture = "paper",
        epochs: PositiveInt = 40,
        batch_size: PositiveInt = 128,
        learning_rate: PositiveFloat = 0.002,
        reconstruction_weight: NonNegativeFloat = 0.4,
        noise: NonNegativeFloat = 0.155,
        reconstructor_steps: PositiveInt = 1,
    ) -> None:
        self.architecture: Architecture = architecture
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.reconstruction_weight = reconstruction_weight
        self.noise = noise
        self.reconstructor_steps = reconstructor_steps

    def build(self, channels: int, size: int) -> Networks:
        """Make both networks."""
        return Networks(self.architecture, channels)

    def phases(self, networks: Networks) -> Sequence[Phase]:
        """Update D once and R ``reconstructor_steps`` times per batch."""
        reconstructor, discriminator = networks.reconstructor, networks.discriminator
        optimizers = {
            name: _rmsprop(part, self.learning_rate)
            for name, part in (("r", reconstructor), ("d", discriminator))
        }

        def step(images: Tensor, epoch: int) -> Losses:
            noisy = add_noise(images, self.noise)
            with torch.no_grad():
                reconstructed = reconstructor(noisy)
            distinction = discriminator_loss(discriminator(images), discriminator(reconstructed))
            descend(optimizers["d"], distinction)
            for _ in range(self.reconstructor_steps):
                with frozen(discriminator):
                    reconstructed = reconstructor(noisy)
                    adversarial = adversarial_loss(discriminator(reconstructed))
                    error = squared_error(images, reconstructed).mean()
                    descend(optimizers["r"], adversarial + self.reconstruction_weight * error)
            return {
                "discriminator": distinction,
                "adversarial": adversarial,
                "reconstruction": error,
            }

        def validation(images: Tensor) -> Losses:
            return {"reconstruction": squared_error(images, reconstructor(images)).mean()}

        return [Phase(self.epochs, self.batch_size, optimizers, step, validation)]

    def anomaly(self, networks: Networks, images: Tensor) -> Mapping[str, Tensor]:
        """Return minus the discriminator's logits of the images and of their reconstructions."""
        return {
            "d": -networks.discriminator(images),
            "dr": -networks.discriminator(networks.reconstructor(images)),
        }

    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """Reconstruct uint8 images (N, H, W, C)."""
        return self._reconstructed(lambda networks, x: networks.reconstructor(x), images, model)
