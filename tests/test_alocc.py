"""ALOCC: its networks, its losses, its two scores."""

import math
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from baselines.alocc import ALOCC, Networks, _rmsprop, adversarial_loss, discriminator_loss
from benchmark.detector import FitFailed
from tests.digits import of_class


def convolutions(*widths: int) -> int:
    """Weights and biases of 5x5 convolutions, either way."""
    return sum(25 * a * b + b for a, b in pairwise(widths))


def norms(*widths: int) -> int:
    return sum(2 * width for width in widths)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("c", [1, 3])
def test_parameters_of_the_paper(c: int) -> None:
    networks = ALOCC(architecture="paper").build(c, 28)
    down = convolutions(c, 64, 128, 256, 512) + norms(64, 128, 256, 512)
    up = convolutions(512, 256, 128, 64, c) + norms(256, 128, 64)
    assert count(networks.reconstructor) == down + up
    discriminator = convolutions(c, 64, 128, 256, 512) + norms(128, 256, 512)
    assert count(networks.discriminator) == discriminator + 2 * 2 * 512 + 1
    assert count(networks) == {1: 12_916_226, 3: 12_925_828}[c]


@pytest.mark.parametrize("c", [1, 3])
def test_parameters_of_the_released_code(c: int) -> None:
    networks = ALOCC(architecture="released").build(c, 28)
    down = convolutions(c, 32, 64, 128) + norms(32, 64, 128)
    up = convolutions(128, 32, 16, c) + norms(32, 16)
    assert count(networks.reconstructor) == down + up
    discriminator = convolutions(c, 16, 32, 64, 128) + norms(32, 64, 128)
    assert count(networks.discriminator) == discriminator + 2 * 2 * 128 + 1
    assert count(networks) == {1: 643_618, 3: 646_820}[c]


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("paper", [64, 14, 128, 7, 256, 4, 512, 2, 256, 4, 128, 7, 64, 14, 3, 28]),
        ("released", [32, 14, 64, 7, 128, 4, 32, 7, 16, 14, 3, 28]),
    ],
)
def test_shapes_of_the_reconstructor(architecture: str, expected: list[int]) -> None:
    networks = ALOCC(architecture=architecture).build(3, 28)
    shapes: list[int] = []
    for module in networks.reconstructor.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda m, i, o: shapes.extend([o.shape[1], o.shape[3]]))
    output = networks.reconstructor(torch.rand(2, 3, 28, 28))
    assert shapes == expected
    assert output.shape == (2, 3, 28, 28)
    assert output.abs().max() <= 1
    assert networks.discriminator(output).shape == (2,)


def test_initial_weights() -> None:
    networks = ALOCC().build(1, 28)
    for module in networks.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert module.bias.abs().max() == 0
        if isinstance(module, nn.Conv2d) and module.in_channels > 1:
            # A normal distribution cut at two deviations has 0.88 of its deviation.
            assert module.weight.abs().max() <= 0.04
            assert float(module.weight.detach().std()) == pytest.approx(0.0176, rel=0.02)
        if isinstance(module, nn.ConvTranspose2d):
            assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
        if isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (1e-6, 0.1)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_losses_of_known_probabilities() -> None:
    real = torch.tensor([logit(0.8), logit(0.5)])
    reconstructed = torch.tensor([logit(0.25), logit(0.9)])
    expected = (-math.log(0.8) - math.log(0.5)) / 2 + (-math.log(0.75) - math.log(0.1)) / 2
    assert float(discriminator_loss(real, reconstructed)) == pytest.approx(expected)
    expected = (-math.log(0.25) - math.log(0.9)) / 2
    assert float(adversarial_loss(reconstructed)) == pytest.approx(expected)


def test_losses_stay_finite_where_probabilities_saturate() -> None:
    certain = torch.tensor([200.0, -200.0])
    assert float(discriminator_loss(certain, certain)) == pytest.approx(200)
    assert float(adversarial_loss(certain)) == pytest.approx(100)


def test_two_scores() -> None:
    """D answers with the mean pixel, R halves the image: the scores are -mean and -mean / 2."""
    networks = SimpleNamespace(
        discriminator=lambda x: x.flatten(1).mean(1), reconstructor=lambda x: x / 2
    )
    images = torch.stack([torch.full((1, 28, 28), 0.2), torch.full((1, 28, 28), 0.8)])
    scores = ALOCC().anomaly(networks, images)
    assert scores["d"].tolist() == pytest.approx([-0.2, -0.8])
    assert scores["dr"].tolist() == pytest.approx([-0.1, -0.4])


def one_step(
    steps: int = 1, learning_rate: float = 1e-30, noise: float = 0
) -> tuple[Networks, dict, Tensor]:
    """One training step, by default with a learning rate that changes no weight."""
    torch.manual_seed(0)
    detector = ALOCC(
        architecture="released", noise=noise, learning_rate=learning_rate, reconstructor_steps=steps
    )
    networks = detector.build(1, 28).double()
    (phase,) = detector.phases(networks)
    images = torch.rand(5, 1, 28, 28, dtype=torch.float64)
    phase.step(images, 1)
    return networks, dict(phase.optimizers), images


def test_step_descends_the_losses_of_the_paper() -> None:
    networks, _, x = one_step()
    r, d = networks.reconstructor, networks.discriminator
    inside = torch.sigmoid

    loss_d = -(inside(d(x)).log().mean() + (1 - inside(d(r(x).detach()))).log().mean())
    for parameter, gradient in zip(
        d.parameters(), torch.autograd.grad(loss_d, list(d.parameters())), strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient)

    reconstructed = r(x)
    loss_r = -inside(d(reconstructed)).log().mean() + 0.4 * (x - reconstructed).pow(2).sum() / 5
    for parameter, gradient in zip(
        r.parameters(), torch.autograd.grad(loss_r, list(r.parameters())), strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient)


def test_noise_goes_into_the_reconstructor_and_the_clean_image_is_its_aim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def add(images: Tensor, deviation: float) -> Tensor:
        asked.append(deviation)
        return images + 0.1

    monkeypatch.setattr("baselines.alocc.add_noise", add)
    networks, _, x = one_step(noise=0.155)
    assert asked == [0.155]
    r, d = networks.reconstructor, networks.discriminator
    reconstructed = r(x + 0.1)
    loss = softplus(-d(reconstructed)).mean() + 0.4 * (x - reconstructed).pow(2).sum() / 5
    for parameter, gradient in zip(
        r.parameters(), torch.autograd.grad(loss, list(r.parameters())), strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_collapsed_component_fails_though_the_other_one_lives() -> None:
    class Collapsed(ALOCC):
        def anomaly(self, networks: Networks, images: Tensor) -> dict[str, Tensor]:
            d = super().anomaly(networks, images)["d"]
            return {"d": d, "dr": 0.25 + 1e-7 * torch.rand(len(d))}

    images = of_class(1, 20)
    detector = Collapsed(architecture="released", epochs=1, batch_size=8)
    with pytest.raises(FitFailed, match=r"collapsed: .* alike \(dr 0.25\)"):
        detector.fit(images, images, seed=0)


def test_updates_per_step() -> None:
    for steps in (1, 2):
        _, optimizers, _ = one_step(steps)
        taken = {
            name: {float(s["step"]) for s in o.state.values()} for name, o in optimizers.items()
        }
        assert taken == {"d": {1.0}, "r": {float(steps)}}


def test_discriminator_is_trainable_after_the_reconstructor() -> None:
    networks, _, _ = one_step(learning_rate=0.002)
    assert all(p.requires_grad for p in networks.discriminator.parameters())


def test_rmsprop_of_tensorflow() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 3.0)
    optimizer = _rmsprop(layer, 0.01)
    weight, square = 3.0, 1.0
    for gradient in (2.0, -0.5, 0.1):
        layer.weight.grad = torch.tensor([[gradient]])
        optimizer.step()
        square = 0.9 * square + 0.1 * gradient**2
        weight -= 0.01 * gradient / math.sqrt(square + 1e-10)
    assert float(layer.weight.detach()) == pytest.approx(weight, rel=1e-6)
