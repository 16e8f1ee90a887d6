"""How much of a core's speed a training step reaches: ``python -m performance.peak``.

The step's arithmetic over its time is compared with that of a large matrix product by the same
library. Both take turns; the time is the processor's, so that other work on the machine counts
little.
"""

import time
from collections.abc import Callable
from statistics import median

import torch

from gradcon.kernels.matmul import product
from gradcon.kernels.runtime import keep_freed_memory
from performance.accelerator import work_of_step
from performance.cases import Sizes, step


def rates(batch: int = 64, side: int = 1024, repeats: int = 25) -> tuple[float, float]:
    """FLOP a second of a training step of GradCon, 3 channels, and of a (side x side) product."""
    flops = work_of_step(Sizes(batch=batch), 1, "float32", "products").flops
    left, right = torch.randn(2, side, side)
    candidates: dict[str, tuple[Callable[[], object], int]] = {
        "step": (step(torch.rand(batch, 3, 28, 28)), flops),
        "product": (lambda: product(left, right), 2 * side**3),
    }
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(2 + repeats):
        for name, (call, _) in candidates.items():
            begun = time.process_time()
            call()
            if turn >= 2:
                seconds[name].append(time.process_time() - begun)
    of_step, of_product = (candidates[name][1] / median(seconds[name]) for name in candidates)
    return of_step, of_product


def main() -> None:
    """Print both rates and their ratio, with one thread."""
    torch.set_num_threads(1)
    keep_freed_memory()
    of_step, of_product = rates()
    print(
        f"training step {of_step / 1e9:.0f} GFLOP/s, large product {of_product / 1e9:.0f} GFLOP/s: "
        f"{of_step / of_product:.0%}"
    )


if __name__ == "__main__":
    main()
