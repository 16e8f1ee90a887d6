"""Reading the scores of runs, and refusing files that do not match their ``run.json``.

A run that is missing, failed or refused stays in the list of runs with its reason, so that nothing
computed from the scores can leave it out silently.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark import layout
from benchmark.config import Config, MethodConfig
from benchmark.data import prepared
from benchmark.data.challenges.selection import CLEAN
from benchmark.errors import InputError
from benchmark.layout import RunKey

Vector = npt.NDArray[np.float64]

SAMPLE_COLUMNS = ("sample_id", "label", "inlier", "outlier_rank", "model", "epoch")
"""Columns of a score table that are not score components."""


@dataclass(frozen=True)
class Run:
    """One expected run: ``status`` is complete, failed, missing or refused."""

    key: RunKey
    class_name: str
    directory: Path
    status: str
    reason: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether its scores may enter a number."""
        return self.status == "complete"

    @property
    def dataset_fold(self) -> tuple[str, int]:
        """Data set and fold; runs that have both in common are tested on the same split."""
        return self.key.dataset, self.key.fold

    @property
    def split_sha256(self) -> Any:
        """The hash of the split that it was scored on."""
        return self.manifest.get("split_sha256")

    def refused(self, reason: str) -> "Run":
        """The same run with the status refused: none of its scores enters a number."""
        return replace(self, status="refused", reason=reason)


@dataclass(frozen=True)
class TestScores:
    """The scores of one model on its test set.

    ``rank`` is -1 for inliers and the draw order of each outlier, (N,); ``components`` maps a
    component's name to its scores, (N,), higher is more anomalous. ``label`` is the class of each
    sample and ``sample_id`` its row in the data set, (N,).
    """

    __test__ = False  # pytest would take it for a test case because of its name

    rank: npt.NDArray[np.int32]
    components: Mapping[str, Vector]
    label: npt.NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))
    sample_id: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))

    def split(self, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Split (..., N) into inliers (..., n) and outliers (..., m), these in draw order."""
        outliers = np.flatnonzero(self.rank >= 0)
        order = outliers[np.argsort(self.rank[outliers], kind="stable")]
        return values[..., self.rank < 0], values[..., order]


def combined(components: Mapping[str, Vector], beta: float) -> Vector | None:
    """The anomaly score of a sample from its components, (N,).

    A component named ``score`` is the score itself. Otherwise it is L + beta * gradient with L the
    reconstruction error, plus the latent loss where there is one (the paper's A.3), or None when
    the method has neither.
    """
    if "score" in components:
        return components["score"]
    if "reconstruction" not in components:
        return None
    total = components["reconstruction"] + components.get("latent", 0.0)
    if beta and "gradient" in components:
        total = total + beta * components["gradient"]
    return np.asarray(total, dtype=np.float64)


def gradient_weight(manifest: Mapping[str, Any], beta: float) -> float:
    """``beta``, or 0 for a model trained without the gradient constraint.

    A plain autoencoder has a gradient loss too (for the ablation), but its anomaly score is L: the
    fact ``alpha`` in ``run.json`` says whether the constraint was on.
    """
    return beta if (manifest.get("facts") or {}).get("alpha", 1.0) else 0.0


def inlier_classes(config: Config, root: Path, dataset: str) -> dict[int, str]:
    """The configured inlier classes of a data set, index to name.

    The names of the classes come from the prepared data set if it was kept, else from the data
    set's source if that names them without its files, else from the runs that exist.

    Raises:
        InputError: a damaged file.
    """
    settings = config.datasets[dataset]
    directory = layout.data(root, dataset)
    if settings.challenges:
        names = {0: CLEAN}
    elif (directory / "dataset.json").is_file():
        names = dict(enumerate(prepared.class_names(directory)))
    else:
        try:
            names = dict(enumerate(settings.class_names()))
        except InputError:
            manifests = layout.manifests(root, dataset)
            names = {read_key(m, "inlier"): read_key(m, "class_name") for m in manifests}
    return layout.configured_inliers(settings, dict(sorted(names.items())))


def collect(config: Config, root: Path, *datasets: str) -> list[Run]:
    """Every run that the configuration asks for, in its order, whatever its status.

    With ``datasets`` only the runs on these.
    """
    classes = {name: inlier_classes(config, root, name) for name in datasets or config.datasets}
    images = cache(prepared.prepared_images)
    runs = [
        _load_run(key, classes[key.dataset][key.inlier], root, config.methods[key.method], images)
        for key in layout.run_keys(config, classes)
    ]
    return _refuse_other_splits(runs, root)


class ScoreFile(NamedTuple):
    """A file of a run's scores: its content and the sha256 of that, in hexadecimal."""

    content: bytes
    sha256: str


def read_scores(run: Run) -> tuple[Run, dict[str, TestScores]]:
    """The scores of a run by model: ``best``, ``last``, then ``epoch-<n>``.

    The run comes back refused, without scores, when one of its files does not have the hash that
    ``run.json`` states or is not a score table.
    """
    return models_in(*verified(run))


def verified(run: Run) -> tuple[Run, dict[str, ScoreFile]]:
    """The files of a run's scores, ``scores`` and, where there are models on the way, ``epochs``.

    The run comes back refused, without files, when one does not have the hash that ``run.json``
    states.
    """
    files = {}
    for name in ("scores", "epochs"):
        path = _score_file(run, name)
        if name == "epochs" and not path.is_file():
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            return _unreadable(run, path, error), {}
        files[name] = ScoreFile(content, hashlib.sha256(content).hexdigest())
        stated = run.manifest.get(f"{name}_sha256")
        # The first published runs state no hash of their milestones.
        if files[name].sha256 != stated and (stated or name == "scores"):
            mismatch = f"has sha256 {files[name].sha256[:12]}, run.json says {str(stated)[:12]}"
            return run.refused(f"{path} {mismatch}: run it again"), {}
    return run, files


def models_in(run: Run, files: Mapping[str, ScoreFile]) -> tuple[Run, dict[str, TestScores]]:
    """The scores in the files of ``verified`` by model, as ``read_scores`` gives them."""
    models: dict[str, TestScores] = {}
    for name, file in files.items():
        column, prefix = ("epoch", "epoch-") if name == "epochs" else ("model", "")
        try:
            # Ten times as fast as ``pq.read_table``, which first looks for a folder of files.
            table = pq.ParquetFile(pa.BufferReader(file.content)).read(use_threads=False)
            models |= _by_model(table, column, prefix)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            return _unreadable(run, _score_file(run, name), error), {}
    if files and not {"best", "last"} <= set(models):
        path = _score_file(run, "scores")
        return run.refused(f"{path} lacks the model best or last: run it again"), {}
    return run, models


def _score_file(run: Run, name: str) -> Path:
    return run.directory / f"{name}.parquet"


def _unreadable(run: Run, path: Path, error: Exception) -> Run:
    return run.refused(f"{path} cannot be read ({error}): run it again")


def read_key(path: Path, key: str) -> Any:
    """The value of a key in a JSON file.

    Raises:
        InputError: no JSON, or no such key in it.
    """
    try:
        return json.loads(path.read_text())[key]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: damaged, no {key!r} in it; delete it and run again") from None


def _load_run(
    key: RunKey,
    class_name: str,
    root: Path,
    method: MethodConfig,
    prepared_images: Callable[[Path], str | None],
) -> Run:
    run = Run(key, class_name, layout.run(root, key), "missing", "not run")
    path = run.directory / "run.json"
    if not path.is_file():
        return run
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        return run.refused(f"{path} is not JSON ({error}): run it again")
    if not isinstance(manifest, dict):
        return run.refused(f"{path} has no keys: run it again")
    run = replace(run, manifest=manifest)
    stated = {name: manifest.get(name) for name in key._fields}
    if stated != key._asdict():
        names = ", ".join(f"{name} {stated[name]!r}" for name in key._fields)
        return run.refused(f"{path} is of another run ({names}): run it again")
    # The first published runs do not state their images.
    images, data = manifest.get("images_sha256"), layout.data(root, key.dataset)
    if images and images != (prepared_images(data) or images):
        return run.refused(
            f"{path}: made with other images than {data}/dataset.json has: run it again"
        )
    # The first published runs state their precision among their hyperparameters only.
    precision = manifest.get("precision") or (manifest.get("config") or {}).get("precision")
    configured = method.params.get("precision")
    if precision and configured and precision != configured:
        return run.refused(
            f"{path}: trained in {precision}, the configuration says {configured}: run it again, "
            "or keep runs of another precision in a configuration of their own"
        )
    status = manifest.get("status")
    if status == "complete":
        return replace(run, status="complete", reason="")
    if status == "failed":
        return replace(run, status="failed", reason=manifest.get("reason") or "no reason given")
    return run.refused(f"{path} has the status {status!r}: run it again")


def _refuse_other_splits(runs: list[Run], root: Path) -> list[Run]:
    """Refuse the runs that were not scored on the split of their fold.

    That is the one on disk; where it was not kept, the one of most runs.
    """
    hashes: dict[tuple[str, int], Counter[Any]] = {}
    for run in runs:
        if run.usable:
            hashes.setdefault(run.dataset_fold, Counter())[run.split_sha256] += 1
    splits = {fold: counter.most_common(1)[0][0] for fold, counter in hashes.items()}
    for fold in splits:
        description = layout.split(root, *fold, "json")
        if description.is_file():
            splits[fold] = read_key(description, "sha256")
    checked = []
    for run in runs:
        if run.usable and run.split_sha256 != splits[run.dataset_fold]:
            run = run.refused(
                f"{run.directory}: scored on the split {str(run.split_sha256)[:12]}, the others on "
                f"{str(splits[run.dataset_fold])[:12]}: run it again"
            )
        checked.append(run)
    return checked


def _by_model(table: pa.Table, column: str, prefix: str) -> dict[str, TestScores]:
    """The rows of a score table by the model or epoch in a column."""
    rank = table["outlier_rank"].to_numpy().astype(np.int32)
    if not np.array_equal(table["inlier"].to_numpy(zero_copy_only=False), rank < 0):
        raise ValueError("inlier and outlier_rank disagree")
    names = [name for name in table.column_names if name not in SAMPLE_COLUMNS]
    components = {name: table[name].to_numpy().astype(np.float64) for name in names}
    label, sample_id = (table[name].to_numpy() for name in ("label", "sample_id"))
    models = table[column].combine_chunks().dictionary_encode()
    model_index = models.indices.to_numpy(zero_copy_only=False)
    by_model = {}
    for index, model in enumerate(models.dictionary.to_pylist()):
        rows = model_index == index
        scores = {name: values[rows] for name, values in components.items()}
        by_model[f"{prefix}{model}"] = TestScores(rank[rows], scores, label[rows], sample_id[rows])
    return by_model


COMPONENTS = {
    "reconstruction": "reconstruction error",
    "latent": "latent loss",
    "gradient": "gradient loss",
    "score": "anomaly score",
}


def component(name: str) -> str:
    """A score component's name for readers."""
    return COMPONENTS.get(name, name.upper())
