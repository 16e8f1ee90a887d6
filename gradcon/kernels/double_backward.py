"""The gradient of one autoencoder under the constraint, written out rather than found by autograd.

With x_l the input of decoder layer l, y_l = T(x_l, W_l) + b_l, x_{l+1} = relu(y_l) and the loss
L(y_4), where T is linear in both arguments, the gradients g_l = dL/dW_l come from

    dy_4 = L'(y_4),    g_l = T_W(x_l, dy_l),    dy_{l-1} = T_x(dy_l, W_l) [x_l > 0].

The gradient of L(W) + C(g) by W is g plus the second derivative of L along V_l = dC/dg_l.
Differentiating along V gives a pass forwards, t, and a pass backwards, e, for both losses at once:

    t_1 = 0,    s_l = T(x_l, V_l) + T(t_l, W_l),    t_{l+1} = s_l [x_{l+1} > 0],
    e_4 = L'(y_4) + L''(y_4) s_4,    e_{l-1} = (T_x(e_l, W_l) + T_x(dy_l, V_l)) [x_l > 0],
    d(L + C)/dW_l = T_W(x_l, e_l) + T_W(t_l, dy_l),    d(L + C)/db_l = sum of e_l.

That is double backward with nothing computed twice: nine matrix products a layer. The encoder sees
the constraint only through e_0 at the code, so one ordinary backward pass is left for it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function

from gradcon.kernels.im2col import Layer, inner_product, layer, product, to_blocks

_through_relu = torch.ops.aten.threshold_backward
"""(slope, relu(y), 0) to the slope where y > 0 and else 0."""

Loss = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Of the logits, (B q q, 4 C): the loss, (), and its slope and curvature, (B q q, 4 C)."""
Constraint = Callable[[Sequence[Tensor]], tuple[Tensor, Sequence[Tensor]]]
"""Of the gradients g as matrices: the gradient loss, (), and V as matrices."""


class Slopes(NamedTuple):
    """What a pass through the decoder gives; gradients are of all losses together."""

    reconstruction: Tensor
    gradient: Tensor
    """The gradient loss; 0 without constraint."""
    own: list[Tensor]
    """g of each layer as a matrix; empty without constraint."""
    kernels: list[Tensor]
    biases: list[Tensor]
    code: Tensor


def decode(
    layers: Sequence[Layer],
    code: Tensor,
    kernels: Sequence[Tensor],
    biases: Sequence[Tensor],
    loss: Loss,
    constraint: Constraint | None,
) -> Slopes:
    """Losses of a batch and their gradients.

    Args:
        layers: of the decoder.
        code: the decoder's input, (slots, channels), in the precision of the passes.
        kernels: of the layers.
        biases: of the layers.
        loss: of the logits.
        constraint: of the gradients of that loss; without it, one backward pass is all.
    """
    depth, dtype = len(layers), code.dtype
    matrices = [f.matrix(w.to(dtype)) for f, w in zip(layers, kernels, strict=True)]
    x, left = [code], []
    for k, f in enumerate(layers):
        left.append(f.inner(x[k]))
        y = f.add_bias(f.outer(product(left[k], matrices[k])), biases[k])
        x.append(y.relu_() if k < depth - 1 else y)
    value, slope, curvature = loss(x.pop())
    own: list[Tensor] = []
    right: list[Tensor] = []
    along: list[Tensor] = []
    tangents: list[Tensor] = []
    if constraint is None:
        gradient, e = torch.zeros_like(value), slope.to(dtype)
    else:
        own, right = _backward(layers, matrices, x, left, slope.to(dtype))
        gradient, slopes = constraint(own)
        along = [v.to(dtype) for v in slopes]
        tangents, s = _forward(layers, matrices, along, x, left)
        e = torch.addcmul(slope, curvature, s.view_as(slope)).to(dtype)
    by_kernels, by_biases = [], []
    for k in reversed(range(depth)):
        f = layers[k]
        by_biases.append(f.by_bias(e, biases[k]))
        at_product = f.outer_t(e)
        by_matrix = inner_product(left[k], at_product)
        by_left = product(at_product, matrices[k].t())
        if constraint is not None:
            by_left.add_(product(right[k], along[k].t()))
            if k:
                by_matrix.add_(inner_product(tangents[k - 1], right[k]))
        by_kernels.append(f.kernel(by_matrix, kernels[k]))
        e = f.inner_t(by_left)
        if k:
            e = _through_relu(e, x[k], 0)
    return Slopes(value, gradient, own, by_kernels[::-1], by_biases[::-1], e)


def _backward(
    layers: Sequence[Layer],
    matrices: Sequence[Tensor],
    x: list[Tensor],
    left: list[Tensor],
    dy: Tensor,
) -> tuple[list[Tensor], list[Tensor]]:
    """G and the slopes dy at the products, of each layer, from the slope at the logits."""
    own, right = [], []
    for k in reversed(range(len(layers))):
        right.append(layers[k].outer_t(dy))
        own.append(inner_product(left[k], right[-1]))
        if k:
            dy = layers[k].inner_t(product(right[-1], matrices[k].t()))
            dy = _through_relu(dy, x[k], 0)
    return own[::-1], right[::-1]


def _forward(
    layers: Sequence[Layer],
    matrices: Sequence[Tensor],
    along: Sequence[Tensor],
    x: list[Tensor],
    left: list[Tensor],
) -> tuple[list[Tensor], Tensor]:
    """The left factors of t from the second layer on, and s at the logits."""
    tangents: list[Tensor] = []
    s = layers[0].outer(product(left[0], along[0]))
    for k, f in enumerate(layers[1:], 1):
        tangents.append(f.inner(_through_relu(s, x[k], 0)))
        s = f.outer(product(left[k], along[k]).add_(product(tangents[-1], matrices[k])))
    return tangents, s


class _Convolution(Function):
    """relu(T(x, W) + b) of an encoder layer, differentiable once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor, layer: Layer) -> Tensor:
        matrix = layer.matrix(kernel)
        left = layer.inner(x)
        y = layer.add_bias(layer.outer(product(left, matrix)), bias).relu_()
        ctx.layer = layer
        ctx.save_for_backward(left, matrix, kernel, bias, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        left, matrix, kernel, bias, y = ctx.saved_tensors
        layer: Layer = ctx.layer
        dy = _through_relu(dy, y, 0)
        right = layer.outer_t(dy)
        by_x = layer.inner_t(product(right, matrix.t())) if ctx.needs_input_grad[0] else None
        by_kernel = layer.kernel(inner_product(left, right), kernel)
        return by_x, by_kernel, layer.by_bias(dy, bias), None


def encode(convolutions: Sequence[nn.Conv2d], images: Tensor) -> Tensor:
    """What convolutions (4x4, stride 2, padding 2), each with a ReLU, make of (B, C, H, H)."""
    sides = [images.shape[2]]
    for _ in convolutions:
        sides.append(sides[-1] // 2 + 1)
    x, last = to_blocks(images, 2), len(convolutions) - 1
    for k, module in enumerate(convolutions):
        channels = (module.out_channels, module.in_channels)
        blocks = 2 if k < last else None
        grids = (sides[k + 1], sides[k])
        f = layer(len(images), grids, 2, blocks, channels, False)
        x = _Convolution.apply(x, module.weight, module.bias, f)
    return x.view(len(images), sides[-1], sides[-1], -1).permute(0, 3, 1, 2)


def decoder_layers(
    convolutions: Sequence[nn.ConvTranspose2d], batch: int, side: int
) -> list[Layer]:
    """The layers that a decoder (4x4, stride 2) has for codes (B, C, side, side)."""
    found, blocks = [], None
    for module in convolutions:
        padding = int(module.padding[0])
        grids = (side, 2 * side + 2 - 2 * padding)
        channels = (module.in_channels, module.out_channels)
        found.append(layer(batch, grids, padding, blocks, channels, True))
        side, blocks = grids[1], padding
    return found
