"""GPND: its networks and losses, the Jacobians and the split, the fitted densities, the score."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from baselines._gpnd_density import (
    TINY,
    decoder_tangents,
    encoder_tangents,
    fit_gennorm,
    fit_histogram,
    gennorm_log_density,
    histogram_log_density,
    log_determinant,
    normal_part,
    sphere_log_density,
)
from baselines._gpnd_networks import Networks, enlarge, reduce
from baselines.gpnd import GPND, adversarial_loss, discriminator_loss
from tests.digits import of_class

SMALL = {"width": 4, "latent": 3}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def convolution(before: int, after: int) -> int:
    return 16 * before * after + after


def down(c: int, first: int, d: int, outputs: int) -> int:
    layers = convolution(c, first) + convolution(first, 2 * d) + convolution(2 * d, 4 * d)
    return layers + 2 * (2 * d) + 2 * (4 * d) + convolution(4 * d, outputs)


def up(latent: int, d: int, c: int) -> int:
    layers = convolution(latent, 2 * d) + convolution(2 * d, 2 * d) + convolution(2 * d, d)
    return layers + 2 * (2 * d + 2 * d + d) + convolution(d, c)


@pytest.mark.parametrize("c", [1, 3])
def test_parameters_of_2018(c: int) -> None:
    networks = GPND().build(c, 28)
    assert count(networks.encoder) == down(c, 64, 128, 32)
    assert count(networks.generator) == up(32, 128, c)
    assert count(networks.visual) == down(c, 64, 128, 1)
    assert count(networks.latent) == 33 * 128 + 129 * 128 + 129
    assert count(networks) == {1: 6_724_515, 3: 6_732_709}[c]
    if c == 1:
        unused = convolution(10, 256) + 2 * 256  # ten labels into the generator, with batch norm
        assert count(networks) + unused == 6_766_243  # GradCon's table


@pytest.mark.parametrize("c", [1, 3])
def test_parameters_of_2020(c: int) -> None:
    networks = GPND(architecture="released_2020", latent=16).build(c, 28)
    assert count(networks.encoder) == down(c, 128, 128, 16)
    assert count(networks.visual) == down(c, 64, 128, 1)
    assert count(networks) == {1: 6_789_075, 3: 6_799_317}[c]


def test_sizes() -> None:
    networks = GPND(**SMALL).build(3, 28)
    shapes: list[tuple[int, int]] = []
    for module in (*networks.encoder, *networks.generator):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda m, i, o: shapes.append((o.shape[1], o.shape[3])))
    x = enlarge(torch.rand(2, 3, 28, 28))
    codes = networks.encoder(x)
    images = networks.generate(codes)
    assert shapes == [(2, 16), (8, 8), (16, 4), (3, 1), (8, 4), (8, 8), (4, 16), (3, 32)]
    assert codes.shape == (2, 3)
    assert images.shape == (2, 3, 32, 32)
    assert networks.visual(x).shape == networks.latent(codes).shape == (2,)
    # The original's last activation.
    torch.testing.assert_close(images, networks.generator(codes).tanh() * 0.5 + 0.5)


def test_initial_weights() -> None:
    for module in GPND().build(1, 28).modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert module.bias.abs().max() == 0
            if module.weight.numel() > 10_000:
                assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("size", [28, 32])
def test_resizing(size: int) -> None:
    ramp = torch.linspace(0, 1, size).expand(2, 1, size, size)
    large = enlarge(ramp)
    assert large.shape == (2, 1, 32, 32)
    steps = large[0, 0, 7].diff()[2:-2]
    torch.testing.assert_close(steps, steps[0].expand(27), rtol=1e-3, atol=1e-5)
    assert float((reduce(large, size) - ramp).abs().max()) < 0.02


def test_codes_must_be_shorter_than_images() -> None:
    with pytest.raises(ValueError, match="latent 1024: must be less than 1024 pixels"):
        GPND(latent=1024, width=1).build(1, 28)


# Losses


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_losses_of_known_probabilities() -> None:
    true = torch.tensor([logit(0.8), logit(0.5)])
    false = torch.tensor([logit(0.25), logit(0.9)])
    expected = (-math.log(0.8) - math.log(0.5)) / 2 + (-math.log(0.75) - math.log(0.1)) / 2
    assert float(discriminator_loss(true, false)) == pytest.approx(expected)
    assert float(adversarial_loss(false)) == pytest.approx(-(math.log(0.25) + math.log(0.9)) / 2)


def one(p: Tensor) -> Tensor:
    return binary_cross_entropy(torch.sigmoid(p), torch.ones_like(p))


def zero(p: Tensor) -> Tensor:
    return binary_cross_entropy(torch.sigmoid(p), torch.zeros_like(p))


def test_step_descends_the_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    detector = GPND(**SMALL, learning_rate=1e-30)
    networks = detector.build(1, 28).double()
    (phase,) = detector.phases(networks)
    draws = [torch.randn(5, 3, dtype=torch.float64) for _ in range(3)]
    left = iter(draws)
    monkeypatch.setattr(torch, "randn", lambda *size, **kind: next(left))
    descended = record_gradients(phase.optimizers)
    images = torch.rand(5, 1, 28, 28, dtype=torch.float64)
    losses = phase.step(images, 1)

    encoder, generate = networks.encoder, networks.generate
    visual, latent = networks.visual, networks.latent
    x = enlarge(images)
    codes = encoder(x)
    expected = {
        "visual": one(visual(x)) + zero(visual(generate(draws[0]).detach())),
        "generator": one(visual(generate(draws[1]))),
        "latent": one(latent(draws[2])) + zero(latent(codes.detach())),
        "autoencoder": binary_cross_entropy(generate(codes), x) + 2 * one(latent(codes)),
    }
    assert list(descended) == list(expected)
    for name, optimizer in phase.optimizers.items():
        parameters = optimizer.param_groups[0]["params"]
        gradients = torch.autograd.grad(expected[name], parameters, retain_graph=True)
        for descent, gradient in zip(descended[name], gradients, strict=True):
            torch.testing.assert_close(descent, gradient)
    assert losses["visual"].item() == pytest.approx(expected["visual"].item())
    assert losses["latent"].item() == pytest.approx(expected["latent"].item())
    total = losses["reconstruction"] + 2 * losses["latent_adversarial"]
    assert total.item() == pytest.approx(expected["autoencoder"].item())
    assert all(p.requires_grad for p in networks.parameters())


def record_gradients(optimizers: dict) -> dict[str, list[Tensor]]:
    """The gradients that each optimiser finds at its step, in the order of the steps."""
    recorded: dict[str, list[Tensor]] = {}

    def hook(name: str) -> object:
        def record(optimizer: torch.optim.Optimizer, *_: object) -> None:
            assert name not in recorded
            recorded[name] = [p.grad.clone() for p in optimizer.param_groups[0]["params"]]

        return record

    for name, optimizer in optimizers.items():
        optimizer.register_step_pre_hook(hook(name))
    return recorded


def test_learning_rate() -> None:
    """0.002 in epochs 1 to 29, a quarter from 30, a sixteenth from 60."""
    (phase,) = GPND(**SMALL).phases(GPND(**SMALL).build(1, 28))
    assert [phase.schedule(e) for e in (1, 29, 30, 59, 60, 80)] == [
        1,
        1,
        1 / 4,
        1 / 4,
        1 / 16,
        1 / 16,
    ]


# Jacobians, tangent and normal parts


def trained_looking(channels: int = 1) -> Networks:
    """Networks in evaluation mode whose batch norms are not the identity."""
    torch.manual_seed(0)
    networks = GPND(**SMALL).build(channels, 28).double()
    for module in networks.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.001, 0.1)
    return networks.eval()


@pytest.mark.parametrize("channels", [1, 3])
def test_encoder_tangents_against_a_loop(channels: int) -> None:
    networks = trained_looking(channels)
    images = torch.rand(4, channels, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        tangents = encoder_tangents(networks.encoder, images)
    assert tangents.shape == (4, 3, channels * 1024)
    for image, rows in zip(images, tangents, strict=True):
        x = image.unsqueeze(0).requires_grad_()
        code = networks.encoder(x)[0]
        for value, row in zip(code, rows, strict=True):
            (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
            torch.testing.assert_close(row, gradient.flatten())
    assert not tangents.requires_grad


def test_decoder_tangents_against_autograd_and_differences() -> None:
    networks = trained_looking()
    codes = torch.randn(4, 3, dtype=torch.float64)
    with torch.no_grad():
        tangents = decoder_tangents(networks.generate, codes)
    assert tangents.shape == (4, 3, 1024)
    for code, rows in zip(codes, tangents, strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda z: networks.generate(z.unsqueeze(0)).flatten(), code
        )
        torch.testing.assert_close(rows, jacobian.T)
    step = torch.zeros_like(codes)
    step[:, 1] = 1e-6
    with torch.no_grad():
        moved = (networks.generate(codes + step) - networks.generate(codes - step)) / 2e-6
    torch.testing.assert_close(tangents[:, 1], moved.flatten(1), rtol=1e-4, atol=1e-8)


def test_linear_maps_have_their_matrices() -> None:
    matrix = torch.randn(3, 7, dtype=torch.float64)
    x, z = torch.randn(5, 7, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    for tangents in (
        encoder_tangents(lambda x: x @ matrix.T, x),
        decoder_tangents(lambda z: z @ matrix, z),
    ):
        torch.testing.assert_close(tangents, matrix.expand(5, 3, 7))
    expected = torch.logdet(matrix @ matrix.T) / 2
    torch.testing.assert_close(log_determinant(matrix.expand(5, 3, 7)), expected.expand(5))


def test_log_determinant_of_a_dead_encoder_is_finite() -> None:
    assert torch.isfinite(log_determinant(torch.zeros(2, 3, 7, dtype=torch.float64))).all()


def test_split_of_a_known_plane() -> None:
    """Tangents (1, 1, 0) and (0, 2, 0) span the first two axes, whatever their lengths."""
    tangents = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 2.0, 0.0]]], dtype=torch.float64)
    residual = torch.tensor([[5.0, -3.0, 4.0]], dtype=torch.float64)
    expected = torch.tensor([[0.0, 0.0, 4.0]], dtype=torch.float64)
    torch.testing.assert_close(normal_part(residual, tangents), expected)
    torch.testing.assert_close(
        log_determinant(tangents), torch.tensor([math.log(2.0)], dtype=torch.float64)
    )


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(6, 12))
def test_split_is_orthogonal(seed: int, n: int, m: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tangents = torch.randn(4, n, m, generator=generator, dtype=torch.float64)
    residuals = torch.randn(4, m, generator=generator, dtype=torch.float64)
    normal = normal_part(residuals, tangents)
    assert float((tangents @ normal.unsqueeze(2)).abs().max()) < 1e-9
    along = residuals - normal
    weights = torch.linalg.lstsq(tangents.transpose(1, 2), residuals.unsqueeze(2)).solution
    torch.testing.assert_close(along, (weights.transpose(1, 2) @ tangents).squeeze(1))


# Densities


def test_gennorm_against_scipy() -> None:
    rng = np.random.default_rng(0)
    codes = np.stack(
        [rng.normal(2, 0.5, 800), rng.laplace(-1, 2, 800), rng.uniform(0, 1, 800)], axis=1
    )
    fitted = fit_gennorm(codes)
    for values, (shape, location, scale) in zip(codes.T, fitted.T, strict=True):
        ours = stats.gennorm.logpdf(values, shape, location, scale).sum()
        with np.errstate(all="ignore"):
            theirs = stats.gennorm.logpdf(values, *stats.gennorm.fit(values)).sum()
        assert ours >= theirs - 0.1
    assert fitted[0, :2].tolist() == pytest.approx([2, 1], rel=0.2)
    assert fitted[1, :2].tolist() == pytest.approx([2, -1], abs=0.2)
    points = rng.normal(0, 3, (50, 3))
    density = gennorm_log_density(torch.from_numpy(points), torch.from_numpy(fitted)).numpy()
    with np.errstate(all="ignore"):
        expected = stats.gennorm.logpdf(points, *fitted)
    np.testing.assert_allclose(density, np.maximum(expected, -1000), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5, 0.5], [0.0, 1.0]])
def test_gennorm_of_hardly_any_data_is_finite(values: list[float]) -> None:
    fitted = fit_gennorm(np.array(values).reshape(-1, 1))
    assert np.isfinite(fitted).all()
    assert fitted[[0, 2]].min() > 0
    far = torch.tensor([[1e9], [-1e30], [0.5]], dtype=torch.float64)
    assert torch.isfinite(gennorm_log_density(far, torch.from_numpy(fitted))).all()


def test_histogram() -> None:
    """Ten distances in [1, 4], three bins with 6, 0 and 4 of them."""
    distances = np.array([1, 1.1, 1.2, 1.3, 1.4, 1.5, 3.1, 3.2, 3.3, 4.0])
    edges, density = fit_histogram(distances, 3, "extended")
    assert edges.tolist() == [1, 2, 3, 4]
    assert density.tolist() == pytest.approx([0.6, 0.2, 0.4])
    fallen = fit_histogram(distances, 3, "falling")[1]
    assert fallen.tolist() == pytest.approx([0.6, TINY, 0.4])

    at = torch.tensor([0.25, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 9.0], dtype=torch.float64)
    extended = histogram_log_density(at, *map(torch.from_numpy, (edges, density)), "extended")
    assert extended.exp().tolist() == pytest.approx([0.6, 0.6, 0.6, 0.2, 0.2, 0.4, 0.4, 0.4])
    falling = histogram_log_density(at, *map(torch.from_numpy, (edges, fallen)), "falling")
    logs = [0.15, 0.6, 0.6, TINY, TINY, 0.4, 0.4, TINY]
    assert falling.tolist() == pytest.approx([math.log(p) for p in logs])


def test_histogram_of_equal_distances_is_finite() -> None:
    edges, density = fit_histogram(np.full(5, 2.0), 30, "falling")
    at = torch.tensor([1e-12, 2.0, 1e6], dtype=torch.float64)
    log_density = histogram_log_density(at, *map(torch.from_numpy, (edges, density)), "falling")
    assert torch.isfinite(log_density).all()


@pytest.mark.parametrize("dimensions", [2, 5, 40])
def test_density_on_a_sphere(dimensions: int) -> None:
    """A standard normal vector: its length has a chi density, its direction is uniform."""
    vectors = np.random.default_rng(1).normal(size=(6, dimensions))
    lengths = np.linalg.norm(vectors, axis=1)
    expected = stats.norm.logpdf(vectors).sum(axis=1)
    of_length = torch.from_numpy(stats.chi.logpdf(lengths, dimensions))
    log_density = sphere_log_density(
        of_length, torch.from_numpy(lengths), dimensions, dimensions - 1
    )
    np.testing.assert_allclose(log_density.numpy(), expected)


# The score


class Plane(nn.Module):
    """Codes of the plane that rows of a matrix span: E(x) = A x, G(z) = x0 + B z."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        make = {"generator": generator, "dtype": torch.float64}
        self.into = torch.randn(2, 1024, **make) / 32
        self.out = torch.randn(2, 1024, **make) / 32
        self.centre = torch.rand(1024, **make)
        self.gennorm = torch.tensor([[2.0, 1.5], [0.1, -0.2], [0.8, 1.3]], dtype=torch.float64)
        self.edges = torch.linspace(0.0, 40.0, 31, dtype=torch.float64)
        self.density = torch.linspace(0.002, 0.05, 30, dtype=torch.float64)

    def encoder(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - self.centre) @ self.into.T

    def generate(self, codes: Tensor) -> Tensor:
        return (self.centre + codes @ self.out).unflatten(1, (1, 32, 32))


@pytest.mark.parametrize("normal", ["residual", "projected", "released_2018", "released_2020"])
@pytest.mark.parametrize("tangent", ["decoder", "released_2018", "released_2020"])
def test_score_of_a_plane(tangent: str, normal: str) -> None:
    """All terms of a linear autoencoder written out with numpy and scipy."""
    plane = Plane(0)
    images = torch.rand(4, 1, 32, 32, dtype=torch.float64)
    detector = GPND(latent=2, tangent_term=tangent, normal_term=normal)
    score = detector.anomaly(plane, images)["score"].numpy()

    matrix = {"decoder": plane.out}.get(tangent, plane.into).numpy()
    volume = math.log(math.sqrt(np.linalg.det(matrix @ matrix.T)))
    for image, value in zip(images.flatten(1).numpy(), score, strict=True):
        z = plane.into.numpy() @ (image - plane.centre.numpy())
        residual = image - plane.centre.numpy() - z @ plane.out.numpy()
        if normal == "projected":
            residual = residual - matrix.T @ np.linalg.solve(matrix @ matrix.T, matrix @ residual)
        r = float(np.linalg.norm(residual)) ** (2 if normal == "released_2018" else 1)
        n = 1022 * (0.2 if normal == "released_2020" else 1.0)
        k = n - 1 if normal == "released_2020" else n
        density = float(plane.density[min(int(r / (40 / 30)), 29)])
        if normal == "released_2020" and r > 40:
            density = TINY
        expected = volume if tangent == "released_2018" else -volume
        expected += stats.gennorm.logpdf(z, *plane.gennorm.numpy()).sum()
        expected += math.log(density) - k * math.log(r)
        expected += math.lgamma(n / 2) - math.log(2) - n / 2 * math.log(math.pi)
        assert value == pytest.approx(-expected, rel=1e-9)


def test_signs_of_2018_and_of_the_paper_agree_where_the_encoder_inverts_the_decoder() -> None:
    plane = Plane(0)
    plane.out *= 2
    plane.into = torch.linalg.pinv(plane.out).T.contiguous()
    images = torch.rand(3, 1, 32, 32, dtype=torch.float64)
    paper, first, second = (
        GPND(latent=2, tangent_term=term).anomaly(plane, images)["score"]
        for term in ("decoder", "released_2018", "released_2020")
    )
    torch.testing.assert_close(paper, first)
    assert float((paper - second).abs().min()) > 0.1


@pytest.mark.parametrize("normal", ["residual", "projected", "released_2020"])
def test_calibration_is_of_the_training_images(normal: str) -> None:
    images = of_class(0, 40)
    detector = GPND(**SMALL, epochs=1, batch_size=20, normal_term=normal)
    detector.fit(images, of_class(1, 8), seed=0)
    networks = detector._networks("last")
    x = enlarge(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255)
    with torch.no_grad():
        codes = networks.encoder(x)
        residuals = (x - networks.generate(codes)).double().flatten(1)
    if normal == "projected":
        residuals = normal_part(residuals, decoder_tangents(networks.generate, codes))
    r = residuals.norm(dim=1).numpy()
    counts, edges = np.histogram(r, 30, density=True)
    np.testing.assert_allclose(networks.edges, edges, rtol=1e-5)
    filled = counts > 0
    assert networks.density[torch.from_numpy(~filled)].max() < counts[filled].min()
    expected = fit_gennorm(codes.double().numpy())
    ours = gennorm_log_density(codes.double(), networks.gennorm).sum()
    theirs = gennorm_log_density(codes.double(), torch.from_numpy(expected)).sum()
    assert float(ours) == pytest.approx(float(theirs), rel=1e-3)


def test_scores_of_strange_images_are_finite() -> None:
    images = of_class(0, 30)
    detector = GPND(**SMALL, epochs=1, batch_size=15).fit(images, images[:5], seed=0)
    rng = np.random.default_rng(0)
    strange = np.stack(
        [
            np.zeros((28, 28, 1), np.uint8),
            np.full((28, 28, 1), 255, np.uint8),
            rng.integers(0, 256, (28, 28, 1), dtype=np.uint8),
            255 * rng.integers(0, 2, (28, 28, 1), dtype=np.uint8),
        ]
    )
    assert np.isfinite(detector.score(strange)["score"]).all()
