"""Named tensors of a stack in one buffer, so that one kernel updates all of them at once."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

ALIGNMENT = 64
"""Each tensor begins at a multiple of so many elements, as the memory of a tensor of its own does:
the last bit of a matrix product can depend on it."""


class Flat(dict[str, Tensor]):
    """Tensors (K, ...) by name, which are parts of one buffer.

    Two of them that begin with the same names and shapes have the same order of elements there.

    Attributes:
        buffer: (N,), the tensors one after the other, with gaps.
    """

    def __init__(self, shapes: Mapping[str, torch.Size], buffer: Tensor) -> None:
        self.shapes = dict(shapes)
        self.buffer = buffer
        super().__init__(self._parts(buffer))

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """A copy of tensors of one type, on one device."""
        gap = next(iter(tensors.values())).new_zeros(ALIGNMENT)
        pieces = [
            piece
            for tensor in tensors.values()
            for piece in (tensor.reshape(-1), gap[: _padded(tensor.numel()) - tensor.numel()])
        ]
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        return cls(shapes, torch.cat(pieces))

    def at(self, buffer: Tensor) -> Self:
        """Tensors of the same names and shapes in another buffer of the same size."""
        return type(self)(self.shapes, buffer)

    @cached_property
    def models(self) -> Tensor:
        """(N,) the number of the model, from 0, that each element of the buffer belongs to."""
        models = self.at(torch.zeros_like(self.buffer, dtype=torch.int32))
        for part in models.values():
            count = torch.arange(len(part), dtype=torch.int32, device=part.device)
            part.copy_(count.view(-1, *[1] * (part.dim() - 1)).expand_as(part))
        return models.buffer

    def per_element(self, values: Tensor) -> Tensor:
        """Values of each model, (..., K), for each element of the buffer, (..., N)."""
        return values.index_select(-1, self.models)

    def _parts(self, buffer: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The tensors of a buffer. They come from one split, whose derivative is one kernel."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        pieces = [part for size in sizes for part in (size, _padded(size) - size) if part]
        parts = iter(torch.split(buffer, pieces))
        for (name, shape), size in zip(self.shapes.items(), sizes, strict=True):
            yield name, next(parts).view(shape)
            if _padded(size) > size:
                next(parts)


def _padded(size: int) -> int:
    """The least multiple of ``ALIGNMENT`` from ``size`` on."""
    return -(-size // ALIGNMENT) * ALIGNMENT
