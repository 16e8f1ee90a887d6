"""DAE, and the autoencoder of LSA that it shares with the VAE."""

import pytest
import torch
from torch import Tensor, nn

from baselines import _lsa_networks as lsa
from baselines.dae import DAE


def block(before: int, after: int, kernel: int, skip: bool = True) -> int:
    """First convolution, 3x3 convolution, the 1x1 of the skip, and their batch norms."""
    branch = kernel**2 * before * after + 2 * after + 9 * after**2 + 2 * after
    return branch + (before * after + 2 * after if skip else 0)


def dense(before: int, after: int, norm: bool = True) -> int:
    return before * after + after + (2 * after if norm else 0)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters_for_one_channel() -> None:
    encoder = block(1, 32, 3) + block(32, 64, 3) + dense(3136, 64) + dense(64, 64, norm=False)
    decoder = dense(64, 64) + dense(64, 3136) + block(64, 32, 5) + block(32, 16, 5) + 16
    assert count(lsa.encoder(1)) == encoder
    assert count(lsa.decoder(1)) == decoder
    assert count(DAE().build(1, 28)) == encoder + decoder == 565_296


def test_parameters_for_three_channels() -> None:
    encoder = 9 * 3 * 32 + block(32, 32, 3, skip=False)
    encoder += block(32, 64, 3) + block(64, 128, 3) + block(128, 256, 3)
    encoder += dense(4096, 256) + dense(256, 64, norm=False)
    decoder = dense(64, 256) + dense(256, 4096)
    decoder += block(256, 128, 5) + block(128, 64, 5) + block(64, 32, 5)
    decoder += block(32, 32, 3, skip=False) + 32 * 3
    assert count(lsa.encoder(3)) == encoder
    assert count(lsa.decoder(3)) == decoder
    assert count(DAE().build(3, 28)) == encoder + decoder == 4_701_888


@pytest.mark.parametrize(
    ("channels", "encoder", "decoder"),
    [
        (1, [(32, 14), (64, 7)], [(32, 14), (16, 28)]),
        (3, [(32, 26), (64, 13), (128, 7), (256, 4)], [(128, 7), (64, 14), (32, 28), (32, 28)]),
    ],
)
def test_shapes_of_the_blocks(channels: int, encoder: list, decoder: list) -> None:
    parts = lsa.encoder(channels), lsa.decoder(channels)
    shapes: list[tuple[int, int]] = []
    for module in (m for part in parts for m in part.modules()):
        if isinstance(module, lsa.Residual):
            module.register_forward_hook(lambda m, i, o: shapes.append((o.shape[1], o.shape[2])))
    code = parts[0](torch.rand(2, channels, 28, 28))
    assert code.shape == (2, 64)
    assert code.min() > 0
    assert code.max() < 1
    assert parts[1](code).shape == (2, channels, 28, 28)
    assert shapes == encoder + decoder


def test_convolutions_have_no_bias() -> None:
    for module in DAE().build(3, 28).modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            assert module.bias is None


def test_block_sums_its_branches() -> None:
    block = lsa.Residual(nn.Linear(1, 1), nn.Identity())
    nn.init.constant_(block.branch.weight, -3.0)
    nn.init.constant_(block.branch.bias, 0.5)
    # -3 * 2 + 0.5 + 2 = -3.5, and the leaky ReLU leaves a hundredth.
    assert block(torch.tensor([[2.0]])).item() == pytest.approx(-0.035)
    assert block(torch.tensor([[-2.0]])).item() == pytest.approx(4.5)


class Identity(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.inputs: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.inputs.append(images.detach())
        return images * self.factor


def test_score_is_the_summed_squared_error_without_noise() -> None:
    network = Identity()
    network.factor.data.fill_(0.5)
    images = torch.stack([torch.zeros(1, 28, 28), torch.full((1, 28, 28), 0.5)])
    scores = DAE(noise=0.9).anomaly(network, images)["score"]
    assert scores.tolist() == pytest.approx([0, 784 * 0.0625])
    assert torch.equal(network.inputs[0], images)


def test_training_compares_the_noisy_image_s_output_with_the_clean_image() -> None:
    """An identity network leaves the noise itself: 784 times its variance, far from clipping."""
    network = Identity()
    (phase,) = DAE(noise=0.1).phases(network)
    images = torch.full((64, 1, 28, 28), 0.5)
    torch.manual_seed(0)
    for losses in (phase.step(images, 1), phase.validation(images)):
        assert losses["denoising"].item() == pytest.approx(784 * 0.01, rel=0.02)
    noisy = network.inputs[0]
    assert float(noisy.mean()) == pytest.approx(0.5, abs=0.002)
    assert float(noisy.std()) == pytest.approx(0.1, rel=0.02)


def test_noisy_images_stay_in_range() -> None:
    network = Identity()
    (phase,) = DAE(noise=0.5).phases(network)
    phase.step(torch.rand(8, 1, 28, 28), 1)
    assert float(network.inputs[0].min()) == 0
    assert float(network.inputs[0].max()) == 1
