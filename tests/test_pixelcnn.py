"""PixelCNN: its masks see no later pixel or colour; its likelihood, quantisation and size."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines._networks import count_parameters
from baselines.pixelcnn import MaskedConv2d, Network, PixelCNN, quantise


def test_parameters() -> None:
    block = (256 * 128 + 128) + (9 * 128 * 128 + 128) + (128 * 256 + 256)
    for colours, total in ((1, 3_740_928), (3, 4_290_816)):
        first = 49 * colours * 256 + 256
        head = (256 * 1024 + 1024) + (1024 * 256 * colours + 256 * colours)
        networks = PixelCNN().build(colours, 28)
        count = sum(p.numel() for p in networks.parameters())
        assert count == first + 15 * block + head == total
    # One colour: of the 7x7 kernel the 24 places before the centre, of 3x3 the 4 before and it.
    hidden = 25 * 256 + 15 * 4 * 128 * 128
    assert count_parameters(PixelCNN().build(1, 28)) == 3_740_928 - hidden == 2_751_488


def test_masks_of_one_colour() -> None:
    first = MaskedConv2d(1, 2, 3, 1, strict=True).mask[1, 0].int().tolist()
    assert first == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    later = MaskedConv2d(1, 2, 3, 1).mask[0, 0].int().tolist()
    assert later == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert MaskedConv2d(4, 2, 1, 1).mask.all()


def test_masks_of_three_colours_at_the_pixel() -> None:
    """Rows: the colour that is predicted; columns: the colour that is seen."""
    strict = MaskedConv2d(3, 3, 3, 3, strict=True).mask
    assert strict[:, :, 1, 1].int().tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    later = MaskedConv2d(3, 6, 3, 3).mask
    expected = [[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]]
    assert later[:, :, 1, 1].int().tolist() == expected
    for mask in (strict, later):
        assert mask[:, :, 0].all()
        assert mask[:, :, 1, 0].all()
        assert not mask[:, :, 1, 2].any()
        assert not mask[:, :, 2].any()


def dependence(network: Network, side: int) -> torch.Tensor:
    """What the logits at each place depend on: (places, places), places in (H, W, C) order."""
    pixels = torch.rand(network.colours, side, side, dtype=torch.float64)

    def outputs(x: torch.Tensor) -> torch.Tensor:
        logits = network(x.permute(2, 0, 1)[None])[0]
        # Random weights, so that the levels' gradients cannot cancel.
        weights = torch.linspace(1, 2, network.levels, dtype=torch.float64)
        return torch.einsum("lchw,l->hwc", logits, weights).flatten()

    jacobian = torch.autograd.functional.jacobian(outputs, pixels.permute(1, 2, 0).contiguous())
    return jacobian.flatten(1) != 0


@pytest.mark.parametrize(("colours", "width"), [(1, 4), (3, 7), (3, 12)])
def test_no_later_pixel_or_colour_is_seen(colours: int, width: int) -> None:
    side = 6
    places = side * side * colours
    seen = torch.zeros(places, places).bool()
    for seed in range(4):  # a ReLU that is off hides what another network shows
        torch.manual_seed(seed)
        seen |= dependence(Network(colours, 5, width, 2, 12).double(), side)
    before = torch.ones(places, places).tril(-1).bool()
    assert not (seen & ~before).any()
    # The pixel to the left and all above it within the kernel's reach are seen, in every colour,
    # and the pixel's own earlier colours are.
    for place in range(places):
        pixel, colour = divmod(place, colours)
        row, column = divmod(pixel, side)
        for other in range(colour):
            assert seen[place, pixel * colours + other]
        if column:
            assert seen[place, (pixel - 1) * colours : pixel * colours].all()
        if row:
            above = pixel - side
            assert seen[place, above * colours : (above + 1) * colours].all()


@given(st.integers(0, 48), st.integers(0, 2**16))
def test_changing_a_pixel_changes_later_predictions_only(place: int, seed: int) -> None:
    torch.manual_seed(seed)
    network = Network(1, 4, 4, 2, 8).double()
    pixels = torch.rand(1, 1, 7, 7, dtype=torch.float64)
    changed = pixels.clone()
    changed.view(-1)[place] += 0.5
    with torch.no_grad():
        before, after = (network(x)[0, :, 0].flatten(1) for x in (pixels, changed))
    assert torch.equal(before[:, : place + 1], after[:, : place + 1])


@pytest.mark.parametrize("colours", [1, 3])
def test_likelihood_sums_to_one_over_all_images(colours: int) -> None:
    """All 2-level images of 2x2 pixels, or of one pixel and its right neighbour in colour."""
    torch.manual_seed(0)
    network = Network(colours, 2, 4, 2, 8).double()
    shape = (1, 2, 2) if colours == 1 else (3, 1, 2)
    places = math.prod(shape)
    bits = torch.arange(2**places)[:, None] >> torch.arange(places) & 1
    images = bits.view(-1, *shape).double()
    with torch.no_grad():
        total = (-network.negative_log_likelihood(images)).exp().sum().item()
    assert total == pytest.approx(1)


def test_quantisation_of_all_gray_values() -> None:
    values = torch.arange(256, dtype=torch.float32) / 255
    assert quantise(values, 256).tolist() == list(range(256))
    assert quantise(values, 4).tolist() == np.repeat([0, 1, 2, 3], 64).tolist()
    assert quantise(values, 2).bincount().tolist() == [128, 128]


def test_score_of_known_logits() -> None:
    """Without weights but the last biases, each colour has the softmax of its biases."""
    detector = PixelCNN(width=2, blocks=1, head_width=4, levels=2)
    network = detector.build(3, 2)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    chances = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.25, 0.75]])
    network.layers[-1].bias.data = chances.log().flatten()
    images = torch.zeros(2, 3, 2, 2)
    images[1, 0, 0, 0] = 1  # one red pixel
    images[1, 2] = 1  # all blue
    first = -4 * (math.log(0.9) + math.log(0.5) + math.log(0.25))
    second = -(3 * math.log(0.9) + math.log(0.1) + 4 * math.log(0.5) + 4 * math.log(0.75))
    scores = detector.anomaly(network, images)["score"]
    assert scores.tolist() == pytest.approx([first, second])
    (phase,) = detector.phases(network)
    assert phase.validation(images)["surprise"].item() == pytest.approx((first + second) / 2)


def test_merged_levels_look_alike() -> None:
    """Nothing finer than a level enters, or the likelihood would not be one of levels."""
    torch.manual_seed(0)
    network = Network(1, 4, 4, 1, 8)
    images = torch.randint(0, 4, (2, 1, 5, 5)) * 64
    finer = images + torch.randint(0, 64, images.shape)
    assert torch.equal(
        network.negative_log_likelihood(images / 255), network.negative_log_likelihood(finer / 255)
    )


def test_schedule() -> None:
    (phase,) = PixelCNN().phases(PixelCNN(width=2, blocks=1, head_width=2).build(1, 28))
    assert (phase.epochs, phase.batch_size) == (50, 16)
    (optimizer,) = phase.optimizers.values()
    assert isinstance(optimizer, torch.optim.RMSprop)
    assert optimizer.param_groups[0]["lr"] == 1e-4
