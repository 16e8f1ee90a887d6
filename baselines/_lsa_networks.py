"""The autoencoder of LSA (Abati et al., CVPR 2019; "AND" in its first arXiv version) at 28x28.

LSA, the DAE and the VAE share it. Its layers are those of the authors' released code: C = 1 is
their MNIST net, C = 3 their CIFAR-10 net (BN = batch norm; LReLU = leaky ReLU with slope 0.01; no
biases in convolutions; ``code`` = 64 numbers; heights in parentheses):

======= ================================ ============================================
part    C = 1                            C = 3
======= ================================ ============================================
encoder                                  conv 3x3 p0 3->32, LReLU           (26)
                                         residual 32                        (26)
        down 1->32                (14)   down 32->64                        (13)
        down 32->64                (7)   down 64->128                        (7)
                                         down 128->256                       (4)
        linear 3136->64, BN, LReLU       linear 4096->256, BN, LReLU
code    linear 64->64, sigmoid           linear 256->64, sigmoid
decoder linear 64->64, BN, LReLU         linear 64->256, BN, LReLU
        linear 64->3136, BN, LReLU       linear 256->4096, BN, LReLU
        up 64->32                 (14)   up 256->128                         (7)
        up 32->16                 (28)   up 128->64                         (14)
                                         up 64->32                          (28)
                                         residual 32                        (28)
        conv 1x1 16->1, linear           conv 1x1 32->3, linear
======= ================================ ============================================

Every block is the LReLU of the sum of two branches (s2 = stride 2, p0 = no padding):

- residual: conv 3x3, BN, LReLU, conv 3x3, BN; and the identity;
- down: conv 3x3 s2, BN, LReLU, conv 3x3, BN; and conv 1x1 s2, BN;
- up: deconv 5x5 s2, BN, LReLU, conv 3x3, BN; and deconv 1x1 s2, BN.

Deviation: the CIFAR-10 net is made for 32x32. At 28x28 its encoder ends at 4x4 too, so that all
weights have the same shapes; the first ``up`` of the decoder goes from 4 to 7 (output padding 0)
where the original goes from 4 to 8.
"""

from torch import Tensor, nn

CODE = 64


class Residual(nn.Module):
    """LReLU of the sum of two branches."""

    def __init__(self, branch: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.skip = skip
        self.activation = nn.LeakyReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the shape that both branches give."""
        y: Tensor = self.activation(self.branch(x) + self.skip(x))
        return y


def _block(first: nn.Module, width: int, skip: nn.Module) -> Residual:
    second = nn.Conv2d(width, width, 3, padding=1, bias=False)
    norm = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
    return Residual(nn.Sequential(first, norm[0], nn.LeakyReLU(), second, norm[1]), skip)


def _same(width: int) -> Residual:
    return _block(nn.Conv2d(width, width, 3, padding=1, bias=False), width, nn.Identity())


def _down(before: int, after: int) -> Residual:
    skip = nn.Conv2d(before, after, 1, stride=2, bias=False)
    first = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
    return _block(first, after, nn.Sequential(skip, nn.BatchNorm2d(after)))


def _up(before: int, after: int, extra: int = 1) -> Residual:
    skip = nn.ConvTranspose2d(before, after, 1, stride=2, output_padding=extra, bias=False)
    first = nn.ConvTranspose2d(
        before, after, 5, stride=2, padding=2, output_padding=extra, bias=False
    )
    return _block(first, after, nn.Sequential(skip, nn.BatchNorm2d(after)))


def _dense(before: int, after: int) -> list[nn.Module]:
    return [nn.Linear(before, after), nn.BatchNorm1d(after), nn.LeakyReLU()]


def trunk(channels: int) -> tuple[nn.Sequential, int]:
    """Make the encoder up to its last hidden layer; return it and that layer's width."""
    if channels == 1:
        hidden = 64
        layers = [_down(1, 32), _down(32, 64), nn.Flatten(), *_dense(64 * 7 * 7, hidden)]
        return nn.Sequential(*layers), hidden
    hidden = 256
    layers = [
        nn.Conv2d(channels, 32, 3, bias=False),
        nn.LeakyReLU(),
        _same(32),
        _down(32, 64),
        _down(64, 128),
        _down(128, 256),
        nn.Flatten(),
        *_dense(256 * 4 * 4, hidden),
    ]
    return nn.Sequential(*layers), hidden


def encoder(channels: int) -> nn.Sequential:
    """Make the encoder: (B, C, 28, 28) in [0, 1] to codes (B, 64) in (0, 1)."""
    body, hidden = trunk(channels)
    return nn.Sequential(body, nn.Linear(hidden, CODE), nn.Sigmoid())


def decoder(channels: int) -> nn.Sequential:
    """Make the decoder: codes (B, 64) to (B, C, 28, 28), unbounded."""
    if channels == 1:
        return nn.Sequential(
            *_dense(CODE, 64),
            *_dense(64, 64 * 7 * 7),
            nn.Unflatten(1, (64, 7, 7)),
            _up(64, 32),
            _up(32, 16),
            nn.Conv2d(16, 1, 1, bias=False),
        )
    return nn.Sequential(
        *_dense(CODE, 256),
        *_dense(256, 256 * 4 * 4),
        nn.Unflatten(1, (256, 4, 4)),
        _up(256, 128, extra=0),
        _up(128, 64),
        _up(64, 32),
        _same(32),
        nn.Conv2d(32, channels, 1, bias=False),
    )
