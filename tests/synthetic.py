"""Made-up results in the layout of real ones, with scores from normal distributions."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark import config as configuration
from benchmark import layout
from benchmark.config import Config
from benchmark.config.methods import METHODS
from benchmark.layout import RunKey
from benchmark.scores import collect
from benchmark.splits import outlier_count

COMPONENTS = {
    "cae": ("reconstruction", "gradient"),
    "cae_grad": ("reconstruction", "gradient"),
    "vae": ("reconstruction", "latent", "gradient"),
    "vae_grad": ("reconstruction", "latent", "gradient"),
    "alocc": ("d", "dr"),
}
UNCONSTRAINED = ("cae", "vae")
SHIFT = {"reconstruction": 0.25, "latent": 0.5, "gradient": 0.9, "score": 0.7, "d": 0.1, "dr": 0.6}
"""How much higher outliers score, in standard deviations."""

SCALE = {"reconstruction": 0.01, "latent": 0.005, "gradient": 0.1}
CLASSES = {
    "cifar10": ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    "mnist": [str(digit) for digit in range(10)],
    "digits": [str(digit) for digit in range(10)],
    "fashion_mnist": [
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ],
}


def make_config(
    *datasets: str,
    methods: tuple[str, ...] = ("cae", "cae_grad", "vae", "vae_grad"),
    folds: Mapping[str, list[int]] | None = None,
    **over: Any,
) -> Config:
    """A configuration of data sets that are never read."""
    titles = {"cifar10": "CIFAR-10", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
    entries = {
        key: {
            "source": key,
            "path": "data",
            "title": titles.get(key, key),
            "protocol": "folds" if (folds or {}).get(key) else "official",
            "folds": (folds or {}).get(key, [0]),
        }
        for key in datasets
    }
    plain = {
        "name": "made_up",
        "seeds": [0],
        "outlier_ratios": [0.1, 0.3, 0.5],
        "beta_multiples": [0, 1, 2, 4, 8],
        "datasets": entries,
        "methods": {
            # Any detector will do: none is imported, and a baseline need not be installed.
            method: {"detector": "gradcon.detectors:CAE", "title": METHODS[method].title}
            for method in methods
        },
    }
    return configuration.load(plain | over, data=False)


def make_results(
    config: Config,
    root: Path,
    inliers: int = 60,
    draw: Callable[[RunKey, str, np.random.Generator, int, int], Any] | None = None,
    epochs: int = 20,
) -> None:
    """Write every run of ``config`` under ``root``, complete after ``epochs``.

    ``draw`` gives the scores of a component for n inliers, then m outliers, instead of normals.
    """
    for dataset in config.datasets:
        folder = layout.data(root, dataset)
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"class_names": CLASSES[dataset], "sha256": {"images": "made up"}}
        (folder / "dataset.json").write_text(json.dumps(facts))
    for run in collect(config, root):
        make_run(config, run.key, run.class_name, run.directory, inliers, draw, epochs)


def make_run(
    config: Config,
    key: RunKey,
    class_name: str,
    directory: Path,
    inliers: int = 60,
    draw: Callable[[RunKey, str, np.random.Generator, int, int], Any] | None = None,
    epochs: int = 20,
) -> None:
    """Write one complete run."""
    rng = np.random.default_rng([hash_of(key.dataset + key.method), key.fold, key.inlier, key.seed])
    outliers = outlier_count(inliers, max(config.outlier_ratios))
    rank = np.r_[np.full(inliers, -1), np.arange(outliers)].astype(np.int32)
    samples = {
        "sample_id": np.arange(rank.size, dtype=np.int32),
        "label": np.where(rank < 0, key.inlier, (key.inlier + 1) % 10).astype(np.int16),
        "inlier": rank < 0,
        "outlier_rank": rank,
    }
    names = COMPONENTS.get(key.method, ("score",))

    def write_scores(file: str, **models: pa.Array) -> None:
        """Write a table of all samples for each value of the one column that names the models."""
        ((column, values),) = models.items()
        scores = [
            [(draw or normal)(key, name, rng, inliers, outliers) for name in names] for _ in values
        ]
        by_name = np.asarray(scores, np.float32).reshape(len(values), len(names), rank.size)
        columns = {name: np.tile(each, len(values)) for name, each in samples.items()}
        columns[column] = values.take(np.repeat(np.arange(len(values)), rank.size))
        columns |= {name: by_name[:, k].ravel() for k, name in enumerate(names)}
        pq.write_table(pa.table(columns), directory / file)

    directory.mkdir(parents=True, exist_ok=True)
    write_scores("scores.parquet", model=pa.array(["best", "last"]).dictionary_encode())
    write_scores("epochs.parquet", epoch=pa.array(config.milestones, pa.int32()))
    if "reconstruction" in names:
        images = rng.integers(0, 255, (16, 28, 28, 3 if key.dataset == "cifar10" else 1), np.uint8)
        np.savez(
            directory / "reconstructions.npz",
            images=images,
            reconstructions=images // 2 + 60,
            inlier=np.arange(16) < 8,
            sample_id=np.arange(16),
        )
    write_manifest(directory, key, class_name, inliers + outliers, epochs)


def write_manifest(
    directory: Path, key: RunKey, class_name: str, n_scored: int, epochs: int = 20, **over: Any
) -> None:
    """Write ``run.json`` for the scores that lie in ``directory``."""
    scores = directory / "scores.parquet"
    manifest = {
        **key._asdict(),
        "class_name": class_name,
        "status": "complete",
        "reason": None,
        "config": {"epochs": epochs},
        "facts": {
            "parameters": 230_721,
            "epochs": epochs,
            "best_epoch": 15,
            **({"alpha": 0.0} if key.method in UNCONSTRAINED else {}),
        },
        "seconds": {"fit": 61.5, "score": 0.4},
        "memory_bytes": 512_000_000,
        "n_scored": n_scored,
        "split_sha256": hashlib.sha256(f"{key.dataset}{key.fold}".encode()).hexdigest(),
        "scores_sha256": hashlib.sha256(scores.read_bytes()).hexdigest(),
        "code_digest": "c0de",
        "environment": {
            **{"python": "3.11.9", "torch": "2.15.0", "platform": "Linux", "cpu": "A CPU"},
            **{"threads": 1, "device": "cpu", "commit": "0123456789abcdef"},
        },
    }
    (directory / "run.json").write_text(json.dumps(manifest | over))


def normal(key: RunKey, component: str, rng: np.random.Generator, n: int, m: int) -> Any:
    """Scores of n inliers, then m outliers, that differ more for some classes than for others."""
    ease = 0.3 + 0.15 * key.inlier
    shift = ease * SHIFT[component] * (0.1 if key.method in UNCONSTRAINED else 1)
    values = np.r_[rng.normal(size=n), rng.normal(shift, 1, size=m)]
    return values * SCALE.get(component, 1.0) + (0.05 if component != "gradient" else -0.5)


def hash_of(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def exactly(auroc: Callable[[RunKey, str], float]) -> Callable[..., Any]:
    """Scores of that AUROC, to one in the number of outliers; NaN gives NaN scores."""

    def draw(key: RunKey, component: str, rng: np.random.Generator, n: int, m: int) -> Any:
        area = auroc(key, component)
        if np.isnan(area):
            return np.full(n + m, np.nan)
        return np.r_[np.zeros(n), np.where(np.arange(m) < round(area * m), 1.0, -1.0)]

    return draw
