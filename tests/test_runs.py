"""The folder of a run: complete, with failures recorded, absent after an error of the user's."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import data as datasets
from benchmark import splits
from benchmark.detector import FitFailed
from benchmark.errors import InputError
from benchmark.runs.train import RunSpec, run_stack
from gradcon import GradCon

PARAMS = {"epochs": 3, "batch_size": 32}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    dataset = datasets.read("digits", None, 28)
    datasets.prepare(dataset, root / "data")
    split = splits.make_split(dataset.labels, None, "folds", 0, 0, [0, 1], 0.5)
    splits.write_split(split, root / "fold-0.parquet", protocol="folds", fold=0, split_seed=0)
    return root / "data", root / "fold-0.parquet"


def spec(detector="gradcon.detectors:GradCon", inlier=0, **changes):
    defaults = {
        "dataset": "digits",
        "method": "cae_grad",
        "detector": detector,
        "params": PARAMS,
        "fold": 0,
        "inlier": inlier,
        "class_name": str(inlier),
        "seed": 4,
        "milestones": (1, 2),
        "code_digest": "abc",
    }
    return RunSpec(**(defaults | changes))


def run(spec, data, split, directory):
    run_stack([spec], data, split, [directory], "cpu")


def test_a_run_leaves_scores_weights_and_its_description(prepared, tmp_path):
    data, split = prepared
    run(spec(), data, split, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["status"] == "complete" and record["reason"] is None
    assert record["facts"]["parameters"] == 230_721 and record["facts"]["epochs"] == 3
    assert record["config"] == PARAMS and record["seed"] == 4
    assert record["environment"]["torch"] and record["seconds"]["fit"] > 0
    assert 10**8 < record["memory_bytes"] < 10**11
    for name in ("scores", "epochs"):
        content = (tmp_path / f"{name}.parquet").read_bytes()
        assert record[f"{name}_sha256"] == hashlib.sha256(content).hexdigest()
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    table = splits.read_split(split)
    dataset = datasets.load(data)
    tests = splits.test_table(table, dataset.labels, 0)
    for model, part in scores.groupby("model", observed=True):
        columns = ["sample_id", "label", "inlier", "outlier_rank"]
        pd.testing.assert_frame_equal(part[columns].reset_index(drop=True), tests)
        detector = GradCon.load(tmp_path / "weights")
        again = detector.score(dataset.images[tests["sample_id"]], str(model))
        for name, values in again.items():
            assert np.array_equal(part[name].to_numpy(), values)
    epochs = pd.read_parquet(tmp_path / "epochs.parquet")
    assert set(epochs["epoch"]) == {1, 2} and len(epochs) == 2 * len(tests)
    assert pd.read_csv(tmp_path / "history.csv")["epoch"].tolist() == [1, 2, 3]
    pictures = np.load(tmp_path / "reconstructions.npz")
    assert pictures["images"].shape == pictures["reconstructions"].shape == (16, 28, 28, 1)
    assert pictures["inlier"].sum() == 8
    for side in (True, False):
        shown, every = (
            part["sample_id"][part["inlier"] == side] for part in (pictures, dict(tests))
        )
        assert {shown[0], shown[-1]} == {every.iloc[0], every.iloc[-1]}, "not from all of them"
    assert record["n_scored"] == len(tests)
    assert not list(tmp_path.glob("training-*"))


def test_the_same_run_gives_the_same_scores(prepared, tmp_path):
    hashes = set()
    for name in ("a", "b"):
        run(spec(), *prepared, tmp_path / name)
        hashes.add(json.loads((tmp_path / name / "run.json").read_text())["scores_sha256"])
    assert len(hashes) == 1


def test_a_stack_writes_what_single_runs_write(prepared, tmp_path):
    specs = [spec(inlier=0), spec(inlier=1)]
    run_stack(specs, *prepared, [tmp_path / "s0", tmp_path / "s1"], "cpu")
    for k, one in enumerate(specs):
        run(one, *prepared, tmp_path / f"r{k}")
        stacked, single = (
            pd.read_parquet(tmp_path / f"{kind}{k}" / "scores.parquet") for kind in "sr"
        )
        pd.testing.assert_frame_equal(stacked, single, rtol=1e-3, atol=1e-4)


class Diverging:
    """A detector whose training fails for inlier images of the digit 0."""

    components = ("score",)

    def __init__(self, *, kind="fit"):
        self.kind = kind

    def fit(self, train, validation, **options):
        if self.kind == "fit":
            raise FitFailed("the loss is nan in epoch 3")
        if self.kind == "bug":
            raise ZeroDivisionError("division\nby zero")
        if self.kind == "disk":
            raise OSError(28, "No space left on device")
        if self.kind == "mend":
            raise InputError("the checkpoint: delete it")
        return self

    models = ("best", "last")
    history = ()
    facts: dict = {}  # noqa: RUF012

    def score(self, images, model="best"):
        value = np.nan if self.kind == "nan" else 1.0
        return {"score": np.full(len(images), value, np.float32)}

    def save(self, directory):
        pass


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("fit", "the loss is nan in epoch 3"),
        ("bug", "ZeroDivisionError: division by zero"),
        ("nan", r"scores of score are NaN"),
        ("constant", "collapsed"),
    ],
)
def test_a_failure_is_recorded_without_scores(prepared, tmp_path, kind, reason):
    run(spec("tests.test_runs:Diverging", params={"kind": kind}), *prepared, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["status"] == "failed" and reason in record["reason"]
    assert "\n" not in record["reason"]
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert len(scores) == 0 and "sample_id" in scores


def test_a_failed_rerun_leaves_nothing_of_the_earlier_run(prepared, tmp_path):
    run(spec(params={"epochs": 1}), *prepared, tmp_path)
    assert (tmp_path / "weights").is_dir() and (tmp_path / "reconstructions.npz").is_file()
    run(spec(params={"epochs": 1, "learning_rate": 1e30}), *prepared, tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"
    assert not (tmp_path / "weights").exists()
    assert not (tmp_path / "reconstructions.npz").exists()


@pytest.mark.parametrize("kind, error", [("disk", OSError), ("mend", InputError)])
def test_an_error_that_the_user_can_correct_stops_the_job(prepared, tmp_path, kind, error):
    with pytest.raises(error):
        run(spec("tests.test_runs:Diverging", params={"kind": kind}), *prepared, tmp_path)
    assert not (tmp_path / "run.json").exists()


KILLED = """
import sys
from pathlib import Path
from gradcon import training
from tests.test_runs import run, spec
training.CHECKPOINT_SECONDS = 0.0
data, split, directory = map(Path, sys.argv[1:])
run(spec(params={"epochs": 12, "batch_size": 32}), data, split, directory)
"""


def test_a_killed_process_goes_on_to_the_same_weights(prepared, tmp_path):
    command = [sys.executable, "-c", KILLED, *map(str, prepared)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, str(whole)], check=True, env=environment, capture_output=True)
    process = subprocess.Popen([*command, str(killed)], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(killed.glob("training-*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list(killed.glob("training-*.safetensors")) and not (killed / "run.json").exists()
    subprocess.run([*command, str(killed)], check=True, env=environment, capture_output=True)
    for name in ("weights/best.safetensors", "weights/last.safetensors", "scores.parquet"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
