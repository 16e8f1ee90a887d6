"""The VAE on LSA's autoencoder: its size, its two terms and its score."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from baselines.and_vae import ANDVAE, divergence
from baselines.dae import DAE


@pytest.mark.parametrize(("channels", "hidden"), [(1, 64), (3, 256)])
def test_parameters(channels: int, hidden: int) -> None:
    """The autoencoder's, and a second linear layer to the 64 numbers of the code."""
    autoencoder = sum(p.numel() for p in DAE().build(channels, 28).parameters())
    networks = ANDVAE().build(channels, 28)
    assert sum(p.numel() for p in networks.parameters()) == autoencoder + hidden * 64 + 64
    images = torch.rand(2, channels, 28, 28)
    assert [tuple(part.shape) for part in networks.encode(images)] == [(2, 64), (2, 64)]
    assert networks(images).shape == images.shape


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-4, 4)), min_size=1, max_size=6))
def test_divergence_is_that_of_torch(code: list[tuple[float, float]]) -> None:
    mean, log_variance = torch.tensor(code, dtype=torch.float64).T[:, None]
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)


class Fixed(nn.Module):
    """Two-dimensional code of known mean and log variance; the decoder fills an image with z_0."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([0.5, -1.0]))
        self.log_variance = nn.Parameter(torch.tensor([0.0, torch.log(torch.tensor(4.0))]))
        self.codes: list[Tensor] = []

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean.expand(len(images), 2), self.log_variance.expand(len(images), 2)

    def decoder(self, code: Tensor) -> Tensor:
        self.codes.append(code.detach())
        return code[:, :1, None, None].expand(-1, 1, 28, 28)


KL = (0.25 + 1 - 0 - 1) / 2 + (1 + 4 - 1.3862943611 - 1) / 2


def test_score_is_the_negative_elbo_at_the_mean() -> None:
    network = Fixed()
    images = torch.stack([torch.zeros(1, 28, 28), torch.ones(1, 28, 28), torch.ones(1, 28, 28) / 2])
    scores = ANDVAE().anomaly(network, images)["score"]
    assert scores.tolist() == pytest.approx([784 * 0.25 + KL, 784 * 0.25 + KL, KL])
    assert torch.equal(network.codes[0], network.mean.expand(3, 2))


def test_training_draws_codes_and_sums_the_terms() -> None:
    network = Fixed()
    (phase,) = ANDVAE().phases(network)
    torch.manual_seed(0)
    losses = phase.step(torch.zeros(20_000, 1, 28, 28), 1)
    assert losses["latent"].item() == pytest.approx(KL, rel=1e-5)
    # E|z_0|^2 = 0.5^2 + 1
    assert losses["reconstruction"].item() == pytest.approx(784 * 1.25, rel=0.03)
    total = (losses["reconstruction"] + losses["latent"]).item()
    assert losses["negative_elbo"].item() == pytest.approx(total)
    (codes,) = network.codes
    assert codes.mean(0).tolist() == pytest.approx([0.5, -1.0], abs=0.05)
    assert codes.std(0).tolist() == pytest.approx([1.0, 2.0], rel=0.03)


def test_validation_is_the_mean_of_the_scores() -> None:
    network = Fixed()
    (phase,) = ANDVAE().phases(network)
    images = torch.rand(5, 1, 28, 28)
    losses = phase.validation(images)
    assert next(iter(losses)) == "negative_elbo"
    expected = ANDVAE().anomaly(network, images)["score"].mean().item()
    assert losses["negative_elbo"].item() == pytest.approx(expected)
