"""Matrix products, those of a stack in one batch.

For one model on a CPU they are by the library that is fastest there: oneDNN for float32, else
PyTorch's.
"""

import torch
from torch import Tensor

_ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]

_ONEDNN_FROM = 128
"""From so many columns on oneDNN gains more in ``inner_product`` than a transposed copy costs."""

_SUMMED_ROWS = 256
"""At least so many rows are summed by one of the parts of an ``inner_product`` of a stack."""


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

    With the number of models of a stack, whose rows come one after the other, (models, K, N). The
    sum over the rows is then done in parts: the results are so small that a GPU would have too few
    of them to compute at a time.
    """
    if models is not None:
        parts = _parts(len(left) // models)
        left, right = (each.view(models * parts, -1, each.shape[1]) for each in (left, right))
        products = torch.bmm(left.mT, right)
        return products.view(models, parts, *products.shape[1:]).sum(1)
    if min(left.shape[1], right.shape[1]) < _ONEDNN_FROM:
        return left.t() @ right
    return product(right.t(), left).t()


def _parts(rows: int) -> int:
    """Into how many equal parts so many rows are divided, a power of two."""
    parts = 1
    while rows % (2 * parts) == 0 and rows // (2 * parts) >= _SUMMED_ROWS:
        parts *= 2
    return parts
