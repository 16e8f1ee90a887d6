"""One iteration of training, and the same losses for validation, for a stack of K models.

All tensors have a leading dimension K. The models do not interact: the sum of their losses is
differentiated, which gives each model its own gradient, and Adam works element by element. A stack
therefore computes what K separate trainings compute (a test compares them).

An iteration is that of the official code (paper, section 4):

1. the reconstruction loss of the batch and its gradient g by the decoder's kernels, kept
   differentiable;
2. the gradient loss: minus the mean over the decoder's layers of the cosine of g and the reference;
3. the gradient of (reconstruction + latent + alpha * gradient loss) by all parameters;
4. the reference, a running mean over all iterations, takes in the decoder's part of it;
5. one step of Adam.
"""

import torch
from torch import Tensor

from gradcon.flat import Flat
from gradcon.forms import algorithm_search
from gradcon.gradients import Gradients, batch_gradients
from gradcon.kernels.adam import adam_step
from gradcon.losses import RECONSTRUCTION, gradient_loss
from gradcon.settings import Settings
from gradcon.stack import Stack
from gradcon.training_state import State, Tensors


def iterate(
    stack: Stack,
    settings: Settings,
    state: State,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> Tensor:
    """One iteration of every model that has images in this batch.

    Args:
        stack: the network.
        settings: hyperparameters.
        state: updated in place.
        batch: (K, B, C, H, W) in [0, 1].
        weight: (K, B), 1 for an image and 0 for padding.
        noise: (K, B, Z) standard normal, or none.

    Returns:
        Losses before the update, (K, 4): total, reconstruction, latent, gradient.
    """
    compute = _by_explicit_passes if stack.explicit else _by_autograd
    with algorithm_search(stack.form.search):
        gradients = compute(stack, settings, state, batch, weight, noise)
    with torch.no_grad():
        active = (weight.sum(1) > 0).to(gradients.losses.dtype)
        state.iterations += active
        _update_reference(state, gradients, active)
        adam_step(
            state.parameters,
            gradients.total,
            state.first_moment,
            state.second_moment,
            state.iterations,
            active,
            settings.learning_rate,
        )
    return gradients.losses


def validate(
    stack: Stack,
    settings: Settings,
    state: State,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> Tensor:
    """The losses of ``iterate`` without its update, (K, 4); arguments as there.

    The gradient loss is that of the batch's gradient, as in training.
    """
    parameters = {
        name: value.detach().requires_grad_(settings.alpha > 0 and name in state.reference)
        for name, value in state.parameters.items()
    }
    with algorithm_search(stack.form.search):
        reconstruction, latent = _batch_losses(stack, settings, parameters, batch, weight, noise)
        gradient = torch.zeros_like(reconstruction)
        if settings.alpha > 0:
            kernels = [parameters[name] for name in state.reference]
            gradients = torch.autograd.grad(reconstruction.sum(), kernels)
            gradient = gradient_loss(gradients, list(state.reference.values()))
    total = reconstruction + latent + settings.alpha * gradient
    return torch.stack([total, reconstruction, latent, gradient], 1).detach()


def _by_explicit_passes(
    stack: Stack,
    settings: Settings,
    state: State,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> Gradients:
    """Steps 1 to 3, all models at once or one after the other."""
    if stack.vectorise:
        of_all = state.parameters, state.reference
        every = batch_gradients(stack.passes, settings, *of_all, batch, weight, noise)
        return every._replace(total=Flat.of(every.total))
    models = [
        batch_gradients(
            stack.passes,
            settings,
            {name: value[k] for name, value in state.parameters.items()},
            {name: value[k] for name, value in state.reference.items()},
            batch[k, :count],
            weight[k, :count],
            None if noise is None else noise[k, :count],
        )
        for k, count in enumerate(_counts(weight))
    ]
    by_layer = zip(*(model.reconstruction for model in models), strict=True)
    return Gradients(
        torch.stack([model.losses for model in models]),
        [torch.stack(layer) for layer in by_layer],
        {name: torch.stack([model.total[name] for model in models]) for name in state.parameters},
    )


def _by_autograd(
    stack: Stack,
    settings: Settings,
    state: State,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> Gradients:
    """Steps 1 to 3, all models at once."""
    leaf = state.parameters.buffer.detach().requires_grad_()
    parameters = state.parameters.at(leaf)
    reconstruction, latent = _batch_losses(stack, settings, parameters, batch, weight, noise)
    gradient = torch.zeros_like(reconstruction)
    by_kernels: tuple[Tensor, ...] = ()
    if settings.alpha > 0 or settings.reference == "reconstruction":
        kernels = [parameters[name] for name in state.reference]
        by_kernels = torch.autograd.grad(
            reconstruction.sum(), kernels, retain_graph=True, create_graph=settings.alpha > 0
        )
        gradient = gradient_loss(by_kernels, list(state.reference.values()))
    total = reconstruction + latent + settings.alpha * gradient
    (by_parameters,) = torch.autograd.grad(total.sum(), leaf)
    return Gradients(
        torch.stack([total, reconstruction, latent, gradient], 1).detach(),
        by_kernels if settings.reference == "reconstruction" else (),
        state.parameters.at(by_parameters),
    )


def _batch_losses(
    stack: Stack,
    settings: Settings,
    parameters: Tensors,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Batch means of the reconstruction loss and of the weighted latent loss, (K,) each."""
    if stack.vectorise:
        return _means(stack, settings, parameters, batch, weight, noise)
    means = [
        _means(
            stack,
            settings,
            {name: value[k : k + 1] for name, value in parameters.items()},
            batch[k : k + 1, :count],
            weight[k : k + 1, :count],
            None if noise is None else noise[k : k + 1, :count],
        )
        for k, count in enumerate(_counts(weight))
    ]
    reconstruction, latent = zip(*means, strict=True)
    return torch.cat(reconstruction), torch.cat(latent)


def _means(
    stack: Stack,
    settings: Settings,
    parameters: Tensors,
    batch: Tensor,
    weight: Tensor,
    noise: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """``_batch_losses`` of all models at once."""
    output = stack(parameters, batch, noise)
    per_image = RECONSTRUCTION[settings.reconstruction_loss]
    errors = per_image(output.logits.flatten(0, 1), batch.flatten(0, 1)).view(weight.shape)
    count = weight.sum(1).clamp_min(1)
    latent = settings.latent_weight / batch[0, 0].numel() * output.latent_loss
    return (errors * weight).sum(1) / count, (latent * weight).sum(1) / count


def _counts(weight: Tensor) -> list[int]:
    """The images of each model in a batch, at least 1, which may be padding.

    Models that run one after the other run without the padding, whose number would show in the
    last bits: so a model of a stack on a CPU is the same, bit for bit, as one that trains alone.
    """
    return [max(1, int(count)) for count in weight.sum(1).tolist()]


def _update_reference(state: State, gradients: Gradients, active: Tensor) -> None:
    """Step 4, mean += (gradient - mean) / count, for models whose ``active``, (K,), is 1, not 0."""
    share = active / state.iterations.clamp_min(1)
    if isinstance(gradients.total, Flat) and not gradients.reconstruction:
        mean = state.reference.buffer
        mean.lerp_(gradients.total.buffer[: len(mean)], state.reference.per_element(share))
        return
    averaged = gradients.reconstruction or [gradients.total[name] for name in state.reference]
    for mean, gradient in zip(state.reference.values(), averaged, strict=True):
        mean.lerp_(gradient.detach(), share.view(-1, *[1] * (mean.dim() - 1)))
