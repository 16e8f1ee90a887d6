"""Maps: their means are the losses, and they are where the change is."""

import numpy as np
import pytest
import torch

from baselines.dcae import DCAE
from baselines.kde import KDE
from benchmark.errors import InputError
from gradcon import CAE, GradCon, GradConVAE
from gradcon import reference as plain
from gradcon.inspection import OutlierEstimator
from gradcon.inspection.explanation import draw, explain
from tests.digits import of_class

QUICK = {"epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module", params=[CAE, GradCon, GradConVAE], ids=lambda d: d.__name__)
def detector(request):
    return request.param(**QUICK).fit(of_class(1, 40, 3), seed=1)


def test_the_means_of_the_maps_are_the_losses(detector):
    images = of_class(2, 4, 3)
    explanation, losses = explain(detector, images), detector.score(images)
    cosines = 1 - np.array([maps.mean((1, 2)) for maps in explanation.departures])
    np.testing.assert_allclose(-cosines.mean(0), losses["gradient"], atol=1e-5)
    assert [maps.shape for maps in explanation.departures] == [
        (4, side, side) for side in (4, 8, 14, 28)
    ]
    expected = np.square((images - detector.reconstruct(images).astype(float)) / 255)
    np.testing.assert_allclose(explanation.errors, expected.mean(3), rtol=1e-5)
    if detector.reconstruction_loss == "squared_error":
        means = explanation.errors.mean((1, 2))
        np.testing.assert_allclose(means, losses["reconstruction"], atol=1e-3)


def test_a_place_departs_by_what_it_adds_to_the_gradient(detector):
    """The map of the last layer against autograd on the outputs of one place alone."""
    image = of_class(2, 1, 3)
    network, reference = detector._trained(image, "best")
    weight = plain.decoder_layer_weights(network)[-1]
    mean = list(reference.values())[-1]
    from gradcon.losses import RECONSTRUCTION

    pixels = torch.tensor(image).permute(0, 3, 1, 2) / 255
    outputs = network(pixels).logits
    loss = RECONSTRUCTION[detector.reconstruction_loss](outputs, pixels).sum()
    (d,) = torch.autograd.grad(loss, outputs, retain_graph=True)
    (whole,) = torch.autograd.grad(outputs, weight, d, retain_graph=True)
    kernel = (whole / whole.norm() - mean / mean.norm()) / whole.norm()
    found = explain(detector, image).departures[-1][0]
    for row, column in ((0, 0), (13, 14), (20, 5)):
        only = torch.zeros_like(d)
        only[..., row, column] = d[..., row, column]
        (part,) = torch.autograd.grad(outputs, weight, only, retain_graph=True)
        expected = float((part * kernel).sum()) * 28 * 28
        assert found[row, column] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_a_spot_shows_in_the_map_of_the_error():
    images = of_class(1, 40)
    estimator = OutlierEstimator(CAE(epochs=10, batch_size=8)).fit(images)
    spotted = images[:1].copy()
    spotted[:, 2:6, 20:24] = 255
    error = estimator.explain(spotted).errors[0]
    assert error[2:6, 20:24].mean() > 3 * error.mean()


def test_methods_that_only_reconstruct_have_one_map(tmp_path):
    images = of_class(1, 30)
    explanation = explain(DCAE(epochs=1).fit(images), images[:2])
    assert explanation.departures == () and explanation.errors.shape == (2, 28, 28)
    draw(explanation, ["a", "b"]).savefig(tmp_path / "a.png")
    with pytest.raises(InputError, match="KDE reconstructs nothing, so there is no map"):
        explain(KDE(bandwidth=1.0).fit(images), images)


def test_all_maps_are_drawn_on_common_scales(detector):
    explanation = explain(detector, of_class(2, 3, 3))
    figure = draw(explanation, ["first", "second", "third"])
    pictures = [axis.images[0] for axis in figure.axes if axis.images]
    shown = [np.asarray(picture.get_array()) for picture in pictures]
    assert len(pictures) == 3 * (3 + 4)
    np.testing.assert_array_equal(shown[0], explanation.images[0])
    np.testing.assert_allclose(shown[3 * 2 + 1], explanation.errors[1])
    np.testing.assert_allclose(shown[3 * 6 + 1], explanation.departures[3][1])
    for columns in (slice(6, 9), slice(9, 21)):
        assert len({picture.get_clim() for picture in pictures[columns]}) == 1
    texts = [text.get_text() for text in figure.texts]
    assert texts[-3:] == ["first", "second", "third"]
    assert texts[:3] == ["image", "reconstruction", "squared error"]
    assert texts[3:7] == [f"departure, layer {number}" for number in (1, 2, 3, 4)]
