"""Settings of the process that training and scoring rely on."""

import warnings

import torch


def warn_of_slow_bfloat16() -> None:
    """Warn if oneDNN has no bfloat16 kernels for this CPU, as on x86 without AVX-512."""
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return
    warnings.warn(
        "precision is bfloat16, for which this CPU has no fast kernels: expect it to be several "
        "times slower than float32; leave it at float32",
        stacklevel=2,
    )


def keep_freed_memory() -> None:
    """Make the C library keep memory that is freed, instead of returning it to the system.

    Otherwise an iteration of training or a chunk of scoring spends up to a fifth of its time in
    page faults. When glibc frees a block that it had mapped, it raises both of its limits (for
    mapping and for trimming) to the block's size, up to 32 MiB; so one such block is allocated and
    freed here. With other C libraries this changes nothing.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)
