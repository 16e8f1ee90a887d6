"""PixelCNN: pixels predicted from those above and to the left (van den Oord et al., ICML 2016).

Source: the column of Tables 3 and 4 is, by way of OCGAN's tables, from Abati et al. (LSA; "AND" in
its first version), who scored images by the likelihood of a PixelCNN and published neither its size
nor its training, nor code. This is the method of "Pixel Recurrent Neural Networks", but need not be
their instance of it: the first PixelCNN, with ReLU, without the gates and the second stack of its
successors, so that a pixel's prediction ignores some pixels to its upper right.

Quantisation: 256 levels, the gray levels of the images themselves, no binarisation; a smaller
``levels`` merges neighbouring ones. Each pixel and colour has a softmax over the levels, given all
pixels before it in raster order and, within a pixel, red before green before blue.

Architecture (h = 128; every convolution with bias, of stride 1 and the image's size):

======== ===================================================================== ====
part     layers                                                                mask
======== ===================================================================== ====
first    conv 7x7 C->2h                                                        A
15 times + (ReLU, conv 1x1 2h->h, ReLU, conv 3x3 h->h, ReLU, conv 1x1 h->2h)    B
head     ReLU, conv 1x1 2h->1024, ReLU, conv 1x1 1024->256 C                   B
======== ===================================================================== ====

Weights: 2,751,488 (C = 1) and 2,530,228 (C = 3); 3,740,928 and 4,290,816 with the masked ones.

A mask keeps the weights of the rows above and of the pixels to the left; at the pixel itself, mask
B keeps those of its own and of earlier colours, mask A those of earlier colours only. The channels
of each layer are divided among the colours in order, as evenly as possible. Inputs are the levels
scaled to [-1, 1].

Loss: negative log-likelihood of an image, in nats, as a mean over the batch. Schedule: RMSprop,
batch 16. Score: the negative log-likelihood in nats, summed over pixels and colours. Simple images
have a high likelihood whatever they show, so that simple outliers may get lower scores than
inliers; the low numbers of the published column agree with that.

Deviations: h, the depth, the head and the batch are the paper's for CIFAR-10 as far as we remember
(we had no access to its text); they are used for one channel too, where the paper binarises MNIST.
Learning rate (1e-4; the paper sets it by hand), RMSprop's decay (0.99, PyTorch's) and epochs (50)
are a choice of ours. The best model is the one of lowest score on inlier validation images.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy

from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend
from benchmark.detector import PositiveFloat, PositiveInt

Levels = Annotated[int, Ge(2), Le(256)]


class MaskedConv2d(nn.Conv2d):
    """A convolution of the pixels before its own in raster order, and of earlier colours.

    Args:
        before: input channels.
        after: output channels.
        kernel: odd side of the kernel.
        colours: among which both channels are divided.
        strict: whether the mask hides the pixel's own colour (mask A) or not (mask B).
    """

    mask: Tensor

    def __init__(
        self, before: int, after: int, kernel: int, colours: int, *, strict: bool = False
    ) -> None:
        super().__init__(before, after, kernel, padding=kernel // 2)
        place = torch.arange(kernel**2).view(1, 1, kernel, kernel)
        centre = kernel**2 // 2
        source = _colour(before, colours)[None, :, None, None]
        target = _colour(after, colours)[:, None, None, None]
        passes = source < target if strict else source <= target
        mask = (place < centre) | ((place == centre) & passes)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve with the unmasked weights."""
        return conv2d(input, self.weight * self.mask, self.bias, padding=self.kernel_size[0] // 2)


def _colour(width: int, colours: int) -> Tensor:
    """The colour, 0 to ``colours`` - 1, that each of ``width`` channels belongs to."""
    return torch.arange(width) * colours // width


class Block(nn.Module):
    """A residual block of 2h channels."""

    def __init__(self, width: int, colours: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(),
            MaskedConv2d(2 * width, width, 1, colours),
            nn.ReLU(),
            MaskedConv2d(width, width, 3, colours),
            nn.ReLU(),
            MaskedConv2d(width, 2 * width, 1, colours),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 2h, H, W) to the same shape."""
        y: Tensor = x + self.branch(x)
        return y


class Network(nn.Module):
    """A PixelCNN for images of ``colours`` channels with pixels in ``levels`` levels."""

    def __init__(self, colours: int, levels: int, width: int, blocks: int, head: int) -> None:
        super().__init__()
        self.colours = colours
        self.levels = levels
        self.layers = nn.Sequential(
            MaskedConv2d(colours, 2 * width, 7, colours, strict=True),
            *(Block(width, colours) for _ in range(blocks)),
            nn.ReLU(),
            MaskedConv2d(2 * width, head, 1, colours),
            nn.ReLU(),
            MaskedConv2d(head, colours * levels, 1, colours),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels (B, C, H, W) in [-1, 1] to logits (B, levels, C, H, W)."""
        logits: Tensor = self.layers(pixels)
        batch, _, height, width = logits.shape
        return logits.view(batch, self.colours, self.levels, height, width).transpose(1, 2)

    def negative_log_likelihood(self, images: Tensor) -> Tensor:
        """Return the negative log-likelihood (B,), in nats, of images in [0, 1]."""
        indices = quantise(images, self.levels)
        pixels = 2 * indices.to(images.dtype) / (self.levels - 1) - 1
        logits = self(pixels)
        return cross_entropy(logits, indices, reduction="none").flatten(1).sum(1)


def quantise(images: Tensor, levels: int) -> Tensor:
    """Return the level, 0..levels - 1, of gray values k / 255; levels have equally many values."""
    return (images * 255).round().long() * levels // 256


class PixelCNN(TorchDetector[Network]):
    """A PixelCNN; component ``score`` is the negative log-likelihood in nats.

    Args:
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of RMSprop.
        width: h, half the channels between the blocks.
        blocks: residual blocks.
        head_width: channels of the hidden layer after the blocks.
        levels: number of gray levels that are distinguished.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)
    sizes: ClassVar[tuple[int, ...]] = ()
    score_batch: ClassVar[int] = 32

    def __init__(
        self,
        *,
        epochs: PositiveInt = 50,
        batch_size: PositiveInt = 16,
        learning_rate: PositiveFloat = 1e-4,
        width: PositiveInt = 128,
        blocks: PositiveInt = 15,
        head_width: PositiveInt = 1024,
        levels: Levels = 256,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.width = width
        self.blocks = blocks
        self.head_width = head_width
        self.levels = levels

    def build(self, channels: int, size: int) -> Network:
        """Make the network."""
        return Network(channels, self.levels, self.width, self.blocks, self.head_width)

    def phases(self, networks: Network) -> Sequence[Phase]:
        """Minimise the negative log-likelihood."""
        rmsprop = torch.optim.RMSprop(networks.parameters(), lr=self.learning_rate)

        def losses(images: Tensor) -> Losses:
            return {"surprise": networks.negative_log_likelihood(images).mean()}

        def step(images: Tensor, epoch: int) -> Losses:
            result = losses(images)
            descend(rmsprop, result["surprise"])
            return result

        return [Phase(self.epochs, self.batch_size, {"rmsprop": rmsprop}, step, losses)]

    def anomaly(self, networks: Network, images: Tensor) -> Mapping[str, Tensor]:
        """Return the negative log-likelihood of each image."""
        return {"score": networks.negative_log_likelihood(images)}
