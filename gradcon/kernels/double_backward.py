"""Gradients of a decoder under the gradient constraint, written out instead of left to autograd.

Layer l = 1..4 of the decoder has input x_l, kernel W_l and bias b_l. T(x, W) is the transposed
convolution, linear in x and in W; T_x and T_W are its derivatives by them, so that

    <dy, T(x, W)> = <T_x(dy, W), x> = <T_W(x, dy), W>    for every dy.

[x > 0] stands for a factor of 1 where x > 0 and 0 elsewhere. R is the reconstruction loss of the
logits y_4, and C(g_1, ..., g_4) the gradient loss times alpha. The passes give R + C and its
derivatives.

Forward pass:

    (1)  y_l = T(x_l, W_l) + b_l
    (2)  x_{l+1} = relu(y_l)

First backward pass, with dy_l = dR/dy_l and g_l = dR/dW_l:

    (3)  dy_4 = R'(y_4)
    (4)  g_l = T_W(x_l, dy_l)
    (5)  dy_{l-1} = T_x(dy_l, W_l) [x_l > 0]

Since second derivatives are symmetric, the derivative of C by the weights is the derivative of
(g_1, ..., g_4) along the direction

    (6)  V_l = dC/dg_l.

Tangent pass: (1) and (2) differentiated along W_l -> W_l + h V_l by h, with s_l the derivative of
y_l and t_l that of x_l, t_1 = 0:

    (7)  s_l = T(x_l, V_l) + T(t_l, W_l)
    (8)  t_{l+1} = s_l [x_{l+1} > 0]

Second backward pass: (3), (4) and (5) plus their derivatives along V, with e_l for dy_l plus its
derivative:

    (9)   e_4 = R'(y_4) + R''(y_4) s_4
    (10)  d(R + C)/dW_l = T_W(x_l, e_l) + T_W(t_l, dy_l)
    (11)  d(R + C)/db_l = sum of e_l over images and pixels
    (12)  e_{l-1} = (T_x(e_l, W_l) + T_x(dy_l, V_l)) [x_l > 0]

The last, e_0 (without a factor), is the derivative by the code x_1, which is all that the encoder
sees of both losses. Without C, the second backward pass with e_4 = R'(y_4) is all there is.

As matrix products (``im2col``, equations 3 to 5), with M_l for W_l:

    T(x, W) = outer(inner(x) M),
    T_W(x, dy) = inner(x)^T outer^T(dy),
    T_x(dy, W) = inner^T(outer^T(dy) M^T).

(1), (4), (5) take one product each and (7), (10), (12) two: nine a layer. In the code ``left`` is
inner(x_l) and ``right`` is outer^T(dy_l), and lists are over the layers.

All of it is for one model, or for the S models of a stack at once: then kernels, biases, losses and
their derivatives have a leading dimension S, and the slots of all models come one after the other.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gradcon.kernels.im2col import Layer, make_layer
from gradcon.kernels.matmul import inner_product, product

through_relu = torch.ops.aten.threshold_backward
"""(dy, relu(y), 0) to dy [y > 0]."""

Loss = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Of the logits, (slots, channels): R, (), and R' and R'' in the shape of the logits."""
Constraint = Callable[[Sequence[Tensor]], tuple[Tensor, Sequence[Tensor]]]
"""Of the gradients g_l as matrices M: the gradient loss, (), and V_l as matrices M."""


class DecoderGradients(NamedTuple):
    """The losses of a batch and their derivatives."""

    reconstruction_loss: Tensor
    """R, ()."""
    gradient_loss: Tensor
    """(); 0 without constraint."""
    reconstruction: list[Tensor]
    """g_l as matrices M; empty without constraint."""
    kernels: list[Tensor]
    """d(R + C)/dW_l, in the shape of W_l."""
    biases: list[Tensor]
    """d(R + C)/db_l, in the shape of b_l."""
    code: Tensor
    """d(R + C)/dx_1, (slots, channels)."""


class _Activations(NamedTuple):
    inputs: list[Tensor]
    """x_l, (slots, channels)."""
    left: list[Tensor]
    """inner(x_l), (M, K)."""
    logits: Tensor
    """y_4, (slots, channels)."""


class _Along(NamedTuple):
    """What the derivatives along V leave for the second backward pass."""

    direction: list[Tensor]
    """V_l, (K, N)."""
    right: list[Tensor]
    """outer^T(dy_l), (M, N)."""
    tangents: list[Tensor]
    """inner(t_l), (M, K), from l = 2 on."""


def decoder_gradients(
    layers: Sequence[Layer],
    code: Tensor,
    kernels: Sequence[Tensor],
    biases: Sequence[Tensor],
    loss: Loss,
    constraint: Constraint | None,
) -> DecoderGradients:
    """The losses of a batch and their gradients, in the precision of ``code``.

    Args:
        layers: of the decoder.
        code: x_1, (slots, channels).
        kernels: W_l, (inputs, outputs, 4, 4).
        biases: b_l, (outputs,).
        loss: of the logits.
        constraint: of the gradients g_l; none where neither it nor they are needed.
    """
    dtype = code.dtype
    matrices = [f.matrix(w.to(dtype)) for f, w in zip(layers, kernels, strict=True)]
    activations = _forward_pass(layers, matrices, biases, code)
    value, slope, curvature = loss(activations.logits)  # R, R', R''
    reconstruction: list[Tensor] = []
    along = None
    if constraint is None:
        gradient_loss = torch.zeros_like(value)
        e = slope.to(dtype)  # (9) without C
    else:
        reconstruction, right = _first_backward(layers, matrices, activations, slope.to(dtype))
        gradient_loss, direction = constraint(reconstruction)  # (6)
        direction = [v.to(dtype) for v in direction]
        tangents, s = _tangent_pass(layers, matrices, activations, direction)
        along = _Along(direction, right, tangents)
        e = torch.addcmul(slope, curvature, s.view_as(slope)).to(dtype)  # (9)
    by_kernels, by_biases, by_code = _second_backward(
        layers, matrices, kernels, biases, activations, e, along
    )
    return DecoderGradients(value, gradient_loss, reconstruction, by_kernels, by_biases, by_code)


def _forward_pass(
    layers: Sequence[Layer], matrices: Sequence[Tensor], biases: Sequence[Tensor], code: Tensor
) -> _Activations:
    """Equations (1) and (2)."""
    x, inputs, left = code, [], []
    for k, f in enumerate(layers):
        inputs.append(x)
        left.append(f.inner(x))
        y = f.add_bias(f.outer(product(left[k], matrices[k])), biases[k])  # (1)
        x = y.relu_() if k < len(layers) - 1 else y  # (2)
    return _Activations(inputs, left, x)


def _first_backward(
    layers: Sequence[Layer], matrices: Sequence[Tensor], activations: _Activations, dy: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Equations (4) and (5) from dy_4, (slots, channels): g_l, (K, N), and its factor ``right``."""
    gradients, right = [], []
    for k in reversed(range(len(layers))):
        right.append(layers[k].outer_t(dy))
        gradients.append(inner_product(activations.left[k], right[-1], models(matrices[k])))  # (4)
        if k:
            dy = layers[k].inner_t(product(right[-1], matrices[k].mT))  # (5)
            dy = through_relu(dy, activations.inputs[k], 0)
    return gradients[::-1], right[::-1]


def _tangent_pass(
    layers: Sequence[Layer],
    matrices: Sequence[Tensor],
    activations: _Activations,
    direction: Sequence[Tensor],
) -> tuple[list[Tensor], Tensor]:
    """Equations (7) and (8): inner(t_l), (M, K), from l = 2 on, and s_4, (slots, channels)."""
    tangents: list[Tensor] = []
    s = layers[0].outer(product(activations.left[0], direction[0]))  # (7) with t_1 = 0
    for k, f in enumerate(layers[1:], 1):
        tangents.append(f.inner(through_relu(s, activations.inputs[k], 0)))  # (8)
        from_inputs = product(tangents[-1], matrices[k])
        s = f.outer(product(activations.left[k], direction[k]).add_(from_inputs))  # (7)
    return tangents, s


def _second_backward(
    layers: Sequence[Layer],
    matrices: Sequence[Tensor],
    kernels: Sequence[Tensor],
    biases: Sequence[Tensor],
    activations: _Activations,
    e: Tensor,
    along: _Along | None,
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Equations (10) to (12) from e_4, (slots, channels): the derivatives by W_l, b_l and x_1.

    Without ``along`` the terms of V, and of t, are left out.
    """
    by_kernels, by_biases = [], []
    for k in reversed(range(len(layers))):
        f = layers[k]
        by_biases.append(f.bias_gradient(e, biases[k]))  # (11)
        right, stacked = f.outer_t(e), models(matrices[k])
        by_matrix = inner_product(activations.left[k], right, stacked)  # (10), first term
        by_left = product(right, matrices[k].mT)  # (12), first term
        if along is not None:
            by_left.add_(product(along.right[k], along.direction[k].mT))  # (12), second term
            if k:
                # (10), second term; it is 0 in the first layer, as t_1 is
                by_matrix.add_(inner_product(along.tangents[k - 1], along.right[k], stacked))
        by_kernels.append(f.kernel(by_matrix, kernels[k]))
        e = f.inner_t(by_left)
        if k:
            e = through_relu(e, activations.inputs[k], 0)
    return by_kernels[::-1], by_biases[::-1], e


def models(matrix: Tensor) -> int | None:
    """The number of models that a matrix, (K, N) or (S, K, N), is of; none if of a single one."""
    return len(matrix) if matrix.dim() == 3 else None


def decoder_layers(
    convolutions: Sequence[nn.ConvTranspose2d], batch: int, side: int, device: torch.device
) -> list[Layer]:
    """The layers of a decoder for a batch of codes (batch, C, side, side)."""
    layers: list[Layer] = []
    small_padding = None
    for module in convolutions:
        padding = int(module.padding[0])
        sides = (side, 2 * side + 2 - 2 * padding)
        channels = (module.in_channels, module.out_channels)
        layers.append(make_layer(batch, sides, padding, small_padding, channels, True, device))
        side, small_padding = sides[1], padding
    return layers
