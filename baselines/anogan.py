"""AnoGAN: anomaly detection with a generative adversarial network (Schlegl et al., IPMI 2017).

A generative adversarial network (DCGAN) learns to generate inliers. For a test image, gradient
steps on the latent code search for the generated image that is most like it; the difference that
remains is the anomaly score. The authors released no code for it.

Architecture: the DCGAN of Radford et al. (2016) with half its channels, as in AnoGAN, for 28x28 in
place of 64x64. Convolutions 5x5 of stride 2 with bias; BN = batch norm; LReLU 0.2; w = 64:

=============== ==================================== =======================================
side            generator                            discriminator
=============== ==================================== =======================================
2               linear 100->8w x 2 x 2, BN, ReLU     conv 4w->8w, BN, LReLU; linear 32w->1
4               deconv 8w->4w, BN, ReLU              conv 2w->4w, BN, LReLU
7               deconv 4w->2w, BN, ReLU              conv w->2w, BN, LReLU
14              deconv 2w->w, BN, ReLU               conv C->w, LReLU
28              deconv w->C, tanh
weights, C = 1  4,511,617                            4,307,201
weights, C = 3  4,514,819                            4,310,401
=============== ==================================== =======================================

Training: images scaled to [-1, 1]; codes uniform in [-1, 1]^100; for each batch one update of the
discriminator, with the loss -log D(x) - log(1 - D(G(z))), and one of the generator, -log D(G(z)).
Schedule (DCGAN's): Adam 2e-4, beta1 0.5, batch 128, weights drawn from N(0, 0.02^2); 20 epochs
(AnoGAN's).

Score: 500 gradient steps on the code z, from a single initial code, minimise

    (1 - lambda) |x - G(z)|_1  +  lambda |f(x) - f(G(z))|_1

with lambda = 0.1 on the *feature* term, and the score is the value of this loss at the last z. f is
the output of the discriminator's last convolution; both norms are sums. The images of a batch are
searched for together without influence on each other: batch norm uses its running averages, and
Adam works element by element.

The count published for AnoGAN (GradCon, Table 6: 6,338,176) equals exactly that of PyTorch's DCGAN
example for 64x64 images of one channel (kernels 4x4, no biases, codes of 100, width 64; generator
3,574,656, discriminator 2,763,520). That is another network than this one, whose 5x5 kernels are
the DCGAN paper's.

Deviations: 28x28 has the sides 2, 4, 7, 14, 28 where 64x64 has 4, 8, 16, 32, 64, so that the
convolutions are the same and the two linear layers have a quarter of the weights. All images have
the same random initial code, so that a score does not depend on the order of images; the original
draws one for each. The optimiser of the search, Adam with a step of 0.02, is a choice of ours. A
GAN has no validation loss, and the original takes the last model; here the best model is the one
whose pixel residual after ``validation_steps`` steps of search is lowest on inlier validation
images. We had no access to the paper's text: its channels, epochs, steps and lambda are from
secondary sources and memory.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend, frozen
from benchmark.detector import Fraction, Images, PositiveFloat, PositiveInt

SIDES = (2, 4, 7, 14, 28)


class Networks(nn.Module):
    """Generator, and discriminator in two parts; images in [-1, 1]."""

    def __init__(self, channels: int, latent: int, width: int) -> None:
        super().__init__()
        widths = (8 * width, 4 * width, 2 * width, width, channels)
        self.latent = latent
        self.generator = _generator(latent, widths)
        self.features = _features(widths[::-1])
        self.logit = nn.Sequential(nn.Linear(widths[0] * SIDES[0] ** 2, 1), nn.Flatten(0))
        self.apply(_initialise)

    def discriminate(self, images: Tensor) -> Tensor:
        """Return the logit (B,) of images (B, C, 28, 28) being real."""
        logits: Tensor = self.logit(self.features(images))
        return logits

    def draw_codes(self, count: int) -> Tensor:
        """Sample codes (count, latent), uniform in [-1, 1]."""
        return 2 * torch.rand(count, self.latent, device=next(self.parameters()).device) - 1


def _generator(latent: int, widths: Sequence[int]) -> nn.Sequential:
    side = SIDES[0]
    layers: list[nn.Module] = [
        nn.Linear(latent, widths[0] * side**2),
        nn.Unflatten(1, (widths[0], side, side)),
    ]
    for (before, after), (small, large) in zip(pairwise(widths), pairwise(SIDES), strict=True):
        extra = large - (2 * small - 1)
        layers += [
            nn.BatchNorm2d(before),
            nn.ReLU(),
            nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=extra),
        ]
    return nn.Sequential(*layers, nn.Tanh())


def _features(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        norm = [nn.BatchNorm2d(after)] if layers else []
        convolution = nn.Conv2d(before, after, 5, stride=2, padding=2)
        layers += [convolution, *norm, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten())


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)
    elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def residual_loss(images: Tensor, generated: Tensor) -> Tensor:
    """Sum the absolute differences of two batches: (B, ...) twice to (B,)."""
    return (images - generated).abs().flatten(1).sum(1)


class Target(NamedTuple):
    """What a search compares with: images (B, C, 28, 28) in [-1, 1] and their features (B, F)."""

    images: Tensor
    features: Tensor


def search_loss(networks: Networks, target: Target, codes: Tensor, feature_weight: float) -> Tensor:
    """Return (B,): (1 - feature_weight) * pixel residual + feature_weight * feature residual."""
    generated = networks.generator(codes)
    residual = residual_loss(target.images, generated)
    features = residual_loss(target.features, networks.features(generated))
    return (1 - feature_weight) * residual + feature_weight * features


def search(
    networks: Networks,
    target: Target,
    start: Tensor,
    *,
    steps: int,
    learning_rate: float,
    feature_weight: float,
) -> Tensor:
    """Find the codes whose generated images are most like the given ones.

    Args:
        networks: in evaluation mode, so that images do not mix.
        target: the given images.
        start: the code from which each search starts, (1, latent).
        steps: of Adam.
        learning_rate: of Adam.
        feature_weight: lambda.

    Returns:
        Codes, (B, latent).
    """
    codes = start.repeat(len(target.images), 1).requires_grad_()
    adam = torch.optim.Adam([codes], lr=learning_rate)
    with torch.enable_grad(), frozen(networks):
        for _ in range(steps):
            descend(adam, search_loss(networks, target, codes, feature_weight).sum())
    return codes.detach()


class AnoGAN(TorchDetector[Networks]):
    """AnoGAN; component ``score`` is the loss at the end of the search.

    Args:
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam, for both networks.
        latent: numbers in a code.
        width: w, channels of the layer next to the image; each layer further in has twice as many.
        search_steps: gradient steps on a test image's code.
        search_learning_rate: of Adam in the search.
        feature_weight: lambda, of the discriminator's features in search and score.
        validation_steps: gradient steps on a validation image's code, in each epoch.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)

    def __init__(
        self,
        *,
        epochs: PositiveInt = 20,
        batch_size: PositiveInt = 128,
        learning_rate: PositiveFloat = 2e-4,
        latent: PositiveInt = 100,
        width: PositiveInt = 64,
        search_steps: PositiveInt = 500,
        search_learning_rate: PositiveFloat = 0.02,
        feature_weight: Fraction = 0.1,
        validation_steps: PositiveInt = 50,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.latent = latent
        self.width = width
        self.search_steps = search_steps
        self.search_learning_rate = search_learning_rate
        self.feature_weight = feature_weight
        self.validation_steps = validation_steps

    def build(self, channels: int, size: int) -> Networks:
        """Make generator and discriminator."""
        return Networks(channels, self.latent, self.width)

    def phases(self, networks: Networks) -> Sequence[Phase]:
        """Update the discriminator, then the generator, once per batch."""
        generator = networks.generator
        discriminator = nn.ModuleList([networks.features, networks.logit])
        optimizers = {
            name: torch.optim.Adam(part.parameters(), lr=self.learning_rate, betas=(0.5, 0.999))
            for name, part in (("generator", generator), ("discriminator", discriminator))
        }

        def step(images: Tensor, epoch: int) -> Losses:
            codes = networks.draw_codes(len(images))
            generated = generator(codes)
            real = networks.discriminate(to_symmetric(images))
            fake = networks.discriminate(generated.detach())
            distinction = softplus(-real).mean() + softplus(fake).mean()
            descend(optimizers["discriminator"], distinction)
            with frozen(discriminator):
                adversarial = softplus(-networks.discriminate(generated)).mean()
                descend(optimizers["generator"], adversarial)
            return {"discriminator": distinction, "generator": adversarial}

        def validation(images: Tensor) -> Losses:
            target, codes = self._search(networks, images, self.validation_steps)
            return {"residual": residual_loss(target.images, generator(codes)).mean()}

        return [Phase(self.epochs, self.batch_size, optimizers, step, validation)]

    def anomaly(self, networks: Networks, images: Tensor) -> Mapping[str, Tensor]:
        """Return the loss at the end of the search for each image."""
        target, codes = self._search(networks, images, self.search_steps)
        return {"score": search_loss(networks, target, codes, self.feature_weight)}

    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """The generated images (N, H, W, C), uint8, that the search finds."""

        def nearest(networks: Networks, x: Tensor) -> Tensor:
            _, codes = self._search(networks, x, self.search_steps)
            generated: Tensor = networks.generator(codes)
            return (generated + 1) / 2

        return self._reconstructed(nearest, images, model)

    def _search(self, networks: Networks, images: Tensor, steps: int) -> tuple[Target, Tensor]:
        images = to_symmetric(images)
        target = Target(images, networks.features(images))
        codes = search(
            networks,
            target,
            networks.draw_codes(1),
            steps=steps,
            learning_rate=self.search_learning_rate,
            feature_weight=self.feature_weight,
        )
        return target, codes


def to_symmetric(images: Tensor) -> Tensor:
    """Scale images from [0, 1] to [-1, 1]."""
    return 2 * images - 1
