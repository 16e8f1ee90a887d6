"""The convolutional and the variational autoencoder of the paper.

Encoder and decoder are the same for both, as in the official code:

=======  ==========================================  ===========  =============
part     layer                                       channels     size (28 in)
=======  ==========================================  ===========  =============
encoder  Conv 4x4, stride 2, padding 2, ReLU         C -> 32      15
encoder  Conv 4x4, stride 2, padding 2, ReLU         32 -> 32     8
encoder  Conv 4x4, stride 2, padding 2, ReLU         32 -> 64     5
encoder  Conv 4x4, stride 2, padding 2, ReLU         64 -> 64     3
decoder  ConvTranspose 4x4, stride 2, padding 2      64 -> 64     4
decoder  ConvTranspose 4x4, stride 2, padding 1      64 -> 32     8
decoder  ConvTranspose 4x4, stride 2, padding 2      32 -> 32     14
decoder  ConvTranspose 4x4, stride 2, padding 1      32 -> C      28
=======  ==========================================  ===========  =============

with ReLU between the decoder's layers and a sigmoid after the last. The variational one puts three
linear layers of the latent size (576 for 28x28) between the two: mean, log variance, and back to
the decoder's input. PyTorch's default initialisation, biases everywhere, no normalisation.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmark.errors import InputError
from gradcon.kernels.convolution import TransposedConvolution
from gradcon.kernels.encoder import encode

CHANNELS = (1, 3)


class Output(NamedTuple):
    """What an autoencoder gives for a batch of B images."""

    logits: Tensor
    """(B, C, H, W); the reconstruction is their sigmoid."""
    latent_loss: Tensor
    """(B,) Kullback-Leibler divergence to the standard normal in nats; zeros for the plain one."""


class Encoder(nn.Sequential):
    """Convolutions and ReLUs; ``explicit`` computes them by ``kernels.encoder``."""

    explicit = False

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 64, n, n)."""
        if not self.explicit:
            result: Tensor = super().forward(images)  # type: ignore[no-untyped-call]
            return result
        return encode([layer for layer in self if isinstance(layer, nn.Conv2d)], images)


class Linear(nn.Linear):
    """A linear layer of one model, or of a stack, whose weights have a leading dimension."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, in) to (B, out)."""
        if self.weight.dim() == 2:
            return super().forward(features)
        return torch.baddbmm(self.bias.unsqueeze(1), features, self.weight.mT)


def encoder(channels: int) -> Encoder:
    """Images in [0, 1], (B, C, H, W), to the latent map, (B, 64, n, n)."""
    widths = ((channels, 32), (32, 32), (32, 64), (64, 64))
    layers: list[nn.Module] = []
    for inputs, outputs in widths:
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=2), nn.ReLU()]
    return Encoder(*layers)


def decoder(channels: int) -> nn.Sequential:
    """The latent map, (B, 64, n, n), to logits, (B, C, 16 n - 20, 16 n - 20)."""
    layers: list[nn.Module] = []
    for inputs, outputs, padding in ((64, 64, 2), (64, 32, 1), (32, 32, 2), (32, channels, 1)):
        layers += [TransposedConvolution(inputs, outputs, 4, stride=2, padding=padding), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def latent_side(image_size: int, channels: int) -> int:
    """Side n of the latent map of square images.

    Raises:
        InputError: a size that the decoder cannot produce, or other channels than 1 and 3.
    """
    side = (image_size + 20) // 16
    if image_size < 12 or 16 * side - 20 != image_size or channels not in CHANNELS:
        raise InputError(
            f"images of {image_size}x{image_size} with {channels} channels are not supported: "
            "the autoencoders take 1 or 3 channels and sizes 12, 28, 44, 60, ... (16 n - 20); "
            "resize them (image_size: 28 is the paper's)"
        )
    return side


class Autoencoder(nn.Module):
    """The convolutional autoencoder (CAE): 230,721 parameters for one channel, 232,771 for RGB."""

    def __init__(self, channels: int, image_size: int = 28) -> None:
        super().__init__()
        latent_side(image_size, channels)
        self.encoder = encoder(channels)
        self.decoder = decoder(channels)

    @staticmethod
    def noise_size(image_size: int) -> int:
        """Length of the random vector that an image needs in training."""
        return 0

    def encode(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The decoder's input and the latent loss, (B,).

        With explicit passes, weights and arguments may have a leading dimension for the models of
        a stack; then the results have it too.
        """
        code: Tensor = self.encoder(images)
        return code, images.new_zeros(images.shape[:-3])

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Output:
        """Logits and latent loss of images in [0, 1], (B, C, H, W)."""
        code, latent_loss = self.encode(images, noise)
        return Output(self.decoder(code), latent_loss)


class VariationalAutoencoder(Autoencoder):
    """The variational autoencoder (VAE): 1,227,777 parameters for 28x28 with one channel.

    Without ``noise`` the code is the posterior mean, as at test time.
    """

    def __init__(self, channels: int, image_size: int = 28) -> None:
        super().__init__(channels, image_size)
        size = self.noise_size(image_size)
        self.mean = Linear(size, size)
        self.log_variance = Linear(size, size)
        self.from_latent = Linear(size, size)

    @staticmethod
    def noise_size(image_size: int) -> int:
        """Length of the latent vector: 64 n^2."""
        return 64 * latent_side(image_size, 1) ** 2

    def encode(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Sample the posterior with standard normal ``noise``, (B, 64 n^2)."""
        features: Tensor = self.encoder(images)
        flat = features.flatten(-3)
        mean, log_variance = self.mean(flat), self.log_variance(flat)
        latent = mean if noise is None else mean + noise * torch.exp(0.5 * log_variance)
        latent_loss = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(-1)
        return self.from_latent(latent).view_as(features), latent_loss


def decoder_weights(module: nn.Module) -> list[str]:
    """Names of the decoder's kernels, whose gradients are constrained; its biases take no part."""
    return [
        name
        for name, parameter in module.named_parameters()
        if name.startswith("decoder.") and parameter.dim() == 4
    ]


def initialised(
    network: type[Autoencoder], channels: int, image_size: int, seed: int
) -> Autoencoder:
    """A network whose weights depend on the seed alone; the global random state is not changed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed reseeds GPUs as well
        return network(channels, image_size)
