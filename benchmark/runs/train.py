"""Runs: train a method on the inliers of one class and score the test set of that class.

The folder of a run holds ``run.json``, ``scores.parquet`` (best and last model), ``epochs.parquet``
(the models of the milestone epochs), ``history.csv``, ``reconstructions.npz`` if the method
reconstructs, and ``weights/``. A run that is there already, of the same data, split, settings and
code, is left as it is: a stack trains only the others. An error inside a method is recorded as the
failure of its run. An error of the user or the machine (a file, the disk, a lack of memory, a lost
GPU) stops the job instead: it leaves no ``run.json``, and the next call goes on from the
checkpoints.
"""

import hashlib
import json
import math
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark import data as datasets
from benchmark import layout, splits
from benchmark.config import methods
from benchmark.detector import Detector, FitFailed, Images
from benchmark.errors import InputError
from benchmark.runs import device as devices
from benchmark.runs import gpus, scoring
from benchmark.utils import machine
from benchmark.utils.files import atomic, sha256
from benchmark.utils.milestones import lacking_milestones
from benchmark.utils.parquet import write_parquet
from benchmark.utils.tensors import UnusableFile

TABLES = ("scores", "epochs")
"""The score tables of a run, by the names of their files."""

NEW = ".new"
"""The folder for what a method saves, in that of its run."""


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
    precision: str | None = None
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

    ``data`` is the folder of the prepared data set, ``split`` the table of the fold (.parquet) and
    ``directories`` has the folder of each run. The device is by default a GPU where there is one.

    Raises:
        InputError: a damaged data set or split, or a checkpoint of another training.
        OSError: a file that cannot be written.
        MemoryError, RuntimeError: the machine's trouble, see ``benchmark.utils.machine``.
        OutOfTime: the time limit, if one is set; see ``benchmark.utils.time_limit``.
    """
    images_sha256 = datasets.images_sha256(data)
    split_sha256 = json.loads(split.with_suffix(".json").read_text())["sha256"]
    attempts = [
        _Attempt(replace(spec, images_sha256=images_sha256), directory)
        for spec, directory in zip(specs, directories, strict=True)
    ]
    # A stack that was killed while it wrote its runs goes on as the stack that its checkpoint has.
    if not checkpoint([attempt.spec for attempt in attempts], directories[0]).exists():
        attempts = [attempt for attempt in attempts if not _is_made(attempt, split_sha256)]
    if made := len(specs) - len(attempts):
        print(
            f"{made} of {len(specs)} runs stay: they were made of the same settings, code, images "
            "and split; delete their folders to train them again",
            file=sys.stderr,
        )
    if not attempts:
        return
    device = device or devices.choose()
    if not methods.uses_gpu(attempts[0].spec.detector):
        device = "cpu"
    with gpus.taken(device) as own, gpus.current(own):
        _make(attempts, data, split, split_sha256, own)


def _make(
    attempts: Sequence[_Attempt], data: Path, split: Path, split_sha256: str, device: str
) -> None:
    """Train and score runs, on a device that they have to themselves."""
    started = datetime.now(UTC)
    machine.require_working(device)
    dataset = datasets.load(data)
    table = splits.read_split(split)
    for attempt in attempts:
        attempt.directory.mkdir(parents=True, exist_ok=True)
        (attempt.directory / "run.json").unlink(missing_ok=True)
    images = [
        tuple(dataset.images[ids] for ids in splits.fit_indices(table, attempt.spec.inlier))
        for attempt in attempts
    ]
    _fit(attempts, images, device)
    with _new_models(attempts):
        for attempt in attempts:
            tests = splits.test_table(table, dataset.labels, attempt.spec.inlier)
            _evaluate(attempt, tests, dataset.images[tests["sample_id"].to_numpy()], device)
        # Last and of all runs or none, as the checkpoint is that of all of them.
        made_by = {
            "memory_bytes": devices.peak_memory(device),
            "environment": devices.environment(device),
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            for attempt in attempts:
                _write_run(attempt, split_sha256, made_by)
        except BaseException:
            for attempt in attempts:
                (attempt.directory / "run.json").unlink(missing_ok=True)
            raise
    for attempt in attempts:
        for file in attempt.directory.glob(layout.CHECKPOINTS):
            file.unlink()


def _is_made(attempt: _Attempt, split_sha256: str) -> bool:
    """Whether the folder of a run has it already, complete or failed, as it would be made again."""
    try:
        record = json.loads((attempt.directory / "run.json").read_text())
        expected = json.loads(json.dumps(_identity(attempt.spec, split_sha256)))
        files = {file: sha256(attempt.directory / f"{file}.parquet") for file in TABLES}
        lacking = lacking_milestones(record, attempt.spec.milestones)
    except (OSError, ValueError, TypeError, AttributeError):
        return False
    expected |= {f"{file}_sha256": sha256 for file, sha256 in files.items()}
    same = all(record.get(key) == value for key, value in expected.items())
    return same and not lacking and (attempt.directory / "history.csv").is_file()


@contextmanager
def _new_models(attempts: Sequence[_Attempt]) -> Iterator[None]:
    """Folders for what methods save, until all runs are complete; those of a killed call go."""
    folders = [attempt.directory / NEW for attempt in attempts]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    try:
        yield
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _replace_model(directory: Path, *, saved: bool) -> None:
    """Put what the method saved, if it did, in the place of what an earlier run has.

    Only now, so that the earlier run stays whole if this one is stopped and Snakemake puts its
    tables back.
    """
    shutil.rmtree(directory / "weights", ignore_errors=True)
    (directory / "reconstructions.npz").unlink(missing_ok=True)
    for path in (directory / NEW).glob("*") if saved else ():
        path.rename(directory / path.name)


@contextmanager
def _recording_failures(attempts: Sequence[_Attempt]) -> Iterator[None]:
    """Record an error as the failure of runs, unless the user or the machine caused it.

    A method that ends the process, as scripts do, has failed too.
    """
    try:
        yield
    except (InputError, OSError):
        raise
    except (Exception, SystemExit) as error:
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
            precision = getattr(detector, "precision", None)
            attempt.precision = None if precision is None else str(precision)
        fit_stack = getattr(type(detectors[0]), "fit_stack", None)
        if fit_stack is None:
            for attempt, detector, parts in zip(attempts, detectors, images, strict=True):
                machine.require_working(device)
                with _recording_failures([attempt]):
                    fit = partial(detector.fit, *parts, seed=attempt.spec.seed)
                    _continue_or_start(fit, _options([attempt], device))
        else:
            fit = partial(
                fit_stack,
                detectors,
                *([parts[k] for parts in images] for k in (0, 1)),
                seeds=[attempt.spec.seed for attempt in attempts],
            )
            errors = _continue_or_start(fit, _options(attempts, device))
            for attempt, error in zip(attempts, errors, strict=True):
                with _recording_failures([attempt]):
                    if error is not None:
                        raise error
    seconds = (time.perf_counter() - begin) / len(attempts)
    for attempt in attempts:
        attempt.seconds["fit"] = seconds
        with _recording_failures([attempt]):
            attempt.seconds["fit"] = float(getattr(attempt.fitted, "fit_seconds", seconds))


def _continue_or_start(fit: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Fit, from the start if the checkpoint is damaged or was put in the place of another."""
    try:
        return fit(**options)
    except UnusableFile as error:
        # What cannot be read just now may be read later.
        if error.path != options["checkpoint"] or isinstance(error.__cause__, OSError):
            raise
        print(f"{str(error).rpartition(';')[0]}: this training starts over", file=sys.stderr)
        error.path.unlink()
    return fit(**options)


def checkpoint(specs: Sequence[RunSpec], directory: Path) -> Path:
    """The checkpoint of runs that are fitted together, in the folder of the first.

    Its name has a hash of all that the training depends on, so that no training continues from the
    checkpoint of another one.
    """
    first = specs[0]
    depends_on = [
        first.code_digest,
        first.images_sha256,
        dict(first.params),
        list(first.milestones),
        [(spec.inlier, spec.seed) for spec in specs],
    ]
    name = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:12]
    return directory / layout.CHECKPOINTS.replace("*", name)


def _options(attempts: Sequence[_Attempt], device: str) -> dict[str, Any]:
    """The arguments that ``fit`` and ``fit_stack`` share, for runs that are fitted together."""
    return {
        "checkpoint": checkpoint([attempt.spec for attempt in attempts], attempts[0].directory),
        "milestones": attempts[0].spec.milestones,
        "device": device,
    }


def _evaluate(attempt: _Attempt, tests: pd.DataFrame, images: Images, device: str) -> None:
    """Score the test set and write all but ``run.json``; empty score tables for a failure."""
    begin = time.perf_counter()
    tables, history = scoring.no_scores(tests), pd.DataFrame()
    directory, detector = attempt.directory, attempt.fitted
    if detector is not None:
        machine.require_working(device)
        with _recording_failures([attempt]):
            scores, attempt.seconds["score"] = scoring.score(detector, tests, images)
            new = directory / NEW
            scoring.write_reconstructions(detector, new / "reconstructions.npz", tests, images)
            detector.save(new / "weights")
            history = pd.DataFrame(detector.history)
            history = history.astype({"epoch": int} if "epoch" in history else {})
            attempt.facts = _facts(detector)
            tables, attempt.n_scored = scores, len(tests)
    attempt.seconds.setdefault("score", time.perf_counter() - begin)
    for file, table in tables.items():
        table = table.astype({"model": "category"} if "model" in table else {})
        with atomic(directory / f"{file}.parquet") as beside:
            write_parquet(table, beside)
    with atomic(directory / "history.csv") as beside:
        history.to_csv(beside, index=False, float_format="%.7g")


def _facts(detector: Detector) -> dict[str, Any]:
    """The facts of a fitted detector, as JSON has them."""
    facts: dict[str, Any] = json.loads(json.dumps(dict(detector.facts)))
    for name in ("parameters", "epochs", "best_epoch"):
        value = facts.get(name, 0)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise FitFailed(f"the fact {name} is {value!r}, no number")
    return facts


def _write_run(attempt: _Attempt, split_sha256: str, made_by: Mapping[str, Any]) -> None:
    """Write ``run.json``, the last of the run's files."""
    directory, spec = attempt.directory, attempt.spec
    if attempt.failure:
        print(f"{directory}: failed: {attempt.failure}", file=sys.stderr)
    record = {
        **_identity(spec, split_sha256),
        "milestones": spec.milestones,
        "status": "failed" if attempt.failure else "complete",
        "reason": attempt.failure,
        "facts": attempt.facts,
        "seconds": attempt.seconds,
        "n_scored": attempt.n_scored,
        **{f"{file}_sha256": sha256(directory / f"{file}.parquet") for file in TABLES},
        "precision": attempt.precision,
        **made_by,
    }
    with atomic(directory / "run.json") as beside:
        beside.write_text(json.dumps(record, indent=1) + "\n")
        _replace_model(directory, saved=not attempt.failure)


def _identity(spec: RunSpec, split_sha256: str) -> dict[str, Any]:
    """What identifies a run and what it depends on but its milestones, as ``run.json`` says it."""
    left_out = ("params", "milestones")
    fields = {key: value for key, value in asdict(spec).items() if key not in left_out}
    return {**fields, "config": dict(spec.params), "split_sha256": split_sha256}


def _reason(error: BaseException) -> str:
    message = " ".join(str(error).split())
    return message if isinstance(error, FitFailed) else f"{type(error).__name__}: {message}"
