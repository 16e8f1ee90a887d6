"""Training against the plain reference, stacks against members, resumed against unbroken runs."""

import doctest
import functools
import math
import threading
import time
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.detector import FitFailed
from benchmark.errors import InputError
from benchmark.utils import machine
from gradcon import forms, iteration, training
from gradcon import reference as plain
from gradcon import training_state as states
from gradcon.batches import (
    DrawnAhead,
    batch_order,
    latent_noise,
    resident,
    take_batch,
    without_padding,
)
from gradcon.epochs import Epoch
from gradcon.flat import ALIGNMENT, Flat
from gradcon.kernels.adam import adam_step
from gradcon.losses import gradient_loss
from gradcon.networks import Autoencoder, VariationalAutoencoder, initialised
from gradcon.settings import Settings
from gradcon.stack import Stack
from gradcon.training import train
from gradcon.training_state import Trained
from tests.digits import of_class


def settings(**changes):
    defaults = {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "alpha": 0.03,
        "reference": "total",
        "reconstruction_loss": "squared_error",
        "latent_weight": 1.0,
        "precision": "float32",
        "checkpoint_every": 1,
    }
    return Settings(**(defaults | changes))


def tensor(label, count, channels=1):
    return torch.tensor(of_class(label, count, channels).transpose(0, 3, 1, 2).copy())


def relative(a, b):
    return float((a - b).norm() / b.norm())


def test_the_example_of_the_plain_reference_runs():
    failed, attempted = doctest.testmod(plain)
    assert attempted and not failed


@pytest.mark.parametrize("channels", [1, 3])
def test_training_follows_the_plain_reference(channels):
    images, seed, chosen = tensor(3, 40, channels), 5, settings(epochs=3)
    (ours,) = train(Autoencoder, chosen, [images], [images[:8]], seeds=[seed], dtype=torch.float64)
    network = initialised(Autoencoder, channels, 28, seed).double()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    reference = plain.Reference(network)
    losses = []
    for epoch in range(1, 4):
        for numbers in batch_order([40], 16, [seed], epoch)[0]:
            batch = images[numbers[numbers >= 0]].double() / 255
            losses.append(
                (len(batch), *plain.training_step(network, optimiser, reference, batch, 0.03))
            )
    last = ours.models["last"]
    for name, parameter in network.named_parameters():
        assert relative(last.parameters[name], parameter.detach()) < 1e-8, name
    for mean, own in zip(reference.means, last.reference.values(), strict=True):
        assert relative(own, mean) < 1e-8
    final_epoch = np.array(losses[-3:])
    weighted = np.average(final_epoch[:, 1:], axis=0, weights=final_epoch[:, 0])
    assert ours.history[-1]["train_reconstruction"] == pytest.approx(weighted[0], rel=1e-9)
    assert ours.history[-1]["train_gradient"] == pytest.approx(weighted[1], rel=1e-9)
    assert weighted[1] < -0.01


FORMS = [(False, None), (True, "convolutions"), (True, "products")]
"""Whether a stack is computed at once, and in which form."""


@functools.cache
def by_plain_lines():
    """The network and the reference of the ``reconstruction`` loss after two epochs of digit 3."""
    images, seed = tensor(3, 40), 5
    network = initialised(Autoencoder, 1, 28, seed).double()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    reference = plain.Reference(network)
    for epoch in (1, 2):
        for numbers in batch_order([40], 16, [seed], epoch)[0]:
            batch = images[numbers[numbers >= 0]].double() / 255
            error = (torch.sigmoid(network(batch).logits) - batch).square().mean()
            gradients = torch.autograd.grad(error, reference.weights, create_graph=True)
            cosines = [
                (g * mean).sum() / (g.norm() * mean.norm().clamp_min(1e-8))
                for g, mean in zip(gradients, reference.means, strict=True)
            ]
            optimiser.zero_grad()
            (error - 0.5 * sum(cosines) / 4).backward()
            reference.update([gradient.detach() for gradient in gradients])
            optimiser.step()
    return network, reference


@pytest.mark.parametrize(("vectorise", "form"), FORMS)
def test_the_reference_averages_the_gradients_of_the_loss_that_is_set(vectorise, form):
    """``reference: reconstruction`` against plain lines; the two settings part after a step."""
    images, seed = tensor(3, 40), 5
    ours = {
        kind: train(
            Autoencoder,
            settings(reference=kind, alpha=0.5),
            [images],
            [images[:8]],
            seeds=[seed],
            dtype=torch.float64,
            vectorise=vectorise,
            form=form,
        )[0].models["last"]
        for kind in ("reconstruction", "total")
    }
    network, reference = by_plain_lines()
    for name, parameter in network.named_parameters():
        assert relative(ours["reconstruction"].parameters[name], parameter.detach()) < 1e-8, name
    for name, mean in zip(ours["total"].reference, reference.means, strict=True):
        assert relative(ours["reconstruction"].reference[name], mean) < 1e-8
        assert relative(ours["total"].reference[name], mean) > 1e-3


@pytest.mark.parametrize(("vectorise", "channels"), [(False, 1), (True, 3)])
def test_validation_losses_are_those_of_plain_lines(vectorise, channels):
    """The model of the epoch, its posterior mean and its reference, on images of its own."""
    held, chosen = tensor(7, 9, channels), settings(alpha=0.4, latent_weight=3.0)
    (ours,) = train(
        VariationalAutoencoder,
        chosen,
        [tensor(3, 24, channels)],
        [held],
        seeds=[2],
        dtype=torch.float64,
        vectorise=vectorise,
    )
    network = VariationalAutoencoder(channels, 28).double()
    network.load_state_dict(ours.models["last"].parameters)
    images = held.double() / 255
    output = network(images)
    error = (torch.sigmoid(output.logits) - images).square().mean()
    latent = 3.0 * output.latent_loss.mean() / images[0].numel()
    gradients = torch.autograd.grad(error, plain.decoder_layer_weights(network))
    alignment = plain.gradient_loss(gradients, list(ours.models["last"].reference.values()))
    row = ours.history[-1]
    expected = {"reconstruction": error, "latent": latent, "gradient": alignment}
    for name, value in expected.items():
        assert row[f"validation_{name}"] == pytest.approx(value.item(), rel=1e-8), name
    total = error + latent + 0.4 * alignment
    assert row["validation_loss"] == pytest.approx(total.item(), rel=1e-8)
    assert abs(alignment) > 0.01 and latent > 1e-6  # each would be missed


def test_float32_step_is_close_to_the_plain_reference():
    images = tensor(3, 32)
    (ours,) = train(Autoencoder, settings(epochs=4, batch_size=32), [images], [images], seeds=[0])
    network = initialised(Autoencoder, 1, 28, 0)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    reference = plain.Reference(network)
    for _ in range(4):
        plain.training_step(network, optimiser, reference, images.float() / 255, 0.03)
    for mean, own in zip(reference.means, ours.models["last"].reference.values(), strict=True):
        assert relative(own, mean) < 1e-4


def test_the_constraint_aligns_the_gradients():
    images = tensor(3, 64)
    free, constrained = (
        train(
            Autoencoder,
            settings(alpha=alpha, epochs=12, reference=kind),
            [images],
            [images],
            seeds=[0],
        )[0]
        for alpha, kind in ((0.0, "reconstruction"), (0.03, "reconstruction"))
    )
    free_loss = _gradient_loss_of(free, images)
    assert _gradient_loss_of(constrained, images) < free_loss - 0.1


def _gradient_loss_of(trained, images):
    network = Autoencoder(1, 28)
    network.load_state_dict(trained.models["last"].parameters)
    reference = list(trained.models["last"].reference.values())
    _, gradient = plain.score(network, reference, images[:16].float() / 255)
    return float(gradient.mean())


def test_first_iteration_has_no_constraint():
    gradient = [torch.ones(1, 4, requires_grad=True)]
    loss = gradient_loss(gradient, [torch.zeros(1, 4)])
    (slope,) = torch.autograd.grad(loss.sum(), gradient)
    assert loss.item() == 0 and slope.abs().max().item() == 0


def test_gradient_loss_by_hand():
    gradients = [torch.tensor([[3.0, 4.0]]), torch.tensor([[[1.0], [0.0]]])]
    reference = [torch.tensor([[4.0, 3.0]]), torch.tensor([[[-1.0], [0.0]]])]
    assert float(gradient_loss(gradients, reference)) == pytest.approx(-(24 / 25 - 1) / 2)


@functools.cache
def trained_alone(network, data, held, seed):
    """A single training in float64 on (digit, number of images), validated on others."""
    images = [tensor(*data)], [tensor(*held)]
    (trained,) = train(network, settings(), *images, seeds=[seed], dtype=torch.float64)
    return trained


MEMBERS = [((0, 30), (0, 5), 1), ((1, 50), (1, 9), 1), ((1, 50), (1, 9), 2)]
"""Of a stack: the arguments of ``trained_alone``."""


@pytest.mark.parametrize("network", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize(("vectorise", "form"), FORMS)
def test_a_stack_gives_the_numbers_of_its_members(network, vectorise, form):
    data = [tensor(*images) for images, _, _ in MEMBERS]
    validation = [tensor(*held) for _, held, _ in MEMBERS]
    seeds = [seed for *_, seed in MEMBERS]
    begun = time.monotonic()
    how = {"dtype": torch.float64, "vectorise": vectorise, "form": form}
    together = train(network, settings(), data, validation, seeds=seeds, **how)
    assert 0 < sum(trained.seconds for trained in together) <= time.monotonic() - begun
    assert {trained.form for trained in together} == {form or "model by model"}
    for stacked, member in zip(together, MEMBERS, strict=True):
        single = trained_alone(network, *member)
        assert stacked.best_epoch == single.best_epoch
        assert [list(row) for row in stacked.history] == [list(row) for row in single.history]
        np.testing.assert_allclose(
            [list(row.values()) for row in stacked.history],
            [list(row.values()) for row in single.history],
            rtol=1e-8,
        )
        for model in ("best", "last"):
            for name, value in single.models[model].parameters.items():
                assert relative(stacked.models[model].parameters[name], value) < 1e-8
            for name, value in single.models[model].reference.items():
                assert relative(stacked.models[model].reference[name], value) < 1e-8


@pytest.mark.parametrize("network", [Autoencoder, VariationalAutoencoder])
def test_a_stack_on_a_cpu_gives_the_bits_of_its_members(network):
    """Members of other sizes make for padded batches, and for iterations without an image."""
    data = [tensor(0, 30), tensor(1, 70), tensor(2, 49)]
    validation = [tensor(0, 5), tensor(1, 17), tensor(2, 9)]
    arguments = {"milestones": [1]}
    together = train(network, settings(epochs=2), data, validation, seeds=[1, 2, 1], **arguments)
    for k, stacked in enumerate(together):
        (alone,) = train(
            network,
            settings(epochs=2),
            [data[k]],
            [validation[k]],
            seeds=[[1, 2, 1][k]],
            **arguments,
        )
        assert stacked.history == alone.history and stacked.best_epoch == alone.best_epoch
        for name, model in alone.models.items():
            for group in ("parameters", "reference"):
                for key, value in getattr(model, group).items():
                    assert getattr(stacked.models[name], group)[key].equal(value), (name, key)


@pytest.mark.parametrize("at_once", [False, True])
def test_adam_is_torch_adam_for_each_model_that_steps(at_once):
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=generator, dtype=torch.float64)
    shapes = {"w": (2, 3, 4), "v": (2, 5)}
    start = {name: draw(shape) for name, shape in shapes.items()}
    ours = Flat.of(start)
    moments = [ours.at(torch.zeros_like(ours.buffer)) for _ in range(2)]
    iterations = torch.zeros(2, dtype=torch.float64)
    theirs = [{n: torch.nn.Parameter(start[n][k].clone()) for n in start} for k in range(2)]
    optimisers = [torch.optim.Adam(each.values(), lr=0.01) for each in theirs]
    for step in range(6):
        active = torch.tensor([1.0, float(step % 2)], dtype=torch.float64)
        gradient = {name: draw(shape) for name, shape in shapes.items()}
        iterations += active
        given = Flat.of(gradient) if at_once else gradient
        adam_step(ours, given, *moments, iterations, active, 0.01)
        for k in range(2):
            if active[k]:
                for name, parameter in theirs[k].items():
                    parameter.grad = gradient[name][k]
                optimisers[k].step()
    for name in shapes:
        for k in range(2):
            expected = theirs[k][name].data
            torch.testing.assert_close(ours[name][k], expected, rtol=1e-12, atol=1e-12)


def test_adam_at_once_loses_nothing_in_float32():
    generator = torch.Generator().manual_seed(0)
    start, gradient = torch.randn(2, 1, 50, generator=generator).unbind()
    theirs = torch.nn.Parameter(start.clone())
    theirs.grad = gradient
    torch.optim.Adam([theirs], lr=0.01).step()
    ours, moments = Flat.of({"w": start}), [Flat.of({"w": torch.zeros(1, 50)}) for _ in range(2)]
    adam_step(ours, Flat.of({"w": gradient}), *moments, torch.ones(1), torch.ones(1), 0.01)
    torch.testing.assert_close(ours["w"] - start, theirs.detach() - start, rtol=5e-6, atol=2e-7)


class Calls(TorchDispatchMode):
    """Counts the kernels of an accelerator: the calls that are no views."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        if not function.is_view:
            self.names.append(str(function))
        return function(*arguments, **(named or {}))


def test_the_update_of_a_stack_takes_two_dozen_kernels():
    modules = [initialised(Autoencoder, 3, 28, seed) for seed in range(3)]
    state = states.initial(modules)
    gradients = state.parameters.at(torch.randn_like(state.parameters.buffer))
    moments = state.first_moment, state.second_moment
    arguments = state.parameters, gradients, *moments, torch.ones(3), torch.ones(3), 0.01
    adam_step(*arguments)
    with Calls() as calls:
        adam_step(*arguments)
    assert len(calls.names) <= 24, calls.names


def test_tensors_in_one_buffer_are_those_given():
    tensors = {"a": torch.randn(2, 3, 4), "b": torch.randn(2, 64), "c": torch.randn(2, 1)}
    flat = Flat.of(tensors)
    assert flat.buffer.numel() == 64 + 128 + 64
    for k, (name, value) in enumerate(tensors.items()):
        assert flat[name].equal(value) and not flat[name].storage_offset() % ALIGNMENT, name
        flat[name].fill_(k + 1)
    assert flat.buffer.unique().tolist() == [0, 1, 2, 3]
    values = flat.at(flat.per_element(torch.tensor([7.0, 8.0])))
    assert all((part[0] == 7).all() and (part[1] == 8).all() for part in values.values())
    leaf = flat.buffer.detach().requires_grad_()
    parts = flat.at(leaf)
    (gradient,) = torch.autograd.grad((parts["a"] * 2).sum() + parts["c"].sum(), leaf)
    by_name = flat.at(gradient)
    assert [by_name[name].unique().tolist() for name in tensors] == [[2], [0], [1]]


def recorded(body, changed):
    """What ``captured`` does, without a GPU: calls that leave no trace, then a replay."""
    before = [value.clone() for value in changed]
    for _ in range(2):
        body()
    for value, old in zip(changed, before, strict=True):
        value.copy_(old)
    return body


@pytest.mark.parametrize("network", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("counts, form", [((20,), "convolutions"), ((20, 40), "products")])
def test_recorded_epochs_give_the_numbers_of_single_trainings(network, counts, form):
    chosen, dtype = settings(), torch.float64
    data = [tensor(1, count) for count in counts]
    held = [tensor(2, 5 + k) for k in range(len(counts))]
    seeds = list(range(len(counts)))
    alone = [trained_alone(network, (1, count), (2, 5 + k), k) for k, count in enumerate(counts)]
    modules = [initialised(network, 1, 28, seed).to(dtype) for seed in seeds]
    state = states.initial(modules)
    stack = Stack(modules[0], vectorise=True, form=forms.FORMS[form])
    images, _ = resident(data, "cpu")
    held_images, held_counts = resident(held, "cpu")
    changed = states.updated_tensors(state)
    train_epoch = Epoch(
        partial(iteration.iterate, stack, chosen, state), images, 16, dtype, changed, recorded
    )
    validation_epoch = Epoch(
        partial(iteration.validate, stack, chosen, state), held_images, 16, dtype, [], recorded
    )
    buffers = []
    for epoch in (1, 2):
        noise = latent_noise(counts, 16, network.noise_size(28), seeds, epoch, dtype)
        losses = train_epoch(batch_order(counts, 16, seeds, epoch), noise)
        held_losses = validation_epoch(batch_order(held_counts, 16), None)
        fixed = [train_epoch.numbers, train_epoch.sums, validation_epoch.numbers, *changed]
        fixed += [] if noise is None else [train_epoch.noise]
        buffers.append([value.data_ptr() for value in fixed])
    assert buffers[0] == buffers[1]
    for k, single in enumerate(alone):
        row = single.history[-1]
        assert float(losses[k, 0]) == pytest.approx(row["train_loss"], rel=1e-8)
        assert float(held_losses[k, 0]) == pytest.approx(row["validation_loss"], rel=1e-8)
        for name, value in single.models["last"].parameters.items():
            assert relative(state.parameters[name][k], value) < 1e-8
        for name, value in single.models["last"].reference.items():
            assert relative(state.reference[name][k], value) < 1e-8


@pytest.mark.parametrize(
    "fastest, lacking", [("convolutions", ()), ("products", ()), ("products", ("convolutions",))]
)
def test_the_fastest_form_is_taken_and_trying_leaves_no_trace(fastest, lacking, monkeypatch):
    """On a GPU each form is tried; here the clock says which one is fast."""
    images, time_of, called = tensor(1, 40), {"convolutions": 2.0, "products": 3.0}, []
    time_of[fastest] = 1.0
    inner = training.iterate

    def iterate(stack, *rest):
        called.append("products" if stack.explicit else "convolutions")
        if called[-1] in lacking:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner(stack, *rest)

    def choose(candidates, changed):
        ticks = iter(range(1000))
        return forms.fastest(candidates, changed, lambda: time_of[called[-1]] * (next(ticks) % 2))

    make = training._stacks

    def two(module, chosen, vectorise, form):
        return {name: make(module, chosen, True, name)[name] for name in time_of}

    monkeypatch.setattr(training, "iterate", iterate)
    monkeypatch.setattr(training, "fastest", choose)
    arguments = {"seeds": [0], "dtype": torch.float64, "vectorise": True}
    monkeypatch.setattr(training, "_stacks", two)
    (chosen,) = train(Autoencoder, settings(), [images], [images[:8]], **arguments)
    assert chosen.form == fastest and called[-3:] == [fastest] * 3
    monkeypatch.undo()
    alone = trained_alone(Autoencoder, (1, 40), (1, 8), 0)
    for name, value in alone.models["last"].parameters.items():
        assert relative(chosen.models["last"].parameters[name], value) < 1e-8


def test_without_memory_for_any_form_the_job_stops():
    def lacks():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError) as caught:
        forms.fastest({"a": lacks, "b": lacks}, [torch.ones(1)])
    assert machine.advice(caught.value).startswith("free memory")


def test_cudnn_searches_where_the_form_says_so(monkeypatch):
    seen = []
    inner = iteration._batch_losses
    monkeypatch.setattr(
        iteration,
        "_batch_losses",
        lambda *rest: (seen.append(torch.backends.cudnn.benchmark), inner(*rest))[1],
    )
    images = tensor(4, 4)
    for form, search in (("convolutions", False), ("convolutions, searched", True)):
        how = {"seeds": [0], "vectorise": True, "form": form}
        train(Autoencoder, settings(epochs=1), [images], [images], **how)
        assert seen == [search, search]  # in training and in validation
        seen.clear()
    assert not torch.backends.cudnn.benchmark


def test_tf32_is_refused_on_a_cpu_and_set_on_a_gpu(monkeypatch):
    images, chosen = tensor(4, 4), settings(epochs=1, precision="tf32")
    with pytest.raises(InputError, match=r"^precision is tf32, which only a GPU has: set it"):
        train(Autoencoder, chosen, [images], [images], seeds=[0])
    monkeypatch.setattr(training, "_require_precision", lambda *rest: None)
    seen, inner = [], training.iterate
    backends = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    monkeypatch.setattr(
        training,
        "iterate",
        lambda *rest: (seen.append([b.fp32_precision for b in backends]), inner(*rest))[1],
    )
    before = [each.fp32_precision for each in backends]
    train(Autoencoder, chosen, [images], [images], seeds=[0])
    train(Autoencoder, settings(epochs=1), [images], [images], seeds=[0])
    assert seen == [["tf32"] * 2, ["ieee"] * 2]
    assert [each.fp32_precision for each in backends] == before


def test_the_next_epoch_is_drawn_while_this_one_trains():
    begun, may_end = threading.Event(), threading.Event()

    def draw(epoch, counts):
        if epoch == 2 and counts == [3]:
            begun.set()
            assert may_end.wait(60)
        return torch.tensor([epoch, *counts]), None

    ahead = DrawnAhead(draw, 3)
    assert ahead(1, [3])[0].tolist() == [1, 3]
    assert begun.wait(60)  # nobody has asked for it yet
    may_end.set()
    assert ahead(2, [3])[0].tolist() == [2, 3]
    assert ahead(3, [0])[0].tolist() == [3, 0], "of a model that has failed since"


def test_padding_has_no_weight():
    images = torch.arange(1, 7, dtype=torch.uint8).view(2, 3, 1, 1, 1)
    numbers = torch.tensor([[2, 0, -1, -1], [1, -1, -1, -1]])
    batch, weight = take_batch(images, numbers, torch.float64)
    assert batch.shape == (2, 4, 1, 1, 1)
    assert weight.tolist() == [[1, 1, 0, 0], [1, 0, 0, 0]]
    assert (255 * batch.flatten(1) * weight).tolist() == [[3, 1, 0, 0], [5, 0, 0, 0]]
    assert without_padding(numbers).equal(numbers[:, :2])


def test_noise_is_where_images_are_and_of_each_model_alone():
    noise = latent_noise([3, 0, 5], 2, 4, [7, 8, 9], 1, torch.float32)
    assert noise.shape == (3, 3, 2, 4)
    places = noise.flatten(1, 2).abs().sum(-1) > 0
    assert places.equal(batch_order([3, 0, 5], 2).flatten(1) >= 0)
    assert latent_noise([5], 2, 4, [9], 1, torch.float32).equal(noise[2:])
    assert latent_noise([5], 2, 0, [9], 1, torch.float32) is None


def test_noise_is_standard_normal_and_new_in_every_epoch():
    noise = latent_noise([400], 16, 100, [7], 1, torch.float64)
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    for seeds, epoch in (([8], 1), ([7], 2)):
        assert not latent_noise([400], 16, 100, seeds, epoch, torch.float64).equal(noise)


def test_order_is_a_permutation_by_seed_and_epoch():
    order = batch_order([5, 8], 3, [0, 0], 1)
    assert order.shape == (2, 3, 3)
    for k, count in enumerate((5, 8)):
        flat = order[k].flatten()
        assert sorted(flat[flat >= 0].tolist()) == list(range(count))
        assert (flat[count:] == -1).all()
    assert batch_order([8], 3, [0], 1).equal(order[1:])
    assert not batch_order([8], 3, [0], 2).equal(order[1:])
    assert not batch_order([8], 3, [1], 1).equal(order[1:])


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("network", [Autoencoder, VariationalAutoencoder])
def test_resuming_gives_the_same_bits(network, tmp_path, monkeypatch):
    images, chosen = tensor(2, 40), settings(epochs=5, checkpoint_every=2)
    arguments = {"seeds": [3], "milestones": [2, 4]}
    (whole,) = train(network, chosen, [images], [images[:9]], **arguments)
    path = tmp_path / "training.safetensors"
    record, seen = states.record, []

    def interrupt(state, *rest):
        record(state, *rest)
        seen.append(state.epoch)
        if state.epoch == 4:
            raise Interrupted

    monkeypatch.setattr(states, "record", interrupt)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Interrupted):
        train(network, chosen, [images], [images[:9]], checkpoint=path, **arguments)
    monkeypatch.setattr(states, "record", record)
    (resumed,) = train(network, chosen, [images], [images[:9]], checkpoint=path, **arguments)
    assert seen == [1, 2, 3, 4]
    assert resumed.history == whole.history and resumed.best_epoch == whole.best_epoch
    assert resumed.models.keys() == whole.models.keys() == {"best", "last", "epoch-2", "epoch-4"}
    for name, model in whole.models.items():
        for group in ("parameters", "reference"):
            for key, value in getattr(model, group).items():
                assert getattr(resumed.models[name], group)[key].equal(value), (name, key)


def test_a_finished_training_goes_on_with_more_epochs(tmp_path):
    images, path = tensor(2, 20), tmp_path / "training.safetensors"
    train(Autoencoder, settings(epochs=2), [images], [images], seeds=[0], checkpoint=path)
    (longer,) = train(
        Autoencoder, settings(epochs=3), [images], [images], seeds=[0], checkpoint=path
    )
    (whole,) = train(Autoencoder, settings(epochs=3), [images], [images], seeds=[0])
    assert longer.history == whole.history


def test_a_checkpoint_of_more_epochs_is_refused(tmp_path):
    images, path = tensor(2, 20), tmp_path / "training.safetensors"
    train(Autoencoder, settings(epochs=2), [images], [images], seeds=[0], checkpoint=path)
    with pytest.raises(ValueError, match=r"training of 2 epochs, 1 are wanted; delete the file"):
        train(Autoencoder, settings(epochs=1), [images], [images], seeds=[0], checkpoint=path)


def test_a_checkpoint_past_a_milestone_is_refused(tmp_path):
    images, path = tensor(2, 20), tmp_path / "training.safetensors"
    arguments = {"seeds": [0], "checkpoint": path}
    train(Autoencoder, settings(epochs=2), [images], [images], milestones=[2], **arguments)
    again = train(Autoencoder, settings(epochs=2), [images], [images], milestones=[2], **arguments)
    assert "epoch-2" in again[0].models
    with pytest.raises(ValueError, match=r"at epoch 2 and kept no milestones \[1\]"):
        train(Autoencoder, settings(epochs=3), [images], [images], milestones=[1, 3], **arguments)
    path.unlink()
    train(Autoencoder, settings(epochs=2), [images], [images], **arguments)
    with pytest.raises(ValueError, match=r"at epoch 2 and kept no milestones \[2\]"):
        train(Autoencoder, settings(epochs=3), [images], [images], milestones=[2], **arguments)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    images, path = tensor(2, 20), tmp_path / "training.safetensors"
    train(Autoencoder, settings(epochs=1), [images], [images], seeds=[0], checkpoint=path)
    differing = [
        (VariationalAutoencoder, settings(), images, 0, "architecture"),
        (Autoencoder, settings(alpha=0.5), images, 0, "alpha"),
        (Autoencoder, settings(), tensor(2, 20, 3), 0, "image shape"),
        (Autoencoder, settings(), images, 1, "seeds"),
        (Autoencoder, settings(), tensor(3, 20), 0, "images"),
    ]
    for network, chosen, data, seed, what in differing:
        with pytest.raises(ValueError, match=f"{path}: {what}.*delete the file") as caught:
            train(network, chosen, [data], [data], seeds=[seed], checkpoint=path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=f"{path}: images.*delete the file"):
        train(Autoencoder, settings(), [images], [images[1:]], seeds=[0], checkpoint=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"damaged.*delete it"):
        train(Autoencoder, settings(), [images], [images], seeds=[0], checkpoint=path)


def test_a_diverged_model_fails_alone():
    data = [tensor(0, 20), tensor(1, 20)]
    broken = initialised

    def poisoned(network, channels, image_size, seed):
        module = broken(network, channels, image_size, seed)
        if seed == 7:
            with torch.no_grad():
                module.encoder[0].weight[0, 0, 0, 0] = math.nan
        return module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "initialised", poisoned)
        failed, survivor = train(Autoencoder, settings(), data, data, seeds=[7, 0])
    (alone,) = train(Autoencoder, settings(), [data[1]], [data[1]], seeds=[0])
    assert isinstance(failed, FitFailed) and "training loss is nan in epoch 1" in str(failed)
    assert isinstance(survivor, Trained)
    for name, value in alone.models["last"].parameters.items():
        assert relative(survivor.models["last"].parameters[name], value) < 1e-5


def test_the_best_model_has_the_lowest_validation_loss():
    """Reconstructions pass an even gray on the way to the digits, and only leave their inverse."""
    images, gray = tensor(4, 40), torch.full((8, 1, 28, 28), 80, dtype=torch.uint8)
    every = train(
        Autoencoder,
        settings(epochs=6, alpha=1e-4),
        [images, images],
        [gray, 255 - images[:8]],
        seeds=[0, 0],
        milestones=range(1, 7),
    )
    for trained in every:
        losses = [row["validation_loss"] for row in trained.history]
        assert trained.best_epoch == 1 + int(np.argmin(losses))
        assert trained.history[-1]["train_loss"] == min(r["train_loss"] for r in trained.history)
        best, then = trained.models["best"], trained.models[f"epoch-{trained.best_epoch}"]
        for group in ("parameters", "reference"):
            for name, value in getattr(then, group).items():
                assert getattr(best, group)[name].equal(value), (group, name)
                assert not getattr(trained.models["last"], group)[name].equal(value)
    assert 1 == every[1].best_epoch < every[0].best_epoch < 6


def test_the_best_model_is_among_the_epochs_that_are_considered():
    images = tensor(4, 40)
    (every,) = train(Autoencoder, settings(epochs=9), [images], [images[:8]], seeds=[0])
    losses = [row["validation_loss"] for row in every.history]
    (fifth,) = train(
        Autoencoder, settings(epochs=9, checkpoint_every=5), [images], [images[:8]], seeds=[0]
    )
    records = [k + 1 for k in range(9) if losses[k] == min(losses[: k + 1])]
    assert fifth.best_epoch == max(k for k in records if k in (1, 6, 9))


def test_float32_is_not_tf32_while_training(monkeypatch):
    precisions, convolutions = [], torch.backends.cudnn.conv
    before = convolutions.fp32_precision
    for name in ("iterate", "validate"):
        inner = getattr(training, name)
        monkeypatch.setattr(
            training,
            name,
            lambda *rest, inner=inner: (
                precisions.append(convolutions.fp32_precision),
                inner(*rest),
            )[1],
        )
    images = tensor(4, 10)
    train(Autoencoder, settings(epochs=1), [images], [images], seeds=[0])
    assert precisions == ["ieee", "ieee"] and convolutions.fp32_precision == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"epochs": "10"},
        {"learning_rate": "x"},
        {"alpha": None},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"alpha": -1.0},
        {"precision": "fp8"},
        {"reference": "mean"},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"^{name} is {value!r}; give ") as caught:
        settings(**wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fast", [True, False])
def test_bfloat16_on_a_cpu_that_lacks_it_warns(monkeypatch, fast):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: fast)
    run = partial(train, Autoencoder, data=[tensor(3, 4)], validation=[tensor(3, 2)], seeds=[0])
    run(settings(epochs=1, precision="float32"))
    with nullcontext() if fast else pytest.warns(UserWarning, match="precision is bfloat16"):
        run(settings(epochs=1, precision="bfloat16"))


def test_only_the_generator_of_the_cpu_is_seeded(monkeypatch):
    monkeypatch.setattr(torch, "manual_seed", None)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", None)
    first, again = (initialised(Autoencoder, 1, 12, 3).state_dict() for _ in range(2))
    assert all(first[name].equal(again[name]) for name in first)


def test_global_random_state_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    images = tensor(4, 10)
    train(VariationalAutoencoder, settings(epochs=1), [images], [images], seeds=[9])
    assert torch.rand(1).equal(expected)
