"""How a GPU computes with float32 numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

import torch

Arithmetic = Literal["ieee", "tf32"]


@contextmanager
def float32_arithmetic(arithmetic: Arithmetic) -> Iterator[None]:
    """Compute products and convolutions of float32 tensors so; a context or a decorator.

    Args:
        arithmetic: ``ieee`` for float32 itself; ``tf32`` for factors with a mantissa of 10 bits
            where float32 has 23, which is PyTorch's default for convolutions on a GPU. On a CPU
            neither changes anything.
    """
    settings = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
    before = [each.fp32_precision for each in settings]
    for each in settings:
        each.fp32_precision = arithmetic
    try:
        yield
    finally:
        for each, value in zip(settings, before, strict=True):
            each.fp32_precision = value


full_float32 = partial(float32_arithmetic, "ieee")
