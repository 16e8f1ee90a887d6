"""Which images each model of a stack sees when, and with which noise.

Everything depends on the seed and the epoch alone, so that a training that goes on after a stop
sees what it would have seen.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def resident(parts: Sequence[Tensor], device: str) -> tuple[Tensor, list[int]]:
    """All images as one uint8 tensor on the device, (K, N_max, C, H, W), padded with zeros."""
    counts = [len(part) for part in parts]
    images = parts[0].new_zeros((len(parts), max(counts), *parts[0].shape[1:]))
    for k, part in enumerate(parts):
        images[k, : len(part)] = part
    return images.to(device), counts


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
    order: Tensor, size: int, seeds: Sequence[int], epoch: int, dtype: torch.dtype
) -> Tensor | None:
    """Standard normal noise for every place of ``order``, (K, batches, B, size)."""
    if size == 0:
        return None
    noise = order.new_zeros((*order.shape, size), dtype=dtype)
    for k, seed in enumerate(seeds):
        count = int((order[k] >= 0).sum())
        values = torch.randn(count, size, generator=_generator(seed, epoch, 1))
        noise[k].view(-1, size)[:count] = values.to(noise)
    return noise


def take_batch(images: Tensor, numbers: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Images in [0, 1], (K, B, C, H, W), and their weights, (K, B), for numbers of (K, B).

    On the CPU the padding that all models share is cut off.
    """
    if not numbers.is_cuda:
        numbers = numbers[:, : int((numbers >= 0).sum(1).max())]
    models = torch.arange(len(images), device=images.device).unsqueeze(1)
    batch = to_unit(images[models, numbers.clamp_min(0)], dtype)
    return batch, (numbers >= 0).to(dtype)


def _generator(seed: int, epoch: int, purpose: int) -> torch.Generator:
    """A generator that depends on nothing but its arguments, so that resuming needs no state."""
    key = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)


def to_unit(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uint8 in 0..255 to [0, 1]."""
    return images.to(dtype) / 255
