"""CUDA graphs: GPU work recorded once and replayed without Python."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_WARM_UP = 3
"""Calls before recording, in which libraries choose kernels and allocate workspaces."""


def captured(body: Callable[[], None], changed: Sequence[Tensor]) -> Callable[[], None]:
    """Record a function that reads and writes fixed tensors in place.

    Args:
        body: the function; it must not read a value back from the device.
        changed: the tensors that it changes, at least one, all on one CUDA device, which need not
            be the current one. Calls before the recording change them too, so they are restored.

    Returns:
        A function that replays on the device what ``body`` does.
    """
    before = [tensor.clone() for tensor in changed]
    # Streams and graphs belong to the current device, and the stream that a graph records on by
    # default to the device of the first graph of the process.
    with torch.cuda.device(changed[0].device):
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                body()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            body()
    for tensor, value in zip(changed, before, strict=True):
        tensor.copy_(value)
    return graph.replay
