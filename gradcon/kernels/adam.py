"""Adam (Kingma and Ba 2015) for a stack of models, each with a step count of its own.

``torch.optim.Adam`` keeps one step count for a whole tensor; the models of a stack have training
sets of different sizes, so that some skip the last iterations of an epoch. A test compares each
model with ``torch.optim.Adam``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def adam_step(
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    first_moment: Mapping[str, Tensor],
    second_moment: Mapping[str, Tensor],
    iterations: Tensor,
    active: Tensor,
    learning_rate: float,
) -> None:
    """One step, in place; on an accelerator without waiting for the device.

    Args:
        parameters: (K, ...) each, as are gradients and both moments.
        gradients: of the loss of each model at its own parameters.
        first_moment: running mean of the gradients.
        second_moment: running mean of the squared gradients.
        iterations: (K,) number of this step for each model, from 1.
        active: (K,) 1 for a model that takes the step, 0 for one that stays as it is.
        learning_rate: step size.
    """
    if iterations.device.type == "cpu":
        for k in active.nonzero().flatten().tolist():
            groups = (parameters, gradients, first_moment, second_moment)
            tensors = [[g[name][k].contiguous() for name in parameters] for g in groups]
            _fused(tensors, iterations[k], learning_rate)
        return
    by_formula(
        parameters, gradients, first_moment, second_moment, iterations, active, learning_rate
    )


def by_formula(
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    first_moment: Mapping[str, Tensor],
    second_moment: Mapping[str, Tensor],
    iterations: Tensor,
    active: Tensor,
    learning_rate: float,
) -> None:
    """``adam_step`` for all models at once, without reading ``active`` back from the device."""
    steps = iterations.clamp_min(1).double()  # in float32, 1 - 0.999 is off by a part in 10,000
    size = (active * learning_rate / (1 - BETAS[0] ** steps)).to(active.dtype)
    root = torch.sqrt(1 - BETAS[1] ** steps).to(active.dtype)
    for name, parameter in parameters.items():
        shape = (-1, *[1] * (parameter.dim() - 1))
        gradient, on = gradients[name], active.view(shape)
        mean, square = first_moment[name], second_moment[name]
        mean.lerp_(gradient, (1 - BETAS[0]) * on)
        square.lerp_(gradient.square(), (1 - BETAS[1]) * on)
        denominator = (square.sqrt() / root.view(shape)).add_(EPSILON)
        parameter.sub_(size.view(shape) * mean / denominator)


def _fused(tensors: list[list[Tensor]], step: Tensor, learning_rate: float) -> None:
    """A step of one model by PyTorch's fused Adam.

    Args:
        tensors: its parameters, gradients, first and second moments.
        step: number of the step, (), from 1.
        learning_rate: step size.
    """
    parameters, gradients, first_moment, second_moment = tensors
    torch._fused_adam_(
        parameters,
        gradients,
        first_moment,
        second_moment,
        [],
        [step.float()] * len(parameters),
        lr=learning_rate,
        beta1=BETAS[0],
        beta2=BETAS[1],
        weight_decay=0.0,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )
