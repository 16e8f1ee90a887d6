"""OCGAN: one-class novelty detection with constrained latent codes (Perera et al., CVPR 2019).

A denoising autoencoder whose codes fill a cube: a latent discriminator makes the codes of inliers
uniform in it, a visual discriminator makes every code of the cube decode to an inlier, and mining
searches for codes that do not. An image of another class can then have no code that decodes to it,
and its reconstruction is bad. Components, all higher for outliers (n = noise):

- ``score``: mean squared error of De(En(x + n)) and x, over the 61x61x3 values in [-1, 1];
- ``d``: minus the logit of Dv(x + n);
- ``dr``: minus the logit of Dv(De(En(x + n))).

Source: the released MXNet code (PramuPerera/OCGAN). It does not run as published; it prints four
scores (these three, and ``dr`` without noise) and does not say which of them is the paper's. We had
no access to the paper's text: statements about it come from a written review. Its argument is
that outliers are badly reconstructed, and it chooses models by reconstruction error; therefore that
error is ``score``. The AUROC of the discriminator's scores is below 0.5 in the authors' own log:
nothing makes them higher for outliers.

Architecture (the original's input: 61x61 of 3 channels in [-1, 1]; all convolutions 5x5 of stride 2
without padding, so that 61 becomes 29, 13, 5, 1 and back; BN = batch norm; LReLU 0.2; w =
``width``, d = ``discriminator_width``; counts for w = 64, d = 12, latent 16):

================ ==================================================== =========
part             layers                                               weights
================ ==================================================== =========
encoder En       conv 3->w*, LReLU; w->2w->4w, each BN, LReLU;        1,132,032
                 4w->latent, tanh
decoder De       deconv latent->4w->2w->w, each BN, ReLU (dropout     1,132,099
                 0.5 before the last ReLU); w->3*, tanh
visual disc. Dv  conv 3->d*, LReLU; d->2d->4d, each BN, LReLU;        38,257
                 4d->1*
classifier C     as Dv, of width w                                    1,036,033
latent disc. Dl  linear latent->128->64->32->16, each BN, ReLU; ->1   13,537
all                                                                   3,351,958
================ ==================================================== =========

(* with bias; the other convolutions have none.) Weights N(0, 0.02^2), gains of BN N(1, 0.02^2). The
running averages of BN keep 10 % of their old value at each pass (MXNet's momentum 0.1, PyTorch's
0.9), so that they are nearly those of the last batch; the autoencoder's last pass in a step is the
reconstruction.

One step, with u uniform in (-1, 1)^latent; BCE(p, y) = binary cross entropy to the label y:

1. Dv minimises (BCE(Dv(x), 1) + BCE(Dv(De(u)), 0)) / 2;
   Dl minimises (BCE(Dl(u'), 1) + BCE(Dl(En(x + n)), 0)) / 2;
2. C minimises (BCE(C(De(En(x + n))), 1) + BCE(C(De(u)), 0)) / 2;
3. mining, after epoch 150: z = tanh(m - 2 dBCE(C(De(tanh(m))), 0) / dm), m = u'';
   until then z = u'';
4. En and De minimise 10 MSE(x, De(En(x + n))) + BCE(Dv(De(z)), 1) + BCE(Dl(En(x + n)), 1).

Schedule: Adam 2e-4 (0.5, 0.999) for all, 201 epochs, batch 512, noise of deviation 0.2. The kept
model is that of the lowest denoising error on inlier validation images, as in the paper.

Where paper and code differ, or this differs from them:

- Weights: the paper's 10 (error), 1 (visual), 1 (latent). The code's README gives 5 (its MSE is
  halved), 1, 10, which the three weights can be set to.
- Codes: tanh as in the paper and in the development code; the public code has LReLU, whose codes
  are not in the cube. Before mining the public code draws tanh(u), here u.
- Dl: the paper's, with BN and one output. The public code's has no BN and 16 outputs (13,040
  weights), and applies a sigmoid before a loss that applies one itself.
- Noise: new in every step, where the code draws it once. The paper, by that review, has a
  *variance* of 0.2, the code a standard deviation of 0.2, which is used here. Test images get noise
  too, as in the code, but all the same, so that a score does not depend on the other images.
- Images of any square size are resized to 61x61 (bilinear) and gray ones repeated to 3 channels, so
  that networks and counts are the original's. A gray image's noise differs by channel, as in the
  original by its shape.
- The development code ignores the first 20 epochs in choosing the best; here all count.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, softplus

from baselines._networks import Autoencoder
from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend, frozen
from benchmark.detector import Images, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

SIDE = 61


class Networks(nn.Module):
    """The five networks; discriminators and classifier give logits (B,)."""

    def __init__(self, width: int, discriminator_width: int, latent: int) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(_encoder(width, latent), _decoder(width, latent))
        self.visual = _discriminator(discriminator_width)
        self.classifier = _discriminator(width)
        self.latent = _latent_discriminator(latent)
        self.apply(_initialise)


def _down(width: int) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(3, width, 5, stride=2), nn.LeakyReLU(0.2)]
    for before, after in pairwise((width, 2 * width, 4 * width)):
        layers += [
            nn.Conv2d(before, after, 5, stride=2, bias=False),
            nn.BatchNorm2d(after, momentum=0.9),
            nn.LeakyReLU(0.2),
        ]
    return layers


def _encoder(width: int, latent: int) -> nn.Sequential:
    last = nn.Conv2d(4 * width, latent, 5, stride=2, bias=False)
    return nn.Sequential(*_down(width), last, nn.Flatten(), nn.Tanh())


def _discriminator(width: int) -> nn.Sequential:
    return nn.Sequential(*_down(width), nn.Conv2d(4 * width, 1, 5, stride=2), nn.Flatten(0))


def _decoder(width: int, latent: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
    for before, after in pairwise((latent, 4 * width, 2 * width, width)):
        layers += [
            nn.ConvTranspose2d(before, after, 5, stride=2, bias=False),
            nn.BatchNorm2d(after, momentum=0.9),
            nn.ReLU(),
        ]
    layers.insert(-1, nn.Dropout(0.5))
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 5, stride=2), nn.Tanh())


def _latent_discriminator(latent: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise((latent, 128, 64, 32, 16)):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after, momentum=0.9), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(16, 1), nn.Flatten(0))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def discriminator_loss(true: Tensor, false: Tensor) -> Tensor:
    """Mean of the cross entropies of logits (B,) with target 1 and of logits with target 0."""
    return (softplus(-true).mean() + softplus(false).mean()) / 2


def adversarial_loss(false: Tensor) -> Tensor:
    """Cross entropy, with target 1, of logits (B,) of generated samples."""
    return softplus(-false).mean()


def mined_codes(decoder: nn.Module, classifier: nn.Module, start: Tensor, step: float) -> Tensor:
    """Move codes towards images that the classifier distinguishes best from reconstructions.

    Args:
        decoder: codes (B, latent) to images.
        classifier: images to logits (B,), high for reconstructions.
        start: the codes' inverse hyperbolic tangents, (B, latent).
        step: length, in units of the gradient of each code's own loss.

    Returns:
        Codes (B, latent) in (-1, 1), without history. Parameters get no gradient.
    """
    with frozen(decoder), frozen(classifier), torch.enable_grad():
        moved = start.detach().requires_grad_()
        loss = softplus(classifier(decoder(moved.tanh()))).sum()
        (gradient,) = torch.autograd.grad(loss, moved)
    return (start - step * gradient).tanh()


def enlarge(images: Tensor) -> Tensor:
    """Turn images (B, 1 or 3, H, H) in [0, 1] into (B, 3, 61, 61) in [-1, 1]."""
    large = interpolate(images, size=(SIDE, SIDE), mode="bilinear")
    return (2 * large - 1).expand(-1, 3, -1, -1)


def _reduce(images: Tensor, like: Tensor) -> Tensor:
    """Undo ``enlarge``, to the size and the channels of other images."""
    small = interpolate(images, size=like.shape[2:], mode="bilinear", antialias=True)
    return (small if like.shape[1] == 3 else small.mean(1, keepdim=True)) / 2 + 0.5


class OCGAN(TorchDetector[Networks]):
    """One-class GAN, with the components ``score``, ``d`` and ``dr``.

    Args:
        width: channels after the first convolution of the autoencoder and of the classifier.
        discriminator_width: the same of the visual discriminator.
        latent: length of the code.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam, for all networks.
        noise: standard deviation of the encoder's input noise, in units of the [-1, 1] range.
        reconstruction_weight: of the mean squared error in the autoencoder's loss.
        visual_weight: of the adversarial loss of decoded codes in it.
        latent_weight: of the adversarial loss of the codes in it.
        mining_after: the last epoch without mining.
        mining_step: length of the mining step.
    """

    components: ClassVar[tuple[str, ...]] = ("score", "d", "dr")
    sizes: ClassVar[tuple[int, ...]] = ()

    def __init__(
        self,
        *,
        width: PositiveInt = 64,
        discriminator_width: PositiveInt = 12,
        latent: PositiveInt = 16,
        epochs: PositiveInt = 201,
        batch_size: PositiveInt = 512,
        learning_rate: PositiveFloat = 2e-4,
        noise: NonNegativeFloat = 0.2,
        reconstruction_weight: NonNegativeFloat = 10.0,
        visual_weight: NonNegativeFloat = 1.0,
        latent_weight: NonNegativeFloat = 1.0,
        mining_after: NonNegativeInt = 150,
        mining_step: NonNegativeFloat = 2.0,
    ) -> None:
        self.width = width
        self.discriminator_width = discriminator_width
        self.latent = latent
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.noise = noise
        self.reconstruction_weight = reconstruction_weight
        self.visual_weight = visual_weight
        self.latent_weight = latent_weight
        self.mining_after = mining_after
        self.mining_step = mining_step

    def build(self, channels: int, size: int) -> Networks:
        """Make the five networks, the same for every image size."""
        return Networks(self.width, self.discriminator_width, self.latent)

    def phases(self, networks: Networks) -> Sequence[Phase]:
        """Update discriminators, classifier and autoencoder once per batch."""
        encoder, decoder = networks.autoencoder.encoder, networks.autoencoder.decoder
        visual, latent, classifier = networks.visual, networks.latent, networks.classifier
        optimizers = {
            name: torch.optim.Adam(part.parameters(), lr=self.learning_rate, betas=(0.5, 0.999))
            for name, part in networks.named_children()
        }

        def uniform(images: Tensor) -> Tensor:
            shape = len(images), self.latent
            return torch.rand(shape, dtype=images.dtype, device=images.device) * 2 - 1

        def step(images: Tensor, epoch: int) -> Losses:
            x = enlarge(images)
            noisy = x + self.noise * torch.randn_like(x)
            with torch.no_grad():
                codes = encoder(noisy)
                reconstructed, generated = decoder(codes), decoder(uniform(x))

            visual_loss = discriminator_loss(visual(x), visual(generated))
            descend(optimizers["visual"], visual_loss)
            latent_loss = discriminator_loss(latent(uniform(x)), latent(codes))
            descend(optimizers["latent"], latent_loss)
            classifier_loss = discriminator_loss(classifier(reconstructed), classifier(generated))
            descend(optimizers["classifier"], classifier_loss)

            negatives = uniform(x)
            if epoch > self.mining_after:
                negatives = mined_codes(decoder, classifier, negatives, self.mining_step)
            with frozen(visual), frozen(latent):
                visual_adversarial = adversarial_loss(visual(decoder(negatives)))
                codes = encoder(noisy)
                latent_adversarial = adversarial_loss(latent(codes))
                error = (x - decoder(codes)).square().mean()
                total = (
                    self.reconstruction_weight * error
                    + self.visual_weight * visual_adversarial
                    + self.latent_weight * latent_adversarial
                )
                descend(optimizers["autoencoder"], total)
            return {
                "reconstruction": error,
                "visual": visual_loss,
                "latent": latent_loss,
                "classifier": classifier_loss,
                "visual_adversarial": visual_adversarial,
                "latent_adversarial": latent_adversarial,
            }

        def validation(images: Tensor) -> Losses:
            x = enlarge(images)
            denoised = networks.autoencoder(x + self.noise * torch.randn_like(x))
            return {"reconstruction": (x - denoised).square().mean()}

        return [Phase(self.epochs, self.batch_size, optimizers, step, validation)]

    def anomaly(self, networks: Networks, images: Tensor) -> Mapping[str, Tensor]:
        """Return the denoising error, and minus the visual discriminator's two logits."""
        x = enlarge(images)
        noisy = self._with_fixed_noise(x)
        denoised = networks.autoencoder(noisy)
        return {
            "score": (x - denoised).square().flatten(1).mean(1),
            "d": -networks.visual(noisy),
            "dr": -networks.visual(denoised),
        }

    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """Denoise uint8 images (N, H, W, C) with the noise that ``score`` adds."""

        def denoise(networks: Networks, batch: Tensor) -> Tensor:
            return _reduce(networks.autoencoder(self._with_fixed_noise(enlarge(batch))), batch)

        return self._reconstructed(denoise, images, model)

    def _with_fixed_noise(self, x: Tensor) -> Tensor:
        return x + self.noise * torch.randn_like(x[:1])
