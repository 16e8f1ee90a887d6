"""What ``performance.bench`` measures on a GPU; there are no rows where there is none."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch

from benchmark.utils.precision import full_float32
from gradcon import reference as plain
from gradcon import training_state as states
from gradcon.batches import batch_order, resident, to_unit, upload
from gradcon.epochs import Epoch
from gradcon.iteration import iterate
from gradcon.kernels.cuda_graphs import captured
from gradcon.networks import Autoencoder, initialised
from gradcon.scoring import score_images
from gradcon.stack import Stack
from gradcon.training import train
from performance.cases import SQUARED_ERROR, Row, Sizes, rows, scored, settings
from performance.timing import alternate

CLASSES = 10
EPOCHS = 1000
STEPS = 10


def accelerator(sizes: Sizes) -> Iterator[Row]:
    """All rows, of the first GPU."""
    if torch.cuda.is_available():
        for section in (stack_steps, epochs, scoring):
            yield from section(sizes, "cuda")


def stack_steps(sizes: Sizes, device: str) -> Iterator[Row]:
    """One iteration of K models as one batched network, recorded as a CUDA graph on a GPU."""
    for models in sizes.gpu_models:
        networks = [initialised(Autoencoder, 3, 28, seed).to(device) for seed in range(models)]
        state, stack = states.initial(networks), Stack(networks[0], vectorise=True)
        images, counts = resident(_images(STEPS * sizes.batch, models), device)
        epoch = Epoch(
            partial(iterate, stack, settings(), state),
            images,
            sizes.batch,
            torch.float32,
            states.updated_tensors(state),
            captured if images.is_cuda else None,
        )
        order = upload(batch_order(counts, sizes.batch), device)
        candidates = {"batched": _finished(partial(epoch, order, None), device)}
        yield from rows(
            f"stack, per step ({device})", candidates, sizes, {"batched": STEPS}, models=models
        )


def epochs(sizes: Sizes, device: str) -> Iterator[Row]:
    """An epoch of ten models with validation, and 1000 epochs extrapolated from it.

    The time of an epoch is the difference of two trainings, divided by their difference in epochs.
    """
    data = _images(sizes.gpu_epoch, CLASSES)
    validation = _images(sizes.gpu_epoch // 9, CLASSES)

    def run(count: int) -> None:
        chosen = replace(settings(), epochs=count)
        seeds = range(CLASSES)
        train(Autoencoder, chosen, data, validation, seeds=seeds, device=device, vectorise=True)

    several = 1 + sizes.gpu_epochs
    candidates = {str(n): _finished(partial(run, n), device) for n in (1, several)}
    timed = alternate(candidates, min(3, sizes.repeats), warm_up=1)
    shorter, longer = (seconds for seconds, _ in timed.values())
    epoch = (longer - shorter) / sizes.gpu_epochs
    training = shorter + (EPOCHS - 1) * epoch
    for case, seconds in (("one epoch", epoch), (f"{EPOCHS} epochs, extrapolated", training)):
        yield {
            "section": f"ten classes ({device})",
            "case": case,
            "channels": 3,
            "models": CLASSES,
            "images": sizes.gpu_epoch,
            "median_ms": 1000 * seconds,
        }


def scoring(sizes: Sizes, device: str) -> Iterator[Row]:
    """Scores per test image, against one backward pass per image on the same device."""
    network, reference, images = scored(sizes.gpu_scored, 3)
    network.to(device)
    means = [mean.to(device) for mean in reference.values()]
    few = to_unit(images[: sizes.scored_plainly]).to(device)
    candidates = {
        "one backward pass per image": partial(plain.score, network, means, few),
        "batched, exact": partial(score_images, network, reference, images, SQUARED_ERROR),
    }
    finished = {name: _finished(call, device) for name, call in candidates.items()}
    counts = dict(zip(candidates, (len(few), len(images)), strict=True))
    yield from rows(f"scoring, per image ({device})", finished, sizes, counts, channels=3)


def _images(count: int, models: int) -> list[torch.Tensor]:
    return [torch.randint(0, 256, (count, 3, 28, 28), dtype=torch.uint8)] * models


def _finished(call: Callable[[], object], device: str) -> Callable[[], None]:
    """The call in full float32, as in training and scoring, until the device is done."""

    def run() -> None:
        with full_float32():
            call()
        if device != "cpu":
            torch.cuda.synchronize(device)

    return run
