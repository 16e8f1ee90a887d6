"""AnoGAN: its networks, its search, each image on its own, and its score on fixed networks."""

import math

import pytest
import torch
from torch import Tensor, nn

from baselines.anogan import AnoGAN, Networks, Target, search, search_loss, to_symmetric
from tests.digits import of_class


@pytest.mark.parametrize("c", [1, 3])
def test_parameters(c: int) -> None:
    """The convolutions of the 64x64 net; linear layers for 2x2 in place of 4x4."""
    convolutions = 25 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * c)
    generator = 100 * 512 * 4 + 512 * 4 + convolutions + 256 + 128 + 64 + c
    generator += 2 * (512 + 256 + 128 + 64)
    discriminator = convolutions + 64 + 128 + 256 + 512 + 2 * (128 + 256 + 512) + 512 * 4 + 1
    networks = AnoGAN().build(c, 28)
    assert sum(p.numel() for p in networks.generator.parameters()) == generator
    assert sum(p.numel() for p in networks.parameters()) == generator + discriminator


def test_shapes() -> None:
    networks = AnoGAN(width=2, latent=5).build(3, 28)
    shapes: list[tuple[int, int]] = []
    for module in networks.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda m, i, o: shapes.append((o.shape[1], o.shape[2])))
    images = networks.generator(networks.draw_codes(4))
    assert images.shape == (4, 3, 28, 28)
    assert images.min() > -1
    assert images.max() < 1
    assert shapes == [(8, 4), (4, 7), (2, 14), (3, 28)]
    shapes.clear()
    assert networks.features(images).shape == (4, 16 * 2 * 2)
    assert networks.discriminate(images).shape == (4,)
    assert shapes[:4] == [(2, 14), (4, 7), (8, 4), (16, 2)]


def test_no_norm_next_to_the_image() -> None:
    networks = AnoGAN(width=2).build(1, 28)
    widths = [m.num_features for m in networks.generator if isinstance(m, nn.BatchNorm2d)]
    assert widths == [16, 8, 4, 2]
    widths = [m.num_features for m in networks.features if isinstance(m, nn.BatchNorm2d)]
    assert widths == [4, 8, 16]


def test_weights_are_drawn_as_in_dcgan() -> None:
    torch.manual_seed(0)
    networks = AnoGAN(width=16).build(1, 28)
    for module in networks.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert not module.bias.any()
            if module.weight.numel() > 10_000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.02)


class Plain(nn.Module):
    """Draws an image of one value, z; has that value, tripled, as the one feature."""

    latent = 1

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(()))

    def generator(self, codes: Tensor) -> Tensor:
        return (self.slope * codes)[:, :, None, None].expand(-1, 1, 28, 28)

    def features(self, images: Tensor) -> Tensor:
        return 3 * images[:, 0, 0, :1]

    def draw_codes(self, count: int) -> Tensor:
        return torch.zeros(count, 1)


def target_of(networks: nn.Module, images: Tensor) -> Target:
    with torch.no_grad():
        return Target(images, networks.features(images))


def test_loss_by_hand() -> None:
    networks = Plain()
    images = torch.full((2, 1, 28, 28), 0.5)
    images[1, 0, 0, 0] = -1
    codes = torch.tensor([[0.25], [0.25]])
    loss = search_loss(networks, target_of(networks, images), codes, 0.1)
    first = 0.9 * 784 * 0.25 + 0.1 * 3 * 0.25
    second = 0.9 * (783 * 0.25 + 1.25) + 0.1 * 3 * 1.25
    assert loss.tolist() == pytest.approx([first, second])


def test_score_is_the_loss_after_the_search() -> None:
    """Adam on a function of constant slope goes one learning rate a step: 0, 0.02, ..., 0.1."""
    networks = Plain()
    images = torch.stack([torch.full((1, 28, 28), value) for value in (0.75, 0.25)])
    detector = AnoGAN(search_steps=5, search_learning_rate=0.02)
    scores = detector.anomaly(networks, images)["score"]
    # In [-1, 1] the images are 0.5 and -0.5, the starts 0, the ends 0.1 and -0.1.
    assert scores.tolist() == pytest.approx([0.9 * 784 * 0.4 + 0.1 * 3 * 0.4] * 2, rel=1e-4)
    assert networks.slope.requires_grad
    assert networks.slope.grad is None


def test_an_image_within_reach_is_found() -> None:
    networks = Plain()
    images = torch.full((1, 1, 28, 28), 0.3)
    codes = search(
        networks,
        target_of(networks, images),
        torch.zeros(1, 1),
        steps=400,
        learning_rate=0.01,
        feature_weight=0.1,
    )
    assert codes.item() == pytest.approx(0.3, abs=0.01)


def test_feature_weight_alone_decides_what_is_found() -> None:
    """The corner asks for 1, the rest for 0: features see the corner, pixels mostly the rest."""
    networks = Plain()
    images = torch.zeros(1, 1, 28, 28)
    images[0, 0, 0, 0] = 1
    target = target_of(networks, images)
    start, options = torch.full((1, 1), 0.5), {"steps": 300, "learning_rate": 0.01}
    assert search(networks, target, start, feature_weight=1, **options).item() > 0.95
    assert search(networks, target, start, feature_weight=0, **options).item() < 0.05


def test_each_image_is_searched_for_on_its_own() -> None:
    """In double precision, where the order of sums has no say: codes equal those found alone."""
    torch.manual_seed(0)
    networks = Networks(1, 6, 2).double()
    images = torch.rand(4, 1, 28, 28, dtype=torch.float64) * 2 - 1
    for _ in range(3):  # running averages that are not those of these images
        networks.features(networks.generator(networks.draw_codes(8).double()))
    networks.eval()
    start = networks.draw_codes(1).double()
    options = {"steps": 20, "learning_rate": 0.05, "feature_weight": 0.1}

    def searched(batch: Tensor) -> Tensor:
        with torch.no_grad():
            return search(networks, target_of(networks, batch), start, **options)

    together = searched(images)
    assert together.unique(dim=0).shape[0] == 4
    for k in range(4):
        torch.testing.assert_close(searched(images[k : k + 1]), together[k : k + 1])
    torch.testing.assert_close(searched(images.flip(0)).flip(0), together)
    others = images.clone()
    others[1:] = 0
    torch.testing.assert_close(searched(others)[:1], together[:1])


def test_search_lowers_the_loss_and_leaves_the_networks() -> None:
    torch.manual_seed(0)
    networks = Networks(1, 6, 4).eval()
    target = target_of(networks, networks.generator(networks.draw_codes(3)).detach())
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    start = networks.draw_codes(1)
    options = {"learning_rate": 0.02, "feature_weight": 0.1}
    first, last = (
        search_loss(networks, target, search(networks, target, start, steps=n, **options), 0.1)
        for n in (1, 100)
    )
    assert (last < first).all()
    for name, value in networks.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None and p.requires_grad for p in networks.parameters())


class Scalars(nn.Module):
    """A generator that draws its weight, and a discriminator whose logit is weight * mean."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.5))
        self.slope = nn.Parameter(torch.tensor(2.0))
        self.generator = Drawn(self.value)
        self.features = nn.Flatten()
        self.logit = Mean(self.slope)
        self.latent = 3

    def draw_codes(self, count: int) -> Tensor:
        return torch.zeros(count, 3)

    def discriminate(self, images: Tensor) -> Tensor:
        return self.logit(self.features(images))


class Drawn(nn.Module):
    def __init__(self, value: nn.Parameter) -> None:
        super().__init__()
        self.value = value

    def forward(self, codes: Tensor) -> Tensor:
        return self.value.expand(len(codes), 1, 28, 28)


class Mean(nn.Module):
    def __init__(self, slope: nn.Parameter) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, features: Tensor) -> Tensor:
        return self.slope * features.mean(1)


def test_training_step_by_hand() -> None:
    networks = Scalars()
    (phase,) = AnoGAN(learning_rate=0.01).phases(networks)
    losses = phase.step(torch.ones(4, 1, 28, 28), 1)
    # Real images have the logit 2, drawn ones 2 * 0.5.
    expected = math.log1p(math.exp(-2)) + math.log1p(math.exp(1))
    assert losses["discriminator"].item() == pytest.approx(expected)
    # The slope's derivative is -1 / (1 + e^2) + 0.5 / (1 + e^-1) > 0, so Adam takes it to 1.99;
    # the generator then sees the new discriminator, and raises its value.
    assert networks.slope.item() == pytest.approx(1.99)
    assert losses["generator"].item() == pytest.approx(math.log1p(math.exp(-1.99 * 0.5)))
    assert networks.value.item() == pytest.approx(0.51)


def test_optimisers() -> None:
    detector = AnoGAN()
    networks = detector.build(1, 28)
    (phase,) = detector.phases(networks)
    assert (phase.epochs, phase.batch_size) == (20, 128)
    parts = {
        "generator": [networks.generator],
        "discriminator": [networks.features, networks.logit],
    }
    for name, modules in parts.items():
        (group,) = phase.optimizers[name].param_groups
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
        expected = {id(p) for module in modules for p in module.parameters()}
        assert {id(p) for p in group["params"]} == expected


def test_validation_is_the_pixel_residual_of_a_short_search() -> None:
    networks = Plain()
    detector = AnoGAN(validation_steps=3, search_learning_rate=0.1)
    detector_phase = detector.phases(_with_parts(networks))[0]
    images = torch.full((2, 1, 28, 28), 0.75)
    with torch.no_grad():
        residual = detector_phase.validation(images)["residual"]
    assert residual.item() == pytest.approx(784 * 0.2, rel=1e-4)


def _with_parts(networks: Plain) -> nn.Module:
    """The modules that optimisers are made for, with the functions of ``Plain``."""
    parts = nn.Module()
    parts.generator, parts.features, parts.logit = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    parts.generator.forward = networks.generator
    parts.features.forward = networks.features
    parts.draw_codes = networks.draw_codes
    return parts


def test_images_are_scaled_to_the_range_of_tanh() -> None:
    assert to_symmetric(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1, 0, 1]


def test_reconstructions_are_what_the_score_compares_with() -> None:
    images = of_class(0, 40)
    detector = AnoGAN(
        epochs=2, batch_size=16, width=2, search_steps=3, validation_steps=1, feature_weight=0.0
    )
    detector.fit(images[:30], images[30:], seed=0)
    drawn = detector.reconstruct(images[30:])
    residual = abs(images[30:] / 127.5 - drawn / 127.5).sum((1, 2, 3))
    # Rounding to 255 levels: at most half a level a pixel.
    assert detector.score(images[30:])["score"] == pytest.approx(residual, abs=784 / 255)
