"""The device that models are trained on, chosen without importing a framework, and its memory."""

import os
import re
import sys
from pathlib import Path

from benchmark.errors import InputError
from benchmark.utils.imports import find

VARIABLE = "GRADCON_DEVICE"
"""The environment variable that overrides what is found: ``cpu``, ``cuda`` or ``cuda:1``."""


def choose() -> str:
    """The wanted device, or else ``cuda`` where GPU and torch allow, or else ``cpu``.

    Raises:
        InputError: the environment variable names no such device.
    """
    wanted = os.environ.get(VARIABLE, "")
    if not wanted:
        return "cuda" if _gpu_is_there() and _torch_knows_gpus() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", wanted):
        raise InputError(f"{VARIABLE}={wanted}: no such device; set it to cpu, cuda or cuda:1")
    return wanted


def peak_memory(device: str) -> int | None:
    """The most memory used so far, in bytes: on a GPU by tensors, else by this whole process.

    None where the system does not tell.
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _gpu_is_there() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(Path("/dev").glob("nvidia[0-9]*"))


def _torch_knows_gpus() -> bool:
    path = find("torch.version")
    built_for = re.search(r"^cuda\b.*= *(.+)$", path.read_text(), re.MULTILINE) if path else None
    return built_for is not None and built_for[1] != "None"
