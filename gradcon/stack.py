"""A stack of K networks of one architecture as one function of stacked weights."""

import torch
from torch import Tensor
from torch.func import functional_call

from gradcon.networks import Autoencoder, Output


class Stack:
    """Calls K networks on K batches.

    Args:
        module: gives the architecture; its own weights are not used.
        vectorise: all models in one batched call, which an accelerator needs to be busy; otherwise
            one call per model, which is faster on a CPU.
    """

    def __init__(self, module: Autoencoder, *, vectorise: bool) -> None:
        self.module = module
        self.vectorise = vectorise

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
            return Output(*torch.vmap(self._one, in_dims=dimensions)(parameters, images, noise))
        outputs = [
            self._one(
                {name: value[k] for name, value in parameters.items()},
                batch,
                None if noise is None else noise[k],
            )
            for k, batch in enumerate(images)
        ]
        logits, latent = zip(*outputs, strict=True)
        return Output(torch.stack(logits), torch.stack(latent))

    def _one(
        self, parameters: dict[str, Tensor], images: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        output: Output = functional_call(self.module, parameters, (images, noise))
        return output.logits, output.latent_loss
