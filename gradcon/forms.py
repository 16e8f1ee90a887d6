"""The forms in which a stack trains on an accelerator, and which of them is the fastest there.

All of them compute the same; which one takes least time depends on the GPU, the precision and the
number of models, so that a training tries them on its first batches.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

STEPS = 8
"""Batches on which each form is timed."""


class Form(NamedTuple):
    """How the passes of a stack are computed.

    Attributes:
        products: by batched matrix products, rather than by grouped convolutions and autograd.
        search: let cuDNN try its algorithms for each convolution, rather than guess one.
    """

    products: bool
    search: bool


FORMS = {
    "convolutions": Form(products=False, search=False),
    "convolutions, searched": Form(products=False, search=True),
    "products": Form(products=True, search=False),
}


@contextmanager
def algorithm_search(search: bool) -> Iterator[None]:
    """Have cuDNN try its algorithms for each convolution (``cudnn.benchmark``), or not."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = search
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def fastest(
    candidates: Mapping[str, Callable[[], Tensor]],
    changed: Sequence[Tensor],
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """The name of the candidate that takes the least time.

    One that the device cannot do, as it lacks memory for it, is left out with a line to stderr.

    Args:
        candidates: each takes the same steps and returns a tensor of their result, which is waited
            for. The first call of each is not timed.
        changed: the tensors that they change, which are left as they were.
        clock: seconds.

    Raises:
        RuntimeError: the device can do none of them; the last one's error.
    """
    before = [tensor.clone() for tensor in changed]
    seconds: dict[str, float] = {}
    failed: RuntimeError | None = None
    for name, call in candidates.items():
        try:
            call().cpu()
            begun = clock()
            call().cpu()
            seconds[name] = clock() - begun
        except RuntimeError as error:  # a lack of memory is one
            failed = error
            reason = str(error).partition("\n")[0]
            print(f"{name}: left out, the device cannot do it ({reason})", file=sys.stderr)
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)
    if failed is not None and not seconds:
        raise failed
    return min(seconds, key=seconds.__getitem__)
