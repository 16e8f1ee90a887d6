"""Scores against one backward pass per image, and the detectors' behaviour for their users."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from benchmark.errors import InputError
from benchmark.scores import gradient_weight
from gradcon import CAE, VAE, GradCon, GradConVAE
from gradcon import reference as plain
from gradcon.losses import RECONSTRUCTION
from gradcon.networks import Autoencoder, VariationalAutoencoder, latent_side
from gradcon.scoring import score_images
from tests.digits import of_class

DETECTORS = [CAE, GradCon, VAE, GradConVAE]
QUICK = {"epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module", params=DETECTORS, ids=lambda d: d.__name__)
def fitted(request):
    return request.param(**QUICK).fit(of_class(1, 40), of_class(1, 48)[40:], seed=1, milestones=[1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("network", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-8), (torch.float32, 1e-5)])
def test_scores_equal_one_backward_pass_per_image(channels, network, dtype, tolerance):
    torch.manual_seed(0)
    module = network(channels).to(dtype)
    images = torch.tensor(of_class(5, 23, channels).transpose(0, 3, 1, 2).copy())
    names = [name for name, p in module.named_parameters() if "decoder" in name and p.dim() == 4]
    reference = {n: torch.randn_like(dict(module.named_parameters())[n]) for n in names}
    ours = score_images(module, reference, images, RECONSTRUCTION["squared_error"], chunk=10)
    theirs = plain.score(module, list(reference.values()), images.to(dtype) / 255)
    torch.testing.assert_close(ours["reconstruction"], theirs[0], rtol=tolerance, atol=0)
    torch.testing.assert_close(ours["gradient"], theirs[1], rtol=tolerance, atol=tolerance / 10)


def test_cross_entropy_scores_equal_one_backward_pass_per_image():
    torch.manual_seed(0)
    module = VariationalAutoencoder(1).double()
    images = torch.tensor(of_class(5, 7).transpose(0, 3, 1, 2).copy())
    reference = {
        name: torch.randn_like(p)
        for name, p in module.named_parameters()
        if "decoder" in name and p.dim() == 4
    }
    ours = score_images(module, reference, images, RECONSTRUCTION["cross_entropy"])
    theirs = plain.score(
        module,
        list(reference.values()),
        images.double() / 255,
        torch.nn.functional.binary_cross_entropy,
    )
    torch.testing.assert_close(ours["reconstruction"], theirs[0], rtol=1e-8, atol=0)
    torch.testing.assert_close(ours["gradient"], theirs[1], rtol=1e-8, atol=1e-10)


def test_float32_is_not_tf32_while_scoring():
    precisions, convolutions = [], torch.backends.cudnn.conv
    before = convolutions.fp32_precision

    def loss(logits, images):
        precisions.append(convolutions.fp32_precision)
        return RECONSTRUCTION["squared_error"](logits, images)

    module = Autoencoder(1)
    images = torch.tensor(of_class(5, 2).transpose(0, 3, 1, 2).copy())
    score_images(module, dict(module.named_parameters()), images, loss)
    assert precisions == ["ieee"] and convolutions.fp32_precision == before


def test_latent_loss_is_the_divergence_of_the_two_normals():
    torch.manual_seed(0)
    module = VariationalAutoencoder(1)
    images = torch.rand(3, 1, 28, 28)
    features = module.encoder(images).flatten(1)
    posterior = torch.distributions.Normal(
        module.mean(features), torch.exp(0.5 * module.log_variance(features))
    )
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1)
    torch.testing.assert_close(module(images).latent_loss, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "network, channels, count",
    [
        (Autoencoder, 1, 230_721),
        (Autoencoder, 3, 232_771),
        (VariationalAutoencoder, 1, 1_227_777),
    ],
)
def test_parameter_counts_are_those_of_the_official_code(network, channels, count):
    assert sum(p.numel() for p in network(channels).parameters()) == count


@pytest.mark.parametrize("size", [12, 28, 44, 60])
def test_supported_sizes_come_back_at_their_size(size):
    images = torch.rand(2, 3, size, size)
    for network in (Autoencoder, VariationalAutoencoder):
        assert network(3, size)(images).logits.shape == images.shape


@pytest.mark.parametrize("size, channels", [(27, 1), (32, 3), (28, 2), (0, 1), (-4, 1)])
def test_other_sizes_are_refused_with_the_supported_ones(size, channels):
    with pytest.raises(ValueError, match=r"12, 28, 44, 60"):
        latent_side(size, channels)


def test_saved_and_loaded_scores_are_bit_equal(fitted, tmp_path):
    fitted.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {
        "detector.json",
        "best.safetensors",
        "last.safetensors",
    }
    loaded = type(fitted).load(tmp_path)
    images = of_class(2, 9)
    for model in ("best", "last"):
        for name, values in fitted.score(images, model).items():
            assert np.array_equal(values, loaded.score(images, model)[name])
    assert loaded.facts == fitted.facts
    other = GradConVAE if type(fitted) is CAE else CAE
    with pytest.raises(ValueError, match=r"detector\.json: .*holds a .*, not a"):
        other.load(tmp_path)


def test_same_seed_same_scores_other_seed_other_scores():
    images = of_class(2, 9)
    first, again, other = (
        GradCon(**QUICK).fit(of_class(1, 40), seed=seed).score(images) for seed in (0, 0, 1)
    )
    for name in GradCon.components:
        assert np.array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


@hypothesis_settings(max_examples=10)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=9))
def test_a_score_does_not_depend_on_the_other_images(numbers):
    detector = _detector()
    images = of_class(2, 9)
    whole = detector.score(images)
    part = detector.score(images[numbers])
    for name in whole:
        np.testing.assert_allclose(part[name], whole[name][numbers], rtol=1e-4, atol=1e-6)


_CACHE = []


def _detector():
    if not _CACHE:
        _CACHE.append(GradCon(**QUICK).fit(of_class(1, 40)))
    return _CACHE[0]


def test_anomaly_score_adds_the_parts(fitted):
    """Without the constraint the gradient loss has weight 0, as in the benchmark's tables."""
    images = of_class(2, 5)
    parts = fitted.score(images)
    for arguments, beta in (
        ({}, gradient_weight({"facts": fitted.facts}, 0.12)),
        ({"beta": 0.5}, 0.5),
    ):
        expected = parts["reconstruction"] + parts.get("latent", 0) + beta * parts["gradient"]
        np.testing.assert_allclose(fitted.anomaly_score(images, **arguments), expected, rtol=1e-6)


def test_unknown_model_and_other_images_are_refused(fitted):
    with pytest.raises(KeyError, match=r"epoch-9.*best, last, epoch-1"):
        fitted.score(of_class(2, 2), "epoch-9")
    with pytest.raises(ValueError, match=r"\(28, 28, 3\).*fitted to \(28, 28, 1\)"):
        fitted.score(of_class(2, 2, 3))
    with pytest.raises(ValueError, match="float64"):
        fitted.score(of_class(2, 2) / 255)


@pytest.mark.parametrize("beta", [float("nan"), float("inf"), "0.1", np.float32("nan")])
def test_a_weight_of_the_gradient_loss_that_is_no_number_is_refused_in_one_line(beta):
    detector = GradCon(epochs=1).fit(of_class(1, 20))
    with pytest.raises(InputError, match=r"beta is .*; give GradCon a number"):
        detector.anomaly_score(of_class(1, 3), beta=beta)


def test_unusable_images_and_stacks_are_refused_in_one_line():
    images = of_class(1, 4)
    fits = {
        "needs at least 1 .* not 0 and 1": lambda: GradCon(**QUICK).fit(images[:1]),
        "images are a list": lambda: GradCon(**QUICK).fit(list(images)),
        "images are a list; ": lambda: GradCon(**QUICK).fit(images, list(images)),
        "one detector at least": lambda: GradCon.fit_stack([], [], [], seeds=[]),
        "a seed for each": lambda: GradCon.fit_stack(
            [GradCon(**QUICK)], [images], [images], seeds=[1, 2]
        ),
        "same settings; epochs is 2 in one and 3 in another": lambda: GradCon.fit_stack(
            [GradCon(**QUICK), GradCon(**QUICK | {"epochs": 3})],
            [images] * 2,
            [images] * 2,
            seeds=[1, 2],
        ),
        "both the same shape": lambda: GradCon.fit_stack(
            [GradCon(**QUICK)], [images], [of_class(1, 4, 3)], seeds=[1]
        ),
        "images of one shape": lambda: GradCon.fit_stack(
            [GradCon(**QUICK)] * 2, *[[images, of_class(1, 4, 3)]] * 2, seeds=[1, 2]
        ),
        "seed is None": lambda: GradCon.fit_stack(
            [GradCon(**QUICK)], [images], [images], seeds=[None]
        ),
        "device is 'gpu'": lambda: GradCon.fit_stack(
            [GradCon(**QUICK)], [images], [images], seeds=[1], device="gpu"
        ),
        "milestones is .0.; give GradCon a list of epochs": lambda: GradCon.fit_stack(
            [GradCon(**QUICK)], [images], [images], seeds=[1], milestones=[0]
        ),
    }
    for message, fit in fits.items():
        with pytest.raises(ValueError, match=message) as caught:
            fit()
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="images are a list"):
        _detector().score(list(images))


def test_unfitted_detector_says_so():
    with pytest.raises(RuntimeError, match="call fit or load"):
        CAE().score(of_class(2, 2))


def test_reconstruction_has_the_images_shape(fitted):
    images = of_class(1, 3)
    assert fitted.reconstruct(images).shape == images.shape
    assert fitted.reconstruct(images).dtype == np.uint8


def test_package_exports_without_importing_torch():
    import subprocess
    import sys

    code = "import sys, gradcon; assert 'torch' not in sys.modules; gradcon.GradCon"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_saturated_model_scores_within_the_range_of_a_cosine():
    torch.manual_seed(0)
    module = Autoencoder(1)
    with torch.no_grad():
        module.decoder[-1].bias -= 60
    images = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
    names = [name for name, p in module.named_parameters() if "decoder" in name and p.dim() == 4]
    reference = {n: torch.randn_like(dict(module.named_parameters())[n]) for n in names}
    scores = score_images(module, reference, images, RECONSTRUCTION["squared_error"])
    theirs = plain.score(module, list(reference.values()), images.float() / 255)
    assert (scores["gradient"].abs() <= 1).all()
    torch.testing.assert_close(scores["gradient"], theirs[1], rtol=1e-5, atol=1e-6)


def test_weights_of_another_architecture_are_refused(tmp_path):
    CAE(**QUICK).fit(of_class(1, 20)).save(tmp_path / "cae")
    VAE(**QUICK).fit(of_class(1, 20)).save(tmp_path / "vae")
    foreign = tmp_path / "vae" / "best.safetensors"
    foreign.replace(tmp_path / "cae" / "best.safetensors")
    with pytest.raises(ValueError, match=r"best\.safetensors: detector is '.*:VAE' there but"):
        CAE.load(tmp_path / "cae")
    with pytest.raises(ValueError, match=r"nowhere/detector\.json: cannot be read"):
        CAE.load(tmp_path / "nowhere")
    with pytest.raises(
        ValueError, match=r"holds a gradcon.detectors:VAE, not a .*:CAE.* has saved"
    ):
        CAE.load(tmp_path / "vae")
