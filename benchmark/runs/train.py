"""Runs: train a method on the inliers of one class and score the test set of that class.

The folder of a run holds ``run.json``, ``scores.parquet`` (best and last model), ``epochs.parquet``
(the models of the milestone epochs), ``history.csv``, ``reconstructions.npz`` if the method
reconstructs, ``weights/``, and ``kept/`` (see ``benchmark.runs.kept``). An error inside a method is
recorded as the failure of its run. An error of the user or the machine (a file, the disk, a lack of
memory, a lost GPU) stops the job instead: it leaves no ``run.json``, and the next call goes on from
the checkpoints.
"""

import hashlib
import json
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark import data as datasets
from benchmark import splits
from benchmark.config import methods
from benchmark.detector import Detector, FitFailed, Images
from benchmark.errors import InputError
from benchmark.runs import device as devices
from benchmark.runs import kept, scoring
from benchmark.runs.environment import environment
from benchmark.utils import machine
from benchmark.utils.files import atomic


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
    images_sha256: str = ""
    """That of the prepared images; ``run_stack`` fills it in."""


@dataclass
class _Attempt:
    """A run in progress; ``detector`` is fitted unless there is a ``failure``."""

    spec: RunSpec
    directory: Path
    detector: Detector | None = None
    failure: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    n_scored: int = 0

    @property
    def fitted(self) -> Detector | None:
        """The detector unless the run has failed so far."""
        return None if self.failure else self.detector


def run_stack(
    specs: Sequence[RunSpec],
    data: Path,
    split: Path,
    directories: Sequence[Path],
    device: str | None = None,
) -> None:
    """Make several runs of one data set, method and fold, trained as a stack where the method can.

    Those that were made before, of the same settings, code, images and split, stay as they are.

    Args:
        specs: the runs.
        data: folder of the prepared data set.
        split: split table of the fold (.parquet).
        directories: the folder of each run.
        device: a torch device; by default a GPU where there is one.

    Raises:
        InputError: a damaged data set or split, or a checkpoint of another training.
        OSError: a file that cannot be written.
        MemoryError, RuntimeError: the machine's trouble, see ``benchmark.utils.machine``.
    """
    started = datetime.now(UTC)
    dataset = datasets.load(data)
    table = splits.read_split(split)
    split_sha256 = json.loads(split.with_suffix(".json").read_text())["sha256"]
    device = device or devices.choose()
    images_sha256 = datasets.images_sha256(data)
    specs = [replace(spec, images_sha256=images_sha256) for spec in specs]
    attempts = [_Attempt(s, d) for s, d in zip(specs, directories, strict=True)]
    # A stack that was stopped while it wrote its runs goes on as the stack that its checkpoint has.
    if not _options(attempts, device)["checkpoint"].exists():
        attempts = _not_made(attempts, split_sha256)
    if not attempts:
        return
    for attempt in attempts:
        attempt.directory.mkdir(parents=True, exist_ok=True)
        (attempt.directory / "run.json").unlink(missing_ok=True)
        _remove_model(attempt.directory)
        kept.forget(attempt.directory)
    images = [
        tuple(dataset.images[ids] for ids in splits.fit_indices(table, attempt.spec.inlier))
        for attempt in attempts
    ]
    _fit(attempts, images, device)
    for attempt in attempts:
        tests = splits.test_table(table, dataset.labels, attempt.spec.inlier)
        _evaluate(attempt, tests, dataset.images[tests["sample_id"].to_numpy()])
    # Last, so that a job which the machine stops leaves no run that is complete.
    for attempt in attempts:
        _write_run(attempt, split_sha256, device, started)
        kept.keep(attempt.directory)
    for attempt in attempts:
        for checkpoint in attempt.directory.glob("training-*.safetensors"):
            checkpoint.unlink()


def _not_made(attempts: Sequence[_Attempt], split_sha256: str) -> list[_Attempt]:
    """The runs that are not there already; the others are put in their places."""
    new = []
    for attempt in attempts:
        identity = _identity(attempt.spec) | {"split_sha256": split_sha256}
        if not kept.take_back(attempt.directory, identity, attempt.spec.milestones):
            new.append(attempt)
    if made := len(attempts) - len(new):
        print(
            f"{made} of {len(attempts)} runs stay: they were made of the same settings, code, "
            "images and split; delete their folders to train them again",
            file=sys.stderr,
        )
    return new


def _identity(spec: RunSpec) -> dict[str, Any]:
    """The keys of ``run.json`` that say which run it is, without its milestones."""
    left_out = ("params", "milestones")
    named = {key: value for key, value in asdict(spec).items() if key not in left_out}
    return {**named, "config": dict(spec.params)}


def _remove_model(directory: Path) -> None:
    """Remove what an earlier or a failed run leaves besides tables."""
    shutil.rmtree(directory / "weights", ignore_errors=True)
    (directory / "reconstructions.npz").unlink(missing_ok=True)


@contextmanager
def _recording_failures(attempts: Sequence[_Attempt]) -> Iterator[None]:
    """Record an error as the failure of runs, unless the user or the machine caused it."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        if machine.advice(error):
            raise
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
                with _recording_failures([attempt]):
                    if error is not None:
                        raise error
    seconds = (time.perf_counter() - begin) / len(attempts)
    for attempt in attempts:
        attempt.seconds["fit"] = seconds
        with _recording_failures([attempt]):
            attempt.seconds["fit"] = getattr(attempt.fitted, "fit_seconds", seconds)


def _options(attempts: Sequence[_Attempt], device: str) -> dict[str, Any]:
    """The arguments that ``fit`` and ``fit_stack`` share, for runs that are fitted together.

    The name of the checkpoint's file has a hash of all that the training depends on, so that no
    training continues from the checkpoint of another one.
    """
    spec = attempts[0].spec
    depends_on = [
        spec.code_digest,
        spec.images_sha256,
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


def _evaluate(attempt: _Attempt, tests: pd.DataFrame, images: Images) -> None:
    """Score the test set and write all but ``run.json``; empty score tables for a failure."""
    begin = time.perf_counter()
    tables, history = scoring.no_scores(tests), pd.DataFrame()
    directory, detector = attempt.directory, attempt.fitted
    if detector is not None:
        with _recording_failures([attempt]):
            scores, attempt.seconds["score"] = scoring.score(detector, tests, images)
            scoring.write_reconstructions(
                detector, directory / "reconstructions.npz", tests, images
            )
            detector.save(directory / "weights")
            history = pd.DataFrame(detector.history)
            history = history.astype({"epoch": int} if "epoch" in history else {})
            attempt.facts = json.loads(json.dumps(dict(detector.facts)))
            tables, attempt.n_scored = scores, len(tests)
    if attempt.failure:
        _remove_model(directory)
    attempt.seconds.setdefault("score", time.perf_counter() - begin)
    for file, table in tables.items():
        table = table.astype({"model": "category"} if "model" in table else {})
        with atomic(directory / f"{file}.parquet") as beside:
            table.to_parquet(beside, index=False, compression="zstd")
    with atomic(directory / "history.csv") as beside:
        history.to_csv(beside, index=False, float_format="%.7g")


def _write_run(attempt: _Attempt, split_sha256: str, device: str, started: datetime) -> None:
    """Write ``run.json``, the last of the run's files."""
    directory, spec = attempt.directory, attempt.spec
    if attempt.failure:
        print(f"{directory}: failed: {attempt.failure}", file=sys.stderr)
    sha256 = {
        f"{file}_sha256": hashlib.sha256((directory / f"{file}.parquet").read_bytes()).hexdigest()
        for file in ("scores", "epochs")
    }
    record = {
        **_identity(spec),
        "milestones": spec.milestones,
        "status": "failed" if attempt.failure else "complete",
        "reason": attempt.failure,
        "facts": attempt.facts,
        "seconds": attempt.seconds,
        "memory_bytes": devices.peak_memory(device),
        "n_scored": attempt.n_scored,
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
