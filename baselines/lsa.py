"""LSA: latent space autoregression (Abati et al., CVPR 2019; "AND" in its first arXiv version).

An autoencoder is trained together with an estimator of the density of its code: the product of the
densities of each dimension given those before it. The networks are those that the authors released;
they released no training code.

Architecture: the autoencoder is in ``baselines._lsa_networks``. The estimator is the same for one
and three channels. Each of its layers is fully connected with a mask on the weights, so that the
outputs for dimension i depend on the dimensions before i only:

========= ============================================== ===========================================
layer     output, for each of the 64 dimensions          depends on
========= ============================================== ===========================================
1         32 channels, LReLU 0.01                        dimensions before its own (mask A)
2, 3, 4   32 channels, LReLU 0.01                        dimensions up to its own (mask B)
5         100 logits, one per bin of [0, 1]              dimensions up to its own (mask B)
========= ============================================== ===========================================

It has 25,835,776 weights with the masked ones and 13,124,864 without. With the autoencoder's, and
without the masked ones, there are 13,690,160 (C = 1) and 17,826,752
(C = 3) weights. The first equals exactly the count for LSA in GradCon's Table 6; with the masked
ones it is 26,401,072.

Loss: squared error summed over the image + lambda * negative log-likelihood of the code summed over
its dimensions, as a mean over the batch; lambda = 1. The likelihood of z_i is that of its bin,
floor(100 z_i). The bin is not differentiable: the gradient reaches the encoder through the
estimator's input only. Schedule: Adam 1e-4, batch 64, 200 epochs (from comments of the authors and
of users of their repository, not from the released code). The paper's supplement is quoted there
with batch 256, which gave a user 0.817 on MNIST, where batch 64 gave 0.916 (published: 0.975).

Score: minus the paper's novelty score, which is the sum of the code's log-likelihood and of minus
the reconstruction error, each scaled by its minimum and maximum over inlier validation images,
without clipping. ``score`` is the sum of the error and the negative log-likelihood, scaled
likewise, which differs from that by a constant.

Deviations: the best model is the one of lowest reconstruction error on inlier validation images
(the authors name this rule as an alternative to the last of 200 epochs). The CIFAR-10 net at 28x28:
see ``baselines._lsa_networks``.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from baselines._images import in_batches
from baselines._lsa_networks import CODE, decoder, encoder
from baselines._networks import squared_error
from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend
from benchmark.detector import Images, NonNegativeFloat, PositiveFloat, PositiveInt


class MaskedLinear(nn.Linear):
    """A linear layer on some channels for each of several ordered dimensions.

    Maps (B, dimensions * before) to (B, dimensions * after), dimension by dimension. Outputs of a
    dimension depend on inputs of the dimensions before it and, unless ``strict``, on its own.
    """

    mask: Tensor

    def __init__(self, dimensions: int, before: int, after: int, *, strict: bool) -> None:
        super().__init__(dimensions * before, dimensions * after)
        order = torch.arange(dimensions)
        source = order.repeat_interleave(before)
        target = order.repeat_interleave(after)[:, None]
        mask = source < target if strict else source <= target
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the unmasked weights."""
        return linear(input, self.weight * self.mask, self.bias)


class Estimator(nn.Module):
    """Density of each dimension of a code given those before it, as logits over bins of [0, 1]."""

    def __init__(self, dimensions: int, width: int, bins: int) -> None:
        super().__init__()
        self.bins = bins
        widths = (1, width, width, width, width, bins)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [MaskedLinear(dimensions, before, after, strict=not layers), nn.LeakyReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (B, D) to logits (B, D, bins); those of dimension i depend on earlier ones."""
        logits: Tensor = self.layers(codes)
        return logits.view(*codes.shape, self.bins)


class Networks(nn.Module):
    """Autoencoder, estimator, and the range of both terms of the score over validation inliers."""

    lowest: Tensor
    highest: Tensor

    def __init__(self, channels: int, width: int, bins: int) -> None:
        super().__init__()
        self.encoder = encoder(channels)
        self.decoder = decoder(channels)
        self.estimator = Estimator(CODE, width, bins)
        self.register_buffer("lowest", torch.zeros(2))
        self.register_buffer("highest", torch.ones(2))

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct images."""
        reconstructions: Tensor = self.decoder(self.encoder(images))
        return reconstructions

    def terms(self, images: Tensor) -> Tensor:
        """Return reconstruction error and negative log-likelihood (nats) of each image, (B, 2)."""
        codes = self.encoder(images)
        error = squared_error(images, self.decoder(codes))
        return torch.stack([error, negative_log_likelihood(self.estimator(codes), codes)], 1)


def negative_log_likelihood(logits: Tensor, codes: Tensor) -> Tensor:
    """Return the negative log-likelihood (B,), in nats, of codes (B, D) in [0, 1].

    Args:
        logits: of the bins of each dimension, (B, D, bins).
        codes: they choose the bins, without a gradient.
    """
    bins = logits.shape[2]
    index = (codes.detach() * bins).long().clamp(0, bins - 1)
    return cross_entropy(logits.transpose(1, 2), index, reduction="none").sum(1)


def scaled(terms: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
    """Scale each column of (B, K) so that its range (K,) becomes [0, 1]; no clipping."""
    extent = highest - lowest
    return (terms - lowest) / torch.where(extent > 0, extent, 1)


class LSA(TorchDetector[Networks]):
    """Latent space autoregression; component ``score`` is minus the novelty score plus two.

    Args:
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam.
        likelihood_weight: lambda, of the code's negative log-likelihood in the loss.
        width: channels per dimension in the estimator's hidden layers.
        bins: of each dimension's density.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)

    def __init__(
        self,
        *,
        epochs: PositiveInt = 200,
        batch_size: PositiveInt = 64,
        learning_rate: PositiveFloat = 1e-4,
        likelihood_weight: NonNegativeFloat = 1.0,
        width: PositiveInt = 32,
        bins: PositiveInt = 100,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.likelihood_weight = likelihood_weight
        self.width = width
        self.bins = bins

    def build(self, channels: int, size: int) -> Networks:
        """Make autoencoder and estimator."""
        return Networks(channels, self.width, self.bins)

    def phases(self, networks: Networks) -> Sequence[Phase]:
        """Minimise the sum of reconstruction error and weighted negative log-likelihood."""
        adam = torch.optim.Adam(networks.parameters(), lr=self.learning_rate)

        def losses(images: Tensor) -> Losses:
            error, likelihood = networks.terms(images).mean(0)
            return {"reconstruction": error, "likelihood": likelihood}

        def step(images: Tensor, epoch: int) -> Losses:
            result = losses(images)
            total = result["reconstruction"] + self.likelihood_weight * result["likelihood"]
            descend(adam, total)
            return result

        return [Phase(self.epochs, self.batch_size, {"adam": adam}, step, losses)]

    def calibrate(self, networks: Networks, train: Tensor, validation: Tensor) -> None:
        """Take the range of both terms over the validation images.

        Of one or two it says nothing: the terms of both would be 0 and 1, and their sums may be
        the same. The range is then that of the training images too.
        """
        enough = validation if len(validation) > 2 else torch.cat([validation, train])
        terms = torch.cat([networks.terms(images) for images in in_batches(enough, 256)])
        networks.lowest.copy_(terms.amin(0))
        networks.highest.copy_(terms.amax(0))

    def anomaly(self, networks: Networks, images: Tensor) -> Mapping[str, Tensor]:
        """Return the sum of both terms, each scaled by its range over validation inliers."""
        terms = networks.terms(images)
        return {"score": scaled(terms, networks.lowest, networks.highest).sum(1)}

    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """Reconstruct uint8 images (N, H, W, C)."""
        return self._reconstructed(lambda networks, x: networks(x), images, model)
