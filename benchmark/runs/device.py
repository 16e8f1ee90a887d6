"""The machine of a run: the device, chosen without importing torch, memory and software."""

import os
import platform
import re
import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmark.errors import InputError
from benchmark.utils.imports import find

VARIABLE = "GRADCON_DEVICE"
"""The environment variable that overrides the choice: ``cpu``, ``cuda`` or ``cuda:1``."""

DEVICE_FILES = ("nvidia[0-9]*", "dxg", "kfd")
"""Files in ``/dev`` that tell of a GPU: NVIDIA's, Windows' for Linux within it, AMD's."""


def choose() -> str:
    """The device that the variable names; else ``cuda`` if GPU and torch allow it, else ``cpu``."""
    requested = os.environ.get(VARIABLE, "")
    if not requested:
        return "cuda" if _has_gpu() and _torch_supports_cuda() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", requested):
        raise InputError(f"{VARIABLE}={requested}: no such device; set it to cpu, cuda or cuda:1")
    return requested


@cache
def check(device: str) -> None:
    """Refuse a GPU that torch cannot compute on, which another process tries out."""
    if device == "cpu":
        return
    code = "import sys, torch; torch.ones(1, device=sys.argv[1]).add(1).item()"
    done = subprocess.run([sys.executable, "-c", code, device], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if re.match(r"[\w.]+: ", line)]
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        raise InputError(
            f"{device}: torch cannot use this GPU ({reason}); mend that, or set {VARIABLE}=cpu"
        )


def peak_memory(device: str) -> int:
    """The most memory used so far, in bytes: by tensors on a GPU, else by the whole process."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def environment(device: str) -> dict[str, Any]:
    """Versions, processor, its instruction set, threads, device and commit, for ``run.json``."""
    import torch

    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "torchvision", "numpy", "scikit-learn")},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "commit": _commit(),
    }


def _has_gpu() -> bool:
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return any(any(Path("/dev").glob(name)) for name in DEVICE_FILES)


def _torch_supports_cuda() -> bool:
    """Whether torch is built for CUDA, or for ROCm, which it calls by the same name."""
    path = find("torch.version")
    text = path.read_text() if path else ""
    built_for = re.findall(r"^(?:cuda|hip)\b.*= *(.+)$", text, re.MULTILINE)
    return any(version != "None" for version in built_for)


def _cpu() -> str:
    about = Path("/proc/cpuinfo")
    text = about.read_text() if about.is_file() else ""
    name = re.search(r"^model name\s*: *(.+)$", text, re.MULTILINE)
    return name[1] if name else platform.processor()


def _commit() -> str | None:
    """The checked-out commit, with ``+`` when tracked files differ from it; None outside git.

    A wheel that is installed below someone's own checkout is outside.
    """
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return _git("rev-parse", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
