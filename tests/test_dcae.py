"""DCAE: its two architectures, its loss and its score."""

import pytest
import torch
from torch import nn

from baselines.dcae import DCAE


@pytest.mark.parametrize(
    ("architecture", "c", "expected"),
    [
        # 25 (C 8 + 8 4) + 196 32, and 25 (2 4 + 4 8 + 8 C)
        ("mnist", 1, 25 * (8 + 32) + 196 * 32 + 25 * (8 + 32 + 8)),
        ("mnist", 3, 25 * (24 + 32) + 196 * 32 + 25 * (8 + 32 + 24)),
        # 25 (C 16 + 16 32) + 1568 128 + 128 64, and 64 128 + 25 (8 32 + 32 16 + 16 C)
        ("fashion_mnist", 1, 25 * 528 + 1568 * 128 + 2 * 128 * 64 + 25 * (256 + 512 + 16)),
        ("fashion_mnist", 3, 25 * 560 + 1568 * 128 + 2 * 128 * 64 + 25 * (256 + 512 + 48)),
    ],
)
def test_parameters(architecture: str, c: int, expected: int) -> None:
    networks = DCAE(architecture=architecture).build(c, 28)
    assert sum(p.numel() for p in networks.parameters()) == expected
    for module in networks.modules():
        assert getattr(module, "bias", None) is None
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            assert not module.affine
            assert module.eps == 1e-4


@pytest.mark.parametrize(
    ("architecture", "code", "encoder", "decoder"),
    [
        ("mnist", 32, [(8, 28), (4, 14)], [(4, 8), (8, 14), (3, 28)]),
        ("fashion_mnist", 64, [(16, 28), (32, 14)], [(32, 8), (16, 14), (3, 28)]),
    ],
)
def test_shapes(architecture: str, code: int, encoder: list, decoder: list) -> None:
    networks = DCAE(architecture=architecture).build(3, 28)
    shapes: dict[type, list] = {nn.Conv2d: [], nn.ConvTranspose2d: []}
    for module in networks.modules():
        if type(module) in shapes:
            module.register_forward_hook(
                lambda m, i, o: shapes[type(m)].append((o.shape[1], o.shape[2]))
            )
    images = torch.rand(2, 3, 28, 28)
    assert networks.encoder(images).shape == (2, code)
    shapes[nn.Conv2d].clear()
    output = networks(images)
    assert output.shape == images.shape
    assert output.min() > 0
    assert output.max() < 1
    assert shapes == {nn.Conv2d: encoder, nn.ConvTranspose2d: decoder}


def test_score_is_the_summed_squared_error() -> None:
    images = torch.stack([torch.zeros(3, 28, 28), torch.full((3, 28, 28), 0.5)])
    scores = DCAE().anomaly(lambda x: torch.full_like(x, 0.25), images)["score"]
    assert scores.tolist() == [3 * 784 * 0.0625] * 2
    scores = DCAE().anomaly(lambda x: torch.zeros_like(x), images)["score"]
    assert scores.tolist() == [0, 3 * 784 * 0.25]


def test_step_is_adam_with_weight_decay_on_the_mean_of_the_scores() -> None:
    torch.manual_seed(0)
    detector = DCAE(architecture="mnist")
    networks = detector.build(1, 28)
    images = torch.rand(4, 1, 28, 28)
    before = [p.detach().clone() for p in networks.parameters()]
    loss = (networks(images) - images).pow(2).sum((1, 2, 3)).mean()
    gradients = torch.autograd.grad(loss, list(networks.parameters()))
    (phase,) = detector.phases(networks)
    stepped = phase.step(images, 1)["reconstruction"]
    assert stepped.item() == pytest.approx(loss.item(), rel=1e-5)
    for old, new, gradient in zip(before, networks.parameters(), gradients, strict=True):
        direction = gradient + 5e-4 * old
        # Adam's first step: the mean over the root of the mean square, which is the sign.
        expected = old - 1e-4 * direction / (direction.abs() + 1e-8)
        torch.testing.assert_close(new.detach(), expected, rtol=0, atol=2e-6)


def test_schedule() -> None:
    detector = DCAE()
    (phase,) = detector.phases(detector.build(1, 28))
    assert (phase.epochs, phase.batch_size) == (150, 200)
    assert [phase.schedule(epoch) for epoch in (1, 50, 51, 150)] == [1, 1, 0.1, 0.1]
