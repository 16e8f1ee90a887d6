"""On a GPU: the stack and the scores against the CPU, on every device; skipped without one."""

import pytest
import torch

from gradcon import GradCon, GradConVAE
from gradcon.forms import FORMS
from gradcon.kernels.cuda_graphs import captured
from gradcon.losses import RECONSTRUCTION
from gradcon.networks import Autoencoder, VariationalAutoencoder, decoder_weights
from gradcon.scoring import score_images
from gradcon.training import train
from tests.digits import of_class
from tests.test_gradcon_training import relative, settings, tensor

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = [
    pytest.param(
        f"cuda:{k}",
        marks=pytest.mark.skipif(torch.cuda.device_count() <= k, reason="needs another GPU"),
    )
    for k in range(2)
]


@pytest.mark.parametrize("device", DEVICES)
def test_a_recording_runs_on_its_device_and_leaves_no_trace(device):
    step, total = torch.ones((), device=device), torch.zeros((), device=device)
    replay = captured(lambda: total.add_(step), [total])
    assert total.item() == 0
    for value in (2.0, 3.0):
        step.fill_(value)
        replay()
    assert total.item() == 5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("network", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("counts, form", [((20,), "convolutions"), *(((20, 40), f) for f in FORMS)])
def test_a_stack_gives_the_numbers_of_single_trainings_on_the_cpu(network, counts, form, device):
    data = [tensor(1, count) for count in counts]
    held = [tensor(2, 5 + k) for k in range(len(counts))]
    seeds, dtype = list(range(len(counts))), torch.float64
    how = {"device": device, "dtype": dtype, "form": form}
    together = train(network, settings(), data, held, seeds=seeds, **how)
    for k, stacked in enumerate(together):
        (alone,) = train(network, settings(), [data[k]], [held[k]], seeds=[k], dtype=dtype)
        for ours, theirs in zip(stacked.history, alone.history, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-8)
        for group in ("parameters", "reference"):
            for name, value in getattr(alone.models["last"], group).items():
                assert relative(getattr(stacked.models["last"], group)[name], value) < 1e-8


@pytest.mark.parametrize("device", DEVICES)
def test_the_fastest_form_is_chosen_on_the_gpu(device):
    images = [tensor(1, 40), tensor(2, 20)]
    (first, _) = train(Autoencoder, settings(), images, images, seeds=[0, 1], device=device)
    assert first.form in FORMS and len(first.history) == 2


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision, tolerance", [("tf32", 0.01), ("bfloat16", 0.05)])
@pytest.mark.parametrize("form", FORMS)
def test_a_step_of_lower_precision_is_close(device, precision, tolerance, form):
    images = [tensor(1, 16)]
    losses = {}
    for chosen in ("float32", precision):
        once = settings(epochs=1, precision=chosen)
        (ours,) = train(Autoencoder, once, images, images, seeds=[0], device=device, form=form)
        losses[chosen] = ours.history[0]["train_reconstruction"]
    assert losses[precision] == pytest.approx(losses["float32"], rel=tolerance)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-8), (torch.float32, 1e-4)])
@pytest.mark.parametrize("chunk", [None, 10])
def test_scores_are_those_of_the_cpu(device, dtype, tolerance, chunk):
    torch.manual_seed(0)
    module = VariationalAutoencoder(3).to(dtype)
    parameters = dict(module.named_parameters())
    reference = {name: torch.randn_like(parameters[name]) for name in decoder_weights(module)}
    images = tensor(5, 23, 3)
    loss = RECONSTRUCTION["squared_error"]
    expected = score_images(module, reference, images, loss)
    for name, scores in score_images(module.to(device), reference, images, loss, chunk).items():
        assert scores.device.type == "cpu"
        torch.testing.assert_close(scores, expected[name], rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("detector", [GradCon, GradConVAE])
def test_a_detector_scores_the_same_after_loading_on_the_cpu(detector, device, tmp_path):
    fitted = detector(epochs=2, batch_size=16).fit(of_class(1, 40), device=device)
    fitted.save(tmp_path)
    images = of_class(2, 9)
    for name, expected in detector.load(tmp_path).score(images).items():
        assert fitted.score(images)[name] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert fitted.reconstruct(images).shape == images.shape
