"""``docs/adding_a_method.md``, followed: its code checked, and run into a table."""

import shlex
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark import layout
from benchmark.__main__ import main
from benchmark.layout import RunKey
from tests import calls
from tests.pages import blocks
from tests.test_workflow import edited, planned, snakemake
from tests.tree import ROOT, copy_tree

PAGE = "docs/adding_a_method.md"
MEAN_IMAGE, AUTOENCODER = blocks(PAGE, "python")
SMALL = {
    "name": "tiny",
    "seeds": [0],
    "beta_multiples": [0, 1],
    "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [8]}},
    "methods": {"kde": {}},
}


def conformance(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, called in a folder that is none of this repository."""
    command = ("benchmark", "conformance", *arguments)
    return calls.python(folder, *command, environment={"PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize(
    ("code", "name"), [(MEAN_IMAGE, "MeanImage"), (AUTOENCODER, "SmallAutoencoder")]
)
def test_the_examples_pass_at_once(code: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "mylab.py").write_text(code)
    done = conformance(tmp_path, f"mylab:{name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 are broken" in done.stdout and "BROKEN" not in done.stdout


def test_the_example_has_30_lines() -> None:
    assert len(MEAN_IMAGE.splitlines()) <= 30


WITHOUT_BASE = """

class Plain:
    components = ("score",)
    models = property(lambda self: self.inner.models)
    history = property(lambda self: self.inner.history)
    facts = property(lambda self: self.inner.facts)

    def __init__(self, *, power: float = 2.0):
        self.inner = MeanImage(power=power)

    def fit(
        self, train, validation=None, *, seed=0, checkpoint=None, milestones=(), device="cpu"
    ):
        self.inner.fit(train, validation, seed=seed)
        return self

    def score(self, images, model="best"):
        return self.inner.score(images, model)

    def save(self, directory):
        self.inner.save(directory)

    @classmethod
    def load(cls, directory):
        loaded = cls()
        loaded.inner = MeanImage.load(directory)
        return loaded
"""


def test_a_class_without_the_base_class_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "without_base.py").write_text(MEAN_IMAGE + WITHOUT_BASE)
    assert main(["conformance", "without_base:Plain"]) == 0, capsys.readouterr().out
    skipped = [x for x in capsys.readouterr().out.splitlines() if "derive from BaseDetector" in x]
    assert all(line.startswith("-") for line in skipped) and skipped


BREAKS = {
    "the opposite sign": (
        "return (np.abs",
        "return -(np.abs",
        "'score' has a median of",
    ),
    "batch mates": (
        'model["mean"])',
        "images.mean(axis=0) / 255)",
        "'score' of one image alone differs from its score among others",
    ),
    "global generator": (
        "return {",
        "np.random.rand(); return {",
        "moved by fit; draw from a generator of your own",
    ),
    "chance that is denied": (
        "images.mean(axis=0) / 255",
        "images.mean(axis=0) / 255 + seed",
        "trainings of two seeds: the component 'score' of the model 'best' differs, by up to",
    ),
    "a number that is not kept": (
        "self.power = power",
        "self.power = 2 * power",
        "makes another detector",
    ),
    "an error of the method's own": (
        "return (np.abs",
        "1 / 0; return (np.abs",
        "ZeroDivisionError: division by zero (",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_is_said_in_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new, said = BREAKS[name]
    assert old in MEAN_IMAGE
    monkeypatch.syspath_prepend(tmp_path)
    module = f"broken_{[*BREAKS].index(name)}"  # each its own: Python keeps what it has imported
    (tmp_path / f"{module}.py").write_text(MEAN_IMAGE.replace(old, new, 1))
    assert main(["conformance", f"{module}:MeanImage"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(said in line for line in lines if line.startswith("BROKEN")), lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.at:All"], "nowhere.at:All needs 'nowhere', which is not installed"),
        (["baselines.kde:Kde"], "has no class 'Kde'; correct 'baselines.kde:Kde'"),
        (["kdee"], "'kdee' is no import path; write `package.module:Class`"),
        (["faulty:Mine"], "faulty:Mine cannot be imported (NameError: name 'x' is not defined"),
        (["kde", "--hyperparameters", '{"width": 4}'], "has no hyperparameter 'width'; it has"),
        (["kde", "--hyperparameters", "{width: 4}"], "'{width: 4}' is no JSON mapping"),
    ],
)
def test_no_method_is_an_error_of_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "faulty.py").write_text("x\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        status = main(["conformance", *arguments])
    except SystemExit as end:  # argparse
        status = end.code
    printed = capsys.readouterr()
    assert status != 0 and printed.out == ""
    assert said in printed.err.splitlines()[-1]


def test_the_example_and_adapters_reach_a_table_and_edits_of_their_code_train_them_again(
    tmp_path: Path,
) -> None:
    """Through Snakemake, with the configurations of the page and PyOD's interface imitated."""
    tree = tmp_path / "tree"
    copy_tree(tree)
    _, mine, adapted = ["", *map(yaml.safe_load, blocks(PAGE, "yaml"))]
    like_pyod = {"detector": "benchmark.adapters:Outlier", "estimator": "like_pyod:Distance"}
    methods = {**mine["methods"], **adapted["methods"], "like_pyod": like_pyod}
    config = {**SMALL, "methods": {**SMALL["methods"], **methods}}
    (tree / "config/tiny.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (tree / "mylab.py").write_text(MEAN_IMAGE)
    (tree / "like_pyod.py").write_text(LIKE_PYOD)
    done = snakemake(tree, "all", "--cores", "2")
    assert done.returncode == 0, done.stderr
    root = tree / "results/tiny"
    table = pd.read_csv(root / "tables/auroc-digits.csv", comment="#")
    averages = table[table["class_name"] == "average"].set_index("method")["mean"]
    assert set(averages.index) == {"kde", *methods}
    assert (averages > 0.8).all(), averages
    # Snakemake sees an edit of an adapted class too, unless it is of an installed library.
    edited(tree / "like_pyod.py", "# squared", "# the square of the")
    assert planned(tree) == {}
    edited(tree / "like_pyod.py", "** 2", "** 4")
    assert planned(tree)["runs"] == 1
    scores = pd.read_parquet(
        layout.run(root, RunKey("digits", "mean_image", 0, 8, 0)) / "scores.parquet"
    )
    images = np.load(root / "data/digits/images.npy")
    split = pd.read_parquet(layout.split(root, "digits", 0))
    train = split.query("inlier == 8 and part == 'train'")["sample_id"]
    # The configuration has power 1.
    mean = images[train].mean(axis=0) / 255
    distance = np.abs(images[scores["sample_id"]] / 255 - mean).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(scores["score"], distance, rtol=1e-5)


def test_pyod_itself_passes_by_the_command_of_the_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pyod")
    install, check = blocks(PAGE, "sh")[-1].splitlines()
    assert install == "pip install pyod"
    words = shlex.split(check)[3:]
    assert main(words) == 0, capsys.readouterr().out
    ecod = [word.replace("knn:KNN", "ecod:ECOD") for word in words]
    assert main(ecod) == 1
    assert "one image alone differs from its score among others" in capsys.readouterr().out


def test_the_commands_of_the_page_are_those_that_are_run_here() -> None:
    check, run, adapted = blocks(PAGE, "sh")
    assert check == "python -m benchmark conformance mylab:MeanImage\n"
    assert run == "snakemake --cores 2 all --configfile config/demo.yaml mine.yaml\n"
    assert len(adapted.splitlines()) == 2


LIKE_PYOD = '''"""The interface of PyOD's detectors, imitated: PyOD is not installed here."""

import numpy as np


class Distance:
    def __init__(self, contamination=0.1):
        self.contamination = contamination

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        self.decision_scores_ = self.decision_function(X)
        return self

    def decision_function(self, X):
        # squared distances: higher is more abnormal
        return ((X - self.mean_) ** 2).sum(axis=1)
'''
