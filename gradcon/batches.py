"""The batches of an epoch for each model of a stack: image numbers, images and latent noise.

They depend on the seed and the epoch alone, so that a training that is stopped and resumed sees the
batches of one that is not.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor


def resident(parts: Sequence[Tensor], device: str) -> tuple[Tensor, list[int]]:
    """All images as one uint8 tensor on the device, (K, N_max, C, H, W), and each model's count.

    Models with fewer images are padded with zeros.
    """
    counts = [len(part) for part in parts]
    images = parts[0].new_zeros((len(parts), max(counts), *parts[0].shape[1:]))
    for k, part in enumerate(parts):
        images[k, : len(part)] = part
    return upload(images, device), counts


def upload(tensor: Tensor, device: str | torch.device) -> Tensor:
    """A copy of a CPU tensor on the device; on a CUDA device without waiting for the copy."""
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def batch_order(
    counts: Sequence[int], batch_size: int, seeds: Sequence[int] | None = None, epoch: int = 0
) -> Tensor:
    """Image numbers of every batch, (K, batches, B); -1 where a model has no image left.

    Shuffled by seed and epoch, or in order when no seeds are given. The last batch is smaller.
    """
    batches = -(-max(counts) // batch_size)
    order = torch.full((len(counts), batches * batch_size), -1)
    for k, count in enumerate(counts):
        order[k, :count] = (
            torch.arange(count)
            if seeds is None
            else torch.randperm(count, generator=_generator(seeds[k], epoch, 0))
        )
    return order.view(len(counts), batches, batch_size)


def latent_noise(
    counts: Sequence[int],
    batch_size: int,
    size: int,
    seeds: Sequence[int],
    epoch: int,
    dtype: torch.dtype,
) -> Tensor | None:
    """Standard normal noise for every image of ``batch_order``, (K, batches, B, size).

    None if ``size`` is 0, as for networks that need no noise.
    """
    if size == 0:
        return None
    batches = -(-max(counts) // batch_size)
    noise = torch.zeros(len(counts), batches * batch_size, size, dtype=dtype)
    for k, (count, seed) in enumerate(zip(counts, seeds, strict=True)):
        noise[k, :count] = torch.randn(count, size, generator=_generator(seed, epoch, 1))
    return noise.view(len(counts), batches, batch_size, size)


Batches = tuple[Tensor, Tensor | None]
"""Of an epoch: ``batch_order`` and ``latent_noise``."""


class DrawnAhead:
    """The batches of each epoch, drawn in a thread while the epoch before trains.

    Args:
        draw: draws those of an epoch, by its number, for numbers of images, (K,).
        last: number of the last epoch.
    """

    def __init__(self, draw: Callable[[int, Sequence[int]], Batches], last: int) -> None:
        self._draw = draw
        self._last = last
        self._thread = ThreadPoolExecutor(1)
        self._next: tuple[object, Future[Batches]] | None = None

    def __call__(self, epoch: int, counts: Sequence[int]) -> Batches:
        """The batches of an epoch; a model that fails in between has none in the next."""
        asked, future = self._next or (None, None)
        if future is not None and asked == (epoch, counts):
            batches = future.result()
        else:
            batches = self._draw(epoch, counts)
        self._next = None
        if epoch < self._last:
            following = epoch + 1, counts
            self._next = following, self._thread.submit(self._draw, *following)
        return batches


def without_padding(numbers: Tensor) -> Tensor:
    """Image numbers, (K, B), without the last columns if these are padding for all models."""
    return numbers[:, : int((numbers >= 0).sum(1).max())]


def take_batch(images: Tensor, numbers: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Images in [0, 1], (K, B, C, H, W), and weights, (K, B), for image numbers (K, B).

    The weight is 1 for an image and 0 for padding, where the number is -1.
    """
    models = torch.arange(len(images), device=images.device).unsqueeze(1)
    batch = to_unit(images[models, numbers.clamp_min(0)], dtype)
    return batch, (numbers >= 0).to(dtype)


def _generator(seed: int, epoch: int, purpose: int) -> torch.Generator:
    """A generator seeded by its arguments alone, so that resuming needs no saved random state."""
    key = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)


def to_unit(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uint8 in 0..255 to [0, 1]."""
    return images.to(dtype) / 255
