"""Adam (Kingma and Ba 2015) for a stack of models, each with a step count of its own.

``torch.optim.Adam`` keeps one step count for a whole tensor; the models of a stack have training
sets of different sizes, so that some skip the last iterations of an epoch. A test compares each
model with ``torch.optim.Adam``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from gradcon.flat import Flat

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def adam_step(
    parameters: Flat,
    gradients: Mapping[str, Tensor],
    first_moment: Flat,
    second_moment: Flat,
    iterations: Tensor,
    active: Tensor,
    learning_rate: float,
) -> None:
    """One step, in place.

    Args:
        parameters: (K, ...) each, as are gradients and both moments.
        gradients: of the loss of each model at its own parameters. If they are in one buffer, all
            models take the step at once, without waiting for an accelerator.
        first_moment: running mean of the gradients.
        second_moment: running mean of the squared gradients.
        iterations: (K,) number of this step for each model, from 1.
        active: (K,) 1 for a model that takes the step, 0 for one that stays as it is.
        learning_rate: step size.
    """
    if isinstance(gradients, Flat):
        _at_once(
            parameters, gradients, first_moment, second_moment, iterations, active, learning_rate
        )
        return
    for k in active.nonzero().flatten().tolist():
        groups = (parameters, gradients, first_moment, second_moment)
        tensors = [[g[name][k].contiguous() for name in parameters] for g in groups]
        _fused(tensors, iterations[k], learning_rate)


def _at_once(
    parameters: Flat,
    gradients: Flat,
    first_moment: Flat,
    second_moment: Flat,
    iterations: Tensor,
    active: Tensor,
    learning_rate: float,
) -> None:
    """A step of all models by Adam's formula; arguments as in ``adam_step``."""
    steps = iterations.clamp_min(1).double()  # in float32, 1 - 0.999 is off by a part in 10,000
    weights = [active * (1 - beta) for beta in BETAS]
    size = active * learning_rate / (1 - BETAS[0] ** steps)
    root = torch.sqrt(1 - BETAS[1] ** steps)
    of_models = torch.stack([each.to(active) for each in (*weights, size, root)])
    to_mean, to_square, sizes, roots = parameters.per_element(of_models)
    gradient, mean, square = gradients.buffer, first_moment.buffer, second_moment.buffer
    mean.lerp_(gradient, to_mean)
    square.lerp_(gradient.square(), to_square)
    denominator = square.sqrt().div_(roots).add_(EPSILON)
    parameters.buffer.sub_(sizes.mul_(mean).div_(denominator))


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
