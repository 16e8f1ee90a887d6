"""Telling the machine's troubles from the mistakes of a method: only the latter are results."""

import os
import re

from benchmark.errors import InputError
from benchmark.utils import files

MEMORY = re.compile(
    r"out of memory|OOM when|(?:can't|cannot) allocate memory|_ALLOC_FAILED|bad_alloc",
    re.IGNORECASE,
)
"""Texts of torch and the libraries below it for a lack of memory, on the CPU or a GPU."""

GPU = re.compile(
    r"(?:CUDA|HIP)(?: unknown)? error|CUDA driver|CUDA GPUs|NVIDIA driver|compiled with CUDA"
    r"|cuDNN error|CU(?:BLAS|DNN|FFT|RAND|SOLVER)_STATUS_|CUDNN_BACKEND|NCCL error"
)
"""Texts for a GPU that is lost, busy or cannot be used."""

OF_THE_METHOD = re.compile(r"device-side assert|illegal memory access|_(?:INVALID_VALUE|BAD_PARAM)")
"""Texts that name CUDA too, for what the code of a method did wrong on it."""

WORKER = re.compile(r"worker.*(?:killed|terminated)|terminated abruptly", re.IGNORECASE | re.DOTALL)
"""Texts for a process of the method's own that the system has killed."""

PROCESSES = re.compile(r"can't start new thread|Resource temporarily unavailable")
"""Texts for a system that lets nobody begin another thread or process."""

DISK = re.compile(r"failed writing file|Input/output error")
"""Texts, the first of torch, for a disk that is full or broken."""

SPOILT = "the GPU cannot be used any more by this process, after an error of an earlier run"
"""Our own text, of ``require_working``."""

ADVICE = (
    (re.compile(SPOILT), "if it stops here again, set GRADCON_DEVICE=cpu"),
    (MEMORY, "free memory, or run fewer jobs at a time (--cores, on a GPU --resources gpu=1)"),
    (WORKER, "free memory, or run fewer jobs at a time (--cores)"),
    (PROCESSES, "run fewer jobs at a time (--cores), or raise the system's limit (ulimit -u)"),
    (DISK, "see that the disk works and has space"),
    *((re.compile(re.escape(os.strerror(code))), remedy) for code, remedy in files.ADVICE.items()),
    (GPU, "see that the GPU is free and works (nvidia-smi), or set GRADCON_DEVICE=cpu"),
)


def advice(error: BaseException) -> str | None:
    """What to do if the machine caused an error, or one that it was raised for; else None.

    Libraries say so by errors of any type, so their text decides.

    >>> advice(MemoryError("Unable to allocate 40 GiB"))
    'free memory, or run fewer jobs at a time (--cores, on a GPU --resources gpu=1)'
    >>> advice(ValueError("the loss is negative")) is None
    True
    """
    text = "out of memory" if isinstance(error, MemoryError) else str(error)
    for pattern, remedy in ADVICE:
        if pattern.search(text) and not OF_THE_METHOD.search(text):
            return remedy
    causes = [*error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    causes.append(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
    return next(filter(None, map(advice, filter(None, causes))), None)


def require_working(device: str) -> None:
    """Stop before a run on a GPU whose calls all fail since an earlier run of this process.

    They fail with the error of that run, which would count as one of every later run.

    Raises:
        RuntimeError: the machine's trouble, see ``advice``.
    """
    if device == "cpu":
        return
    import torch

    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        raise RuntimeError(SPOILT) from None


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
