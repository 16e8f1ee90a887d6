"""Reading the runs' scores back, and refusing those that are not what their ``run.json`` says.

A run that is missing, failed or refused keeps its place with a reason, so that nothing computed
from the scores can leave it out silently.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark import layout
from benchmark.config import Config, DatasetConfig
from benchmark.data.challenges.selection import CLEAN
from benchmark.errors import InputError
from benchmark.layout import RunKey

Vector = npt.NDArray[np.float64]

LAYOUT = ("sample_id", "label", "inlier", "outlier_rank", "model", "epoch")
"""Columns that are not score components."""


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

    def refused(self, reason: str) -> "Run":
        """The same run, kept out of every number for a stated reason."""
        return replace(self, status="refused", reason=reason)


@dataclass(frozen=True)
class TestScores:
    """The scores of one model on its test set.

    ``rank`` is -1 for inliers and the draw order of each outlier, (N,); ``components`` maps a
    component's name to its scores, (N,), higher is more anomalous. ``label`` is the class of each
    sample and ``sample_id`` its row in the data set, (N,).
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

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


def class_names(config: Config, root: Path, dataset: str) -> dict[int, str]:
    """Inlier classes of a data set, index to name, as configured.

    They come from the prepared data set where it was kept, else from its source, as long as that
    names them without its files; the runs, of which some may be missing, are the last resort.

    Raises:
        InputError: a damaged file.
    """
    described = layout.data(root, dataset) / "dataset.json"
    if config.datasets[dataset].challenges:
        names = dict(enumerate([CLEAN]))
    elif described.is_file():
        names = dict(enumerate(read_key(described, "class_names")))
    else:
        names = _named(config.datasets[dataset]) or {
            read_key(path, "inlier"): read_key(path, "class_name")
            for path in layout.manifests(root, dataset)
        }
    chosen = config.datasets[dataset].inliers
    return {
        index: name
        for index, name in sorted(names.items())
        if chosen is None or index in chosen or name in chosen
    }


def collect(config: Config, root: Path) -> list[Run]:
    """Every run that the configuration asks for, in its order, whatever became of it."""
    runs = [_look(key, name, root) for key, name in _expected(config, root)]
    return _of_one_split(runs, root)


def read_scores(run: Run) -> tuple[Run, dict[str, TestScores]]:
    """The scores of a run by model: ``best``, ``last``, then ``epoch-<n>``.

    The run comes back refused, without scores, when one of its files is not the one that
    ``run.json`` describes or is not laid out as one.
    """
    path = run.directory / "scores.parquet"
    milestones = run.directory / "epochs.parquet"
    try:
        content = path.read_bytes()
        if wrong := _other(path, content, run.manifest.get("scores_sha256")):
            return run.refused(wrong), {}
        models = _models(pq.read_table(io.BytesIO(content)), "model")
        if milestones.is_file():
            path, content = milestones, milestones.read_bytes()
            # A run.json that does not state it was written before runs did.
            stated = run.manifest.get("epochs_sha256")
            if wrong := _other(path, content, stated) if stated else "":
                return run.refused(wrong), {}
            models |= _models(pq.read_table(io.BytesIO(content)), "epoch", "epoch-")
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        return run.refused(f"{path} cannot be read ({error}): run it again"), {}
    if not {"best", "last"} <= set(models):
        return run.refused(
            f"{run.directory / 'scores.parquet'} lacks the model best or last: run it again"
        ), {}
    return run, models


def read_key(path: Path, key: str) -> Any:
    """What a JSON file says.

    Raises:
        InputError: it does not, or is no JSON.
    """
    try:
        return json.loads(path.read_text())[key]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: damaged, no {key!r} in it; delete it and run again") from None


def _other(path: Path, content: bytes, stated: object) -> str:
    """Why a file is not the one that ``run.json`` describes; empty if it is."""
    actual = hashlib.sha256(content).hexdigest()
    if actual == stated:
        return ""
    return f"{path} has sha256 {actual[:12]}, run.json says {str(stated)[:12]}: run it again"


def _named(settings: DatasetConfig) -> dict[int, str]:
    try:
        return dict(enumerate(settings.class_names()))
    except InputError:
        return {}


def _expected(config: Config, root: Path) -> Iterator[tuple[RunKey, str]]:
    for dataset, settings in config.datasets.items():
        classes = class_names(config, root, dataset)
        for method in config.methods:
            for fold in settings.folds:
                for inlier, name in classes.items():
                    for seed in config.seeds:
                        yield RunKey(dataset, method, fold, inlier, seed), name


def _look(key: RunKey, class_name: str, root: Path) -> Run:
    directory = layout.run(root, key)
    found = Run(key, class_name, directory, "missing", "not run")
    path = directory / "run.json"
    if not path.is_file():
        return found
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        return found.refused(f"{path} is not JSON ({error}): run it again")
    if not isinstance(manifest, dict):
        return found.refused(f"{path} has no keys: run it again")
    found = replace(found, manifest=manifest)
    status = manifest.get("status")
    if status == "complete":
        return replace(found, status="complete", reason="")
    if status == "failed":
        return replace(found, status="failed", reason=manifest.get("reason") or "no reason given")
    return found.refused(f"{path} has the status {status!r}: run it again")


def _of_one_split(runs: list[Run], root: Path) -> list[Run]:
    """Refuse the runs of a fold that were scored on another split than the rest."""
    wanted: dict[tuple[str, int], str | None] = {}
    for part in {(run.key.dataset, run.key.fold) for run in runs}:
        described = layout.split(root, *part, "json")
        if described.is_file():
            wanted[part] = read_key(described, "sha256")
            continue
        seen = Counter(
            run.manifest.get("split_sha256")
            for run in runs
            if run.usable and (run.key.dataset, run.key.fold) == part
        )
        if seen:
            wanted[part] = seen.most_common(1)[0][0]
    checked = []
    for run in runs:
        split = wanted.get((run.key.dataset, run.key.fold))
        mine = run.manifest.get("split_sha256")
        if run.usable and mine != split:
            run = run.refused(
                f"{run.directory}: scored on the split {str(mine)[:12]}, the others on "
                f"{str(split)[:12]}: run it again"
            )
        checked.append(run)
    return checked


def _models(table: pa.Table, key: str, prefix: str = "") -> dict[str, TestScores]:
    names = [name for name in table.column_names if name not in LAYOUT]
    rank = table["outlier_rank"].to_numpy().astype(np.int32)
    if not np.array_equal(table["inlier"].to_numpy(zero_copy_only=False), rank < 0):
        raise ValueError("inlier and outlier_rank disagree")
    components = {name: table[name].to_numpy().astype(np.float64) for name in names}
    label, sample_id = (table[name].to_numpy() for name in ("label", "sample_id"))
    owner = table[key].combine_chunks().dictionary_encode()
    code = owner.indices.to_numpy(zero_copy_only=False)
    return {
        f"{prefix}{model}": TestScores(
            rank[code == index],
            {name: values[code == index] for name, values in components.items()},
            label[code == index],
            sample_id[code == index],
        )
        for index, model in enumerate(owner.dictionary.to_pylist())
    }


COMPONENTS = {
    "reconstruction": "reconstruction error",
    "latent": "latent loss",
    "gradient": "gradient loss",
    "score": "anomaly score",
}


def component(name: str) -> str:
    """A score component's name for readers."""
    return COMPONENTS.get(name, name.upper())
