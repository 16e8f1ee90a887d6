"""GPND: generative probabilistic novelty detection (Pidhorskyi et al., NeurIPS 2018).

An adversarial autoencoder learns the manifold of the inliers; an image is scored by its log
density, split in a part along the manifold's tangents and a part normal to it. The component is
``score`` = - log p.

Source: two states of the released code (podgorskiy/GPND): that nearest the paper
("released_2018", commit 4439822) and the later rewrite ("released_2020", d44896b). The paper's text
was not at hand: what is called the paper's below are the terms that comments in the 2018 code quote
from it (|det S^-1|, and |w|^(m - n) of the normal part w). All else is the 2018 code's.

Architecture (input C x 32 x 32 in [0, 1]; convolutions 4x4 with bias, of stride 2 and padding 1
between the sizes 32, 16, 8, 4, without padding between 4 and 1; BN = batch norm; LReLU 0.2;
n = ``latent`` = 32):

=========== =================================================================== =========
network     layers for ``width`` = 128                                          C = 1
=========== =================================================================== =========
encoder E   conv C->64, LReLU; 64->256->512, each BN, LReLU; 512->n             2,624,864
generator G deconv n->256->256->128, each BN, ReLU; 128->C, tanh / 2 + 1 / 2    1,707,905
D_x         conv C->64, LReLU; 64->256->512, each BN, LReLU; 512->1             2,370,881
D_z         linear n->128->128, each LReLU; ->1                                 20,865
all         (C = 3: 6,732,709)                                                  6,724,515
=========== =================================================================== =========

GradCon's table gives GPND 6,766,243 parameters on MNIST, 41,728 more. The 2018 code's networks have
exactly that, because its generator keeps from a conditional GAN a deconvolution of ten labels
(10 * 256 * 16 + 256) with its BN (512), which no forward pass uses; it is not made here.
``architecture="released_2020"`` has 128 channels in E's first layer (and its configuration
n = 16: 6,789,075).

One step, with z drawn from N(0, I) anew each time; BCE(p, y) = binary cross entropy:

1. BCE(D_x(x), 1) + BCE(D_x(G(z)), 0), down D_x;
2. BCE(D_x(G(z)), 1), down G;
3. BCE(D_z(z), 1) + BCE(D_z(E(x)), 0), down D_z;
4. BCE(G(E(x)), x), the mean over pixels, + 2 BCE(D_z(E(x)), 1), down E and G.

Schedule: Adam 0.002 (0.5, 0.999), one optimiser per line above; a quarter of it from epoch 30, of
that from epoch 60; 80 epochs, batch 128. Weights N(0, 0.02^2), biases 0. (2020: weights 2 and 1 for
reconstruction and code in line 4.)

Score, with z = E(x), residual e = x - G(z), m = 1024 C pixels, and S the singular values of a
Jacobian at the image, one matrix per image:

    log p = log |det S^-1| + sum_i log p_i(z_i) + log p_r(r) - k log r + constant(N)

p_i is a generalised normal density (scipy's ``gennorm``) fitted to the training images' z_i, p_r a
histogram of their r with 30 bins, and constant(N) = log Gamma(N / 2) - log(2 pi^(N / 2)) is the
same for all images.

================= =================== ================ ============ ================= ============
``tangent_term``  log |det S^-1|      ``normal_term``  r            N; k              tails of p_r
================= =================== ================ ============ ================= ============
decoder           - sum log s(dG/dz)  residual         |e|          m - n; m - n      extended
released_2018     + sum log s(dE/dx)  projected        |e_normal|   m - n; m - n      extended
released_2020     - sum log s(dE/dx)  released_2018    |e|^2        m - n; m - n      extended
                                      released_2020    |e|          (m - n) / 5; N-1  falling
================= =================== ================ ============ ================= ============

- The tangent term: the paper's S is the *decoder's* Jacobian, by which the density of z turns into
  one on the manifold. Where E inverts G the encoder's singular values are the reciprocals of
  these, so that the 2018 code's sign agrees with the paper, and the 2020 code's is the opposite of
  it. The default is the paper's formula itself.
- The normal term: the default is the paper's r, the length of the residual, with its k; the 2018
  code squares r, which weighs log r twice; the 2020 code counts a fifth of the dimensions (its
  README's ``mul``). "projected" is the residual without its part along the tangents, which is what
  the derivation means; the two agree where G(E(x)) is the nearest point of the manifold. It needs
  the Jacobian of every training image, which takes as long as scoring them.
- The normal term, a thousand times log r, outweighs the others by far.

The Jacobian makes scoring slow: 32 passes through E or G, some 50 ms per image on one core.

Deviations:

- Images of any square size are resized to 32x32, bilinear, without rounding to integers.
- A histogram's empty bin has half the density of its thinnest one (2020: 1e-308; the 2018 code
  gets minus infinity). log p_i is at least -1000 (the original's value where log p(z) is not
  finite), singular values and r are at least 1e-12: a score is always finite.
- ``gennorm`` starts from the normal distribution's fit (2018: scipy's start, 2020: (2, 0, 1)) on
  its way to the same maximum. The constant of 2020 has 2 pi for pi, which changes no order.
- A last batch that is not full is used. The best model is that of the lowest reconstruction loss
  on inlier validation images; the original takes the last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from baselines._gpnd_density import (
    SMALLEST,
    Tails,
    decoder_tangents,
    encoder_tangents,
    fit_gennorm,
    fit_histogram,
    gennorm_log_density,
    histogram_log_density,
    log_determinant,
    normal_part,
    sphere_log_density,
)
from baselines._gpnd_networks import BINS, SIDE, Architecture, Networks, enlarge, reduce
from baselines._images import in_batches
from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend, frozen
from benchmark.detector import FitFailed, Images, NonNegativeFloat, PositiveFloat, PositiveInt

TangentTerm = Literal["decoder", "released_2018", "released_2020"]
NormalTerm = Literal["residual", "projected", "released_2018", "released_2020"]


@dataclass(frozen=True)
class Normal:
    """One row of the table of normal terms: p_r's argument |e|^power, N's factor, k, and tails."""

    power: int = 1
    factor: float = 1.0
    exponent_offset: int = 0
    tails: Tails = "extended"
    projected: bool = False


NORMAL_TERMS: Mapping[NormalTerm, Normal] = {
    "residual": Normal(),
    "projected": Normal(projected=True),
    "released_2018": Normal(power=2),
    "released_2020": Normal(factor=0.2, exponent_offset=-1, tails="falling"),
}


def discriminator_loss(true: Tensor, false: Tensor) -> Tensor:
    """Cross entropies of logits (B,) that should say 1 and of logits that should say 0, summed."""
    return softplus(-true).mean() + softplus(false).mean()


def adversarial_loss(false: Tensor) -> Tensor:
    """Cross entropy of logits (B,) that should be taken for 1."""
    return softplus(-false).mean()


class GPND(TorchDetector[Networks]):
    """Generative probabilistic novelty detection; component ``score`` is - log p.

    Args:
        architecture: whose encoder.
        width: the channels d of the released code; layers have d/2, d, 2d and 4d.
        latent: length of the code.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam, for all networks.
        drop_every: after so many epochs the learning rate is a quarter.
        reconstruction_weight: of the cross entropy in the autoencoder's loss.
        latent_weight: of fooling the discriminator of codes.
        tangent_term: which Jacobian, with which sign.
        normal_term: which distance, in how many dimensions.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)
    sizes: ClassVar[tuple[int, ...]] = ()
    score_batch: ClassVar[int] = 32  # each image makes n Jacobian rows at every layer

    def __init__(
        self,
        *,
        architecture: Architecture = "released_2018",
        width: PositiveInt = 128,
        latent: PositiveInt = 32,
        epochs: PositiveInt = 80,
        batch_size: PositiveInt = 128,
        learning_rate: PositiveFloat = 0.002,
        drop_every: PositiveInt = 30,
        reconstruction_weight: NonNegativeFloat = 1.0,
        latent_weight: NonNegativeFloat = 2.0,
        tangent_term: TangentTerm = "decoder",
        normal_term: NormalTerm = "residual",
    ) -> None:
        self.architecture: Architecture = architecture
        self.width = width
        self.latent = latent
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.drop_every = drop_every
        self.reconstruction_weight = reconstruction_weight
        self.latent_weight = latent_weight
        self.tangent_term: TangentTerm = tangent_term
        self.normal_term: NormalTerm = normal_term

    def build(self, channels: int, size: int) -> Networks:
        """Make the four networks, the same for every image size.

        Raises:
            ValueError: codes as long as the images.
        """
        if self.latent >= channels * SIDE**2:
            raise ValueError(f"latent {self.latent}: must be less than {channels * SIDE**2} pixels")
        return Networks(self.architecture, channels, width=self.width, latent=self.latent)

    def phases(self, networks: Networks) -> Sequence[Phase]:
        """Update D_x, G, D_z, then E with G, once per batch."""
        encoder, generator = networks.encoder, networks.generator
        visual, latent = networks.visual, networks.latent
        trained = {
            "visual": [*visual.parameters()],
            "generator": [*generator.parameters()],
            "latent": [*latent.parameters()],
            "autoencoder": [*encoder.parameters(), *generator.parameters()],
        }
        optimizers = {
            name: torch.optim.Adam(parameters, lr=self.learning_rate, betas=(0.5, 0.999))
            for name, parameters in trained.items()
        }

        def prior(images: Tensor) -> Tensor:
            shape = len(images), self.latent
            return torch.randn(shape, dtype=images.dtype, device=images.device)

        def cross_entropy(x: Tensor, codes: Tensor) -> Tensor:
            return binary_cross_entropy_with_logits(2 * generator(codes), x)

        def step(images: Tensor, epoch: int) -> Losses:
            x = enlarge(images)
            with torch.no_grad():
                generated = networks.generate(prior(x))
            told_images = discriminator_loss(visual(x), visual(generated))
            descend(optimizers["visual"], told_images)
            with frozen(visual):
                fooled_images = adversarial_loss(visual(networks.generate(prior(x))))
                descend(optimizers["generator"], fooled_images)

            with torch.no_grad():
                codes = encoder(x)
            told_codes = discriminator_loss(latent(prior(x)), latent(codes))
            descend(optimizers["latent"], told_codes)
            with frozen(latent):
                codes = encoder(x)
                fooled_codes = adversarial_loss(latent(codes))
                error = cross_entropy(x, codes)
                total = self.reconstruction_weight * error + self.latent_weight * fooled_codes
                descend(optimizers["autoencoder"], total)
            return {
                "reconstruction": error,
                "visual": told_images,
                "latent": told_codes,
                "visual_adversarial": fooled_images,
                "latent_adversarial": fooled_codes,
            }

        def validation(images: Tensor) -> Losses:
            x = enlarge(images)
            return {"reconstruction": cross_entropy(x, encoder(x))}

        def schedule(epoch: int) -> float:
            return 0.25 ** (epoch // self.drop_every)

        return [Phase(self.epochs, self.batch_size, optimizers, step, validation, schedule)]

    def calibrate(self, networks: Networks, train: Tensor, validation: Tensor) -> None:
        """Fit the densities of codes and distances to the training images."""
        parts = [self._encode(networks, enlarge(x)) for x in in_batches(train, self.score_batch)]
        codes, distances = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
        if not (np.isfinite(codes).all() and np.isfinite(distances).all()):
            raise FitFailed("the codes or the distances of the training images are NaN or infinite")
        edges, density = fit_histogram(distances, BINS, NORMAL_TERMS[self.normal_term].tails)
        networks.gennorm.copy_(torch.from_numpy(fit_gennorm(codes)))
        networks.edges.copy_(torch.from_numpy(edges))
        networks.density.copy_(torch.from_numpy(density))

    def anomaly(self, networks: Networks, images: Tensor) -> Mapping[str, Tensor]:
        """Return minus the log density of each image."""
        x = enlarge(images)
        term = NORMAL_TERMS[self.normal_term]
        tangents = self._tangents(networks, x)
        codes, distances = self._encode(networks, x, tangents)
        determinant = log_determinant(tangents)
        if self.tangent_term != "released_2018":
            determinant = -determinant
        along = determinant + gennorm_log_density(codes, networks.gennorm).sum(1)
        of_length = histogram_log_density(distances, networks.edges, networks.density, term.tails)
        dimensions = term.factor * (x[0].numel() - self.latent)
        across = sphere_log_density(
            of_length, distances, dimensions, dimensions + term.exponent_offset
        )
        return {"score": -(along + across)}

    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """Reconstruct uint8 images (N, H, W, C)."""
        return self._reconstructed(
            lambda networks, x: reduce(networks.generate(networks.encoder(enlarge(x))), x.shape[2]),
            images,
            model,
        )

    def _tangents(self, networks: Networks, x: Tensor) -> Tensor:
        """Rows that span each image's tangent space, (B, n, m): a Jacobian or its transpose."""
        if self.tangent_term == "decoder":
            return decoder_tangents(networks.generate, networks.encoder(x))
        return encoder_tangents(networks.encoder, x)

    def _encode(
        self, networks: Networks, x: Tensor, tangents: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Codes (B, n) and distances r (B,), in float64; may need the tangents for these."""
        term = NORMAL_TERMS[self.normal_term]
        codes = networks.encoder(x)
        residuals = (x - networks.generate(codes)).double().flatten(1)
        if term.projected:
            residuals = normal_part(
                residuals, self._tangents(networks, x) if tangents is None else tangents
            )
        distances = residuals.norm(dim=1).pow(term.power).clamp_min(SMALLEST)
        return codes.double(), distances
