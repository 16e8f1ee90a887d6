"""The closed convolution against PyTorch's own, to the second derivative."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from gradcon import training_state as states
from gradcon.iteration import iterate
from gradcon.kernels.convolution import TransposedConvolution
from gradcon.networks import Autoencoder, initialised
from gradcon.stack import Stack
from performance.cases import settings

SHAPES = [(6, 12, 2), (6, 12, 1), (5, 3, 1), (5, 1, 2)]  # the last two are computed by 2x2 blocks


def pair(inputs, outputs, padding):
    torch.manual_seed(0)
    ours = TransposedConvolution(inputs, outputs, 4, stride=2, padding=padding).double()
    ours.closed = True
    theirs = torch.nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=padding).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("inputs, outputs, padding", SHAPES)
def test_values_and_derivatives_equal_the_library(inputs, outputs, padding):
    ours, theirs = pair(inputs, outputs, padding)
    results = []
    for layer in (ours, theirs):
        torch.manual_seed(1)
        images = torch.randn(3, inputs, 5, 4, dtype=torch.float64, requires_grad=True)
        output = layer(images)
        error = (output - torch.randn(output.shape, dtype=torch.float64)).pow(3).mean()
        arguments = [images, layer.weight, layer.bias]
        first = torch.autograd.grad(error, arguments, create_graph=True)
        bend = (
            sum((g * torch.randn(g.shape, dtype=torch.float64)).sum() for g in first)
            + first[1].norm()
        )
        results.append([output, *first, *torch.autograd.grad(bend, arguments)])
    for own, their in zip(*results, strict=True):
        torch.testing.assert_close(own, their, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("inputs, outputs, padding", [(2, 9, 1), (2, 1, 1)])
def test_derivatives_agree_with_finite_differences(inputs, outputs, padding):
    layer, _ = pair(inputs, outputs, padding)
    images = torch.randn(1, inputs, 2, 2, dtype=torch.float64, requires_grad=True)

    def call(images, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (images,))

    assert gradcheck(call, (images, layer.weight))
    assert gradgradcheck(call, (images, layer.weight))


def test_without_closed_it_is_the_library_s():
    layer, theirs = pair(4, 2, 1)
    layer.closed = False
    images = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(layer(images), theirs(images))


class Convolutions(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls += "convolution" in function.__name__
        return function(*args, **(kwargs or {}))


def step(models):
    """Convolution calls in the second iteration of a stack, in which the constraint is on."""
    chosen = settings(alpha=0.03)
    networks = [initialised(Autoencoder, 1, 12, seed) for seed in range(models)]
    stack, state = Stack(networks[0], vectorise=True), states.initial(networks)
    batch, weight = torch.rand(models, 2, 1, 12, 12), torch.ones(models, 2)
    for _ in range(2):
        with Convolutions() as counted:
            iterate(stack, chosen, state, batch, weight, None)
    return counted.calls


def test_a_stack_needs_no_more_calls_than_one_model():
    assert step(1) == step(4)
