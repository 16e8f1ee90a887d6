"""Which trainings give the same bytes, and how far those part that do not: docs/determinism.md.

    python -m performance.determinism --source cifar10 --path data --inliers car dog

GradCon is trained on each class in several ways, each in a process of its own on one thread, and
compared with the first of them. The tables go to ``results/determinism``.
"""

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from benchmark import data, splits
from benchmark.statistics.roc import placements
from benchmark.utils.files import atomic
from gradcon.detectors import BETA
from gradcon.kernels import matmul
from gradcon.losses import RECONSTRUCTION
from gradcon.networks import Autoencoder, initialised
from gradcon.scoring import score_images
from gradcon.training import train
from gradcon.training_state import Trained
from performance.cases import settings

AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}
"""Environment of a process that computes as on a CPU without AVX-512."""


@dataclass(frozen=True)
class Way:
    """A way of training: the environment of its process and what it does there."""

    environment: Mapping[str, str] = field(default_factory=lambda: {"PYTHONHASHSEED": "0"})
    threads: int = 1
    onednn: bool = True
    dtype: torch.dtype = torch.float32
    resumed: bool = False
    stacked: bool = False
    seed: int = 0


FIRST = Way()
SAME = {
    "another hash seed": Way({"PYTHONHASHSEED": "1"}),
    "stopped and resumed": Way(resumed=True),
    "in a stack with another class": Way(stacked=True),
}
"""Ways that are to give the bytes of the first."""

OTHER = {
    "two threads": Way({"OMP_WAIT_POLICY": "PASSIVE"}, threads=2),
    "without oneDNN": Way(onednn=False),
    "kernels without AVX-512": Way(AVX2),
    "in float64": Way(dtype=torch.float64),
}
"""Ways that compute the same numbers but for rounding."""


@dataclass(frozen=True)
class Images:
    """Training, validation and test images of a class, uint8 (N, C, H, W), and which are outliers.

    ``companion`` is the training part of another class.
    """

    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    outlier: npt.NDArray[np.bool_]
    companion: torch.Tensor


@dataclass(frozen=True)
class Outcome:
    """The losses of every epoch, and the scores of the test images by component, (N,) each."""

    history: Sequence[Mapping[str, float]]
    scores: Mapping[str, npt.NDArray[np.float64]]

    def first_difference(self, other: "Outcome") -> int | None:
        """The first epoch, from 1, whose losses are not the same bits."""
        pairs = zip(self.history, other.history, strict=True)
        return next((k for k, (a, b) in enumerate(pairs, 1) if a != b), None)

    def same_bytes(self, other: "Outcome") -> bool:
        """Whether losses and scores are the same bits."""
        return self.first_difference(other) is None and all(
            np.array_equal(scores, other.scores[name]) for name, scores in self.scores.items()
        )


def outcome(way: Way, images: Images, epochs: int) -> Outcome:
    """Train in a new process, and score the test images with the best model."""
    with (
        patch.dict(os.environ, way.environment),
        multiprocessing.get_context("spawn").Pool(1) as pool,
    ):
        return pool.apply(_outcome, (way, images, epochs))


def _outcome(way: Way, images: Images, epochs: int) -> Outcome:
    torch.set_num_threads(way.threads)
    if not way.onednn:
        torch.backends.mkldnn.set_flags(False)
        matmul._ONEDNN = False
    trained = _trained(way, images, epochs)
    network = initialised(Autoencoder, images.train.shape[1], images.train.shape[2], 0)
    network.to(way.dtype).load_state_dict(trained.models["best"].parameters)
    reference = trained.models["best"].reference
    losses = score_images(network, reference, images.test, RECONSTRUCTION["squared_error"])
    scores = {name: losses[name].double().numpy() for name in ("reconstruction", "gradient")}
    scores["GradCon"] = scores["reconstruction"] + BETA * scores["gradient"]
    return Outcome(trained.history, scores)


def _trained(way: Way, images: Images, epochs: int) -> Trained:
    chosen = replace(settings(), epochs=epochs)
    data, held = [images.train], [images.validation]
    if way.stacked:
        data, held = [images.companion, *data], [images.companion[:50], *held]
    seeds = [way.seed + 1] * way.stacked + [way.seed]
    with tempfile.TemporaryDirectory() as folder:
        arguments: dict[str, Any] = {
            "seeds": seeds,
            "dtype": way.dtype,
            "checkpoint": Path(folder, "training.safetensors"),
        }
        if way.resumed:
            train(Autoencoder, replace(chosen, epochs=epochs // 2), data, held, **arguments)
        trained = train(Autoencoder, chosen, data, held, **arguments)[-1]
    if not isinstance(trained, Trained):
        raise trained
    return trained


def class_images(dataset: data.Dataset, inlier: int, most: int | None) -> Images:
    """The images of a class by the split of the paper's protocol, of each part at most ``most``."""
    protocol = "folds" if dataset.n_train is None else "official"
    other = (inlier + 1) % len(dataset.class_names)
    split = splits.make_split(
        dataset.labels, dataset.n_train, protocol, 0, 0, [inlier, other], 0.5, dataset.groups
    )
    tests = splits.test_table(split, dataset.labels, inlier)
    if most is not None:
        tests = tests.groupby("inlier").head(most)
    parts = [*splits.fit_indices(split, inlier), tests["sample_id"].to_numpy()]
    parts.append(splits.fit_indices(split, other)[0][:-7])  # of another length
    train, validation, test, companion = (
        torch.tensor(dataset.images[part[: most and 2 * most]].transpose(0, 3, 1, 2).copy())
        for part in parts
    )
    return Images(train, validation, test, ~tests["inlier"].to_numpy(), companion)


def auroc(scores: npt.NDArray[np.float64], outlier: npt.NDArray[np.bool_]) -> float:
    """The area under the ROC curve."""
    return float(placements(scores[~outlier], scores[outlier]).mean())


def measure(
    dataset: data.Dataset,
    inliers: Sequence[int],
    ways: Mapping[str, Way],
    epochs: int,
    most: int | None = None,
) -> pd.DataFrame:
    """A row for each class, way and component, with its AUROC and how it differs from the first.

    ``relative`` is the norm of the difference of the scores over the norm of the first's.
    """
    rows = []
    for inlier in inliers:
        images = class_images(dataset, inlier, most)
        first = outcome(FIRST, images, epochs)
        for name, way in {"first": FIRST, **ways}.items():
            own = first if name == "first" else outcome(way, images, epochs)
            for component, scores in own.scores.items():
                reference = first.scores[component]
                difference = np.linalg.norm(scores - reference) / np.linalg.norm(reference)
                row = {
                    "source": dataset.source,
                    "class": dataset.class_names[inlier],
                    "way": name,
                    "component": component,
                    "same_bytes": own.same_bytes(first),
                    "first_difference": own.first_difference(first),
                    "relative": difference,
                    "auroc": auroc(scores, images.outlier),
                }
                row["auroc_difference"] = row["auroc"] - auroc(reference, images.outlier)
                rows.append(row)
                print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return pd.DataFrame(rows).astype({"first_difference": "Int64"})


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Per way: equal bytes, the epochs of the first difference, and ranges over the classes."""
    rows = []
    order = [name for name in table["way"].unique() if name != "first"]
    kind = table["way"].where(~table["way"].str.startswith("seed "), "another seed")
    for name in dict.fromkeys("another seed" if n.startswith("seed ") else n for n in order):
        part = table[kind == name]
        scored = part[part["component"] == "GradCon"]
        epochs, relative = part["first_difference"].dropna(), part["relative"]
        size = scored["auroc_difference"].abs()
        rows.append(
            {
                "Way": name,
                "Same bytes": f"{int(scored['same_bytes'].sum())} of {len(scored)}",
                "First difference": ""
                if epochs.empty
                else f"epoch {epochs.min()} to {epochs.max()}",
                "Scores differ by": f"{relative.min():.1g} to {relative.max():.1g}",
                "AUROC of GradCon differs by, mean": f"{size.mean():.4f}",
                "at most": f"{size.max():.4f}",
            }
        )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """A table of text as Markdown."""
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, write the table as CSV and print a summary in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="digits", choices=data.SOURCES)
    parser.add_argument("--path", help="as in a configuration; digits need none")
    parser.add_argument("--inliers", nargs="+", help="names of classes; all by default")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument(
        "--seeds", type=int, default=3, help="how many, for the spread between them"
    )
    parser.add_argument(
        "--most", type=int, help="inliers in the test part, half of those trained on"
    )
    parser.add_argument("--out", type=Path, default=Path("results/determinism"))
    chosen = parser.parse_args(arguments)
    dataset = data.read(chosen.source, chosen.path, 28)
    names = dataset.class_names
    seeds = {f"seed {seed}": Way(seed=seed) for seed in range(1, chosen.seeds)}
    inliers = [names.index(name) for name in chosen.inliers or names]
    table = measure(dataset, inliers, SAME | OTHER | seeds, chosen.epochs, chosen.most)
    with atomic(chosen.out / f"{chosen.source}.csv") as beside:
        table.to_csv(beside, index=False, float_format="%.6g")
    print(f"\n{markdown(summary(table))}")


if __name__ == "__main__":
    main()
