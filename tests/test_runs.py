"""The folder of a run: complete, with failures recorded, absent after an error of the user's."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import SafetensorError

import gradcon.training
from baselines import _training
from benchmark import data as datasets
from benchmark import splits
from benchmark.detector import FitFailed
from benchmark.errors import InputError
from benchmark.runs import scoring, train
from benchmark.runs.train import RunSpec, run_stack
from benchmark.utils import machine, tensors
from benchmark.utils.logs import logged
from gradcon import GradCon

PARAMS = {"epochs": 3, "batch_size": 32}


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
    assert record["images_sha256"] == datasets.images_sha256(data)
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
        for file in ("scores.parquet", "epochs.parquet", "history.csv", "weights/last.safetensors"):
            stacked, single = (tmp_path / f"{kind}{k}" / file for kind in "sr")
            assert stacked.read_bytes() == single.read_bytes(), file


class Broken:
    """A detector that does wrong, or that the machine lets down, at one place."""

    components = ("score", "other")
    models = ("best", "last", "epoch-1")
    history = ()

    def __init__(self, *, kind="", place="fit"):
        self.kind, self.place = kind, place

    def at(self, place):
        if place == self.place and self.kind in ERRORS:
            raise ERRORS[self.kind]

    def fit(self, train, validation, *, checkpoint, **options):
        checkpoint.write_text("a training of days")
        self.at("fit")
        if self.kind == "one model":
            self.models = ("best", "best")
        if self.kind in ("epoch", "label", 1):
            self.components = (self.kind, "other")
        return self

    def score(self, images, model="best"):
        self.at("score")
        scores = {name: np.linspace(0, 1, len(images), np.float32) for name in self.components}
        return SCORES[self.kind](scores) if self.kind in SCORES and model == self.place else scores

    def save(self, directory):
        directory.mkdir()
        self.at("save")

    @property
    def facts(self):
        self.at("facts")
        return FACTS.get(self.kind, {})

    @property
    def fit_seconds(self):
        self.at("fit_seconds")
        return {"time": "long", "NumPy": np.float32(2)}.get(self.kind, 1.0)

    @property
    def precision(self):
        self.at("precision")
        return np.float32 if self.kind == "NumPy" else None


class BrokenStack(Broken):
    """One of its runs fails."""

    @classmethod
    def fit_stack(cls, detectors, *images, checkpoint, seeds, **options):
        checkpoint.write_text("a training of days")
        return [None, ERRORS[detectors[0].kind]]


class Counted(Broken):
    """A method of three epochs; ``fits`` counts how often it was fitted, by its seed."""

    fits: ClassVar[Counter[int]] = Counter()
    facts: ClassVar[dict[str, int]] = {"epochs": 3}

    def fit(self, train, validation, *, seed, **options):
        self.fits[seed] += 1
        return super().fit(train, validation, **options)


class CountedStack(Counted):
    @classmethod
    def fit_stack(cls, detectors, *images, checkpoint, seeds, **options):
        checkpoint.write_text("a training of days")
        cls.fits.update(seeds)
        return [None] * len(seeds)


OUTPUTS = ("run.json", "scores.parquet", "epochs.parquet", "history.csv")


def made_again(prepared, directory, seeds, **changes):
    """The seeds whose runs are trained."""
    directories = [directory / f"seed-{seed}" for seed in seeds]
    Counted.fits.clear()
    of_all = {"milestones": (1,), "params": {}} | changes
    specs = [spec("tests.test_runs:CountedStack", seed=seed, **of_all) for seed in seeds]
    run_stack(specs, *prepared, directories, "cpu")
    assert all((folder / name).is_file() for folder in directories for name in OUTPUTS)
    return sorted(Counted.fits.elements())


def test_of_a_stack_only_what_is_new_is_trained(prepared, tmp_path, capsys):
    assert made_again(prepared, tmp_path, [0, 1]) == [0, 1]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert made_again(prepared, tmp_path, [0, 1, 2]) == [2]
    assert "2 of 3 runs stay: " in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert made_again(prepared, tmp_path, [0, 1, 2]) == []
    shutil.rmtree(tmp_path / "seed-1")
    assert made_again(prepared, tmp_path, [0, 1, 2]) == [1]


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({"milestones": (1, 2)}, True),
        ({"milestones": (1, 4)}, False),
        ({"milestones": ()}, False),
        ({"code_digest": "def"}, True),
        ({"params": {"kind": "another"}}, True),
        ({"class_name": "zero"}, True),
        ({"fold": 1}, True),
    ],
)
def test_a_run_is_trained_again_if_it_would_be_another(prepared, tmp_path, changes, again):
    made_again(prepared, tmp_path, [0])
    assert made_again(prepared, tmp_path, [0], **changes) == [0] * again
    assert made_again(prepared, tmp_path, [0], **changes) == []


def test_other_images_or_another_split_make_another_run(prepared, tmp_path):
    made_again(prepared, tmp_path, [0])
    data, split = prepared
    other = Path(shutil.copytree(data, tmp_path / "data"))
    dataset = datasets.load(data)
    images = dataset.images.copy()
    images[0, 0, 0, 0] ^= 1
    datasets.prepare(replace(dataset, images=images), other)
    assert made_again((other, split), tmp_path, [0]) == [0]
    table = splits.make_split(dataset.labels, None, "folds", 0, 1, [0, 1], 0.5)
    splits.write_split(table, tmp_path / "s.parquet", protocol="folds", fold=0, split_seed=1)
    assert made_again((other, tmp_path / "s.parquet"), tmp_path, [0]) == [0]


def test_a_stack_that_was_stopped_while_it_wrote_goes_on_whole(prepared, tmp_path, monkeypatch):
    """With its checkpoint, from which another stack of the rest could not go on."""
    written = []

    def stop_at_the_second(attempt, *rest):
        written.append(attempt)
        if len(written) == 2:
            raise KeyboardInterrupt
        write(attempt, *rest)

    write = train._write_run
    monkeypatch.setattr(train, "_write_run", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        made_again(prepared, tmp_path, [0, 1])
    monkeypatch.setattr(train, "_write_run", write)
    assert len(list(tmp_path.rglob("training-*"))) == 1
    assert made_again(prepared, tmp_path, [0, 1]) == [0, 1]


CUDA = "CUDA error: all CUDA-capable devices are busy or unavailable\nCUDA kernel errors might"
ERRORS = {
    "fit": FitFailed("the loss is nan in epoch 3"),
    "bug": ZeroDivisionError("division\nby zero"),
    "assert": RuntimeError("CUDA error: device-side assert triggered"),
    "disk": OSError(28, "No space left on device"),
    "mend": InputError("the checkpoint: delete it"),
    "memory": MemoryError("Unable to allocate 40.0 GiB"),
    "gpu memory": RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
    "torch memory": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"),
    "busy": RuntimeError(CUDA),
    "lost": RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    "no gpu": AssertionError("Torch not compiled with CUDA enabled"),
    "worker": RuntimeError("A worker process managed by the executor was unexpectedly terminated."),
    "exit": SystemExit("nothing to train"),
    "jax memory": RuntimeError(
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."
    ),
    "mapped memory": RuntimeError("unable to mmap 9 bytes: Cannot allocate memory (12)"),
    "HIP": RuntimeError("HIP error: no ROCm-capable device is detected"),
    "threads": RuntimeError("can't start new thread"),
    "files": RuntimeError("unable to open shared memory object: Too many open files (24)"),
    "disk of Rust": SafetensorError("I/O error: No space left on device (os error 28)"),
    "disk of torch": RuntimeError(
        "PytorchStreamWriter failed writing file data/0: file write failed"
    ),
    "several": ExceptionGroup("two tasks", [ValueError("no"), MemoryError()]),
}
MACHINE = tuple(
    name for name in ERRORS if name not in ("fit", "bug", "assert", "disk", "mend", "exit")
)
SCORES = {
    "nan": lambda scores: scores | {"score": np.where(scores["score"] > 0.5, np.nan, 1)},
    "infinite": lambda scores: scores | {"score": scores["score"] * 1e39},
    "one more": lambda scores: {name: np.r_[0, each] for name, each in scores.items()},
    "one less": lambda scores: {name: each[1:] for name, each in scores.items()},
    "a table": lambda scores: {name: each[:, None] for name, each in scores.items()},
    "one missing": lambda scores: {"score": scores["score"]},
    "one unnamed": lambda scores: scores | {"extra": scores["score"]},
    "misnamed": lambda scores: {"score": scores["score"], "others": scores["other"]},
    "constant": lambda scores: {name: 0 * each for name, each in scores.items()},
    "complex": lambda scores: scores | {"score": scores["score"] + 1j},
    "text": lambda scores: scores | {"score": scores["score"].astype(str)},
    "times": lambda scores: scores | {"score": np.arange(7).astype("datetime64[s]")},
    "masked": lambda scores: scores | {"score": np.ma.masked_less(scores["score"], 0.5)},
}
REASONS = {
    "nan": "scores of score by the model {} are NaN or infinite",
    "infinite": "scores of score by the model {} are NaN or infinite",
    "one more": "by the model {} have the shape (7",
    "one less": "by the model {} have the shape (7",
    "a table": "by the model {} have the shape (7",
    "one missing": "the model {} scores score; the components are score, other",
    "one unnamed": "the model {} scores score, other, extra; the components are score, other",
    "misnamed": "the model {} scores score, others; the components are score, other",
    "complex": "scores of score by the model {} are complex128, no numbers",
    "text": "scores of score by the model {} are <U32, no numbers",
    "times": "scores of score by the model {} are datetime64[s], no numbers",
    "masked": "scores of score by the model {} are NaN or infinite",
}
FACTS = {
    "no JSON": {"of no JSON type": object()},
    "epochs in words": {"epochs": "ten"},
    "no epochs": {"epochs": None},
    "parameters by layer": {"parameters": [3, 4]},
    "best epoch is NaN": {"best_epoch": np.nan},
}


def broken(kind, place="fit", stack=False):
    detector = f"tests.test_runs:Broken{'Stack' * stack}"
    return spec(detector, params={"kind": kind, "place": place}, milestones=(1,))


def require_failure(directory, reason):
    record = json.loads((directory / "run.json").read_text())
    assert record["status"] == "failed" and reason in record["reason"]
    assert "\n" not in record["reason"] and record["n_scored"] == 0
    for name in ("scores", "epochs"):
        table = pd.read_parquet(directory / f"{name}.parquet")
        assert len(table) == 0 and "sample_id" in table
    assert not (directory / "weights").exists() and not list(directory.glob("training-*"))


PLACES = ["precision", "fit", "fit_seconds", "score", "save", "facts"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("fit", "the loss is nan in epoch 3"),
        ("bug", "ZeroDivisionError: division by zero"),
        ("assert", "RuntimeError: CUDA error: device-side assert triggered"),
        ("exit", "SystemExit: nothing to train"),
    ],
)
def test_what_a_method_does_wrong_is_recorded_wherever_it_is(
    prepared, tmp_path, kind, reason, place
):
    run(broken(kind, place), *prepared, tmp_path)
    require_failure(tmp_path, reason)


@pytest.mark.parametrize("model", ["best", "last", "epoch-1"])
@pytest.mark.parametrize("kind", REASONS)
def test_scores_that_do_not_fit_the_images_are_a_failure(prepared, tmp_path, kind, model):
    run(broken(kind, model), *prepared, tmp_path)
    require_failure(tmp_path, REASONS[kind].format(model))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("constant", "the model has collapsed: score, other constant over all images"),
        ("one model", "the models are best, best; there must be one best and one last"),
        ("no JSON", "TypeError: Object of type object is not JSON serializable"),
        ("epochs in words", "the fact epochs is 'ten', no number"),
        ("no epochs", "the fact epochs is None, no number"),
        ("parameters by layer", "the fact parameters is [3, 4], no number"),
        ("best epoch is NaN", "the fact best_epoch is nan, no number"),
        ("time", "ValueError: could not convert string to float: 'long'"),
        ("epoch", "a component is called 'epoch'; its name must be a text and none of sample_id,"),
        ("label", "a component is called 'label'; its name must be a text and none of sample_id,"),
        (1, "a component is called 1; its name must be a text and none of sample_id,"),
    ],
)
def test_other_results_that_are_none_are_a_failure(prepared, tmp_path, kind, reason):
    run(broken(kind, "best"), *prepared, tmp_path)
    require_failure(tmp_path, reason)


def test_numbers_of_numpy_are_plain_in_the_record(prepared, tmp_path):
    run(broken("NumPy"), *prepared, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["status"] == "complete" and record["seconds"]["fit"] == 2


def test_one_failure_in_a_stack_takes_no_other_down(prepared, tmp_path):
    directories = [tmp_path / "a", tmp_path / "b"]
    run_stack([broken("bug", stack=True)] * 2, *prepared, directories, "cpu")
    assert json.loads((tmp_path / "a/run.json").read_text())["status"] == "complete"
    require_failure(tmp_path / "b", "ZeroDivisionError: division by zero")


def test_a_gpu_that_an_earlier_run_spoilt_is_no_failure_of_the_next(
    prepared, tmp_path, monkeypatch
):
    """After an assert on a GPU, each call of the process ends with the same error."""
    spoilt = []

    def synchronize(device):
        if spoilt:
            raise ERRORS["assert"]

    def fit(self, *images, **options):
        spoilt.append(self.kind)
        raise ERRORS["assert"]

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    monkeypatch.setattr(train.gpus, "taken", lambda device: nullcontext("cuda:0"))
    monkeypatch.setattr(train.gpus, "current", lambda device: nullcontext())
    monkeypatch.setattr(train.devices, "peak_memory", lambda device: 0)
    monkeypatch.setattr(train.devices, "environment", lambda device: {})
    monkeypatch.setattr(train.methods, "uses_gpu", lambda detector: True)
    monkeypatch.setattr(Broken, "fit", fit)
    run_stack([broken("first")], *prepared, [tmp_path / "first"], "cuda")
    require_failure(tmp_path / "first", "RuntimeError: CUDA error: device-side assert triggered")
    with pytest.raises(RuntimeError) as caught:
        run_stack([broken("second")], *prepared, [tmp_path / "second"], "cuda")
    assert spoilt == ["first"] and not (tmp_path / "second/run.json").exists()
    assert machine.advice(caught.value) == "if it stops here again, set GRADCON_DEVICE=cpu"
    # Runs that are trained together: the later ones are not judged by an error of the first.
    spoilt.clear()
    with pytest.raises(RuntimeError, match="after an error of an earlier run"):
        run_stack([broken("a"), broken("b")], *prepared, [tmp_path / "a", tmp_path / "b"], "cuda")
    assert spoilt == ["a"] and not [*tmp_path.glob("[ab]/run.json")]


@pytest.mark.parametrize("place", ["score", "write_reconstructions"])
def test_a_rerun_that_is_stopped_leaves_the_model_of_the_earlier_run(
    prepared, tmp_path, monkeypatch, place
):
    """Snakemake puts the earlier tables back then, and they count as made if settings do too."""
    run(spec(params={"epochs": 1}), *prepared, tmp_path)
    saved = [*(tmp_path / "weights").iterdir(), tmp_path / "reconstructions.npz"]
    before = {path: path.read_bytes() for path in saved}

    def stopped(*rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(train.scoring, place, stopped)
    with pytest.raises(KeyboardInterrupt):
        run(spec(params={"epochs": 2}), *prepared, tmp_path)
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / train.NEW).exists()
    monkeypatch.undo()
    run(spec(params={"epochs": 2}), *prepared, tmp_path)
    assert all(path.read_bytes() != content for path, content in before.items())
    assert not (tmp_path / train.NEW).exists()


def test_a_failed_rerun_leaves_nothing_of_the_earlier_run(prepared, tmp_path):
    run(spec(params={"epochs": 1}), *prepared, tmp_path)
    assert (tmp_path / "weights").is_dir() and (tmp_path / "reconstructions.npz").is_file()
    run(spec(params={"epochs": 1, "learning_rate": 1e30}), *prepared, tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"
    assert not (tmp_path / "weights").exists()
    assert not (tmp_path / "reconstructions.npz").exists()


@pytest.mark.parametrize("place", PLACES[1:])
@pytest.mark.parametrize("kind", ["disk", "mend", *MACHINE])
def test_a_trouble_of_user_or_machine_leaves_the_checkpoint_and_no_result(
    prepared, tmp_path, kind, place
):
    run(broken(""), *prepared, tmp_path)
    with pytest.raises(type(ERRORS[kind])):
        run(broken(kind, place), *prepared, tmp_path)
    assert not (tmp_path / "run.json").exists()
    assert len(list(tmp_path.glob("training-*"))) == 1
    run(broken(""), *prepared, tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "complete"


@pytest.mark.parametrize(
    ("detector", "loop"),
    [("gradcon.detectors:GradCon", gradcon.training), ("baselines.dcae:DCAE", _training)],
)
@pytest.mark.parametrize("damage", ["cut", "flipped", "of another class"])
def test_a_checkpoint_that_cannot_be_used_is_a_line_and_the_training_starts_over(
    prepared, tmp_path, monkeypatch, capsys, detector, loop, damage
):
    """Left by a job that ran out of memory in scoring; the scores are those of a run without it."""

    def stopped(*arguments):
        raise MemoryError

    params = {"epochs": 2, "batch_size": 32}
    folders = {inlier: tmp_path / f"inlier-{inlier}" for inlier in (0, 1)}
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(scoring, "score", stopped)
        for inlier, folder in folders.items():
            with pytest.raises(MemoryError):
                run(spec(detector, inlier, params=params), *prepared, folder)
    checkpoint, other = (next(folders[inlier].glob("training-*")) for inlier in (0, 1))
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(
        {"cut": content[:-9], "flipped": content, "of another class": other.read_bytes()}[damage]
    )
    capsys.readouterr()
    run(spec(detector, params=params), *prepared, folders[0])
    lines = [line for line in capsys.readouterr().err.splitlines() if "starts over" in line]
    assert len(lines) == 1 and lines[0].startswith(f"{checkpoint}: ")
    run(spec(detector, params=params), *prepared, tmp_path / "whole")
    for name in ("scores.parquet", "weights/best.safetensors"):
        assert (folders[0] / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not checkpoint.exists()


def test_a_checkpoint_that_cannot_be_read_just_now_is_kept(prepared, tmp_path, monkeypatch):
    def unreadable(path, identity):
        raise tensors.UnusableFile(path, "busy") from OSError(errno.EIO, "Input/output error")

    run(broken(""), *prepared, tmp_path)
    with pytest.raises(OSError, match="No space"):
        run(broken("disk", "score"), *prepared, tmp_path)
    (checkpoint,) = tmp_path.glob("training-*")
    monkeypatch.setattr(
        Broken, "fit", lambda self, *images, checkpoint, **o: unreadable(checkpoint, {})
    )
    with pytest.raises(InputError, match="busy"):
        run(broken("disk", "score"), *prepared, tmp_path)
    assert checkpoint.exists()


@pytest.mark.parametrize("kind", MACHINE)
def test_a_trouble_of_the_machine_in_a_stack_costs_no_model(prepared, tmp_path, kind):
    directories = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(type(ERRORS[kind])):
        run_stack([broken(kind, stack=True)] * 2, *prepared, directories, "cpu")
    assert len(list(tmp_path.rglob("training-*"))) == 1
    assert not list(tmp_path.rglob("run.json"))


@pytest.mark.parametrize("kind", MACHINE)
@pytest.mark.parametrize("named", [True, False])
def test_the_log_of_a_trouble_of_the_machine_is_a_line_of_advice(tmp_path, kind, named):
    """Whether a method names the error as the cause of its own, or only raises that instead."""
    with pytest.raises(SystemExit), logged(tmp_path / "log"):
        try:
            raise ERRORS[kind]
        except Exception as error:
            failed = FitFailed("fit did not succeed")
            if named:
                raise failed from error
            raise failed  # noqa: B904
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("FitFailed: fit did not succeed; ") and line.endswith("; then run again")
    known = (
        "free memory, or ",
        "see that the GPU",
        "free disk space",
        "see that the disk",
        "run fewer",
        "raise the",
    )
    assert any(f"; {advice}" in line for advice in known)


KILLED = """
import sys
from pathlib import Path
from gradcon import training
from tests.test_runs import LONG, run, spec
training.CHECKPOINT_SECONDS = 0.0
data, split, directory = map(Path, sys.argv[1:])
run(spec(params=LONG), data, split, directory)
"""
LONG = {"epochs": 12, "batch_size": 32}


def test_a_killed_process_goes_on_to_the_same_weights(prepared, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(spec(params=LONG), *prepared, whole)
    command = [sys.executable, "-c", KILLED, *map(str, prepared), str(killed)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not list(killed.glob("training-*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list(killed.glob("training-*.safetensors")) and not (killed / "run.json").exists()
    run(spec(params=LONG), *prepared, killed)
    for name in ("weights/best.safetensors", "weights/last.safetensors", "scores.parquet"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def mtimes(directory):
    return {path.name: path.stat().st_mtime_ns for path in directory.iterdir() if path.is_file()}


def test_runs_that_are_there_are_left_as_they_are(prepared, tmp_path):
    first, second = spec(seed=4), spec(seed=5)
    run(first, *prepared, tmp_path / "a")
    before = mtimes(tmp_path / "a")
    run_stack([first, second], *prepared, [tmp_path / "a", tmp_path / "b"], "cpu")
    run_stack([first, second], *prepared, [tmp_path / "a", tmp_path / "b"], "cpu")
    assert mtimes(tmp_path / "a") == before
    run(second, *prepared, tmp_path / "alone")
    scores = [(tmp_path / name / "scores.parquet").read_bytes() for name in ("b", "alone")]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("kind", ["", "fit"])
def test_a_finished_run_of_a_stack_is_not_made_again_whatever_became_of_it(
    prepared, tmp_path, kind
):
    run(broken(kind), *prepared, tmp_path)
    before = mtimes(tmp_path)
    run(broken(kind), *prepared, tmp_path)
    assert mtimes(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [{"params": PARAMS | {"epochs": 2}}, {"milestones": (1, 2, 3)}, {"code_digest": "edited"}],
)
def test_a_run_of_other_settings_or_code_is_made_again(prepared, tmp_path, change):
    run(spec(), *prepared, tmp_path)
    before = mtimes(tmp_path)
    run(spec(**change), *prepared, tmp_path)
    after = mtimes(tmp_path)
    assert all(after[name] > before[name] for name in ("run.json", "scores.parquet"))


@pytest.mark.parametrize("file", ["run.json", "scores.parquet", "epochs.parquet", "history.csv"])
def test_a_run_with_a_damaged_or_missing_file_is_made_again(prepared, tmp_path, file):
    run(broken(""), *prepared, tmp_path)
    content = (tmp_path / file).read_bytes()
    for damage in (lambda path: path.write_bytes(b"junk"), Path.unlink):
        if file == "history.csv" and damage is not Path.unlink:
            continue  # no number comes from it, and run.json does not state its hash
        damage(tmp_path / file)
        run(broken(""), *prepared, tmp_path)
        assert json.loads((tmp_path / "run.json").read_text())["status"] == "complete"
        if file != "run.json":
            assert (tmp_path / file).read_bytes() == content


def test_a_disk_that_is_full_at_the_end_loses_nothing(prepared, tmp_path, monkeypatch):
    """Else the runs without ``run.json`` would not find the checkpoint of all of them."""
    specs, directories = [spec(seed=4), spec(seed=5)], [tmp_path / "a", tmp_path / "b"]
    write, epochs = Path.write_text, []

    def full(path, text):
        if "run.json" in path.name or path.name.startswith(".run"):
            epochs.append(path.parent.name)
            if path.parent.name == "b":
                raise OSError(28, "No space left on device")
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="free disk space"):
        run_stack(specs, *prepared, directories, "cpu")
    assert epochs == ["a", "b"] and not list(tmp_path.rglob("run.json"))
    monkeypatch.undo()
    before = [path.stat().st_mtime_ns for path in tmp_path.rglob("training-*")]
    assert len(before) == 1
    monkeypatch.setattr("gradcon.training.iterate", lambda *rest: pytest.fail("trained again"))
    run_stack(specs, *prepared, directories, "cpu")
    assert len(list(tmp_path.rglob("run.json"))) == 2 and not list(tmp_path.rglob("training-*"))


def test_a_run_says_its_device_and_precision(prepared, tmp_path):
    for detector, params, precision in (
        ("gradcon.detectors:CAE", {"epochs": 1}, "float32"),
        ("baselines.kde:KDE", {}, "float64"),
        ("tests.test_runs:Broken", {}, None),
    ):
        # A method without a network never asks for the GPU, which is not there.
        device = "cuda" if "kde" in detector else "cpu"
        run_stack(
            [spec(detector, params=params, milestones=())], *prepared, [tmp_path / detector], device
        )
        record = json.loads((tmp_path / detector / "run.json").read_text())
        assert record["status"] == "complete", record["reason"]
        assert (record["precision"], record["environment"]["device"]) == (precision, "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there_stops_the_job(prepared, tmp_path):
    with pytest.raises((RuntimeError, AssertionError)) as caught:
        run_stack([spec()], *prepared, [tmp_path], "cuda")
    assert "see that the GPU is free" in machine.advice(caught.value)
    assert not (tmp_path / "run.json").exists()
