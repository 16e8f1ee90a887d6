"""A stack of K networks of one architecture as one function of stacked weights."""

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor
from torch.func import functional_call

from gradcon.forms import FORMS, Form
from gradcon.kernels.convolution import TransposedConvolution
from gradcon.networks import Autoencoder, Encoder, Output


class Stack:
    """Calls K networks on K batches.

    Args:
        module: gives the architecture; its own weights are not used.
        vectorise: run all models in one batched call, since one such small model leaves an
            accelerator idle; otherwise one call per model, in the form that is fastest on a CPU.
        form: of the batched calls.
        precision: of the passes; none for that of the parameters.
    """

    def __init__(
        self,
        module: Autoencoder,
        *,
        vectorise: bool,
        form: Form = FORMS["convolutions"],
        precision: torch.dtype | None = None,
    ) -> None:
        self.module = module
        self.vectorise = vectorise
        self.precision = precision
        on_cpu = next(module.parameters()).device.type == "cpu"
        self.form = form
        self.explicit = form.products if vectorise else on_cpu
        """Whether training uses the explicit passes of ``gradcon.gradients``."""
        self.passes = deepcopy(module) if vectorise else module
        """The architecture for them; validation by a batched call has none of their encoder."""
        for layer in module.modules():
            if isinstance(layer, TransposedConvolution):
                layer.closed, layer.channels_last = True, not vectorise
        for layer in self.passes.modules():
            if isinstance(layer, Encoder):
                layer.explicit = self.explicit

    def __call__(
        self, parameters: dict[str, Tensor], images: Tensor, noise: Tensor | None
    ) -> Output:
        """Logits, (K, B, C, H, W), and latent losses, (K, B).

        Args:
            parameters: (K, ...) each.
            images: (K, B, C, H, W) in [0, 1].
            noise: (K, B, Z), or none for the posterior mean.
        """
        if self.vectorise:
            dimensions = (0, 0, None if noise is None else 0)
            return Output(
                *torch.vmap(self._call_one, in_dims=dimensions)(dict(parameters), images, noise)
            )
        outputs = [
            self._call_one(
                {name: value[k] for name, value in parameters.items()},
                batch.contiguous(memory_format=torch.channels_last),
                None if noise is None else noise[k],
            )
            for k, batch in enumerate(images)
        ]
        logits, latent = zip(*outputs, strict=True)
        return Output(torch.stack(logits), torch.stack(latent))

    def _call_one(
        self, parameters: dict[str, Tensor], images: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The output of one model; arguments as in ``__call__`` without the dimension K."""
        if self.precision is None:
            return cast(Output, functional_call(self.module, parameters, (images, noise)))
        low = {name: value.to(self.precision) for name, value in parameters.items()}
        inputs = [None if value is None else value.to(self.precision) for value in (images, noise)]
        output: Output = functional_call(self.module, low, tuple(inputs))
        return output.logits.to(images.dtype), output.latent_loss.to(images.dtype)
