"""OCGAN: its networks, its four losses, mining, its scores."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from baselines.ocgan import (
    OCGAN,
    Networks,
    _reduce,
    adversarial_loss,
    discriminator_loss,
    enlarge,
    mined_codes,
)

SMALL = {"width": 2, "discriminator_width": 3, "latent": 5}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def discriminator_weights(width: int) -> int:
    """conv 3->w with bias; w->2w->4w without, with BN; 4w->1 with bias; all 5x5."""
    bodies = 25 * (2 * width * width + 8 * width * width) + 2 * (2 * width + 4 * width)
    return (25 * 3 * width + width) + bodies + (25 * 4 * width + 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_parameters_of_the_original(channels: int) -> None:
    networks = OCGAN().build(channels, 28)
    trunk = (75 * 64 + 64) + 25 * 64 * 128 + 2 * 128 + 25 * 128 * 256 + 2 * 256
    back = 25 * 256 * 128 + 2 * 128 + 25 * 128 * 64 + 2 * 64 + (75 * 64 + 3)
    assert count(networks.autoencoder.encoder) == trunk + 25 * 256 * 16 == 1_132_032
    assert count(networks.autoencoder.decoder) == 25 * 16 * 256 + 2 * 256 + back == 1_132_099
    assert count(networks.visual) == discriminator_weights(12) == 38_257
    assert count(networks.classifier) == discriminator_weights(64) == 1_036_033
    widths = (16, 128, 64, 32, 16)
    linear = sum(a * b + b for a, b in pairwise(widths))
    assert linear == 13_040  # all of the public code's
    assert count(networks.latent) == linear + 2 * sum(widths[1:]) + (16 + 1)
    assert count(networks) == 3_351_958


def test_sizes_of_the_original() -> None:
    networks = OCGAN(**SMALL).build(1, 28)
    shapes: list[tuple[int, int]] = []
    for module in networks.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda m, i, o: shapes.append((o.shape[1], o.shape[3])))
    x = enlarge(torch.rand(2, 1, 28, 28))
    images = networks.autoencoder(x)
    assert shapes == [(2, 29), (4, 13), (8, 5), (5, 1), (8, 5), (4, 13), (2, 29), (3, 61)]
    assert images.shape == x.shape == (2, 3, 61, 61)
    codes = networks.autoencoder.encoder(x)
    assert codes.shape == (2, 5)
    assert images.abs().max() <= 1
    assert codes.abs().max() <= 1
    for judge, seen_by_it in (
        (networks.visual, x),
        (networks.classifier, x),
        (networks.latent, codes),
    ):
        assert judge(seen_by_it).shape == (2,)


def test_batch_norm_keeps_a_tenth() -> None:
    norm = OCGAN(**SMALL).build(1, 28).visual[3]
    assert isinstance(norm, nn.BatchNorm2d)
    norm(torch.full((4, 6, 5, 5), 3.0))
    torch.testing.assert_close(norm.running_mean, torch.full((6,), 0.9 * 3.0))


def test_every_norm_keeps_a_tenth_and_only_the_decoder_drops() -> None:
    networks = OCGAN().build(1, 28)
    norms = [m for m in networks.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 5 + 2 + 2 + 4
    assert {norm.momentum for norm in norms} == {0.9}
    dropouts = [m for m in networks.modules() if isinstance(m, nn.Dropout)]
    assert [d.p for d in dropouts] == [0.5]
    layers = list(networks.autoencoder.decoder)
    assert [type(m) for m in layers[-5:]] == [
        *(nn.BatchNorm2d, nn.Dropout, nn.ReLU),
        *(nn.ConvTranspose2d, nn.Tanh),
    ]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 32, 61])
def test_resizing(channels: int, size: int) -> None:
    """Plain images stay plain, a ramp stays a ramp, and the way back ends at the start's shape."""
    levels = torch.tensor([0.0, 0.25, 1.0]).view(3, 1, 1, 1).expand(3, channels, size, size)
    large = enlarge(levels)
    for level, value in zip(large, (-1, -0.5, 1), strict=True):
        torch.testing.assert_close(level, torch.full((3, 61, 61), float(value)))
    torch.testing.assert_close(_reduce(large, levels), levels)
    ramp = torch.linspace(0, 1, size).expand(1, channels, size, size)
    steps = enlarge(ramp)[0, 0, 30].diff()
    torch.testing.assert_close(steps[3:-3], steps[30].expand(54), rtol=1e-3, atol=1e-5)
    assert float(_reduce(enlarge(ramp), ramp).sub(ramp).abs().max()) < 0.02


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_losses_of_known_probabilities() -> None:
    true = torch.tensor([logit(0.8), logit(0.5)])
    false = torch.tensor([logit(0.25), logit(0.9)])
    expected = (-math.log(0.8) - math.log(0.5)) / 4 + (-math.log(0.75) - math.log(0.1)) / 4
    assert float(discriminator_loss(true, false)) == pytest.approx(expected)
    assert float(adversarial_loss(false)) == pytest.approx(-(math.log(0.25) + math.log(0.9)) / 2)


def test_losses_stay_finite_where_probabilities_saturate() -> None:
    certain = torch.tensor([200.0, -200.0])
    assert float(discriminator_loss(certain, certain)) == pytest.approx(100)
    assert float(adversarial_loss(certain)) == pytest.approx(100)


def set_up(**changes: object) -> tuple[OCGAN, Networks, Tensor]:
    """Networks without what differs between two passes: noise, dropout."""
    torch.manual_seed(0)
    detector = OCGAN(**{**SMALL, "noise": 0.0, "learning_rate": 1e-30, **changes})
    networks = detector.build(1, 28).double()
    for module in networks.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return detector, networks, torch.rand(6, 1, 28, 28, dtype=torch.float64)


def gradients_agree(module: nn.Module, loss: Tensor) -> None:
    parameters = list(module.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def one(p: Tensor) -> Tensor:
    return binary_cross_entropy(torch.sigmoid(p), torch.ones_like(p))


def zero(p: Tensor) -> Tensor:
    return binary_cross_entropy(torch.sigmoid(p), torch.zeros_like(p))


@pytest.mark.parametrize("epoch", [1, 3, 4], ids=["start", "last before mining", "mining"])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_step_descends_the_four_losses(
    epoch: int, noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each loss written out from the paper's definition, on the same uniform codes and noise."""
    detector, networks, images = set_up(mining_after=3, noise=noise)
    drawn = torch.randn(6, 3, 61, 61, dtype=torch.float64)
    monkeypatch.setattr(torch, "randn_like", lambda x: drawn)
    draws = [torch.rand(6, 5, dtype=torch.float64) for _ in range(3)]
    left = iter(draws)
    monkeypatch.setattr(torch, "rand", lambda *size, **kind: next(left))
    (phase,) = detector.phases(networks)
    losses = phase.step(images, epoch)

    encoder, decoder = networks.autoencoder.encoder, networks.autoencoder.decoder
    visual, latent, classifier = networks.visual, networks.latent, networks.classifier
    x = enlarge(images)
    generated, uniform, start = (2 * draw - 1 for draw in draws)
    codes = encoder(x + noise * drawn)
    reconstructed = decoder(codes)
    fake = decoder(generated).detach()

    expected = (one(visual(x)) + zero(visual(fake))) / 2
    gradients_agree(visual, expected)
    assert losses["visual"].item() == pytest.approx(expected.item())

    expected = (one(latent(uniform)) + zero(latent(codes.detach()))) / 2
    gradients_agree(latent, expected)
    assert losses["latent"].item() == pytest.approx(expected.item())

    expected = (one(classifier(reconstructed.detach())) + zero(classifier(fake))) / 2
    gradients_agree(classifier, expected)
    assert losses["classifier"].item() == pytest.approx(expected.item())

    negatives = start
    if epoch > 3:
        moved = start.clone().requires_grad_()
        loss = 6 * zero(classifier(decoder(torch.tanh(moved))))
        negatives = torch.tanh(start - 2 * torch.autograd.grad(loss, moved)[0])
    error = (x - reconstructed).pow(2).sum() / (6 * 3 * 61 * 61)
    total = 10 * error + one(visual(decoder(negatives))) + one(latent(codes))
    gradients_agree(networks.autoencoder, total)
    assert losses["reconstruction"].item() == pytest.approx(error.item())


def test_weights_of_the_released_code() -> None:
    """The autoencoder's gradient is linear in the three weights."""

    def gradient(reconstruction: float, visual: float, latent: float) -> Tensor:
        detector, networks, images = set_up(
            reconstruction_weight=reconstruction, visual_weight=visual, latent_weight=latent
        )
        (phase,) = detector.phases(networks)
        phase.step(images, 1)
        return torch.cat([p.grad.flatten() for p in networks.autoencoder.parameters()])

    alone = [gradient(1, 0, 0), gradient(0, 1, 0), gradient(0, 0, 1)]
    assert min(float(g.norm()) for g in alone) > 0
    torch.testing.assert_close(gradient(5, 1, 10), 5 * alone[0] + alone[1] + 10 * alone[2])


def test_every_network_is_updated_once() -> None:
    detector, networks, images = set_up(learning_rate=2e-4)
    before = {name: p.detach().clone() for name, p in networks.named_parameters()}
    (phase,) = detector.phases(networks)
    phase.step(images, 1)
    assert set(phase.optimizers) == {"autoencoder", "visual", "latent", "classifier"}
    for optimizer in phase.optimizers.values():
        assert {float(s["step"]) for s in optimizer.state.values()} == {1.0}
    for name, parameter in networks.named_parameters():
        assert parameter.requires_grad
        # Adam's first step has the length of the learning rate, wherever there is a gradient.
        assert 0 < float((parameter - before[name]).abs().max().detach()) <= 2.01e-4


def test_mining_of_a_linear_classifier() -> None:
    """C(De(z)) = w z: the gradient of log(1 + exp(w tanh m)) is known."""
    weights = torch.tensor([2.0, -1.0, 0.5])
    start = torch.tensor([[0.3, -0.2, 0.9], [0.0, 0.0, 0.0]])
    decoder, classifier = nn.Linear(3, 1, bias=False), nn.Flatten(0)
    with torch.no_grad():
        decoder.weight.copy_(weights)
    codes = mined_codes(decoder, classifier, start, step=2.0)
    for code, m in zip(codes.tolist(), start.tolist(), strict=True):
        logit = sum(w * math.tanh(value) for w, value in zip(weights.tolist(), m, strict=True))
        for z, value, w in zip(code, m, weights.tolist(), strict=True):
            slope = w * (1 - math.tanh(value) ** 2) / (1 + math.exp(-logit))
            assert z == pytest.approx(math.tanh(value - 2 * slope), rel=1e-5)
    assert decoder.weight.grad is None
    assert decoder.weight.requires_grad


def test_mining_descends_the_loss_of_the_classifier() -> None:
    torch.manual_seed(1)
    networks = OCGAN(width=4, discriminator_width=4).build(1, 28).double().eval()
    decoder, classifier = networks.autoencoder.decoder, networks.classifier
    for parameter in networks.parameters():
        # Initial weights are so small that the classifier's answer hardly depends on the code.
        parameter.data *= 3
    start = torch.rand(20, 16, dtype=torch.float64) * 2 - 1

    def loss(codes: Tensor) -> Tensor:
        return torch.nn.functional.softplus(classifier(decoder(codes))).detach()

    losses = [loss(mined_codes(decoder, classifier, start, step)) for step in (0.0, 0.01, 0.1)]
    torch.testing.assert_close(losses[0], loss(start.tanh()))
    assert (losses[1] < losses[0]).all()
    assert (losses[2] < losses[1]).all()
    assert all(p.grad is None for p in networks.parameters())


def test_scores() -> None:
    """De(En(x)) = x / 2 and Dv = the mean pixel: all three scores of plain images are known."""
    detector = OCGAN(**SMALL, noise=0.0)
    networks = detector.build(1, 28)
    networks.autoencoder.encoder, networks.autoencoder.decoder = nn.Identity(), Half()
    networks.visual = Mean()
    images = torch.stack([torch.full((1, 28, 28), 0.5), torch.full((1, 28, 28), 0.9)])
    scores = detector.anomaly(networks, images)
    assert tuple(scores) == OCGAN.components
    assert scores["score"].tolist() == pytest.approx([0, 0.4**2], abs=1e-6)
    assert scores["d"].tolist() == pytest.approx([0, -0.8], abs=1e-6)
    assert scores["dr"].tolist() == pytest.approx([0, -0.4], abs=1e-6)


def test_noise_of_the_score() -> None:
    """Every image gets the same noise, of the deviation asked for; the error is to the clean."""
    detector = OCGAN(**SMALL, noise=0.3)
    networks = detector.build(1, 28)
    networks.autoencoder.encoder = networks.autoencoder.decoder = nn.Identity()
    images = torch.rand(5, 1, 28, 28)
    torch.manual_seed(0)
    score = detector.anomaly(networks, images)["score"]
    assert score.tolist() == pytest.approx([float(score[0])] * 5, rel=1e-4)
    assert float(score[0]) == pytest.approx(0.09, rel=0.05)


@pytest.mark.parametrize(("size", "channels"), [(32, 3), (16, 1)])
def test_any_square_size(size: int, channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, size, size, channels), dtype=np.uint8)
    detector = OCGAN(**SMALL, epochs=1, batch_size=6).fit(images, images, seed=0)
    assert detector.reconstruct(images).shape == images.shape
    assert np.isfinite(detector.score(images)["score"]).all()


class Half(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(1)
