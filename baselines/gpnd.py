"""GPND: generative probabilistic novelty detection (Pidhorskyi et al., NeurIPS 2018).

An adversarial autoencoder learns the manifold of the inliers. An image is scored by its log density
p, the product of a density along the manifold's tangents and one normal to them: the component is
``score`` = - log p.

Source: two versions of the released code (podgorskiy/GPND), the one closest to the paper
("released_2018", commit 4439822) and the later rewrite ("released_2020", d44896b). The terms that
are called the paper's below (|det S^-1|, and |w|^(m - n) of the normal part w) are those of its
first arXiv version, equations 6 and 7. All else follows the 2018 code.

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

GradCon's table states 6,766,243 parameters for GPND on MNIST, 41,728 more. The 2018 code's networks
have exactly as many: its generator still has a conditional GAN's deconvolution of ten labels
(10 * 256 * 16 + 256) with its BN (512), which no forward pass uses and which is left out here.
``architecture="released_2020"`` has 128 channels in E's first layer (and its configuration
n = 16: 6,789,075).

One step makes four updates, each with a new z from N(0, I); BCE(p, y) = binary cross entropy:

1. D_x minimises BCE(D_x(x), 1) + BCE(D_x(G(z)), 0);
2. G minimises BCE(D_x(G(z)), 1);
3. D_z minimises BCE(D_z(z), 1) + BCE(D_z(E(x)), 0);
4. E and G minimise BCE(G(E(x)), x), the mean over pixels, + 2 BCE(D_z(E(x)), 1).

Schedule: Adam with learning rate 0.002 and betas (0.5, 0.999), one optimiser per update; a quarter
of the learning rate from epoch 30, a sixteenth from epoch 60; 80 epochs, batch 128. Weights from
N(0, 0.02^2), biases 0. (2020: weights 2 and 1 for reconstruction and code in update 4.)

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

- The tangent term: the paper's S holds the singular values of the *decoder's* Jacobian, which turns
  the density of z into one on the manifold. Where E inverts G, the encoder's singular values are
  the reciprocals of these; so the 2018 code's sign agrees with the paper, and the 2020 code's is
  the opposite. The default is the paper's formula.
- The normal term: the default is the paper's r, the length of the residual without its part along
  the tangents (the paper's first arXiv version), with the paper's k. It needs the Jacobian of every
  training image, which takes as long as scoring them. "residual" takes the whole residual; the two
  are equal where G(E(x)) is the nearest point of the manifold. The 2018 code squares r, which
  doubles log r; the 2020 code counts a fifth of the dimensions (``mul`` in its README).
- The normal term, about a thousand times log r, is far larger than the others.

The Jacobian makes scoring slow: it needs 32 passes through E or G, about 50 ms per image on one
core.

Deviations:

- Images of any square size are resized to 32x32, bilinear, without rounding to integers.
- An empty bin of the histogram has half the least density of the others (2020: 1e-308; the log
  density of the 2018 code is minus infinity there). log p_i is at least -1000 (the original's value
  where log p(z) is not finite), singular values and r are at least 1e-12. So a score is finite.
- The fit of ``gennorm`` starts from the normal distribution's (2018: scipy's start, 2020:
  (2, 0, 1)); the maximum is the same. The constant of 2020 has 2 pi in place of pi, which does not
  change the order of scores.
- An incomplete last batch is used. The best model is that of the lowest reconstruction loss on
  inlier validation images; the original takes the last.
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
    """One row of the table of normal terms: r = |e|^power, N = factor (m - n), k = N + offset."""

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
    """Summed cross entropies of logits (B,) with target 1 and of logits with target 0."""
    return softplus(-true).mean() + softplus(false).mean()


def adversarial_loss(false: Tensor) -> Tensor:
    """Cross entropy, with target 1, of logits (B,) of generated samples."""
    return softplus(-false).mean()


class GPND(TorchDetector[Networks]):
    """Generative probabilistic novelty detection; component ``score`` is - log p.

    Args:
        architecture: the version of the released code whose encoder it has.
        width: number d of channels in the released code; layers have d/2, d, 2d and 4d.
        latent: length of the code.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam, for all networks.
        drop_every: number of epochs after which the learning rate is divided by four, repeatedly.
        reconstruction_weight: of the cross entropy in the autoencoder's loss.
        latent_weight: of the adversarial loss of the codes in it.
        tangent_term: the Jacobian and its sign, see the table above.
        normal_term: the distance and its dimensions, see the table above.
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
        normal_term: NormalTerm = "projected",
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
            visual_loss = discriminator_loss(visual(x), visual(generated))
            descend(optimizers["visual"], visual_loss)
            with frozen(visual):
                visual_adversarial = adversarial_loss(visual(networks.generate(prior(x))))
                descend(optimizers["generator"], visual_adversarial)

            with torch.no_grad():
                codes = encoder(x)
            latent_loss = discriminator_loss(latent(prior(x)), latent(codes))
            descend(optimizers["latent"], latent_loss)
            with frozen(latent):
                codes = encoder(x)
                latent_adversarial = adversarial_loss(latent(codes))
                error = cross_entropy(x, codes)
                weighted = self.latent_weight * latent_adversarial
                descend(optimizers["autoencoder"], self.reconstruction_weight * error + weighted)
            return {
                "reconstruction": error,
                "visual": visual_loss,
                "latent": latent_loss,
                "visual_adversarial": visual_adversarial,
                "latent_adversarial": latent_adversarial,
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
        """Codes (B, n) and distances r (B,), in float64; ``tangents`` of x, if computed already."""
        term = NORMAL_TERMS[self.normal_term]
        codes = networks.encoder(x)
        residuals = (x - networks.generate(codes)).double().flatten(1)
        if term.projected:
            residuals = normal_part(
                residuals, self._tangents(networks, x) if tangents is None else tangents
            )
        distances = residuals.norm(dim=1).pow(term.power).clamp_min(SMALLEST)
        return codes.double(), distances
