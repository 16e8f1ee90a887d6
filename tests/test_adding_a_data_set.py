"""``docs/adding_a_data_set.md``, followed: its data sets made, trained on and put into tables."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from benchmark import config as configuration
from benchmark import layout
from benchmark.errors import InputError
from benchmark.layout import RunKey
from tests import calls
from tests.pages import blocks
from tests.tree import ROOT

PAGE = "docs/adding_a_data_set.md"
CONFIGS = {name: block for block in blocks(PAGE, "yaml") for name in [block.split("\n")[0][2:]]}
FOLDERS = {
    "photos/bolt": ("temple", 12),
    "photos/nut": ("flower", 12),
    "mvtec/train/good": ("temple", 30),
    "mvtec/test/good": ("temple", 12),
    "mvtec/test/dent": ("flower", 3),
    "mvtec/test/scratch": ("flower", 2),
    "mvtec/ground_truth/dent": ("flower", 3),
}
"""What is cut out of, and how often: two photographs that come with scikit-learn."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images and configurations of the page."""
    folder = tmp_path_factory.mktemp("data sets")
    rng = np.random.default_rng(0)
    photographs = dict(zip(("temple", "flower"), load_sample_images().images, strict=True))
    for name, (photograph, number) in FOLDERS.items():
        (folder / name).mkdir(parents=True)
        for k in range(number):
            top, left, height, width = rng.integers((0, 0, 40, 40), (60, 60, 99, 99))
            cut = photographs[photograph][top : top + height, left : left + width]
            Image.fromarray(cut).save(folder / name / f"{k}.png")
    for name, text in CONFIGS.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> Path:
    """The results of the three configurations of the page, trained as one."""
    (make_npz,) = blocks(PAGE, "python")
    commands = [line.split() for line in blocks(PAGE, "sh")[0].splitlines()][1:]
    assert [words[3] for words in commands] == ["train", "reanalyse"]
    environment = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", make_npz]
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True)
    for _, option, *words in commands:
        assert option == "-m"
        given = [name for word in words for name in (CONFIGS if word == "photos.yaml" else [word])]
        done = calls.python(folder, *given, environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results/mvtec"


def runs(root: Path) -> Iterator[tuple[RunKey, pd.DataFrame]]:
    """The runs, each with the scores of its best model."""
    for manifest in layout.manifests(root):
        scores = pd.read_parquet(manifest.with_name("scores.parquet"))
        yield RunKey.of(manifest.parent), scores[scores["model"] == "best"]


def test_every_data_set_of_the_page_is_in_the_tables(results: Path) -> None:
    assert {key[:2] for key, _ in runs(results)} == {
        (dataset, method)
        for dataset in ("photos", "npz", "bottle")
        for method in ("kde", "cae_grad")
    }
    for dataset in ("photos", "npz", "bottle"):
        table = pd.read_csv(results / f"tables/auroc-{dataset}.csv", comment="#")
        assert table["mean"].notna().all() and len(table) > 0, dataset


def test_all_images_of_mvtecs_test_part_are_tested(results: Path) -> None:
    """Twelve good images, and five with two kinds of defects; the AUROC is that of all of them."""
    table = pd.read_csv(results / "tables/auroc-bottle.csv", comment="#")
    classes = ("dent", "good", "scratch")
    tested = 0
    for key, scores in runs(results):
        if key.dataset == "bottle":
            assert [classes[label] for label in sorted(scores["label"])] == (
                ["dent"] * 3 + ["good"] * 12 + ["scratch"] * 2
            )
            assert scores["inlier"].tolist() == [classes[k] == "good" for k in scores["label"]]
            value = scores.get("score")
            if value is None:
                value = scores["reconstruction"] + 0.12 * scores["gradient"]
            auroc = roc_auc_score(~scores["inlier"], value)
            shown = table[(table["method"] == key.method) & (table["class_name"] == "good")]
            assert shown["mean"].tolist() == pytest.approx([auroc], abs=1e-6)
            tested += 1
    assert tested == 2


def test_captions_say_that_all_images_are_tested(results: Path) -> None:
    text = (results / "tables/auroc-bottle.md").read_text()
    assert "official split, all images of its test part" in text
    assert "50% outliers" not in text
    assert "50% outliers" in (results / "tables/auroc-photos.md").read_text()


def test_official_refuses_so_few_defects_and_whole_refuses_none(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    text = CONFIGS["mvtec.yaml"]
    (tmp_path / "official.yaml").write_text(text.replace("whole", "official"))
    with pytest.raises(InputError, match=r"needs 12, the other classes have 5; lower"):
        configuration.read(tmp_path / "official.yaml")
    (tmp_path / "folds.yaml").write_text(text.replace("good]", "good], folds: [1]"))
    with pytest.raises(InputError, match=r"the protocol whole has only fold 0"):
        configuration.read(tmp_path / "folds.yaml")
    monkeypatch.chdir(tmp_path)
    for name in ("train/good", "test/good", "train/dent"):
        (tmp_path / "mvtec" / name).mkdir(parents=True)
        for k in range(10 if name.endswith("good") else 1):
            (tmp_path / "mvtec" / name / f"{k}.png").touch()
    (tmp_path / "none.yaml").write_text(text)
    with pytest.raises(InputError, match=r"no outliers to test for the class 'good'; add images"):
        configuration.read(tmp_path / "none.yaml")
