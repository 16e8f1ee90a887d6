"""What float32 means on a GPU, and what bfloat16 costs on a CPU."""

import warnings
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


def warn_of_slow_bfloat16() -> None:
    """Warn where oneDNN has no bfloat16 for the CPU, as on x86 without AVX-512."""
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return
    warnings.warn(
        "precision is bfloat16, for which this CPU has no fast kernels: expect it to be several "
        "times slower than float32; leave it at float32",
        stacklevel=2,
    )
