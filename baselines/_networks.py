"""Parts that several baselines share."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Masked(Protocol):
    """A layer with a mask over its weights: those under a zero have no effect."""

    weight: Tensor
    mask: Tensor


class Autoencoder(nn.Module):
    """An encoder and a decoder; maps images (B, C, H, W) to the same shape."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct images."""
        reconstructions: Tensor = self.decoder(self.encoder(images))
        return reconstructions


def count_parameters(networks: nn.Module) -> int:
    """Count the trained parameters without masked weights, as published counts do."""
    trained = sum(p.numel() for p in networks.parameters() if p.requires_grad)
    layers = [module for module in networks.modules() if isinstance(module, Masked)]
    return trained - sum(int((~m.mask.bool()).expand_as(m.weight).sum()) for m in layers)


def squared_error(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Sum the squared error over each image: (B, C, H, W) twice to (B,)."""
    return (images - reconstructions).square().flatten(1).sum(1)
