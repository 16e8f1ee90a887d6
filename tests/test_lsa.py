"""LSA: the estimator sees no later dimension; its likelihood, its losses and its score."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from baselines._networks import count_parameters
from baselines.lsa import LSA, Estimator, MaskedLinear, negative_log_likelihood, scaled
from benchmark import published
from tests.digits import of_class


def dense(before: int, after: int) -> int:
    return before * after + after


def test_parameters() -> None:
    estimator = dense(64, 2048) + 3 * dense(2048, 2048) + dense(2048, 6400)
    for channels, autoencoder in ((1, 565_296), (3, 4_701_888)):  # as in test_dae
        networks = LSA().build(channels, 28)
        assert sum(p.numel() for p in networks.estimator.parameters()) == estimator == 25_835_776
        assert sum(p.numel() for p in networks.parameters()) == estimator + autoencoder
        assert count_parameters(networks) == 13_124_864 + autoencoder


def test_count_published_for_it() -> None:
    (row,) = (row for row in published.load() if row.run_method == "lsa" and row.place == "Table 6")
    assert count_parameters(LSA().build(1, 28)) == row.value == 13_690_160


def test_unmasked_weights() -> None:
    """Pairs of dimensions: 64 63 / 2 strict ones, 64 65 / 2 with the own."""
    layers = [m for m in Estimator(64, 32, 100).modules() if isinstance(m, MaskedLinear)]
    counts = [int(layer.mask.sum()) for layer in layers]
    assert counts == [2016 * 32, *[2080 * 32 * 32] * 3, 2080 * 32 * 100]
    assert sum(counts) + 4 * 2048 + 6400 == 13_124_864


@given(st.integers(0, 7), st.floats(0, 1), st.integers(0, 2**16))
def test_estimator_is_causal(place: int, value: float, seed: int) -> None:
    """Outputs of dimensions up to the changed one stay, bit for bit; a later one changes."""
    generator = torch.manual_seed(seed)
    estimator = Estimator(8, 3, 5).double()
    codes = torch.rand(2, 8, generator=generator).double()
    changed = codes.clone()
    changed[:, place] = (codes[:, place] + 0.3 + 0.4 * value) % 1
    with torch.no_grad():
        before, after = estimator(codes), estimator(changed)
    assert before.shape == (2, 8, 5)
    assert torch.equal(before[:, : place + 1], after[:, : place + 1])
    assert place == 7 or not torch.equal(before[:, place + 1 :], after[:, place + 1 :])


def test_every_earlier_dimension_is_seen() -> None:
    torch.manual_seed(0)
    estimator = Estimator(6, 8, 4)
    jacobian = torch.autograd.functional.jacobian(lambda z: estimator(z[None])[0], torch.rand(6))
    dependence = jacobian.abs().sum(1) > 0
    assert torch.equal(dependence, torch.ones(6, 6).tril(-1).bool())


def test_masked_weights_stay() -> None:
    """Training changes neither the outputs' blindness nor the masked weights."""
    torch.manual_seed(0)
    estimator = Estimator(4, 3, 5)
    layers = [m for m in estimator.modules() if isinstance(m, MaskedLinear)]
    hidden = [layer.weight.detach()[~layer.mask].clone() for layer in layers]
    adam = torch.optim.Adam(estimator.parameters(), lr=0.1)
    codes = torch.rand(16, 4)
    for _ in range(3):
        adam.zero_grad()
        negative_log_likelihood(estimator(codes), codes).mean().backward()
        adam.step()
    for layer, values in zip(layers, hidden, strict=True):
        assert torch.equal(layer.weight.detach()[~layer.mask], values)
    assert estimator(codes)[:, 0].unique(dim=0).shape[0] == 1


def test_negative_log_likelihood_by_hand() -> None:
    """Four bins of probability 0.1, 0.2, 0.3, 0.4 in one dimension, uniform in the other."""
    logits = torch.stack([torch.tensor([0.1, 0.2, 0.3, 0.4]).log(), torch.zeros(4)])[None]
    codes = torch.tensor([[0.0, 0.5], [0.249, 0.0], [0.25, 1.0], [0.74, 0.1], [1.0, 0.9]])
    picked = torch.tensor([0.1, 0.1, 0.2, 0.3, 0.4])
    expected = -picked.log() + math.log(4)
    torch.testing.assert_close(negative_log_likelihood(logits.expand(5, 2, 4), codes), expected)


def test_density_sums_to_one() -> None:
    """Over all codes of two dimensions, one in the middle of each pair of bins."""
    torch.manual_seed(0)
    estimator = Estimator(2, 4, 6).double()
    middles = (torch.arange(6).double() + 0.5) / 6
    codes = torch.cartesian_prod(middles, middles)
    with torch.no_grad():
        total = (-negative_log_likelihood(estimator(codes), codes)).exp()
    # The second conditional depends on z_1 itself, not on its bin, and z_1 is fixed within a bin.
    assert total.sum().item() == pytest.approx(1)


def test_gradient_reaches_the_code_through_the_estimator_alone() -> None:
    codes = torch.tensor([[0.3, 0.8]], requires_grad=True)
    negative_log_likelihood(torch.zeros(1, 2, 10, requires_grad=True), codes).sum().backward()
    assert codes.grad is None
    estimator = Estimator(2, 4, 10)
    negative_log_likelihood(estimator(codes), codes).sum().backward()
    assert codes.grad is not None
    assert codes.grad[0, 0] != 0
    assert codes.grad[0, 1] == 0  # nothing comes after the last dimension


def test_scaled_is_not_clipped() -> None:
    terms = torch.tensor([[1.0, 5.0], [3.0, 5.0], [0.0, 7.0]])
    low, high = torch.tensor([1.0, 5.0]), torch.tensor([3.0, 5.0])
    assert scaled(terms, low, high).tolist() == [[0, 0], [1, 0], [-0.5, 2]]


class Fixed(nn.Module):
    """The first two pixels of an image, as its two terms."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.lowest = torch.zeros(2)
        self.highest = torch.ones(2)

    def terms(self, images: Tensor) -> Tensor:
        return self.factor * images.flatten(1)[:, :2]


def with_corner(*pairs: tuple[int, int]) -> Tensor:
    images = torch.zeros(len(pairs), 1, 28, 28, dtype=torch.uint8)
    images[:, 0, 0, :2] = torch.tensor(pairs, dtype=torch.uint8)
    return images


def test_score_is_minus_the_novelty_score() -> None:
    network, detector = Fixed(), LSA()
    validation = with_corner((51, 102), (153, 0), (102, 204))
    with torch.no_grad():
        detector.calibrate(network, with_corner((255, 255), (0, 0)), validation)
    assert network.lowest.tolist() == pytest.approx([0.2, 0])
    assert network.highest.tolist() == pytest.approx([0.6, 0.8])
    scores = detector.anomaly(network, with_corner((51, 0), (153, 204), (255, 102), (0, 0)) / 255)
    # Normalised log-likelihood and minus error, each from the extremes of minus the terms.
    novelty = [
        (-0.2 + 0.6) / 0.4 + (-0.0 + 0.8) / 0.8,
        (-0.6 + 0.6) / 0.4 + (-0.8 + 0.8) / 0.8,
        (-1.0 + 0.6) / 0.4 + (-0.4 + 0.8) / 0.8,
        (-0.0 + 0.6) / 0.4 + (-0.0 + 0.8) / 0.8,
    ]
    assert scores["score"].tolist() == pytest.approx([2 - value for value in novelty], abs=1e-6)


def test_losses_and_best_model() -> None:
    network = Fixed()
    (phase,) = LSA(likelihood_weight=3, learning_rate=0.1).phases(network)
    images = with_corner((51, 102), (153, 0)) / 255
    losses = phase.validation(images)
    assert list(losses) == ["reconstruction", "likelihood"]
    assert [value.item() for value in losses.values()] == pytest.approx([0.4, 0.2])
    phase.step(images, 1)
    # Adam's first step is against the sign of 0.4 + 3 * 0.2 at factor 1.
    assert network.factor.item() == pytest.approx(0.9)


def test_terms_are_those_of_the_parts() -> None:
    torch.manual_seed(0)
    networks = LSA(width=2, bins=10).build(1, 28).eval()
    images = torch.rand(3, 1, 28, 28)
    codes = networks.encoder(images)
    error = (images - networks(images)).pow(2).sum((1, 2, 3))
    probabilities = networks.estimator(codes).softmax(2)
    index = (10 * codes).floor().long()
    picked = probabilities.gather(2, index[:, :, None])[..., 0]
    expected = torch.stack([error, -picked.log().sum(1)], 1)
    torch.testing.assert_close(networks.terms(images), expected)


def test_validation_images_span_two_units() -> None:
    images = of_class(0, 60)
    detector = LSA(epochs=1, batch_size=16, width=2, bins=10)
    detector.fit(images[:40], images[40:], seed=0)
    for model in ("best", "last"):
        scores = detector.score(images[40:], model)["score"]
        assert scores.min() >= -1e-4
        assert scores.max() <= 2 + 1e-4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_validation_images_are_no_collapse(count: int) -> None:
    """Two images with the terms (0, 1) and (1, 0), each scaled to its range, have one score."""
    random = np.random.default_rng(0)
    train, held = (random.integers(0, 256, (n, 28, 28, 1), np.uint8) for n in (6, count))
    for seed in range(4):
        detector = LSA(epochs=1, width=4).fit(train, held, seed=seed)
        assert np.ptp(detector.score(train)["score"]) > 0


def test_schedule() -> None:
    (phase,) = LSA().phases(LSA(width=1, bins=2).build(1, 28))
    assert (phase.epochs, phase.batch_size) == (200, 64)
    assert phase.optimizers["adam"].param_groups[0]["lr"] == 1e-4
    assert [phase.schedule(epoch) for epoch in (1, 200)] == [1, 1]
