"""The command line, as a user calls it, on a folder in MVTec's layout made of photographs."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from gradcon.inspection import OutlierEstimator
from gradcon.inspection.command import main

DEFECTS = {"hole": 3, "scratch": 2}


@pytest.fixture(scope="module")
def mvtec(tmp_path_factory):
    """Parts cut out of a photograph, in odd sizes; those cut out of another are defects."""
    root, rng = tmp_path_factory.mktemp("mvtec"), np.random.default_rng(0)
    temple, flower = load_sample_images().images
    sizes = rng.integers(40, 90, (200, 2))

    def cut(photograph, file, k):
        height, width = sizes[k]
        top, left = rng.integers(0, 60), rng.integers(0, 60)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph[top : top + height, left : left + width]).save(file)

    for k in range(100):
        cut(temple, root / f"train/good/{k:03}.png", k)
    for k in range(20):
        cut(temple, root / f"test/good/{k:03}.jpg", 100 + k)
    for kind, number in DEFECTS.items():
        for k in range(number):
            cut(flower, root / f"test/{kind}/{k:03}.png", 150 + k)
            mask = root / f"ground_truth/{kind}/{k:03}_mask.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (40, 40)).save(mask)
    return root


@pytest.fixture(scope="module")
def model(mvtec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    arguments = ["--set", "epochs=3", "--set", "batch_size=16", "--aspect", "crop", "--seed", "1"]
    assert main(["fit", str(mvtec), "-o", str(folder), *arguments]) == 0
    return folder


def rows(file):
    with Path(file).open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_fit_learns_from_the_good_training_images_only(model):
    estimator = OutlierEstimator.load(model)
    assert estimator.form_.aspect == "crop" and estimator.form_.channels == 3
    assert estimator.detector_.hyperparameters["epochs"] == 3
    assert estimator.threshold_.images == 20  # a fifth of the hundred
    assert {file.name for file in model.iterdir()} == {
        "best.safetensors",
        "last.safetensors",
        "detector.json",
        "estimator.json",
    }


def test_score_writes_every_image_with_its_verdict(model, mvtec, tmp_path, capsys):
    assert main(["score", str(model), str(mvtec), "--csv", str(tmp_path / "out.csv")]) == 0
    table = rows(tmp_path / "out.csv")
    files = sorted((mvtec / "test").rglob("*.*g"))
    assert [row["file"] for row in table] == list(map(str, files)) and len(files) == 25
    estimator = OutlierEstimator.load(model)
    expected = -estimator.score_samples(files)
    np.testing.assert_allclose([float(row["score"]) for row in table], expected, rtol=1e-4)
    verdicts = np.array([row["verdict"] for row in table])
    assert (
        verdicts.tolist() == np.where(expected > -estimator.offset_, "outlier", "inlier").tolist()
    )
    printed = capsys.readouterr().out.splitlines()
    outliers = [row["file"] for row in table if row["verdict"] == "outlier"]
    order = sorted(outliers, key=lambda file: -expected[list(map(str, files)).index(file)])
    assert f"{len(outliers)} of 25 images are outliers" in printed[0]
    assert [line.split()[-1] for line in printed[1:]] == order


def test_a_damaged_file_does_not_stop_the_others(model, mvtec, tmp_path, capsys):
    whole = [mvtec / "test/good/000.jpg", mvtec / "test/hole/000.png"]
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(whole[1].read_bytes()[:500])
    files = [str(whole[0]), str(damaged), str(whole[1])]
    assert main(["score", str(model), *files, "--csv", str(tmp_path / "out.csv")]) == 1
    table = rows(tmp_path / "out.csv")
    assert [row["verdict"] == "unreadable" for row in table] == [False, True, False]
    expected = -OutlierEstimator.load(model).score_samples(whole)
    np.testing.assert_allclose([float(table[k]["score"]) for k in (0, 2)], expected, rtol=1e-4)
    assert table[1]["score"] == ""
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and error[0].startswith(f"{damaged}: cannot be read as an image")


def test_evaluate_tests_every_defect(model, mvtec, tmp_path, capsys):
    assert main(["evaluate", str(model), str(mvtec), "--csv", str(tmp_path / "out.csv")]) == 0
    table, printed = rows(tmp_path / "out.csv"), capsys.readouterr().out.splitlines()
    scores = {
        kind: [float(r["score"]) for r in table if r["kind"] == kind] for kind in ("good", *DEFECTS)
    }
    assert {kind: len(values) for kind, values in scores.items()} == {"good": 20} | DEFECTS
    for line, kind in zip(printed[2:4], DEFECTS, strict=True):
        pairs = [bad > good for bad in scores[kind] for good in scores["good"]]
        name, number, auroc = line.split()[:3]
        assert (name, int(number), float(auroc)) == (
            kind,
            DEFECTS[kind],
            pytest.approx(np.mean(pairs), abs=0.0006),
        )
    assert printed[1].split()[:2] == ["good", "20"]
    assert printed[4].split()[:3] == ["all", "defects", "5"]
    assert "false-alarm rate 4.8 %" in printed[5]


def test_one_defect_image_is_enough(model, mvtec, tmp_path, capsys):
    for part in ("good", "dent"):
        (tmp_path / part).mkdir()
    (tmp_path / "good/a.jpg").write_bytes((mvtec / "test/good/000.jpg").read_bytes())
    (tmp_path / "dent/b.png").write_bytes((mvtec / "test/hole/000.png").read_bytes())
    assert main(["evaluate", str(model), str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[:2] == ["dent", "1"]


def test_explain_draws(model, mvtec, tmp_path):
    images = [str(mvtec / "test/hole/000.png"), str(mvtec / "test/good/000.jpg")]
    assert main(["explain", str(model), *images, "-o", str(tmp_path / "why.png")]) == 0
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.width == 1400 and len(np.unique(np.asarray(picture))) > 50


def test_any_method_and_patience(mvtec, tmp_path, capsys):
    good = str(mvtec / "train/good")
    kde = ["--method", "kde", "--set", "bandwidth=1.0"]
    assert main(["fit", good, "-o", str(tmp_path / "kde"), *kde]) == 0
    assert capsys.readouterr().err.startswith(f"{good}: 100 images, resized to 28x28 RGB")
    assert main(["score", str(tmp_path / "kde"), good]) == 0
    assert main(["fit", good, "-o", str(tmp_path / "no"), *kde, "--patience", "3"]) == 1
    assert "patience is for CAE, GradCon, VAE and GradConVAE" in capsys.readouterr().err


def test_an_interrupted_fit_goes_on(mvtec, tmp_path, monkeypatch, capsys):
    command = ["fit", str(mvtec), "-o", str(tmp_path / "m"), "--set", "epochs=2", "--method", "cae"]

    def interrupt(self, seconds, last):
        self.write()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("benchmark.utils.time_limit.Checkpoints.after_epoch", interrupt)
        assert main(command) == 130
    assert [file.name for file in (tmp_path / "m").iterdir()] == [".checkpoint"]
    capsys.readouterr()
    assert main(command) == 0
    bar = capsys.readouterr().err
    assert "1/2" in bar and "0/2" not in bar
    assert not (tmp_path / "m/.checkpoint").exists()


MISTAKES = {
    "no folder": (["fit", "no/folder", "-o", "m"], "no/folder: no such file or folder"),
    "no hyperparameter": (
        ["fit", "x", "-o", "m", "--set", "epoch=3"],
        "--set epoch=3: write NAME=VALUE with a hyperparameter of cae_grad: epochs,",
    ),
    "a wrong value": (["fit", "x", "-o", "m", "--set", "epochs=few"], "epochs is 'few'; give"),
    "no model": (["score", "no/model", "x"], "no/model/estimator.json: cannot be read"),
    "no picture": (["explain", "m", "x", "-o", "why.txt"], "why.txt: no picture; name a .png"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, capsys):
    arguments, message = MISTAKES[mistake]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_unlabelled_folders_cannot_be_evaluated(model, mvtec, tmp_path, capsys):
    for folder, message in (
        (mvtec / "train", "no outliers to test; sort them as"),
        (mvtec / "test/hole", "an image in no folder that says what it shows"),
        (tmp_path, "no images in this folder"),
    ):
        assert main(["evaluate", str(model), str(folder)]) == 1
        assert message in capsys.readouterr().err


def test_nobody_fits_to_defects(mvtec, capsys):
    assert main(["fit", str(mvtec.parent), "-o", "m"]) == 1
    message = "ground_truth: masks of defects; name the folder of good images to fit to"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fit", "score", "explain", "evaluate"])
def test_help_has_an_example_that_is_a_command(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert f"  gradcon {command} " in text and "example" in text


def test_python_runs_the_package_as_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "gradcon", "--help"], capture_output=True, text=True, check=True
    )
    assert all(f"gradcon {name}" in done.stdout for name in ("fit", "score", "explain", "evaluate"))
