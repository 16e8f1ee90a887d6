"""Matrix products, those of a stack in one batch.

For one model on a CPU they are by the library that is fastest there: oneDNN for float32, else
PyTorch's.
"""

import torch
from torch import Tensor

_ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]

_ONEDNN_FROM = 128
"""From so many columns on oneDNN gains more in ``inner_product`` than a transposed copy costs."""


def product(left: Tensor, right: Tensor) -> Tensor:
    """The matrix product of (M, K) and (K, N), (M, N).

    With (S, K, N) for the S models of a stack, the rows of ``left`` are those of all, one after the
    other.
    """
    if right.dim() == 3:
        return torch.bmm(left.view(len(right), -1, right.shape[1]), right).flatten(0, 1)
    if left.dtype != torch.float32 or not _ONEDNN:
        return left @ right
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    return result


def inner_product(left: Tensor, right: Tensor, models: int | None = None) -> Tensor:
    """left^T right of (M, K) and (M, N), (K, N); meant for M much larger than K and N.

    With the number of models of a stack, whose rows come one after the other, (models, K, N).
    """
    if models is not None:
        left, right = (each.view(models, -1, each.shape[1]) for each in (left, right))
        return torch.bmm(left.mT, right)
    if min(left.shape[1], right.shape[1]) < _ONEDNN_FROM:
        return left.t() @ right
    return product(right.t(), left).t()
