"""One run: train a method on the inliers of one class, score the class's test set, write it down.

A run directory holds ``run.json``, ``scores.parquet`` (best and last model), ``epochs.parquet``
(the models of the milestone epochs), ``history.csv``, ``reconstructions.npz`` where the method
reconstructs, and ``weights/``. Whatever goes wrong in a method is recorded as the run's failure;
what the user can mend (a file, the disk) stops the job instead and leaves no result behind.
"""

import hashlib
import json
import shutil
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
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
from benchmark.runs.environment import _environment
from benchmark.utils.files import atomic

PICTURED = 8
"""Test inliers, and as many outliers, whose reconstructions are kept for the figure."""


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
    """A run under way."""

    spec: RunSpec
    directory: Path
    detector: Detector | None = None
    failure: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def run(spec: RunSpec, data: Path, split: Path, directory: Path, device: str | None = None) -> None:
    """Make one run; see ``run_stack``."""
    run_stack([spec], data, split, [directory], device)


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
        data: prepared data set.
        split: split table of the fold (.parquet).
        directories: where each run goes.
        device: a torch device; the default is an accelerator where there is one.

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
    for attempt in attempts:
        attempt.directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(attempt.directory / "weights", ignore_errors=True)
        (attempt.directory / "reconstructions.npz").unlink(missing_ok=True)
    checkpoint = _checkpoint(specs, directories[0])
    images = [
        tuple(dataset.images[ids] for ids in splits.fit_indices(table, spec.inlier))
        for spec in specs
    ]
    _fit(attempts, images, checkpoint, device)
    for attempt in attempts:
        tests = splits.test_table(table, dataset.labels, attempt.spec.inlier)
        _score(attempt, tests, dataset.images[tests["sample_id"].to_numpy()])
        _write_run(attempt, split_sha256, device, started)
    for directory in directories:
        for stale in directory.glob("training-*.safetensors"):
            stale.unlink()


def _fit(
    attempts: Sequence[_Attempt],
    images: Sequence[tuple[Images, ...]],
    checkpoint: Path,
    device: str,
) -> None:
    """Fit all, together if the method offers it; note failures and the time per run."""
    begin = time.perf_counter()
    spec = attempts[0].spec
    try:
        detectors = [methods.create(a.spec.detector, a.spec.params) for a in attempts]
        fit_stack = getattr(type(detectors[0]), "fit_stack", None)
        if fit_stack is not None:
            failures = fit_stack(
                detectors,
                [train for train, _ in images],
                [validation for _, validation in images],
                seeds=[a.spec.seed for a in attempts],
                checkpoint=checkpoint,
                milestones=spec.milestones,
                device=device,
            )
        else:
            failures = [
                _fit_one(attempt, detector, train, validation, device)
                for attempt, detector, (train, validation) in zip(
                    attempts, detectors, images, strict=True
                )
            ]
    except (InputError, OSError):
        raise
    except Exception as error:
        traceback.print_exc()
        failures = [error] * len(attempts)
        detectors = []
    elapsed = time.perf_counter() - begin
    for k, (attempt, failure) in enumerate(zip(attempts, failures, strict=True)):
        attempt.seconds["fit"] = elapsed / len(attempts)
        attempt.failure = _reason(failure)
        if attempt.failure:
            print(f"{attempt.directory}: failed: {attempt.failure}", file=sys.stderr)
        else:
            attempt.detector = detectors[k]
            attempt.seconds["fit"] = getattr(detectors[k], "fit_seconds", attempt.seconds["fit"])


def _fit_one(
    attempt: _Attempt, detector: Detector, train: Images, validation: Images, device: str
) -> Exception | None:
    try:
        detector.fit(
            train,
            validation,
            seed=attempt.spec.seed,
            checkpoint=_checkpoint([attempt.spec], attempt.directory),
            milestones=attempt.spec.milestones,
            device=device,
        )
    except (InputError, OSError):
        raise
    except Exception as error:
        traceback.print_exc()
        return error
    return None


def _score(attempt: _Attempt, tests: pd.DataFrame, images: Images) -> None:
    """Score the test set with every kept model and write the score tables."""
    directory, detector = attempt.directory, attempt.detector
    final: list[pd.DataFrame] = []
    milestones: list[pd.DataFrame] = []
    begin = time.perf_counter()
    try:
        if detector is not None:
            for model in detector.models:
                begun = time.perf_counter()
                scores = detector.score(images, model)
                if model == "best":
                    attempt.seconds["score"] = time.perf_counter() - begun
                    _require_usable(scores)
                columns = pd.DataFrame(scores, columns=list(detector.components), dtype=np.float32)
                if model in ("best", "last"):
                    final.append(tests.assign(model=model).join(columns))
                else:
                    epoch = np.int32(model.removeprefix("epoch-"))
                    milestones.append(tests.assign(epoch=epoch).join(columns))
            _keep_reconstructions(detector, tests, images, directory)
    except (InputError, OSError):
        raise
    except Exception as error:
        traceback.print_exc()
        attempt.failure = _reason(error)
        final, milestones = [], []
    attempt.seconds.setdefault("score", time.perf_counter() - begin)
    empty = tests.iloc[:0]
    table = pd.concat(final, ignore_index=True) if final else empty.assign(model="")
    by_epoch = (
        pd.concat(milestones, ignore_index=True) if milestones else empty.assign(epoch=np.int32(0))
    )
    _write_parquet(table.astype({"model": "category"}), directory / "scores.parquet")
    _write_parquet(by_epoch, directory / "epochs.parquet")


def _require_usable(scores: Mapping[str, Any]) -> None:
    for name, values in scores.items():
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise FitFailed(f"{bad} of {len(values)} scores of {name} are NaN or infinite")
    if all(np.ptp(values) == 0 for values in scores.values()):
        raise FitFailed(f"the model has collapsed: {', '.join(scores)} constant over all images")


def _keep_reconstructions(
    detector: Detector, tests: pd.DataFrame, images: Images, directory: Path
) -> None:
    reconstruct = getattr(detector, "reconstruct", None)
    if reconstruct is None:
        return
    inlier = tests["inlier"].to_numpy()
    shown = np.r_[_spread(np.flatnonzero(inlier)), _spread(np.flatnonzero(~inlier))]
    with atomic(directory / "reconstructions.npz") as beside:
        np.savez_compressed(
            beside,
            images=images[shown],
            reconstructions=reconstruct(images[shown]),
            inlier=inlier[shown],
            sample_id=tests["sample_id"].to_numpy()[shown],
        )


def _spread(positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """``PICTURED`` of some positions, from all of them: neighbours may show the same sign."""
    chosen = np.linspace(0, len(positions) - 1, min(PICTURED, len(positions)))
    return positions[chosen.astype(np.intp)]


def _write_run(attempt: _Attempt, split_sha256: str, device: str, started: datetime) -> None:
    """Write weights, history and, last of all, ``run.json``."""
    directory, detector, spec = attempt.directory, attempt.detector, attempt.spec
    history: Sequence[Mapping[str, float]] = []
    facts: Mapping[str, Any] = {}
    if detector is not None and attempt.failure is None:
        detector.save(directory / "weights")
        history, facts = detector.history, detector.facts
    with atomic(directory / "history.csv") as beside:
        frame = pd.DataFrame(history)
        if "epoch" in frame:
            frame = frame.astype({"epoch": int})
        frame.to_csv(beside, index=False, float_format="%.7g")
    scores, milestones = (directory / f"{name}.parquet" for name in ("scores", "epochs"))
    record = {
        **{key: value for key, value in asdict(spec).items() if key != "params"},
        "config": dict(spec.params),
        "status": "failed" if attempt.failure else "complete",
        "reason": attempt.failure,
        "facts": dict(facts),
        "seconds": attempt.seconds,
        "memory_bytes": devices.peak_memory(device),
        "n_scored": int(len(pd.read_parquet(scores, columns=["sample_id"])) // 2),
        "split_sha256": split_sha256,
        "scores_sha256": hashlib.sha256(scores.read_bytes()).hexdigest(),
        "epochs_sha256": hashlib.sha256(milestones.read_bytes()).hexdigest(),
        "environment": _environment(device),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with atomic(directory / "run.json") as beside:
        beside.write_text(json.dumps(record, indent=1) + "\n")


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    with atomic(path) as beside:
        frame.to_parquet(beside, index=False, compression="zstd")


def _checkpoint(specs: Sequence[RunSpec], directory: Path) -> Path:
    """The training state's file, named after all that it depends on: stale ones are never met."""
    key = json.dumps(
        [
            specs[0].code_digest,
            dict(specs[0].params),
            list(specs[0].milestones),
            [(spec.inlier, spec.seed) for spec in specs],
        ],
        sort_keys=True,
    )
    name = hashlib.sha256(key.encode()).hexdigest()[:12]
    return directory / f"training-{name}.safetensors"


def _reason(failure: Exception | None) -> str | None:
    if failure is None:
        return None
    message = " ".join(str(failure).split())
    return message if isinstance(failure, FitFailed) else f"{type(failure).__name__}: {message}"
