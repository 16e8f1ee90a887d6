"""A transposed convolution whose second derivatives are as cheap as its first.

The gradient constraint differentiates gradients. PyTorch's double backward of a convolution turns
batches into channels and images into kernels, shapes for which no library has fast code. Here every
derivative is again one of three ordinary convolution passes, because the convolution belongs to a
form T(x, W, y) = <y, conv(x, W)> that is linear in each argument: the gradients of T are the
forward pass, the pass to the input and the pass to the weights, and the gradients of these are the
same three with other arguments.

All three have rules for ``torch.vmap``, so that the models of a stack share each of them as one
grouped convolution, where the library's double backward loops over the groups.

On a CPU tensors are kept in channels-last order, which its kernels are fastest in, and a kernel of
4x4 with stride 2 and few output channels is computed as a 2x2 kernel of stride 1 with four times
the channels, one for each place in a 2x2 block of output pixels.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

_NARROW = 8
"""Up to so many output channels the blocked form is faster than the library's strided kernels."""


class TransposedConvolution(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` of kernel 4x4 and stride 2, optionally by the passes of this module.

    ``closed`` chooses them. ``channels_last`` chooses the order and the blocks that the CPU is
    fastest with; a batched call under ``torch.vmap`` can have neither.
    """

    closed = False
    channels_last = True

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, in, H, W) to (B, out, 2 H + 2 - 2 p, 2 W + 2 - 2 p)."""
        if not self.closed:
            return super().forward(images, output_size)
        padding = int(self.padding[0])
        if self.channels_last and self.out_channels <= _NARROW:
            return _blocked(images, self.weight, self.bias, padding)
        form = _Form(2, padding, True, self.channels_last)
        return _convolve(images, self.weight, self.bias, form)


def _blocked(images: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    inputs, outputs = weight.shape[:2]
    kernel = weight.view(inputs, outputs, 2, 2, 2, 2).flip(2, 4).permute(1, 3, 5, 0, 2, 4)
    kernel = kernel.reshape(4 * outputs, inputs, 2, 2)
    biases = None if bias is None else bias.repeat_interleave(4)
    blocks = _convolve(images, kernel, biases, _Form(1, 1, False, True))
    whole = F.pixel_shuffle(blocks, 2)
    return whole[:, :, padding : whole.shape[2] - padding, padding : whole.shape[3] - padding]


class _Form(NamedTuple):
    """What a convolution is beside its tensors."""

    stride: int
    padding: int
    transposed: bool
    channels_last: bool

    def ordered(self, images: Tensor) -> Tensor:
        return (
            images.contiguous(memory_format=torch.channels_last) if self.channels_last else images
        )


def _convolve(images: Tensor, weight: Tensor, bias: Tensor | None, form: _Form) -> Tensor:
    result: Tensor = _Forward.apply(images, form.ordered(weight), form)
    return result if bias is None else result + bias.view(1, -1, 1, 1)


class _Forward(Function):
    """y = conv(x, W)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, w: Tensor, form: _Form) -> Tensor:
        return _to_output(x, w, form)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, _Form], output: Tensor) -> None:
        x, w, ctx.form = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> Any:
        x, w = ctx.saved_tensors
        y = ctx.form.ordered(y)
        return *_Backward.apply(y, x, w, ctx.form, ctx.needs_input_grad[:2]), None


class _Backward(Function):
    """The derivatives of T(x, W, y) by x and W."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        y: Tensor, x: Tensor, w: Tensor, form: _Form, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        return _to_arguments(y, x, w, form, wanted)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        y, x, w, ctx.form, _ = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(y, x, w)

    @staticmethod
    def backward(ctx: Any, by_x: Tensor | None, by_w: Tensor | None) -> Any:
        y, x, w = ctx.saved_tensors
        form: _Form = ctx.form
        of_y, of_x, of_w = ctx.needs_input_grad[:3]
        at_y = at_x = at_w = None
        if by_x is not None:
            by_x = form.ordered(by_x)
            at_y = _to_output(by_x, w, form) if of_y else None
            at_w = _to_arguments(y, by_x, w, form, (False, True))[1] if of_w else None
        if by_w is not None:
            by_w = form.ordered(by_w)
            if of_y:
                through_w = _to_output(x, by_w, form)
                at_y = through_w if at_y is None else at_y.add_(through_w)
            at_x = _to_arguments(y, x, by_w, form, (True, False))[0] if of_x else None
        return at_y, at_x, at_w, None, None


def _to_output(x: Tensor, w: Tensor, form: _Form) -> Tensor:
    stride, padding, transposed, _ = form
    y: Tensor = torch.ops.aten.convolution(
        x, w, None, [stride] * 2, [padding] * 2, [1, 1], transposed, [0, 0], 1
    )
    return y


def _to_arguments(
    y: Tensor, x: Tensor, w: Tensor, form: _Form, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    stride, padding, transposed, _ = form
    by_x, by_w, _ = torch.ops.aten.convolution_backward(
        y, x, w, None, [stride] * 2, [padding] * 2, [1, 1], transposed, [0, 0], 1, [*wanted, False]
    )
    return by_x, by_w
