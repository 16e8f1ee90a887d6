"""Parts that several baselines have in common."""

from torch import Tensor, nn


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


def squared_error(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Sum the squared error over each image: (B, C, H, W) twice to (B,)."""
    return (images - reconstructions).square().flatten(1).sum(1)
