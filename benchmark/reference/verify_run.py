"""Train a committed run again and compare: bytes on the same kernels, AUROC elsewhere.

>>> python -m benchmark verify-run results/reference/quick/runs/... --configfile local.yaml
... # doctest: +SKIP

The images must be those of the committed run; files after ``--configfile`` say where they are
on this machine. What a difference means is in docs/determinism.md. The exit status is 0 if the
scores are the same bytes, or their AUROC lies within the spread between seeds, else 1.
"""

import json
import multiprocessing
import os
import shutil
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmark import config as configuration
from benchmark import data, layout
from benchmark.config import RESULTS, Config
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.reference.verify import other_hyperparameters
from benchmark.runs import train
from benchmark.scores import (
    Run,
    TestScores,
    Vector,
    collect,
    combined,
    gradient_weight,
    read_key,
    read_scores,
)
from benchmark.statistics.roc import delong_error, placements

AGAIN = RESULTS / "again"
"""The folder of runs that were trained again."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""The environment variables by which Snakemake sets the threads of a job."""

CONFIDENCE = 0.95


class Allowance(NamedTuple):
    """How far the AUROC of a run that is trained again may be off, and what says so."""

    difference: float
    reason: str


def committed_run(directory: Path, files: Sequence[Path] = ()) -> tuple[Config, Path, Run]:
    """A committed run, with its configuration and the folder of its results.

    Args:
        directory: the folder of the run.
        files: configuration files with the places of data on this machine.

    Raises:
        InputError: no run there, one that is not complete, or one that its configuration, its
            data or its own hashes contradict.
    """
    if not (directory / "run.json").is_file() or len(directory.resolve().parts) < 7:
        raise InputError(f"{directory}: no run.json there; name the folder of a committed run")
    root = directory.resolve().parents[5]
    root = Path(os.path.relpath(root)) if root.is_relative_to(Path.cwd()) else root
    try:
        key = RunKey.of(directory.resolve())
    except ValueError:
        raise InputError(f"{directory}: no folder of a run; name one as {layout.RUN}") from None
    if not (root / "config.yaml").is_file():
        raise InputError(
            f"{root / 'config.yaml'}: no such file, as committed results have; put a copy of the "
            "configuration there that made the run"
        )
    config = configuration.read(root / "config.yaml", *files, data=False)
    for kind, name in (("datasets", key.dataset), ("methods", key.method)):
        if name not in getattr(config, kind):
            known = ", ".join(getattr(config, kind))
            raise InputError(
                f"{root / 'config.yaml'}: {kind} has no {name!r}, which {directory} is a run of; "
                f"add it, or name a run of {known}"
            )
    run = next((run for run in collect(config, root, key.dataset) if run.key == key), None)
    if run is None:
        raise InputError(
            f"{directory}: its class, fold or seed is not in {root / 'config.yaml'}; name a run "
            "that is"
        )
    if run.usable:
        run, _ = read_scores(run)
    if not run.usable:
        raise InputError(f"{directory}: {run.status} ({run.reason}); name a run that is complete")
    if problems := list(other_hyperparameters(config, [run])):
        raise InputError("\n".join(problems))
    return config, root, run


def train_again(config: Config, root: Path, run: Run, folder: Path) -> Run:
    """The run, trained on the same images and split, in ``folder`` below its own path.

    The training has the number of threads that the committed one had, and a process of its own.

    Raises:
        InputError: the images are missing or not those of the committed run.
        Exception: as ``benchmark.runs.train.run_stack`` does.
    """
    key = run.key
    settings = config.datasets[key.dataset]
    only = config.model_copy(update={"datasets": {key.dataset: settings}})
    configuration.check_data(only, str(root / "config.yaml"))
    again = Run(key, run.class_name, layout.run(folder, key), "missing")
    shutil.rmtree(again.directory, ignore_errors=True)  # a run that is there would stay as it is
    with TemporaryDirectory() as images:
        dataset = data.read(
            settings.source, settings.path, config.image_size, settings.challenges, Path(images)
        )
        data.prepare(dataset, Path(images))
        _require_same_images(root, run, Path(images), settings.path)
        spec = train.RunSpec(
            **key._asdict(),
            detector=config.methods[key.method].detector,
            params=config.methods[key.method].params,
            class_name=run.class_name,
            milestones=tuple(run.manifest.get("milestones") or ()),
        )
        split = layout.split(root, key.dataset, key.fold)
        with (
            _threads(int(run.manifest["environment"]["threads"])),
            multiprocessing.get_context("spawn").Pool(1) as pool,
        ):
            pool.apply(train.run_stack, ([spec], Path(images), split, [again.directory]))
    manifest = json.loads((again.directory / "run.json").read_text())
    return Run(key, run.class_name, again.directory, manifest["status"], "", manifest)


def _require_same_images(root: Path, run: Run, prepared: Path, path: Path | None) -> None:
    """Refuse other images than the committed run's, as its data set's description has them."""
    here = read_key(prepared / "dataset.json", "sha256")
    committed = layout.data(root, run.key.dataset) / "dataset.json"
    for name, sha256 in read_key(committed, "sha256").items():
        if here[name] != sha256:
            raise InputError(
                f"{path or run.key.dataset}: other {name} than those of {run.directory} (sha256 "
                f"{here[name][:12]} and not {sha256[:12]}); name the same by a configuration file: "
                "--configfile local.yaml"
            )


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let processes that begin meanwhile compute with a number of threads."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(number)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def same_bytes(models: Mapping[str, TestScores], others: Mapping[str, TestScores]) -> bool:
    """Whether all scores of all models are the same bits."""
    return models.keys() == others.keys() and all(
        scores.components.keys() == others[model].components.keys()
        and all(
            np.array_equal(values, others[model].components[name])
            for name, values in scores.components.items()
        )
        for model, scores in models.items()
    )


def environments(committed: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """A line for each part of the environment: its value, or both where they differ."""
    lines = []
    for name in again:
        before, now = (str(each.get(name) or "not stated") for each in (committed, again))
        lines.append(f"{name}: {now}" if before == now else f"{name}: {before}, now {now}")
    return lines


def anomaly_scores(run: Run, scores: TestScores, beta: float) -> dict[str, Vector]:
    """The components of the scores and, where it is none of them, the anomaly score, (N,) each."""
    total = combined(scores.components, gradient_weight(run.manifest, beta))
    named = dict(scores.components)
    if total is not None and "score" not in named:
        named["anomaly score"] = total
    return named


def auroc(scores: TestScores, values: Vector) -> float:
    """The area under the ROC curve of one score for each test image, (N,)."""
    return float(placements(*scores.split(values)).mean())


def allowance(config: Config, root: Path, run: Run, scores: TestScores, name: str) -> Allowance:
    """How far another training of a run may be off in the AUROC of one of its scores.

    Two draws differ by t s sqrt(2) at most, in ``CONFIDENCE`` of all cases: s is the standard
    deviation between seeds, pooled over the classes that have several. They are looked for in the
    folder of the run, then in those beside it, whose runs may have other epochs. Where no class has
    two seeds, the standard error over the test images (DeLong) stands in.
    """
    for other in (root, *sorted(path.parent for path in root.parent.glob("*/config.yaml"))):
        spread, degrees, classes = _seed_spread(other, run, config.beta, name)
        if degrees:
            quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees))
            reason = f"the spread between seeds, standard deviation {spread:.4f}, of {classes} "
            reason += f"class{'es' * (classes > 1)} in {other}"
            return Allowance(quantile * spread * float(np.sqrt(2)), reason)
    inliers, outliers = scores.split(anomaly_scores(run, scores, config.beta)[name])
    of_outliers = placements(inliers, outliers)
    error = float(delong_error(placements(outliers, inliers), of_outliers))
    quantile = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    reason = f"the standard error over test images, {error:.4f}, as no class has two seeds"
    return Allowance(quantile * error, reason)


def _seed_spread(root: Path, run: Run, beta: float, name: str) -> tuple[float, int, int]:
    """Standard deviation of an AUROC between seeds, its degrees of freedom, number of classes."""
    by_class = defaultdict(list)
    for other in _runs_of(root, run.key.dataset, run.key.method):
        other, models = read_scores(other)
        if models:
            values = anomaly_scores(other, models["best"], beta).get(name)
            if values is not None:
                place = other.key.fold, other.key.inlier
                by_class[place].append(auroc(models["best"], values))
    several = [areas for areas in by_class.values() if len(areas) > 1]
    degrees = sum(len(areas) - 1 for areas in several)
    squares = sum(float(np.var(areas, ddof=1)) * (len(areas) - 1) for areas in several)
    return (squares / degrees) ** 0.5 if degrees else 0.0, degrees, len(several)


def _runs_of(root: Path, dataset: str, method: str) -> list[Run]:
    """The complete runs of a method on a data set in a folder of results."""
    config = configuration.read(root / "config.yaml", data=False)
    if dataset not in config.datasets or method not in config.methods:
        return []
    runs = collect(config, root)
    return [r for r in runs if r.usable and (r.key.dataset, r.key.method) == (dataset, method)]


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command ``verify-run``."""
    parser.add_argument("run", type=Path, help="its folder, below results/reference/*/runs")
    parser.add_argument(
        "--configfile", nargs="+", type=Path, default=[], help="where the data are on this machine"
    )
    parser.add_argument("--to", type=Path, default=AGAIN, help=f"default: {AGAIN}")


def run(chosen: Namespace) -> int:
    """Train the run again and print what differs; the exit status."""
    config, root, committed = committed_run(chosen.run, chosen.configfile)
    again = train_again(config, root, committed, chosen.to / config.name)
    print(f"{committed.directory}, trained again: {again.directory}")
    records = [run.manifest["environment"] for run in (committed, again)]
    print(*environments(*records), sep="\n")
    if not again.usable:
        print(f"The training failed: {again.manifest['reason']}")
        return 1
    models, new_models = (read_scores(run)[1] for run in (committed, again))
    same = same_bytes(models, new_models)
    print(f"bytes: the scores {'are' if same else 'are not'} the same, bit for bit")
    within = True
    before, now = models["best"], new_models["best"]
    new_values = anomaly_scores(again, now, config.beta)
    for name, values in anomaly_scores(committed, before, config.beta).items():
        areas = auroc(before, values), auroc(now, new_values[name])
        allowed = allowance(config, root, committed, before, name)
        difference = areas[1] - areas[0]
        within &= abs(difference) <= allowed.difference
        print(
            f"AUROC of {name}: {areas[0]:.4f}, now {areas[1]:.4f}, difference {difference:+.4f}; "
            f"may differ by {allowed.difference:.4f}, by {allowed.reason}"
        )
    if records[0] == records[1] and not same:
        print("Other scores from the same code on the same machine: something is wrong.")
        return 1
    return int(not (same or within))
