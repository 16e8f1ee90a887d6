"""A transposed convolution whose second derivatives cost no more than its first.

The gradient constraint differentiates gradients. PyTorch's double backward of a convolution swaps
batches with channels and images with kernels, shapes for which no library has fast code. Here every
derivative is again one of three ordinary convolution passes. Let the convolution be y = conv(x, W),
and dy the derivative of a loss by y. The form

    T(x, W, dy) = <dy, conv(x, W)>

is linear in each argument, and its three derivatives are the three passes:

    (1)  T_dy = conv(x, W)    the forward pass,
    (2)  T_x(W, dy)           the backward pass to the input: the loss's derivative by x,
    (3)  T_W(x, dy)           the backward pass to the kernel: the loss's derivative by W.

Double backward differentiates a function of (2) and (3). With a and B its derivatives by their
results, in the shapes of x and W, it needs the derivatives of

    <a, T_x(W, dy)> + <B, T_W(x, dy)> = T(a, W, dy) + T(x, B, dy),

which are the same passes with other arguments:

    (4)  by dy: conv(a, W) + conv(x, B),
    (5)  by x:  T_x(B, dy),
    (6)  by W:  T_W(a, dy).

All passes have rules for ``torch.vmap``, so that the models of a stack share each of them as one
grouped convolution; the library's double backward loops over the groups.

On a CPU tensors are kept in channels-last order, which its kernels are fastest in, and a layer with
few output channels is computed as a convolution of kernel 2x2, stride 1 and four times the output
channels, one for each place in a 2x2 block of output pixels.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

_BLOCKS_UP_TO = 8
"""Up to so many output channels the 2x2 blocks are faster than the library's strided kernels."""


class TransposedConvolution(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` of kernel 4x4 and stride 2, optionally by the passes of this module.

    Attributes:
        closed: use these passes, which are closed under differentiation, rather than PyTorch's.
        channels_last: use the order and the blocks that a CPU is fastest with; a batched call
            under ``torch.vmap`` can have neither.
    """

    closed = False
    channels_last = True

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, in, H, W) to (B, out, 2 H + 2 - 2 p, 2 W + 2 - 2 p) for padding p."""
        if not self.closed:
            return super().forward(images, output_size)
        padding = int(self.padding[0])
        if self.channels_last and self.out_channels <= _BLOCKS_UP_TO:
            return _by_blocks(images, self.weight, self.bias, padding)
        form = _Form(2, padding, True, self.channels_last)
        return _convolve(images, self.weight, self.bias, form)


def _by_blocks(images: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """The transposed convolution, (B, out, H', W'), as a convolution that gives 2x2 blocks.

    The weight (in, out, 4, 4), by (tap, place) along each axis, becomes a kernel
    (out x 4 places, in, 2 taps, 2 taps); taps are flipped, since the layer is transposed.
    """
    inputs, outputs = weight.shape[:2]
    kernel = weight.view(inputs, outputs, 2, 2, 2, 2).flip(2, 4).permute(1, 3, 5, 0, 2, 4)
    kernel = kernel.reshape(4 * outputs, inputs, 2, 2)
    biases = None if bias is None else bias.repeat_interleave(4)
    blocks = _convolve(images, kernel, biases, _Form(1, 1, False, True))
    padded = F.pixel_shuffle(blocks, 2)
    return padded[:, :, padding : padded.shape[2] - padding, padding : padded.shape[3] - padding]


class _Form(NamedTuple):
    """The arguments of a convolution that are not tensors."""

    stride: int
    padding: int
    transposed: bool
    channels_last: bool

    def ordered(self, tensor: Tensor) -> Tensor:
        """The tensor in the memory order of the passes."""
        return (
            tensor.contiguous(memory_format=torch.channels_last) if self.channels_last else tensor
        )


def _convolve(images: Tensor, weight: Tensor, bias: Tensor | None, form: _Form) -> Tensor:
    result: Tensor = _Forward.apply(images, form.ordered(weight), form)
    return result if bias is None else result + bias.view(1, -1, 1, 1)


class _Forward(Function):
    """Equation (1), whose derivatives are (2) and (3)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, w: Tensor, form: _Form) -> Tensor:
        return _convolution_forward(x, w, form)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, _Form], output: Tensor) -> None:
        x, w, ctx.form = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, w = ctx.saved_tensors
        dy = ctx.form.ordered(dy)
        return *_Backward.apply(dy, x, w, ctx.form, ctx.needs_input_grad[:2]), None


class _Backward(Function):
    """Equations (2) and (3), whose derivatives are (4), (5) and (6)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        dy: Tensor, x: Tensor, w: Tensor, form: _Form, needed: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        return _convolution_backward(dy, x, w, form, needed)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        dy, x, w, ctx.form, _ = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(dy, x, w)

    @staticmethod
    def backward(ctx: Any, a: Tensor | None, b: Tensor | None) -> Any:
        dy, x, w = ctx.saved_tensors
        form: _Form = ctx.form
        needs_dy, needs_x, needs_w = ctx.needs_input_grad[:3]
        by_dy = by_x = by_w = None
        if a is not None:
            a = form.ordered(a)
            by_dy = _convolution_forward(a, w, form) if needs_dy else None  # (4), first term
            by_w = (
                _convolution_backward(dy, a, w, form, (False, True))[1] if needs_w else None
            )  # (6)
        if b is not None:
            b = form.ordered(b)
            if needs_dy:
                second_term = _convolution_forward(x, b, form)  # (4)
                by_dy = second_term if by_dy is None else by_dy.add_(second_term)
            by_x = (
                _convolution_backward(dy, x, b, form, (True, False))[0] if needs_x else None
            )  # (5)
        return by_dy, by_x, by_w, None, None


def _convolution_forward(x: Tensor, w: Tensor, form: _Form) -> Tensor:
    """Equation (1)."""
    stride, padding, transposed, _ = form
    y: Tensor = torch.ops.aten.convolution(
        x, w, None, [stride] * 2, [padding] * 2, [1, 1], transposed, [0, 0], 1
    )
    return y


def _convolution_backward(
    dy: Tensor, x: Tensor, w: Tensor, form: _Form, needed: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Equations (2) and (3), each if needed."""
    stride, padding, transposed, _ = form
    by_x, by_w, _ = torch.ops.aten.convolution_backward(
        dy, x, w, None, [stride] * 2, [padding] * 2, [1, 1], transposed, [0, 0], 1, [*needed, False]
    )
    return by_x, by_w
