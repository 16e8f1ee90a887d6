"""What float32 means on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """Convolutions of float32 tensors in float32; a context or a decorator.

    PyTorch's default on a GPU is TF32, which has 10 bits of mantissa for float32's 23. Matrix
    products are in float32 by default already. Elsewhere than on a GPU it does nothing.
    """
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = before
