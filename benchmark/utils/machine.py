"""Telling the machine's troubles from the mistakes of a method: only the latter are results."""

import re

from benchmark.errors import InputError

MEMORY = re.compile(r"out of memory|can't allocate memory|_ALLOC_FAILED|bad_alloc")
"""Texts of torch and the libraries below it for a lack of memory, on the CPU or a GPU."""

GPU = re.compile(
    r"CUDA(?: unknown)? error|CUDA driver|CUDA GPUs|NVIDIA driver|compiled with CUDA"
    r"|cuDNN error|CU(?:BLAS|DNN|FFT|RAND|SOLVER)_STATUS_|CUDNN_BACKEND|NCCL error"
)
"""Texts for a GPU that is lost, busy or cannot be used."""

OF_THE_METHOD = re.compile(r"device-side assert|illegal memory access|_(?:INVALID_VALUE|BAD_PARAM)")
"""Texts that name CUDA too, for what the code of a method did wrong on it."""

WORKER = re.compile(r"worker.*(?:killed|terminated)|terminated abruptly", re.IGNORECASE | re.DOTALL)
"""Texts for a process of the method's own that the system has killed."""

ADVICE = (
    (MEMORY, "free memory, or run fewer jobs at a time (--cores, on a GPU --resources gpu=1)"),
    (WORKER, "free memory, or run fewer jobs at a time (--cores)"),
    (GPU, "see that the GPU is free and works (nvidia-smi), or set GRADCON_DEVICE=cpu"),
)


def advice(error: BaseException) -> str | None:
    """What to do if the machine caused an error, directly or as its cause; else None.

    >>> advice(MemoryError("Unable to allocate 40 GiB"))
    'free memory, or run fewer jobs at a time (--cores, on a GPU --resources gpu=1)'
    >>> advice(ValueError("the loss is negative")) is None
    True
    """
    text = "out of memory" if isinstance(error, MemoryError) else str(error)
    # torch says so by a RuntimeError, in a build without CUDA by an AssertionError.
    if isinstance(error, MemoryError | RuntimeError | AssertionError):
        for pattern, remedy in ADVICE:
            if pattern.search(text) and not OF_THE_METHOD.search(text):
                return remedy
    return advice(error.__cause__) if error.__cause__ else None


def require_gpu(device: str) -> None:
    """Refuse a GPU, ``cuda`` or ``cuda:1``, that torch does not see; ``cpu`` is always there."""
    if device == "cpu":
        return
    import torch

    number = int(device.partition(":")[2] or 0)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= count:
        raise InputError(
            f"device is {device!r}, but torch sees {count} GPUs here (nvidia-smi lists them); "
            "give cpu"
        )
