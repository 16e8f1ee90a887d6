"""What a run gives its method, and what becomes of the answers, told by a method that notes it."""

import dataclasses
import json
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from benchmark import data as datasets
from benchmark import splits
from benchmark.detector import FitFailed
from benchmark.errors import InputError
from benchmark.runs.train import RunSpec, run_stack

NOTED: list[dict] = []
"""What ``fit`` and ``fit_stack`` got, a dictionary for each model."""


@pytest.fixture(autouse=True)
def forgotten():
    NOTED.clear()


class Alone:
    """A method that notes what it gets; its second component is the same for every image."""

    components = ("score", "constant")
    models = ("best", "last", "epoch-1", "epoch-3")
    history = ()
    facts: dict = {}  # noqa: RUF012

    def __init__(self, *, width=1):
        pass

    def fit(self, train, validation, *, seed, checkpoint, **_):
        note = {"train": train, "validation": validation, "seed": seed, "seen": checkpoint.exists()}
        NOTED.append(note)
        if not checkpoint.exists():
            checkpoint.write_bytes(b"")
            raise InputError("stopped before its end")
        return self

    def score(self, images, model="best"):
        total = images.reshape(len(images), -1).sum(axis=1, dtype=np.float32)
        place = self.models.index(model)
        return {"score": total + 1e6 * place, "constant": np.full(len(images), place, np.float32)}

    def save(self, directory):
        pass


class Stacked(Alone):
    """The same, trained together with others; the one of seed 13 fails."""

    @staticmethod
    def fit_stack(detectors, train, validation, *, seeds, checkpoint, **_):
        for own, held, seed in zip(train, validation, seeds, strict=True):
            note = {"train": own, "validation": held, "seed": seed, "seen": checkpoint.exists()}
            NOTED.append(note)
        if not checkpoint.exists():
            checkpoint.write_bytes(b"")
            raise InputError("stopped before its end")
        return [FitFailed("unlucky") if seed == 13 else None for seed in seeds]


def spec(detector=Alone, **changes):
    plain = RunSpec(
        dataset="digits",
        method="noting",
        detector=f"tests.test_mutants_runs:{detector.__name__}",
        params={},
        fold=0,
        inlier=0,
        class_name="0",
        seed=4,
        milestones=(1, 3),
        code_digest="abc",
    )
    return dataclasses.replace(plain, **changes)


def attempt(specs, prepared, folder):
    """Make the runs; the first attempt of a training stops and leaves a checkpoint."""
    NOTED.clear()
    folders = [folder / str(k) for k in range(len(specs))]
    with suppress(InputError):
        run_stack(specs, *prepared, folders, "cpu")
    return folders


def complete(specs, prepared, folder):
    """Make the runs to their end."""
    attempt(specs, prepared, folder)
    return attempt(specs, prepared, folder)


def record(folder):
    return json.loads((folder / "run.json").read_text())


@pytest.mark.parametrize("detector", [Alone, Stacked])
def test_each_run_has_its_own_images_and_seed(prepared, tmp_path, detector):
    own = [(0, 4), (0, 5), (1, 4)]
    specs = [spec(detector, inlier=i, class_name=str(i), seed=seed) for i, seed in own]
    attempt(specs, prepared, tmp_path)
    if detector is Alone:  # each stops once
        for _ in specs:
            attempt(specs, prepared, tmp_path)
    assert [note["seed"] for note in NOTED] == [seed for _, seed in own]
    images, table = datasets.load(prepared[0]).images, splits.read_split(prepared[1])
    for note, (inlier, _) in zip(NOTED, own, strict=True):
        for name, ids in zip(
            ("train", "validation"), splits.fit_indices(table, inlier), strict=True
        ):
            assert np.array_equal(note[name], images[ids]), name


CHANGES = [
    {"code_digest": "edited"},
    {"seed": 5},
    {"inlier": 1, "class_name": "1"},
    {"params": {"width": 2}},
    {"milestones": (1,)},
]


@pytest.mark.parametrize("detector", [Alone, Stacked])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_training_goes_on_from_its_own_checkpoint_alone(prepared, tmp_path, detector, change):
    first = spec(detector)
    attempt([first], prepared, tmp_path)
    attempt([dataclasses.replace(first, **change)], prepared, tmp_path)
    assert not NOTED[0]["seen"]
    attempt([first], prepared, tmp_path)
    assert NOTED[0]["seen"]


def test_every_model_has_its_own_scores(prepared, tmp_path):
    """A component that is the same for every image fails no run whose other one is not."""
    (folder,) = complete([spec()], prepared, tmp_path)
    assert record(folder)["status"] == "complete"
    finals = pd.read_parquet(folder / "scores.parquet")
    epochs = pd.read_parquet(folder / "epochs.parquet")
    models = [*finals.groupby("model", observed=True), *epochs.groupby("epoch")]
    place = {"best": 0, "last": 1, 1: 2, 3: 3}
    images = datasets.load(prepared[0]).images
    for name, part in models:
        assert part["constant"].eq(place[name]).all()
        total = images[part["sample_id"]].reshape(len(part), -1).sum(axis=1, dtype=np.float32)
        assert np.array_equal(part["score"] - 1e6 * place[name], total)
    assert len(models) == len(place)


def test_one_failure_in_a_stack_is_its_own(prepared, tmp_path):
    specs = [spec(Stacked, seed=seed) for seed in (4, 13)]
    folders = complete(specs, prepared, tmp_path)
    kept, lost = map(record, folders)
    assert (kept["status"], kept["reason"]) == ("complete", None)
    assert (lost["status"], lost["reason"], lost["n_scored"]) == ("failed", "unlucky", 0)
    rows = [len(pd.read_parquet(folder / "scores.parquet")) for folder in folders]
    assert rows == [2 * kept["n_scored"], 0]
    table, images = splits.read_split(prepared[1]), datasets.load(prepared[0])
    assert kept["n_scored"] == len(splits.test_table(table, images.labels, 0))
