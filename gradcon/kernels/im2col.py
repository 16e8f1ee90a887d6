"""Strided 4x4 convolutions as a matrix product between two maps that only copy and add rows.

A convolution of kernel 4 and stride 2 joins a small grid (n x n) and a large one (m x m, padding
p). Pixel Y of the large grid, u = Y + p, lies in block J = u div 2 at place d = u mod 2; it meets
pixel i of the small grid through kernel element k = u - 2 i, so k = 2 a + d with tap a = J - i in
{0, 1}. Per axis, and so with 2x2 places in a block and 2x2 taps, this links (i, a) to block i + a.

A large image is kept as blocks, a matrix with a row (y, x) per block and columns (place, channel).
Then y = outer(inner(x) M) is the convolution or its transpose, where M holds the kernel and inner
or outer is the identity. The other of the two copies or adds rows along the links:

========  =========================  =========================  ===============================
form      small side of M            large side of M            links
========  =========================  =========================  ===============================
patches   (tap, small channel)       (place, large channel)     small pixel to (block, tap)
columns   small channel              (tap, place, large ch.)    block to (small pixel, tap)
========  =========================  =========================  ===============================

Columns are less to move when the large image has few channels, patches otherwise. All derivatives
are products with the same matrices and the transposed maps: dM = inner(x)^T outer^T(dy) and
dx = inner^T(outer^T(dy) M^T).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_NARROW = 8
"""Up to so many channels of the large image the form of columns is used."""

_SIDES = {False: ((2, 4, 0), (3, 5, 1)), True: ((0,), (2, 4, 3, 5, 1))}
"""Axes of a kernel (small channel, large channel, tap, place, tap, place) on the small and the
large side of M, for patches and for columns."""


class Rows(NamedTuple):
    """A matrix of zeros and ones in compressed rows; applied to (of, C) it gives (to, C)."""

    of: Tensor
    offsets: Tensor

    def __call__(self, matrix: Tensor) -> Tensor:
        """Row r of the result is the sum of the rows ``of[offsets[r] : offsets[r + 1]]``."""
        return F.embedding_bag(self.of, matrix, self.offsets, mode="sum", include_last_offset=True)


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution y = outer(inner(x) M) or its transpose.

    Images are matrices of (pixel slots, channels) or any view of them.
    """

    spread: Rows
    """Rows to all their links."""
    gather: Rows
    """Its transpose: the sum over the links."""
    inward: bool
    """Whether ``inner`` spreads, or else ``outer`` gathers."""
    width: int
    """Columns of a row that is spread."""
    channels: tuple[int, int]
    """Of x and of y."""
    sizes: tuple[int, int]
    """Rows K and columns N of M."""
    order: Tensor
    """Which element of the kernel each element of M is."""
    back: Tensor
    """The inverse of ``order``."""
    real: Tensor
    """(slots of an image, 1) 1 where y holds a pixel, 0 where it is beyond the border."""

    def inner(self, x: Tensor) -> Tensor:
        """The left factor, (M, K)."""
        if self.inward:
            x = self.spread(x.view(-1, self.width))
        return x.view(-1, self.sizes[0])

    def inner_t(self, dleft: Tensor) -> Tensor:
        """By x, (slots, channels), of the derivative by the left factor."""
        if self.inward:
            dleft = self.gather(dleft.view(-1, self.width))
        return dleft.view(-1, self.channels[0])

    def outer(self, result: Tensor) -> Tensor:
        """Y, (slots, channels), of the product."""
        if not self.inward:
            result = self.gather(result.view(-1, self.width))
        return result.view(-1, self.channels[1])

    def outer_t(self, dy: Tensor) -> Tensor:
        """The derivative by the product, (M, N)."""
        if not self.inward:
            dy = self.spread(dy.view(-1, self.width))
        return dy.view(-1, self.sizes[1])

    def matrix(self, kernel: Tensor) -> Tensor:
        """M of a kernel (small, large, 4, 4)."""
        return kernel.reshape(-1).index_select(0, self.order).view(self.sizes)

    def kernel(self, matrix: Tensor, like: Tensor) -> Tensor:
        """The kernel of M, in the shape and type of ``like``."""
        return matrix.reshape(-1).to(like.dtype).index_select(0, self.back).view_as(like)

    def add_bias(self, y: Tensor, bias: Tensor) -> Tensor:
        """Y with the bias on its pixels, in place."""
        shift = (self.real * bias).to(y.dtype).view(-1)
        y.view(-1, len(shift)).add_(shift)
        return y

    def by_bias(self, dy: Tensor, like: Tensor) -> Tensor:
        """The derivative by the bias, in the type of ``like``."""
        image = dy.view(-1, len(self.real) * self.channels[1]).sum(0)
        return image.view(-1, self.channels[1]).sum(0, dtype=like.dtype)


def pixel_slots(side: int) -> Tensor:
    """(side, side) row of each pixel when an image is stored pixel by pixel."""
    return torch.arange(side * side).view(side, side)


def block_slots(side: int, padding: int) -> Tensor:
    """(side, side) row of each pixel when a large image is stored as blocks of four rows."""
    first, count = _blocks(side, padding)
    u = torch.arange(side) + padding
    block, place = u // 2 - first, u % 2
    return 4 * (block.unsqueeze(1) * count + block) + 2 * place.unsqueeze(1) + place


def to_blocks(images: Tensor, padding: int) -> Tensor:
    """Images (B, C, H, H) as blocks, (B q q, 4 C); anything beyond the border."""
    count, channels, side = images.shape[:3]
    elements = _block_elements(channels, side, padding)
    return images.reshape(count, -1).index_select(1, elements).view(-1, 4 * channels)


@lru_cache(maxsize=16)
def _block_elements(channels: int, side: int, padding: int) -> Tensor:
    slots = block_slots(side, padding).flatten()
    pixels = torch.zeros(4 * _blocks(side, padding)[1] ** 2, dtype=torch.int64)
    pixels[slots] = torch.arange(side**2)
    return (pixels.unsqueeze(1) + side**2 * torch.arange(channels)).flatten()


@lru_cache(maxsize=64)
def layer(
    batch: int,
    sides: tuple[int, int],
    padding: int,
    blocks: int | None,
    channels: tuple[int, int],
    transposed: bool,
) -> Layer:
    """The maps of one layer.

    Args:
        batch: number of images.
        sides: n of the small grid and m of the large one.
        padding: of the convolution.
        blocks: padding with which the small image is stored as blocks; none for pixel by pixel.
        channels: of the small image and of the large one.
        transposed: from the small grid to the large one.
    """
    small, large = sides
    first, count = _blocks(large, padding)
    slots = pixel_slots(small) if blocks is None else block_slots(small, blocks)
    stored = small**2 if blocks is None else 4 * _blocks(small, blocks)[1] ** 2
    pixel, tap = torch.arange(small), torch.arange(2)
    block = pixel.view(-1, 1) + tap - first
    inside = (block >= 0) & (block < count)
    pairs = [(i, a) for i, a in inside.nonzero().tolist()]
    y, ay = torch.tensor(pairs).repeat_interleave(len(pairs), 0).T
    x, ax = torch.tensor(pairs).repeat(len(pairs), 1).T
    slot, taps = slots[y, x], 2 * ay + ax
    met = block[y, ay] * count + block[x, ax]
    narrow = channels[1] <= _NARROW
    if narrow:
        links = (4 * slot + taps, 4 * stored), (met, count**2)
    else:
        links = (4 * met + taps, 4 * count**2), (slot, stored)
    pixels, room = (block_slots(large, padding), 4 * count**2) if transposed else (slots, stored)
    real = torch.zeros(room, 1)
    real[pixels.flatten()] = 1
    sides_of_m = _SIDES[narrow] if transposed else _SIDES[narrow][::-1]
    elements = torch.arange(16 * channels[0] * channels[1])
    axes = sides_of_m[0] + sides_of_m[1]
    whole = elements.view(*channels, 2, 2, 2, 2).permute(axes)
    order = whole.reshape(whole.shape[: len(sides_of_m[0])].numel(), -1)
    return Layer(
        spread=_rows(*links, batch),
        gather=_rows(*links[::-1], batch),
        inward=narrow != transposed,
        width=4 * channels[1] if narrow else channels[0],
        channels=channels if transposed else channels[::-1],
        sizes=(order.shape[0], order.shape[1]),
        order=order.flatten(),
        back=torch.argsort(order.flatten()),
        real=real,
    )


def _blocks(side: int, padding: int) -> tuple[int, int]:
    first = padding // 2
    return first, (side - 1 + padding) // 2 - first + 1


def _rows(to: tuple[Tensor, int], of: tuple[Tensor, int], batch: int) -> Rows:
    """Links ``of`` to ``to`` within each image; each comes with its number of rows per image."""
    order = torch.argsort(to[0], stable=True)
    ends = torch.bincount(to[0], minlength=to[1]).cumsum(0)
    image = torch.arange(batch).unsqueeze(1)
    index = (of[0][order] + of[1] * image).flatten()
    ends = (ends + len(order) * image).flatten()
    return Rows(index, torch.cat([ends.new_zeros(1), ends]))


_ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]

_WIDE = 128
"""From so many columns the faster library is worth the transposed copy that it makes."""


def product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product (M, K) by (K, N), by the library that is fastest on the CPU."""
    if left.dtype != torch.float32 or not _ONEDNN:
        return left @ right
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    return result


def inner_product(left: Tensor, right: Tensor) -> Tensor:
    """left^T right of (M, K) and (M, N) with long M."""
    if min(left.shape[1], right.shape[1]) < _WIDE:
        return left.t() @ right
    return product(right.t(), left).t()
