"""What ``performance.bench`` measures on a CPU. Each section is a function that gives rows."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcon import GradCon
from gradcon import reference as plain
from gradcon import training_state as states
from gradcon.batches import to_unit
from gradcon.iteration import iterate
from gradcon.kernels.convolution import TransposedConvolution
from gradcon.losses import RECONSTRUCTION
from gradcon.networks import Autoencoder, Encoder, decoder_weights, initialised
from gradcon.scoring import CHUNK, score_images
from gradcon.settings import Precision, Settings
from gradcon.stack import Stack
from gradcon.training import train
from performance.timing import alternate

Row = dict[str, Any]
SQUARED_ERROR = RECONSTRUCTION["squared_error"]


@dataclass(frozen=True)
class Sizes:
    """How much to measure: numbers of repeats, images and models, and image sizes in pixels."""

    repeats: int = 15
    batch: int = 64
    scored: int = 512
    scored_plainly: int = 64
    epoch: int = 1000
    models: tuple[int, ...] = (1, 2, 5, 10, 20)
    images: tuple[int, ...] = (250, 500, 1000, 2000)
    image_sizes: tuple[int, ...] = (12, 28, 44, 60)
    memory: tuple[int, ...] = (1000, 4000, 16000)
    gpu_models: tuple[int, ...] = (1, 10, 50)
    gpu_epoch: int = 4500
    gpu_epochs: int = 5
    gpu_scored: int = 20000
    gpu_repeats: int = 3


SMALL = Sizes(1, 4, 6, 2, 8, (1, 2), (4, 8), (12, 28), (8,), (1, 2), 9, 1, 6, 1)
"""For a test that everything runs."""


def settings(alpha: float = 0.03, precision: Precision = "float32") -> Settings:
    """The paper's hyperparameters."""
    return Settings(
        epochs=1,
        batch_size=64,
        learning_rate=1e-3,
        alpha=alpha,
        reference="total",
        reconstruction_loss="squared_error",
        latent_weight=0.0,
        precision=precision,
        checkpoint_every=1,
    )


def training_step(sizes: Sizes) -> Iterator[Row]:
    """One iteration of GradCon by each implementation, against the official formulation."""
    for channels in (1, 3):
        batch = torch.rand(sizes.batch, channels, 28, 28)
        candidates = {
            "official formulation": _plain_step(batch, 0.03),
            "one gradient call for all layers": step(batch, explicit=False, closed=False),
            "closed convolutions, channels last": step(batch, explicit=False),
            "explicit passes": step(batch),
            "explicit passes, bfloat16": step(batch, settings(precision="bfloat16")),
            "explicit passes, no constraint (CAE)": step(batch, settings(alpha=0.0)),
        }
        yield from rows("training step", candidates, sizes, channels=channels, images=sizes.batch)


def scoring(sizes: Sizes) -> Iterator[Row]:
    """Scores per test image, against one backward pass per image."""
    for channels in (1, 3):
        network, reference, images = scored(sizes.scored, channels)
        few = to_unit(images[: sizes.scored_plainly])
        candidates = {
            "one backward pass per image": partial(
                plain.score, network, list(reference.values()), few
            ),
            "batched, exact": partial(score_images, network, reference, images, SQUARED_ERROR),
            "forward pass alone": partial(_forward, network, images),
        }
        counts = dict.fromkeys(candidates, sizes.scored)
        counts["one backward pass per image"] = sizes.scored_plainly
        yield from rows("scoring, per image", candidates, sizes, counts, channels=channels)


def stacks(sizes: Sizes) -> Iterator[Row]:
    """One iteration per model of K: one after the other, or as one batched network."""
    for models in sizes.models:
        batch = torch.rand(sizes.batch, 3, 28, 28)
        candidates = {
            "model by model": step(batch, models=models),
            "batched": step(batch, models=models, vectorise=True),
        }
        per_model = dict.fromkeys(candidates, models)
        yield from rows("stack, per model and step", candidates, sizes, per_model, models=models)


def end_to_end(sizes: Sizes) -> Iterator[Row]:
    """One class, one epoch: train, validate, score a test set of the same size."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (sizes.epoch, 28, 28, 3), dtype=np.uint8)
    few = images[: sizes.epoch // 10 + 1]
    candidates = {
        "official formulation": partial(_plain_run, images),
        "this suite": partial(_run, images, few),
    }
    yield from rows(
        "one class, one epoch, scored", candidates, sizes, images=sizes.epoch, repeats=2
    )


def growth(sizes: Sizes) -> Iterator[Row]:
    """The cost by number of images and by image size."""
    for count in sizes.images:
        network, reference, images = scored(count, 3)
        score = partial(score_images, network, reference, images, SQUARED_ERROR)
        yield from rows("scoring by images", {"batched, exact": score}, sizes, images=count)
        data = [images]
        once = partial(train, Autoencoder, settings(), data, [images[:2]], seeds=[0])
        yield from rows("an epoch by images", {"GradCon": once}, sizes, images=count, repeats=2)
    for side in sizes.image_sizes:
        batch = torch.rand(sizes.batch, 3, side, side)
        yield from rows(
            "training step by image size", {"GradCon": step(batch)}, sizes, image_size=side
        )


def memory(sizes: Sizes) -> Iterator[Row]:
    """Peak memory of a new process beyond that of its libraries and images."""
    context = multiprocessing.get_context("spawn")
    for case, measure in (("scoring", _memory_of_scoring), ("an epoch", _memory_of_training)):
        for count in sizes.memory:
            with context.Pool(1) as pool:
                peak = pool.apply(measure, (count,))
            yield {"section": "peak memory", "case": case, "images": count, "peak_mb": peak}


SECTIONS: tuple[Callable[[Sizes], Iterable[Row]], ...] = (
    training_step,
    scoring,
    stacks,
    end_to_end,
    growth,
    memory,
)


def rows(
    section: str,
    candidates: Mapping[str, Callable[[], object]],
    sizes: Sizes,
    counts: Mapping[str, int] | None = None,
    repeats: int | None = None,
    **size: int,
) -> Iterator[Row]:
    """A row per candidate, with its time per unit and how many times faster than the first it is.

    Args:
        section: name of the section.
        candidates: what to time.
        sizes: gives the number of repeats.
        counts: per candidate the units (images, models) of a call; 1 if not given.
        repeats: rounds, if not those of ``sizes``.
        **size: columns of the row.
    """
    timed = alternate(candidates, repeats or sizes.repeats)
    counts = counts or dict.fromkeys(candidates, 1)
    first_units = counts[next(iter(candidates))]
    for name, (seconds, ratio) in timed.items():
        units = counts[name]
        yield {
            "section": section,
            "case": name,
            **size,
            "median_ms": 1000 * seconds / units,
            "times_faster": ratio * units / first_units if len(candidates) > 1 else None,
        }


def _plain_step(batch: Tensor, alpha: float) -> Callable[[], object]:
    network = initialised(Autoencoder, batch.shape[1], batch.shape[2], 0)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    reference = plain.Reference(network)
    return partial(plain.training_step, network, optimiser, reference, batch, alpha)


def step(
    batch: Tensor,
    chosen: Settings | None = None,
    *,
    explicit: bool = True,
    closed: bool = True,
    models: int = 1,
    vectorise: bool = False,
) -> Callable[[], object]:
    """One iteration of models from the paper's settings, or others, on a batch (B, C, H, H)."""
    networks = [
        initialised(Autoencoder, batch.shape[1], batch.shape[2], seed) for seed in range(models)
    ]
    state = states.initial(networks)
    stack = Stack(networks[0], vectorise=vectorise)
    stack.explicit = explicit and not vectorise
    for layer in networks[0].modules():
        if isinstance(layer, TransposedConvolution):
            layer.closed = closed
        if isinstance(layer, Encoder):
            layer.explicit = stack.explicit
    batches = batch.expand(models, *batch.shape)
    weight = torch.ones(models, len(batch))
    return partial(iterate, stack, chosen or settings(), state, batches, weight, None)


def scored(count: int, channels: int) -> tuple[Autoencoder, dict[str, Tensor], Tensor]:
    """A network, a reference for it and ``count`` images, (count, channels, 28, 28) uint8."""
    torch.manual_seed(0)
    network = initialised(Autoencoder, channels, 28, 0)
    parameters = dict(network.named_parameters())
    reference = {name: torch.randn_like(parameters[name]) for name in decoder_weights(network)}
    images = torch.randint(0, 256, (count, channels, 28, 28), dtype=torch.uint8)
    return network, reference, images


def _forward(network: Autoencoder, images: Tensor) -> None:
    with torch.no_grad():
        for part in torch.split(images, CHUNK):
            network(to_unit(part).contiguous(memory_format=torch.channels_last))


def _plain_run(images: np.ndarray[Any, Any]) -> None:
    data = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    network = initialised(Autoencoder, 3, 28, 0)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    reference = plain.Reference(network)
    for numbers in torch.randperm(len(data)).split(64):
        plain.training_step(network, optimiser, reference, to_unit(data[numbers]), 0.03)
    plain.score(network, reference, to_unit(data))


def _run(images: np.ndarray[Any, Any], validation: np.ndarray[Any, Any]) -> None:
    GradCon(epochs=1).fit(images, validation).score(images)


def _memory_of_scoring(count: int) -> float:
    network, reference, images = scored(count, 3)
    before = _peak()
    score_images(network, reference, images, SQUARED_ERROR)
    return _peak() - before


def _memory_of_training(count: int) -> float:
    _, _, images = scored(count, 3)
    before = _peak()
    train(Autoencoder, settings(), [images[: min(count, 2000)]], [images[:2]], seeds=[0])
    return _peak() - before


def _peak() -> float:
    """Largest memory of this program so far, in MB.

    Not ``ru_maxrss``, which a new program inherits from the one that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kilobytes) / 1024
