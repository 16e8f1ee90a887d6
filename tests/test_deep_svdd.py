"""Deep SVDD: preprocessing, the centre's rule, its two networks, its two losses and its score."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from baselines.deep_svdd import DeepSVDD, away_from_zero, normalise_contrast
from tests.digits import of_class


@pytest.mark.parametrize(
    ("channels", "encoder", "decoder"),
    [
        (1, 25 * (8 + 8 * 4) + 4 * 49 * 32, 25 * (2 * 4 + 4 * 8 + 8)),
        (
            3,
            25 * (3 * 32 + 32 * 64 + 64 * 128) + 128 * 16 * 128,  # 2048 inputs, as at 32x32
            25 * (8 * 128 + 128 * 64 + 64 * 32 + 32 * 3),
        ),
    ],
)
def test_parameters(channels: int, encoder: int, decoder: int) -> None:
    networks = DeepSVDD().build(channels, 28)
    assert sum(p.numel() for p in networks.encoder.parameters()) == encoder
    assert sum(p.numel() for p in networks.decoder.parameters()) == decoder
    for module in networks.modules():
        assert getattr(module, "bias", None) is None
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            assert not module.affine
            assert module.eps == 1e-4


def test_shapes_of_the_cifar_net() -> None:
    networks = DeepSVDD().build(3, 28)
    shapes: list[tuple[int, ...]] = []
    for module in networks.modules():
        if isinstance(module, nn.MaxPool2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda m, i, o: shapes.append(tuple(o.shape[1:])))
    code = networks.encoder(torch.rand(2, 3, 28, 28))
    assert code.shape == (2, 128)
    assert shapes == [(32, 14, 14), (64, 7, 7), (128, 4, 4)]
    shapes.clear()
    output = networks.decoder(code)
    assert output.shape == (2, 3, 28, 28)
    assert output.min() > 0
    assert output.max() < 1
    assert shapes == [(128, 4, 4), (64, 8, 8), (32, 14, 14), (3, 28, 28)]


def test_contrast_by_hand() -> None:
    image = torch.tensor([0.0, 0.0, 0.0, 1.0]).view(1, 1, 2, 2)
    # Mean 0.25; deviations 0.25 three times and 0.75, whose mean is 0.375.
    expected = torch.tensor([-2 / 3, -2 / 3, -2 / 3, 2.0]).view(1, 1, 2, 2)
    torch.testing.assert_close(normalise_contrast(image), expected)
    assert not normalise_contrast(torch.full((1, 3, 4, 4), 0.3)).any()


@given(
    arrays(np.uint8, (2, 3, 4, 4)).filter(lambda a: all(np.ptp(image) > 0 for image in a)),
    st.floats(0.1, 0.9),
)
def test_contrast_takes_all_channels_and_no_other_image(pixels: np.ndarray, gain: float) -> None:
    images = torch.from_numpy(pixels).double() / 255
    normal = normalise_contrast(images)
    torch.testing.assert_close(normal.mean((1, 2, 3)), torch.zeros(2).double())
    torch.testing.assert_close(normal.abs().mean((1, 2, 3)), torch.ones(2).double())
    torch.testing.assert_close(normalise_contrast(images[1:]), normal[1:])
    torch.testing.assert_close(normalise_contrast(images * gain + 0.05), normal)


def test_centre_s_rule() -> None:
    centre = torch.tensor([0.05, -0.05, 0.0, 0.1, -0.1, 0.7, -0.3])
    expected = torch.tensor([0.1, -0.1, 0.0, 0.1, -0.1, 0.7, -0.3])
    assert torch.equal(away_from_zero(centre), expected)


class Corners(nn.Module):
    """Two numbers of a code: the image's first and last pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * images.flatten(1)[:, [0, -1]]


def pixels_of(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def test_training_inliers_fill_the_unit_range() -> None:
    images = of_class(0, 40)
    networks = DeepSVDD().build(1, 28)
    DeepSVDD().phases(networks)[0].begin(pixels_of(images))
    flat = images.reshape(40, -1) / 255
    flat = flat - flat.mean(1, keepdims=True)
    flat /= np.abs(flat).mean(1, keepdims=True)
    assert networks.lowest.item() == pytest.approx(flat.min(), rel=1e-5)
    assert networks.highest.item() == pytest.approx(flat.max(), rel=1e-5)
    prepared = networks.prepare(pixels_of(images) / 255)
    expected = (flat - flat.min()) / (flat.max() - flat.min())
    np.testing.assert_allclose(prepared.flatten(1).numpy(), expected, atol=1e-5)
    # Stronger contrast leaves the range: the constants are the inliers'.
    dot = torch.zeros(1, 1, 28, 28)
    dot[0, 0, 3, 3] = 1
    assert networks.prepare(dot).max() > 1


def test_centre_is_the_mean_code_of_the_training_images() -> None:
    networks = DeepSVDD().build(1, 28)
    networks.encoder = Corners()
    networks.centre = torch.zeros(2)
    networks.lowest.fill_(-1.0)
    images = np.zeros((300, 28, 28, 1), np.uint8)
    images[:, 5, 5] = 200
    images[:100, 0, 0] = 255
    DeepSVDD().phases(networks)[1].begin(pixels_of(images))
    codes = networks.prepare(pixels_of(images) / 255).flatten(1)[:, [0, -1]]
    assert networks.centre.tolist() == pytest.approx(codes.mean(0).tolist(), rel=1e-4)


def test_score_and_loss_are_the_squared_distance() -> None:
    networks = DeepSVDD().build(1, 28)
    networks.encoder = Corners()
    networks.centre = torch.tensor([0.5, -1.0])
    networks.lowest.fill_(-2.0)
    networks.highest.fill_(2.0)
    images = torch.zeros(2, 1, 28, 28)
    images[0, 0, 14:] = 1
    images[1, 0, 0, 0] = 1
    # Half the pixels one: contrast -1 and 1, which the range -2..2 takes to 0.25 and 0.75. One
    # pixel one: mean 1/784, mean deviation 2 (783/784) / 784, contrast 392 and -392/783.
    first = (0.25 - 0.5) ** 2 + (0.75 + 1) ** 2
    second = ((392 + 2) / 4 - 0.5) ** 2 + ((2 - 392 / 783) / 4 + 1) ** 2
    detector = DeepSVDD()
    assert detector.anomaly(networks, images)["score"].tolist() == pytest.approx([first, second])
    _, svdd = detector.phases(networks)
    expected = pytest.approx((first + second) / 2)
    assert svdd.validation(images)["distance"].item() == expected
    assert svdd.step(images, 1)["distance"].item() == expected
    assert networks.encoder.factor.item() != 1


def test_svdd_leaves_the_decoder_and_the_centre() -> None:
    train, validation = of_class(0, 60)[:40], of_class(0, 60)[40:]
    short = DeepSVDD(pretrain_epochs=2, epochs=1, batch_size=16, learning_rate=1e-3)
    longer = DeepSVDD(pretrain_epochs=2, epochs=3, batch_size=16, learning_rate=1e-3)
    one, other = (d.fit(train, validation, seed=0)._networks("last") for d in (short, longer))
    assert torch.equal(one.centre, other.centre)
    assert one.centre.abs().min() >= 0.1 - 1e-7
    for name, weight in one.decoder.state_dict().items():
        assert torch.equal(weight, other.decoder.state_dict()[name]), name
    assert not torch.equal(one.encoder[0].weight, other.encoder[0].weight)
    assert longer.facts["epochs"] == 5
    assert longer.facts["best_epoch"] >= 3


@pytest.mark.parametrize(
    ("channels", "epochs", "drop", "decay"), [(1, 150, 50, 5e-4), (3, 350, 250, 5e-7)]
)
def test_schedule(channels: int, epochs: int, drop: int, decay: float) -> None:
    detector = DeepSVDD()
    pretraining, svdd = detector.phases(detector.build(channels, 28))
    assert (pretraining.epochs, pretraining.batch_size) == (epochs, 200)
    assert [pretraining.schedule(epoch) for epoch in (drop, drop + 1)] == [1, 0.1]
    (group,) = pretraining.optimizers["autoencoder"].param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-4, decay)
    assert (svdd.epochs, svdd.batch_size) == (150, 200)
    assert [svdd.schedule(epoch) for epoch in (50, 51)] == [1, 0.1]
    (group,) = svdd.optimizers["svdd"].param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-4, 5e-7)


def test_given_pretraining_goes_before_the_paper_s() -> None:
    detector = DeepSVDD(pretrain_epochs=7, pretrain_drop_epoch=0, pretrain_weight_decay=0)
    pretraining, _ = detector.phases(detector.build(3, 28))
    assert pretraining.epochs == 7
    assert pretraining.schedule(1) == 0.1
    assert pretraining.optimizers["autoencoder"].param_groups[0]["weight_decay"] == 0
