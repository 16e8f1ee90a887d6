"""A strided 4x4 convolution, or its transpose, as one matrix product (im2col and col2im).

Along one axis, a convolution of kernel 4, stride 2 and padding p joins a small grid of n pixels i
with a large grid of m pixels Y. They meet in the kernel element k (0 <= k < 4) for which

    (1)  Y + p = 2 i + k.

Pad the large grid and cut it into blocks of two places, Y + p = 2 J + d with block J and place d in
{0, 1}; then k = 2 a + d with a tap a in {0, 1}, and (1) becomes

    (2)  J = i + a,

whatever the place. Each small pixel is so linked with two blocks, and each block with two small
pixels, one per tap. In two dimensions a block has 2x2 places and a link is by one of 2x2 taps.

An image is a matrix of (slots, channels). A small image has a slot per pixel, in rows of the grid;
a large image has four consecutive slots per block, one per place, some of them beyond the border.
So four rows of a large image, seen as one, are a block: columns (place, channel).

The convolution is

    (3)  y = outer(inner(x) M),

where M holds the kernel, and either ``inner`` spreads rows (copies each row to its links: im2col)
or ``outer`` gathers them (adds the rows of all links: col2im); the other does nothing. There are
two forms, by what is spread or gathered:

========  =========================  =========================  ===============================
form      small side of M            large side of M            rows that are linked
========  =========================  =========================  ===============================
patches   (tap, small channel)       (place, large channel)     small pixel and (block, tap)
columns   small channel              (tap, place, large ch.)    block and (small pixel, tap)
========  =========================  =========================  ===============================

The columns move less memory when the large image has few channels, the patches otherwise. The maps
are those of a batch, whoever's images they are: for the S models of a stack they are the maps of S
batches, and the kernels, biases and matrices M have a leading dimension S. With dy
the derivative of a loss by y, and ^T for the transpose of a matrix or a map, its derivatives are

    (4)  dM = inner(x)^T outer^T(dy),
    (5)  dx = inner^T(outer^T(dy) M^T).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Form = Literal["patches", "columns"]

_COLUMNS_UP_TO = 8
"""Up to so many channels of the large image the columns are the faster form."""

_SIDES: dict[Form, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "patches": ((2, 4, 0), (3, 5, 1)),
    "columns": ((0,), (2, 4, 3, 5, 1)),
}
"""Axes of a kernel (small channel, large channel, tap y, place y, tap x, place x) on the small and
on the large side of M."""


class RowSums(NamedTuple):
    """A sparse matrix of zeros and ones (R, S), whose products with (S, C) are sums of rows."""

    columns: Tensor
    """Where the ones are, row after row."""
    ends: Tensor
    """(R + 1,) row r has the ones ``columns[ends[r] : ends[r + 1]]``."""

    def __call__(self, matrix: Tensor) -> Tensor:
        """The product with a matrix (S, C), (R, C)."""
        return F.embedding_bag(
            self.columns, matrix, self.ends, mode="sum", include_last_offset=True
        )

    def to(self, device: torch.device) -> "RowSums":
        """The same on a device."""
        return RowSums(self.columns.to(device), self.ends.to(device))


class Storage(NamedTuple):
    """Where the pixels of an image are in its matrix (slots, channels)."""

    slots: Tensor
    """(side, side) slot of each pixel."""
    size: int
    """Slots of an image, with those beyond the border."""


@dataclass(frozen=True, eq=False)
class Layer:
    """The maps of a convolution, or of its transpose, for a batch: equation (3)."""

    spread: RowSums
    """Copies each row to all of its links."""
    gather: RowSums
    """The transpose of ``spread``: adds the rows of all links."""
    spreads_input: bool
    """Whether ``inner`` spreads; otherwise ``outer`` gathers."""
    width: int
    """Columns of a row that is spread or gathered."""
    channels: tuple[int, int]
    """Of x and of y."""
    shape: tuple[int, int]
    """(K, N) of M."""
    kernel_elements: Tensor
    """(K N,) the element of the kernel that each element of M is."""
    matrix_elements: Tensor
    """The inverse: the element of M that each element of the kernel is."""
    is_pixel: Tensor
    """(slots of an image of y, 1): 1 in the slot of a pixel, 0 beyond the border."""

    def inner(self, x: Tensor) -> Tensor:
        """The left factor of (3), (M, K), for x, (slots, channels)."""
        if self.spreads_input:
            x = self.spread(x.view(-1, self.width))
        return x.view(-1, self.shape[0])

    def inner_t(self, left: Tensor) -> Tensor:
        """inner^T, (slots, channels), of (M, K)."""
        if self.spreads_input:
            left = self.gather(left.view(-1, self.width))
        return left.view(-1, self.channels[0])

    def outer(self, result: Tensor) -> Tensor:
        """The output y, (slots, channels), of the matrix product, (M, N)."""
        if not self.spreads_input:
            result = self.gather(result.view(-1, self.width))
        return result.view(-1, self.channels[1])

    def outer_t(self, dy: Tensor) -> Tensor:
        """The right factor of (4), (M, N), for dy, (slots, channels)."""
        if not self.spreads_input:
            dy = self.spread(dy.view(-1, self.width))
        return dy.view(-1, self.shape[1])

    def matrix(self, kernel: Tensor) -> Tensor:
        """M, (K, N), of a kernel (small channels, large channels, 4, 4)."""
        elements = kernel.reshape(*kernel.shape[:-4], -1).index_select(-1, self.kernel_elements)
        return elements.view(*kernel.shape[:-4], *self.shape)

    def kernel(self, matrix: Tensor, like: Tensor) -> Tensor:
        """The kernel of M, in the shape and type of ``like``."""
        elements = matrix.reshape(*matrix.shape[:-2], -1).to(like.dtype)
        return elements.index_select(-1, self.matrix_elements).view_as(like)

    def add_bias(self, y: Tensor, bias: Tensor) -> Tensor:
        """The output y with the bias added to its pixels, in place."""
        shift = (self.is_pixel * bias.unsqueeze(-2)).to(y.dtype).flatten(-2).unsqueeze(-2)
        y.view(*bias.shape[:-1], -1, shift.shape[-1]).add_(shift)
        return y

    def bias_gradient(self, dy: Tensor, bias: Tensor) -> Tensor:
        """The derivative by the bias, in its shape: the sum of dy, which is 0 beyond the border."""
        image = dy.view(*bias.shape[:-1], -1, len(self.is_pixel) * self.channels[1]).sum(-2)
        return image.view(*bias.shape[:-1], -1, self.channels[1]).sum(-2, dtype=bias.dtype)


def by_pixel(side: int) -> Storage:
    """An image stored pixel by pixel."""
    return Storage(torch.arange(side * side).view(side, side), side * side)


def by_block(side: int, padding: int) -> Storage:
    """A large image stored block by block, for the padding of its convolution."""
    first, count = _block_range(side, padding)
    padded = torch.arange(side) + padding
    block, place = padded // 2 - first, padded % 2
    slots = 4 * (block.unsqueeze(1) * count + block) + 2 * place.unsqueeze(1) + place
    return Storage(slots, 4 * count**2)


def to_blocks(images: Tensor, padding: int) -> Tensor:
    """Images (B, C, H, H) stored by blocks, (B q q, 4 C) for q blocks along each axis.

    Values beyond the border are arbitrary.
    """
    count, channels, side = images.shape[:3]
    elements = _block_elements(channels, side, padding, images.device)
    return images.reshape(count, -1).index_select(1, elements).view(-1, 4 * channels)


@lru_cache(maxsize=16)
def _block_elements(channels: int, side: int, padding: int, device: torch.device) -> Tensor:
    """The element of an image (C, H, H) for each slot and channel when it is stored by blocks."""
    storage = by_block(side, padding)
    pixels = torch.zeros(storage.size, dtype=torch.int64)
    pixels[storage.slots.flatten()] = torch.arange(side**2)
    return (pixels.unsqueeze(1) + side**2 * torch.arange(channels)).flatten().to(device)


@lru_cache(maxsize=64)
def make_layer(
    batch: int,
    sides: tuple[int, int],
    padding: int,
    small_padding: int | None,
    channels: tuple[int, int],
    transposed: bool,
    device: torch.device,
) -> Layer:
    """The maps of one layer.

    Args:
        batch: number of images.
        sides: n of the small grid and m of the large one.
        padding: p of the convolution.
        small_padding: the padding for which the small image is stored by blocks, since it is the
            large image of the neighbouring layer; none if it is stored by pixels.
        channels: of the small image and of the large one.
        transposed: whether the layer goes from the small grid to the large one.
        device: where the maps are.
    """
    small = by_pixel(sides[0]) if small_padding is None else by_block(sides[0], small_padding)
    form: Form = "columns" if channels[1] <= _COLUMNS_UP_TO else "patches"
    spread, gather = _linked_rows(small, sides, padding, form, batch)
    elements = _kernel_elements(channels, form, transposed)
    return Layer(
        spread=spread.to(device),
        gather=gather.to(device),
        spreads_input=(form == "columns") != transposed,
        width=4 * channels[1] if form == "columns" else channels[0],
        channels=channels if transposed else channels[::-1],
        shape=(elements.shape[0], elements.shape[1]),
        kernel_elements=elements.flatten().to(device),
        matrix_elements=torch.argsort(elements.flatten()).to(device),
        is_pixel=_is_pixel(by_block(sides[1], padding) if transposed else small).to(device),
    )


def _block_range(side: int, padding: int) -> tuple[int, int]:
    """The first block along an axis that holds a pixel, and the number of blocks from there on."""
    first = padding // 2
    return first, (side - 1 + padding) // 2 - first + 1


def _links(small: Storage, sides: tuple[int, int], padding: int) -> tuple[Tensor, Tensor, Tensor]:
    """Small slot, tap (of 4) and block of each of the L links of an image, (L,) each: (2)."""
    first, count = _block_range(sides[1], padding)
    block = torch.arange(sides[0]).unsqueeze(1) + torch.arange(2) - first
    along_axis = ((block >= 0) & (block < count)).nonzero()
    y, tap_y = along_axis.repeat_interleave(len(along_axis), 0).T
    x, tap_x = along_axis.repeat(len(along_axis), 1).T
    return small.slots[y, x], 2 * tap_y + tap_x, block[y, tap_y] * count + block[x, tap_x]


def _linked_rows(
    small: Storage, sides: tuple[int, int], padding: int, form: Form, batch: int
) -> tuple[RowSums, RowSums]:
    """The maps ``spread`` and ``gather`` for a batch."""
    slot, tap, block = _links(small, sides, padding)
    blocks = by_block(sides[1], padding).size // 4
    if form == "columns":
        many, one = (4 * slot + tap, 4 * small.size), (block, blocks)
    else:
        many, one = (4 * block + tap, 4 * blocks), (slot, small.size)
    return _row_sums(many, one, batch), _row_sums(one, many, batch)


def _row_sums(rows: tuple[Tensor, int], columns: tuple[Tensor, int], batch: int) -> RowSums:
    """The matrix with ones at (row, column) within each image.

    Args:
        rows: of the ones, (L,), and how many there are per image.
        columns: likewise.
        batch: number of images.
    """
    order = torch.argsort(rows[0], stable=True)
    ends = torch.bincount(rows[0], minlength=rows[1]).cumsum(0)
    image = torch.arange(batch).unsqueeze(1)
    index = (columns[0][order] + columns[1] * image).flatten()
    ends = (ends + len(order) * image).flatten()
    return RowSums(index, torch.cat([ends.new_zeros(1), ends]))


def _kernel_elements(channels: tuple[int, int], form: Form, transposed: bool) -> Tensor:
    """The element of the kernel that each element of M is, (K, N)."""
    small_side, large_side = _SIDES[form]
    left, right = (small_side, large_side) if transposed else (large_side, small_side)
    elements = torch.arange(16 * channels[0] * channels[1]).view(*channels, 2, 2, 2, 2)
    elements = elements.permute(left + right)
    return elements.reshape(elements.shape[: len(left)].numel(), -1)


def _is_pixel(storage: Storage) -> Tensor:
    """(slots, 1): 1 in the slot of a pixel, 0 beyond the border."""
    mask = torch.zeros(storage.size, 1)
    mask[storage.slots.flatten()] = 1
    return mask
