"""Matrix products by the library that is fastest on a CPU: oneDNN for float32, else PyTorch's."""

import torch
from torch import Tensor

_ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]

_ONEDNN_FROM = 128
"""From so many columns on oneDNN gains more in ``inner_product`` than a transposed copy costs."""


def product(left: Tensor, right: Tensor) -> Tensor:
    """The matrix product of (M, K) and (K, N), (M, N)."""
    if left.dtype != torch.float32 or not _ONEDNN:
        return left @ right
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    return result


def inner_product(left: Tensor, right: Tensor) -> Tensor:
    """left^T right of (M, K) and (M, N), (K, N); meant for M much larger than K and N."""
    if min(left.shape[1], right.shape[1]) < _ONEDNN_FROM:
        return left.t() @ right
    return product(right.t(), left).t()
