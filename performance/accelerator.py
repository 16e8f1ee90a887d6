"""Steps of a stack on a GPU in every form and precision, and what else is measured on a GPU.

``python -m performance.accelerator`` prints one table, in a minute. ``performance.bench`` adds the
sections of this module to its own; there are no rows where there is no GPU.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import NamedTuple

import torch

from benchmark.utils.precision import float32_arithmetic
from gradcon import reference as plain
from gradcon import training_state as states
from gradcon.batches import batch_order, resident, to_unit, upload
from gradcon.epochs import Epoch
from gradcon.forms import FORMS
from gradcon.iteration import iterate
from gradcon.kernels.cuda_graphs import captured
from gradcon.networks import Autoencoder, initialised
from gradcon.scoring import score_images
from gradcon.settings import Precision
from gradcon.stack import Stack
from gradcon.training import train
from performance.cases import SQUARED_ERROR, Row, Sizes, rows, scored, settings
from performance.counting import DEVICE, Work, work
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
        candidates = {}
        for form in FORMS:
            epoch, order = _epoch(sizes, models, "float32", form, device, STEPS)
            candidates[form] = _finished(partial(epoch, order, None), device)
        counts = dict.fromkeys(FORMS, STEPS)
        yield from rows(f"stack, per step ({device})", candidates, sizes, counts, models=models)


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


PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16")
MODELS = (10, 50, 1)


class Limits(NamedTuple):
    """What a device reaches in the simplest of programs."""

    flops: Mapping[str, float]
    """Of a large matrix product, a second, by precision."""
    bandwidth: float
    """Of a large copy, bytes a second, read or written."""


class Measured(NamedTuple):
    """A row of the table: a step of a stack, with what it asks for and how long it takes."""

    models: int
    precision: str
    form: str
    work: Work
    seconds: float | None
    limit: float | None
    """Seconds that it takes at least: the longer of its arithmetic and of its memory traffic."""


def table(
    sizes: Sizes, device: str | None, seconds: float, models: Sequence[int] = MODELS
) -> Iterator[Measured]:
    """A step of every number of models, precision and form.

    Args:
        sizes: gives the batch.
        device: where to measure; None counts only.
        seconds: after which no further row is measured.
        models: numbers of models.
    """
    end = time.monotonic() + seconds
    limits = measure_limits(device) if device else None
    for count in models:
        # The products are the least arithmetic; it is the same in all forms.
        flops = work_of_step(sizes, count, "float32", "products").flops
        for precision, form in product(PRECISIONS, FORMS):
            asked = work_of_step(sizes, count, precision, form)._replace(flops=flops)
            taken = limit = None
            if device and limits and time.monotonic() < end:
                taken = _seconds_per_step(sizes, count, precision, form, device)
                arithmetic = flops / limits.flops[precision]
                limit = max(arithmetic, asked.bytes / limits.bandwidth)
            yield Measured(count, precision, form, asked, taken, limit)


def measure_limits(device: str, side: int = 8192, repeats: int = 5) -> Limits:
    """The rates of a matrix product (side x side) and of a copy of as many numbers."""
    flops = {}
    for precision in PRECISIONS:
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        call = _finished(partial(torch.mm, left, right), device, precision)
        ((seconds, _),) = alternate({"product": call}, repeats).values()
        flops[precision] = 2 * side**3 / seconds
    target = torch.empty_like(left)
    ((seconds, _),) = alternate(
        {"copy": _finished(partial(target.copy_, left), device)}, repeats
    ).values()
    return Limits(flops, 2 * left.nbytes / seconds)


def _epoch(
    sizes: Sizes, models: int, precision: Precision, form: str, device: str, steps: int
) -> tuple[Epoch, torch.Tensor]:
    """An epoch of so many steps of a stack, and the order of its images."""
    networks = [initialised(Autoencoder, 3, 28, seed).to(device) for seed in range(models)]
    state = states.initial(networks)
    low = torch.bfloat16 if precision == "bfloat16" else None
    stack = Stack(networks[0], vectorise=True, form=FORMS[form], precision=low)
    images, counts = resident(_images(steps * sizes.batch, models), device)
    epoch = Epoch(
        partial(iterate, stack, settings(precision=precision), state),
        images,
        sizes.batch,
        torch.float32,
        states.updated_tensors(state),
        captured if images.is_cuda else None,
    )
    return epoch, upload(batch_order(counts, sizes.batch), device)


def work_of_step(sizes: Sizes, models: int, precision: Precision, form: str) -> Work:
    """What a step of a stack asks for, with three channels."""
    epoch, _ = _epoch(sizes, models, precision, form, DEVICE, 1)
    epoch.capture = lambda body, changed: body  # as on a GPU: batches keep their padding
    return work(epoch._take_step)


def _seconds_per_step(
    sizes: Sizes, models: int, precision: Precision, form: str, device: str
) -> float:
    epoch, order = _epoch(sizes, models, precision, form, device, STEPS)
    call = _finished(partial(epoch, order, None), device, precision)
    ((seconds, _),) = alternate({form: call}, sizes.gpu_repeats, warm_up=1).values()
    return seconds / STEPS


def lines(rows: Iterable[Measured]) -> Iterator[str]:
    """The table as text, and the time that the paper's training on CIFAR-10 would take."""
    head = ("models", "precision", "form", "ms a step", "kernels", "MB", "GFLOP", "limit", "share")
    yield _line(head)
    best: Measured | None = None
    for row in rows:
        unknown = "not measured"
        share = row.limit / row.seconds if row.limit and row.seconds else None
        yield _line(
            (
                *(row.models, row.precision, row.form),
                f"{1000 * row.seconds:.3f}" if row.seconds else unknown,
                *(row.work.kernels, f"{row.work.bytes / 1e6:.0f}", f"{row.work.flops / 1e9:.2f}"),
                f"{1000 * row.limit:.3f}" if row.limit else "-",
                f"{share:.0%}" if share else "-",
            )
        )
        if row.models == CLASSES and row.seconds and row.precision != "bfloat16":
            best = min(best or row, row, key=lambda each: each.seconds or 0)
    yield "limit: ms, the longer of GFLOP at the measured rate and MB at the measured bandwidth"
    if best and best.seconds:
        minutes = best.seconds * EPOCHS * -(-4500 // 64) / 60
        yield (
            f"CIFAR-10, ten classes, {EPOCHS} epochs, by {best.form} in {best.precision}: "
            f"{minutes:.1f} minutes of training steps (without validation)"
        )


def _line(cells: Iterable[object]) -> str:
    widths = (6, 9, 22, 12, 7, 6, 6, 8, 5)
    left = (1, 2)
    texts = [
        str(cell).ljust(width) if k in left else str(cell).rjust(width)
        for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(texts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of the first GPU; where there is none, what a step asks for."""
    parser = argparse.ArgumentParser(prog="python -m performance.accelerator", description=__doc__)
    parser.add_argument("--seconds", type=float, default=45, help="begin no row after so many")
    parser.add_argument("--models", type=int, nargs="+", default=MODELS)
    parser.add_argument("--batch", type=int, default=64, help="images of each model in a step")
    chosen = parser.parse_args(arguments)
    on_gpu = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if on_gpu else "no GPU here: times are not measured"
    print(f"{name}; torch {torch.__version__}", flush=True)
    sizes = Sizes(batch=chosen.batch)
    for line in lines(table(sizes, "cuda" if on_gpu else None, chosen.seconds, chosen.models)):
        print(line, flush=True)


def _images(count: int, models: int) -> list[torch.Tensor]:
    return [torch.randint(0, 256, (count, 3, 28, 28), dtype=torch.uint8)] * models


def _finished(
    call: Callable[[], object], device: str, precision: Precision = "float32"
) -> Callable[[], None]:
    """The call in a precision, as training has it, until the device is done."""

    def run() -> None:
        with float32_arithmetic("tf32" if precision == "tf32" else "ieee"):
            call()
        if device != "cpu":
            torch.cuda.synchronize(device)

    return run


if __name__ == "__main__":
    main()
