"""What a step of training asks of an accelerator, counted without one: on tensors without data."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

DEVICE = "meta"
"""The device whose tensors have shapes and no data."""


class Work(NamedTuple):
    """What a step asks for."""

    kernels: int
    """Calls that compute something; a library may take several kernels for one."""
    bytes: int
    """Read and written, if each call reads all its arguments and writes all its results."""
    flops: int
    """Of matrix products."""


class _Calls(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.kernels = self.bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        result = function(*arguments, **(named or {}))
        if not function.is_view:
            self.kernels += 1
            for leaf in tree_leaves((arguments, named, result)):
                self.bytes += leaf.nbytes if isinstance(leaf, Tensor) else 0
        return result


def work(step: Callable[[], object]) -> Work:
    """The work of a step on ``DEVICE``; its second call, as the first makes tables."""
    step()
    with _Calls() as calls:
        step()
    with FlopCounterMode(display=False) as flops:
        step()
    return Work(calls.kernels, calls.bytes, flops.get_total_flops())
