"""The explicit passes against autograd through PyTorch's convolutions."""

import pytest
import torch
from torch import nn

from gradcon import reference as plain
from gradcon.gradients import batch_gradients
from gradcon.kernels.im2col import by_block, by_pixel, make_layer, to_blocks
from gradcon.losses import (
    RECONSTRUCTION,
    RECONSTRUCTION_DERIVATIVES,
    gradient_loss,
    gradient_loss_derivatives,
)
from gradcon.networks import Autoencoder, VariationalAutoencoder, initialised
from gradcon.settings import Settings

GRIDS = [(3, 4, 2), (4, 8, 1), (8, 14, 2), (5, 12, 0), (8, 15, 2), (15, 28, 2), (3, 5, 2)]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("large_channels", [2, 9])
@pytest.mark.parametrize("small, large, padding", GRIDS)
def test_a_layer_is_the_convolution(small, large, padding, large_channels, transposed):
    if transposed and large % 2:
        pytest.skip("a transposed convolution gives even sides")
    torch.manual_seed(0)
    channels = (5, large_channels)
    f = make_layer(2, (small, large), padding, None, channels, transposed, torch.device("cpu"))
    kernel = torch.randn(*channels, 4, 4, dtype=torch.float64)
    if transposed:
        x = torch.randn(2, 5, small, small, dtype=torch.float64)
        expected = nn.functional.conv_transpose2d(x, kernel, None, 2, padding)
        rows, slots = x.flatten(2).mT.reshape(-1, 5), by_block(large, padding).slots
    else:
        x = torch.randn(2, large_channels, large, large, dtype=torch.float64)
        expected = nn.functional.conv2d(x, kernel, None, 2, padding)
        blocks = to_blocks(x, padding).view(2, -1, large_channels)
        outside = torch.ones(blocks.shape[1], dtype=torch.bool)
        outside[by_block(large, padding).slots.flatten()] = False
        blocks[:, outside] = 0
        rows, slots = blocks.view(-1, large_channels), by_pixel(small).slots
    y = f.outer(f.inner(rows) @ f.matrix(kernel)).view(2, -1, expected.shape[1])
    result = y[:, slots.flatten()].mT.reshape(expected.shape)
    torch.testing.assert_close(result, expected)
    assert f.kernel(f.matrix(kernel), kernel).equal(kernel)
    assert f.is_pixel.view(-1).nonzero().flatten().equal(slots.flatten().sort().values)
    back = torch.randn_like(rows)
    left = torch.randn_like(f.inner(rows))
    torch.testing.assert_close((f.inner(back) * left).sum(), (back * f.inner_t(left)).sum())


@pytest.mark.parametrize("name", RECONSTRUCTION)
def test_derivatives_of_the_losses(name):
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    loss = RECONSTRUCTION[name](logits, images).sum() * images[0].numel()
    (first,) = torch.autograd.grad(loss, logits, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), logits)
    value, slope, curvature = RECONSTRUCTION_DERIVATIVES[name](logits.detach(), images)
    for ours, expected in ((value.sum(), loss), (slope, first), (curvature, second)):
        torch.testing.assert_close(ours, expected.detach())


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_derivatives_of_the_gradient_loss(scale):
    torch.manual_seed(0)
    own = [torch.randn(1, n, dtype=torch.float64, requires_grad=True) for n in (7, 3)]
    reference = [scale * torch.randn(1, n, dtype=torch.float64) for n in (7, 3)]
    loss = gradient_loss(own, reference)
    expected = torch.autograd.grad(loss.sum(), own)
    value, derivatives = gradient_loss_derivatives([g.detach() for g in own], reference)
    torch.testing.assert_close(value, loss.detach()[0])
    for ours, theirs in zip(derivatives, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def settings(**changes):
    values = {
        "epochs": 1,
        "batch_size": 7,
        "learning_rate": 1e-3,
        "alpha": 0.5,
        "reference": "total",
        "reconstruction_loss": "squared_error",
        "latent_weight": 1.0,
        "precision": "float32",
        "checkpoint_every": 1,
    }
    return Settings(**(values | changes))


@pytest.mark.parametrize("size", [12, 28, 44])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_gradients_are_those_of_the_plain_reference(channels, size, dtype, tolerance):
    network = initialised(Autoencoder, channels, size, 1).to(dtype)
    torch.manual_seed(0)
    images = torch.rand(7, channels, size, size, dtype=dtype)
    state = plain.Reference(network)
    state.count = 1
    state.means = [torch.randn_like(weight) for weight in state.weights]
    names = [f"decoder.{2 * k}.weight" for k in range(4)]
    means = dict(zip(names, [mean.clone() for mean in state.means], strict=True))
    parameters = {name: value.detach().clone() for name, value in network.named_parameters()}
    still = torch.optim.SGD(network.parameters(), lr=0.0)
    losses = plain.training_step(network, still, state, images, 0.5)
    network.encoder.explicit = True
    ours = batch_gradients(
        network, settings(), parameters, means, images, torch.ones_like(images[:, 0, 0, 0]), None
    )
    assert ours.losses[[1, 3]].tolist() == pytest.approx(losses, rel=tolerance)
    for name, parameter in network.named_parameters():
        error = (ours.total[name] - parameter.grad).norm() / parameter.grad.norm()
        assert error < tolerance, name


@pytest.mark.parametrize("reconstruction_loss", RECONSTRUCTION)
@pytest.mark.parametrize("reference", ["total", "reconstruction"])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_the_variational_autoencoder_and_padding(reconstruction_loss, reference, alpha):
    torch.manual_seed(0)
    chosen = settings(alpha=alpha, reference=reference, reconstruction_loss=reconstruction_loss)
    network = initialised(VariationalAutoencoder, 1, 12, 2).double()
    images = torch.rand(6, 1, 12, 12, dtype=torch.float64)
    weight = torch.tensor([1, 0, 1, 1, 1, 0], dtype=torch.float64)
    noise = torch.randn(6, network.noise_size(12), dtype=torch.float64)
    output = network(images, noise)
    share = weight / weight.sum()
    reconstruction = RECONSTRUCTION[reconstruction_loss](output.logits, images) @ share
    latent = output.latent_loss @ share / images[0].numel()
    parameters = dict(network.named_parameters())
    names = [f"decoder.{2 * k}.weight" for k in range(4)]
    means = {name: torch.randn_like(parameters[name]) for name in names}
    own = torch.autograd.grad(reconstruction, [parameters[n] for n in names], create_graph=True)
    alignment = gradient_loss([g[None] for g in own], [m[None] for m in means.values()])[0]
    total = reconstruction + latent + alpha * alignment
    expected = torch.autograd.grad(total, list(parameters.values()))
    network.encoder.explicit = True
    inputs = {name: value.detach() for name, value in parameters.items()}
    ours = batch_gradients(network, chosen, inputs, means, images, weight, noise)
    for name, value in zip(parameters, expected, strict=True):
        torch.testing.assert_close(ours.total[name], value, rtol=1e-8, atol=1e-14)
    if alpha or reference == "reconstruction":
        torch.testing.assert_close(
            ours.losses, torch.stack([total, reconstruction, latent, alignment]).detach()
        )
    if reference == "reconstruction":
        for value, other in zip(ours.reconstruction, own, strict=True):
            torch.testing.assert_close(value, other.detach(), rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("network", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("channels, size", [(1, 12), (3, 28)])
@pytest.mark.parametrize("reference", ["total", "reconstruction"])
def test_the_passes_of_a_stack_are_those_of_its_models(network, channels, size, reference):
    """Which the tests above compare with the plain reference."""
    torch.manual_seed(0)
    modules = [initialised(network, channels, size, seed).double() for seed in (1, 2)]
    modules[0].encoder.explicit = True
    names = dict(modules[0].named_parameters())
    own = [{n: v.detach() for n, v in module.named_parameters()} for module in modules]
    parameters = {name: torch.stack([each[name] for each in own]) for name in names}
    means = {f"decoder.{2 * k}.weight": None for k in range(4)}
    means = {name: torch.randn_like(parameters[name]) for name in means}
    images = torch.rand(2, 5, channels, size, size, dtype=torch.float64)
    weight = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0]], dtype=torch.float64)
    noise_size = network.noise_size(size)
    noise = torch.randn(2, 5, noise_size, dtype=torch.float64) if noise_size else None
    chosen = settings(reference=reference)
    stack = batch_gradients(modules[0], chosen, parameters, means, images, weight, noise)
    for k in range(2):
        of_one = {name: mean[k] for name, mean in means.items()}
        single = batch_gradients(
            modules[0],
            chosen,
            own[k],
            of_one,
            images[k],
            weight[k],
            None if noise is None else noise[k],
        )
        torch.testing.assert_close(stack.losses[k], single.losses, rtol=1e-12, atol=0)
        for name, value in single.total.items():
            torch.testing.assert_close(stack.total[name][k], value, rtol=1e-8, atol=1e-14)
        for ours, theirs in zip(stack.reconstruction, single.reconstruction, strict=True):
            torch.testing.assert_close(ours[k], theirs, rtol=1e-8, atol=1e-14)


def test_bfloat16_is_close():
    network = initialised(Autoencoder, 3, 28, 0)
    network.encoder.explicit = True
    torch.manual_seed(0)
    images = torch.rand(16, 3, 28, 28)
    parameters = {name: value.detach() for name, value in network.named_parameters()}
    means = {f"decoder.{2 * k}.weight": torch.randn(1) for k in range(4)}
    means = {name: torch.randn_like(parameters[name]) for name in means}
    single, half = (
        batch_gradients(
            network, settings(precision=p), parameters, means, images, torch.ones(16), None
        )
        for p in ("float32", "bfloat16")
    )
    for name in parameters:
        cosine = nn.functional.cosine_similarity(
            single.total[name].flatten(), half.total[name].flatten(), dim=0
        )
        assert cosine > 0.98, name
