"""Runs: train a method on the inliers of one class and score the test set of that class.

The folder of a run holds ``run.json``, ``scores.parquet`` (best and last model), ``epochs.parquet``
(the models of the milestone epochs), ``history.csv``, ``reconstructions.npz`` if the method
reconstructs, and ``weights/``. An error inside a method is recorded as the failure of its run. An
error that the user can correct (a file, the disk) stops the job instead and leaves no ``run.json``.
"""

import hashlib
import json
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark import data as datasets
from benchmark import splits
from benchmark.config import methods
from benchmark.detector import Detector, FitFailed, Images
from benchmark.errors import InputError
from benchmark.runs import device as devices
from benchmark.runs.environment import environment
from benchmark.utils.files import atomic

RECONSTRUCTED = 8
"""How many test inliers, and how many outliers, have their reconstructions kept for the figure."""


@dataclass(frozen=True)
class RunSpec:
    """What identifies a run and what it depends on."""

    dataset: str
    method: str
    detector: str
    """Import path, ``package.module:Class``."""
    params: Mapping[str, Any]
    fold: int
    inlier: int
    class_name: str
    seed: int
    milestones: tuple[int, ...] = ()
    code_digest: str = ""


@dataclass
class _Attempt:
    """A run in progress; ``detector`` is fitted unless there is a ``failure``."""

    spec: RunSpec
    directory: Path
    detector: Detector | None = None
    failure: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def run_stack(
    specs: Sequence[RunSpec],
    data: Path,
    split: Path,
    directories: Sequence[Path],
    device: str | None = None,
) -> None:
    """Make several runs of one data set, method and fold, trained as a stack where the method can.

    Args:
        specs: the runs.
        data: folder of the prepared data set.
        split: split table of the fold (.parquet).
        directories: the folder of each run.
        device: a torch device; by default a GPU where there is one.

    Raises:
        InputError: a damaged data set or split, or a checkpoint of another training.
        OSError: a file that cannot be written.
    """
    started = datetime.now(UTC)
    dataset = datasets.load(data)
    table = splits.read_split(split)
    split_sha256 = json.loads(split.with_suffix(".json").read_text())["sha256"]
    device = device or devices.choose()
    attempts = [_Attempt(s, d) for s, d in zip(specs, directories, strict=True)]
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(directory / "weights", ignore_errors=True)
        (directory / "reconstructions.npz").unlink(missing_ok=True)
    images = [
        tuple(dataset.images[ids] for ids in splits.fit_indices(table, spec.inlier))
        for spec in specs
    ]
    _fit(attempts, images, device)
    for attempt in attempts:
        tests = splits.test_table(table, dataset.labels, attempt.spec.inlier)
        _score(attempt, tests, dataset.images[tests["sample_id"].to_numpy()])
        _write_run(attempt, len(tests), split_sha256, device, started)
    for directory in directories:
        for checkpoint in directory.glob("training-*.safetensors"):
            checkpoint.unlink()


@contextmanager
def _recording_failures(attempts: Sequence[_Attempt]) -> Iterator[None]:
    """Record an error as the failure of runs, unless the user can correct it."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        traceback.print_exc()
        for attempt in attempts:
            attempt.failure = _reason(error)


def _fit(attempts: Sequence[_Attempt], images: Sequence[tuple[Images, ...]], device: str) -> None:
    """Fit all runs, as a stack if the method offers it, and note the seconds per run."""
    begin = time.perf_counter()
    with _recording_failures(attempts):
        detectors = [methods.create(a.spec.detector, a.spec.params) for a in attempts]
        for attempt, detector in zip(attempts, detectors, strict=True):
            attempt.detector = detector
        fit_stack = getattr(type(detectors[0]), "fit_stack", None)
        if fit_stack is None:
            for attempt, detector, parts in zip(attempts, detectors, images, strict=True):
                with _recording_failures([attempt]):
                    detector.fit(*parts, seed=attempt.spec.seed, **_options([attempt], device))
        else:
            errors = fit_stack(
                detectors,
                *([parts[k] for parts in images] for k in (0, 1)),
                seeds=[attempt.spec.seed for attempt in attempts],
                **_options(attempts, device),
            )
            for attempt, error in zip(attempts, errors, strict=True):
                attempt.failure = None if error is None else _reason(error)
    seconds = (time.perf_counter() - begin) / len(attempts)
    for attempt in attempts:
        attempt.seconds["fit"] = seconds
        if attempt.failure:
            print(f"{attempt.directory}: failed: {attempt.failure}", file=sys.stderr)
        else:
            attempt.seconds["fit"] = getattr(attempt.detector, "fit_seconds", seconds)


def _options(attempts: Sequence[_Attempt], device: str) -> dict[str, Any]:
    """The arguments that ``fit`` and ``fit_stack`` share, for runs that are fitted together.

    The name of the checkpoint's file has a hash of all that the training depends on, so that no
    training continues from the checkpoint of another one.
    """
    spec = attempts[0].spec
    depends_on = [
        spec.code_digest,
        dict(spec.params),
        list(spec.milestones),
        [(attempt.spec.inlier, attempt.spec.seed) for attempt in attempts],
    ]
    name = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:12]
    return {
        "checkpoint": attempts[0].directory / f"training-{name}.safetensors",
        "milestones": spec.milestones,
        "device": device,
    }


def _score(attempt: _Attempt, tests: pd.DataFrame, images: Images) -> None:
    """Score the test set with every kept model and write the score tables, empty for a failure."""
    begin = time.perf_counter()
    final: list[pd.DataFrame] = []
    milestones: list[pd.DataFrame] = []
    if attempt.detector is not None and not attempt.failure:
        with _recording_failures([attempt]):
            for model in attempt.detector.models:
                begin_model = time.perf_counter()
                scores = attempt.detector.score(images, model)
                if model == "best":
                    attempt.seconds["score"] = time.perf_counter() - begin_model
                    _require_usable(scores)
                names = list(attempt.detector.components)
                columns = pd.DataFrame(scores, columns=names, dtype=np.float32)
                if model in ("best", "last"):
                    final.append(tests.assign(model=model).join(columns))
                else:
                    epoch = np.int32(model.removeprefix("epoch-"))
                    milestones.append(tests.assign(epoch=epoch).join(columns))
            _write_reconstructions(attempt, tests, images)
    attempt.seconds.setdefault("score", time.perf_counter() - begin)
    empty = tests.iloc[:0]
    for file, tables, without in (
        ("scores", final, empty.assign(model="")),
        ("epochs", milestones, empty.assign(epoch=np.int32(0))),
    ):
        scored = tables and not attempt.failure
        table = pd.concat(tables, ignore_index=True) if scored else without
        if "model" in table:
            table = table.astype({"model": "category"})
        with atomic(attempt.directory / f"{file}.parquet") as beside:
            table.to_parquet(beside, index=False, compression="zstd")


def _require_usable(scores: Mapping[str, Any]) -> None:
    for name, values in scores.items():
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise FitFailed(f"{bad} of {len(values)} scores of {name} are NaN or infinite")
    if all(np.ptp(values) == 0 for values in scores.values()):
        raise FitFailed(f"the model has collapsed: {', '.join(scores)} constant over all images")


def _write_reconstructions(attempt: _Attempt, tests: pd.DataFrame, images: Images) -> None:
    """Reconstruct a few test images, if the method reconstructs."""
    reconstruct = getattr(attempt.detector, "reconstruct", None)
    if reconstruct is None:
        return
    inlier = tests["inlier"].to_numpy()
    shown = np.r_[_evenly_spaced(np.flatnonzero(inlier)), _evenly_spaced(np.flatnonzero(~inlier))]
    with atomic(attempt.directory / "reconstructions.npz") as beside:
        np.savez_compressed(
            beside,
            images=images[shown],
            reconstructions=reconstruct(images[shown]),
            inlier=inlier[shown],
            sample_id=tests["sample_id"].to_numpy()[shown],
        )


def _evenly_spaced(positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """An evenly spaced sample of ``RECONSTRUCTED`` positions: neighbours may show the same sign."""
    chosen = np.linspace(0, len(positions) - 1, min(RECONSTRUCTED, len(positions)))
    return positions[chosen.astype(np.intp)]


def _write_run(
    attempt: _Attempt, n_scored: int, split_sha256: str, device: str, started: datetime
) -> None:
    """Write weights, history and, last of all, ``run.json``."""
    directory, spec = attempt.directory, attempt.spec
    history: Sequence[Mapping[str, float]] = []
    facts: Mapping[str, Any] = {}
    if attempt.detector is not None and not attempt.failure:
        attempt.detector.save(directory / "weights")
        history, facts = attempt.detector.history, attempt.detector.facts
    with atomic(directory / "history.csv") as beside:
        frame = pd.DataFrame(history)
        if "epoch" in frame:
            frame = frame.astype({"epoch": int})
        frame.to_csv(beside, index=False, float_format="%.7g")
    sha256 = {
        f"{file}_sha256": hashlib.sha256((directory / f"{file}.parquet").read_bytes()).hexdigest()
        for file in ("scores", "epochs")
    }
    record = {
        **{key: value for key, value in asdict(spec).items() if key != "params"},
        "config": dict(spec.params),
        "status": "failed" if attempt.failure else "complete",
        "reason": attempt.failure,
        "facts": dict(facts),
        "seconds": attempt.seconds,
        "memory_bytes": devices.peak_memory(device),
        "n_scored": 0 if attempt.failure else n_scored,
        "split_sha256": split_sha256,
        **sha256,
        "environment": environment(device),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with atomic(directory / "run.json") as beside:
        beside.write_text(json.dumps(record, indent=1) + "\n")


def _reason(error: Exception) -> str:
    message = " ".join(str(error).split())
    return message if isinstance(error, FitFailed) else f"{type(error).__name__}: {message}"
