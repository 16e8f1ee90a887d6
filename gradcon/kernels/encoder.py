"""The encoder's convolutions as matrix products of ``im2col``, for autograd to differentiate once.

In the terms of ``im2col``: y = relu(outer(inner(x) M) + b), with ``left`` = inner(x) and
``right`` = outer^T(dy).
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.autograd import Function

from gradcon.kernels.double_backward import models, through_relu
from gradcon.kernels.im2col import Layer, make_layer, to_blocks
from gradcon.kernels.matmul import inner_product, product


class _ConvolutionReLU(Function):
    """relu(conv(x, kernel) + bias) of x, (slots, channels), as (slots, channels)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor, layer: Layer) -> Tensor:
        matrix = layer.matrix(kernel)
        left = layer.inner(x)
        y = layer.add_bias(layer.outer(product(left, matrix)), bias).relu_()  # (3) of im2col
        ctx.layer = layer
        ctx.save_for_backward(left, matrix, kernel, bias, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        left, matrix, kernel, bias, y = ctx.saved_tensors
        layer: Layer = ctx.layer
        dy = through_relu(dy, y, 0)
        right = layer.outer_t(dy)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = layer.inner_t(product(right, matrix.mT))  # (5) of im2col
        by_matrix = inner_product(left, right, models(matrix))  # (4) of im2col
        by_kernel = layer.kernel(by_matrix, kernel)
        return dx, by_kernel, layer.bias_gradient(dy, bias), None


def encode(convolutions: Sequence[nn.Conv2d], images: Tensor) -> Tensor:
    """Convolutions (4x4, stride 2, padding 2), each with a ReLU, of (B, C, H, H): (B, C', n, n).

    Images and weights of a stack have a leading dimension for its models, and so has the result.
    """
    side = images.shape[-1]
    every = images.flatten(0, -4)
    x, batch, last = to_blocks(every, 2), len(every), convolutions[-1]
    for module in convolutions:
        sides = (side // 2 + 1, side)
        channels = (module.out_channels, module.in_channels)
        small_padding = None if module is last else 2
        layer = make_layer(batch, sides, 2, small_padding, channels, False, images.device)
        x = _ConvolutionReLU.apply(x, module.weight, module.bias, layer)
        side = sides[0]
    return x.view(*images.shape[:-3], side, side, -1).movedim(-1, -3)
