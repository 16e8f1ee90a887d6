"""An epoch: one pass over the images of a stack, batch by batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gradcon.batches import take_batch, without_padding

Step = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Of a batch, its weights and its noise, as in ``gradcon.iteration.iterate``: losses, (K, 4)."""
Capture = Callable[[Callable[[], None], Sequence[Tensor]], Callable[[], None]]
"""As ``gradcon.kernels.cuda_graphs.captured``."""


class Epoch:
    """One pass over images on buffers that stay in place.

    On a CUDA device a step is recorded once as a CUDA graph and then replayed, so that no step
    waits for Python, and nothing is read back before the epoch ends. On a CPU the same step is
    called, on batches without the padding that all models share.

    Args:
        step: what is done with a batch.
        images: (K, N, C, H, W) uint8.
        batch_size: B, images of each model in a batch.
        dtype: of the batches.
        changed: the tensors that a step changes in place.
        capture: what records a step, or none to call it.
    """

    def __init__(
        self,
        step: Step,
        images: Tensor,
        batch_size: int,
        dtype: torch.dtype,
        changed: Sequence[Tensor],
        capture: Capture | None,
    ) -> None:
        self.step = step
        self.images = images
        self.dtype = dtype
        self.changed = changed
        self.capture = capture
        self.numbers = torch.full((len(images), batch_size), -1, device=images.device)
        self.noise: Tensor | None = None
        self.sums = images.new_zeros((len(images), 4), dtype=torch.float64)
        self._run: Callable[[], None] | None = None

    def __call__(self, order: Tensor, noise: Tensor | None) -> Tensor:
        """Take one step per batch.

        Args:
            order: image numbers, (K, batches, B); -1 for none.
            noise: (K, batches, B, Z), or none.

        Returns:
            Losses as a mean over the epoch's images, (K, 4): total, reconstruction, latent,
            gradient.
        """
        run = self._run or self._prepare(order, noise)
        self.sums.zero_()
        for batch in range(order.shape[1]):
            self.numbers.copy_(order[:, batch])
            if self.noise is not None and noise is not None:
                self.noise.copy_(noise[:, batch])
            run()
        return self.sums / (order >= 0).sum((1, 2)).clamp_min(1).unsqueeze(1)

    def _prepare(self, order: Tensor, noise: Tensor | None) -> Callable[[], None]:
        """Fill the buffers with the first batch and record a step, if steps are recorded."""
        self.noise = None if noise is None else noise[:, 0].clone()
        self.numbers.copy_(order[:, 0])
        self._run = self._take_step
        if self.capture is not None:
            self._run = self.capture(self._take_step, [self.sums, *self.changed])
        return self._run

    def _take_step(self) -> None:
        """A step on the batch in the buffers; its losses, times its images, are added up."""
        numbers = without_padding(self.numbers) if self.capture is None else self.numbers
        batch, weight = take_batch(self.images, numbers, self.dtype)
        noise = None if self.noise is None else self.noise[:, : batch.shape[1]]
        losses = self.step(batch, weight, noise)
        self.sums += losses.double() * weight.sum(1, keepdim=True)
