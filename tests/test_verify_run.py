"""A committed run that is trained again: bytes, AUROC and its allowance, and bad input."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats
from sklearn.metrics import roc_auc_score

from benchmark import config as configuration
from benchmark import layout
from benchmark.__main__ import main
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.reference import verify_run
from benchmark.runs.train import RunSpec, run_stack
from benchmark.scores import read_scores

pytestmark = pytest.mark.usefixtures("forking")

CONFIG = {
    "name": "tiny",
    "seeds": [0, 1],
    "milestones": [1],
    "outlier_ratios": [0.5],
    "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0, 1]}},
    "methods": {"cae_grad": {"epochs": 1, "batch_size": 32}, "kde": {"variance": 0.5}},
}
DETECTORS = {"cae_grad": "gradcon.detectors:GradCon", "kde": "baselines.kde:KDE"}
MADE = [("cae_grad", 0, 0), ("cae_grad", 0, 1), ("cae_grad", 1, 0), ("kde", 0, 0)]
"""Method, class and seed of the runs that are there."""


@pytest.fixture(scope="module")
def committed(prepared, tmp_path_factory) -> Path:
    """Committed results of real runs, without images, as they are published."""
    data, split = prepared
    root = tmp_path_factory.mktemp("reference") / "tiny"
    for method, inlier, seed in MADE:
        config = configuration.load(CONFIG)
        params = config.methods[method].params
        key = RunKey("digits", method, 0, inlier, seed)
        spec = RunSpec(
            **key._asdict(),
            detector=DETECTORS[method],
            params=params,
            class_name=str(inlier),
            milestones=(1,),
        )
        run_stack([spec], data, split, [layout.run(root, key)], "cpu")
    for source, target in (
        (data / "dataset.json", layout.data(root, "digits") / "dataset.json"),
        (split, layout.split(root, "digits", 0)),
        (split.with_suffix(".json"), layout.split(root, "digits", 0, "json")),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    settings = CONFIG | {"results": str(root.parent)}
    (root / "config.yaml").write_text(yaml.safe_dump(settings))
    return root


@pytest.fixture
def root(committed, tmp_path) -> Path:
    """A copy to damage."""
    root = Path(shutil.copytree(committed, tmp_path / "reference/tiny"))
    change(root / "config.yaml", str(committed.parent), str(root.parent))
    return root


def folder(root: Path, method: str = "kde", inlier: int = 0, seed: int = 0) -> Path:
    return layout.run(root, RunKey("digits", method, 0, inlier, seed))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def rescore(directory: Path, edit) -> None:
    """Replace the scores of a run, and their hash in ``run.json``."""
    path = directory / "scores.parquet"
    edit(pd.read_parquet(path)).to_parquet(path, index=False)
    record = json.loads((directory / "run.json").read_text())
    record["scores_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (directory / "run.json").write_text(json.dumps(record))


def again(run: Path, tmp_path: Path, capsys) -> tuple[int, str]:
    """The exit status and the output of the command."""
    status = main(["verify-run", str(run), "--to", str(tmp_path / "again")])
    captured = capsys.readouterr()
    return status, captured.out or captured.err


def test_the_same_kernels_give_the_same_bytes(root, tmp_path, capsys):
    run = folder(root, "cae_grad")
    before = run.joinpath("scores.parquet").read_bytes()
    status, said = again(run, tmp_path, capsys)
    assert status == 0 and "bytes: the scores are the same, bit for bit" in said
    for name in ("reconstruction", "gradient", "anomaly score"):
        assert f"AUROC of {name}: " in said
    assert said.count("difference +0.0000; may differ by ") == 3
    made = layout.run(tmp_path / "again/tiny", RunKey.of(run))
    for file in ("scores.parquet", "epochs.parquet", "history.csv"):
        assert (made / file).read_bytes() == (run / file).read_bytes()
    assert run.joinpath("scores.parquet").read_bytes() == before
    records = [json.loads((where / "run.json").read_text()) for where in (run, made)]
    assert records[0]["environment"]["kernels"] == records[1]["environment"]["kernels"]


def test_other_bytes_are_judged_by_their_auroc(root, tmp_path, capsys):
    run = folder(root)
    change(run / "run.json", '"torch": "', '"torch": "1.')
    rescore(run, lambda scores: scores.assign(score=np.nextafter(scores["score"], np.float32(9))))
    status, said = again(run, tmp_path, capsys)
    assert status == 0 and "bytes: the scores are not the same" in said
    assert "torch: 1." in said and ", now " in said
    assert "by the standard error over test images" in said
    made = layout.run(tmp_path / "again/tiny", RunKey.of(run)) / "run.json"
    first = made.stat().st_mtime_ns
    rescore(run, lambda scores: scores.assign(score=-scores["score"]))
    assert again(run, tmp_path, capsys)[0] == 1
    assert made.stat().st_mtime_ns > first, "not trained again"


def test_other_bytes_of_the_same_environment_are_wrong(root, tmp_path, capsys):
    run = folder(root)
    rescore(run, lambda scores: scores.assign(score=np.nextafter(scores["score"], np.float32(9))))
    status, said = again(run, tmp_path, capsys)
    assert status == 1 and "something is wrong" in said.splitlines()[-1]


def test_the_allowance_is_that_of_two_draws(root):
    config, where, run = verify_run.committed_run(folder(root, "cae_grad", inlier=1))
    scores = read_scores(run)[1]["best"]
    allowed = verify_run.allowance(config, where, run, scores, "gradient")
    areas = []
    for seed in (0, 1):
        table = pd.read_parquet(folder(root, "cae_grad", seed=seed) / "scores.parquet")
        table = table[table["model"] == "best"]
        areas.append(roc_auc_score(~table["inlier"], table["gradient"]))
    low, high = stats.t.interval(0.95, 1, scale=np.std(areas, ddof=1) * np.sqrt(2))
    assert allowed.difference == pytest.approx(high) == pytest.approx(-low)
    assert f"{np.std(areas, ddof=1):.4f}, of 1 class in {root}" in allowed.reason


def test_the_spread_may_be_that_of_a_folder_beside(root):
    beside = Path(shutil.copytree(root, root.with_name("another")))
    shutil.rmtree(folder(root, "cae_grad", seed=1))
    change(beside / "config.yaml", "name: tiny", "name: another")
    config, where, run = verify_run.committed_run(folder(root, "cae_grad"))
    scores = read_scores(run)[1]["best"]
    allowed = verify_run.allowance(config, where, run, scores, "reconstruction")
    assert allowed.reason.endswith(f"of 1 class in {beside}")


def failed(root: Path) -> None:
    change(folder(root) / "run.json", '"complete"', '"failed"')


def other_images(root: Path) -> None:
    path = layout.data(root, "digits") / "dataset.json"
    sha256 = json.loads(path.read_text())["sha256"]["images"]
    description = json.loads(path.read_text().replace(sha256, "0" * 64))
    del description["description_sha256"]  # as of one who publishes other images
    path.write_text(json.dumps(description))
    change(folder(root) / "run.json", sha256, "0" * 64)


def other_hyperparameters(root: Path) -> None:
    change(root / "config.yaml", "variance: 0.5", "variance: 0.9")


def other_seeds(root: Path) -> None:
    change(root / "config.yaml", "seeds:\n- 0\n- 1", "seeds: [1]")


def no_method(root: Path) -> None:
    change(root / "config.yaml", "  kde:\n    variance: 0.5\n", "")


def no_class(root: Path) -> None:
    change(root / "config.yaml", "  kde:", "  kde:\n    detector: elsewhere.kde:KDE")


def damaged(root: Path) -> None:
    (folder(root) / "scores.parquet").write_bytes(b"junk")


def no_data(root: Path) -> None:
    change(root / "config.yaml", "source: digits", "source: npz\n    path: gone.npz")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda root: shutil.rmtree(folder(root)), "no run.json there; name the folder of a"),
        (
            lambda root: (root / "config.yaml").unlink(),
            "config.yaml: no such file, as committed results have; put a",
        ),
        (failed, "failed (no reason given); name a run that is complete"),
        (damaged, "name a run that is complete"),
        (other_images, "digits: other images than those of "),
        (other_hyperparameters, "was run with variance 0.5 and not 0.9 of the configuration"),
        (other_seeds, "its class, fold or seed is not in "),
        (no_method, "methods has no 'kde', which "),
        (no_class, "elsewhere.kde"),
        (no_data, "datasets.digits.path: gone.npz: "),
    ],
)
def test_bad_input_is_one_line_and_trains_nothing(root, damage, says, tmp_path, capsys):
    damage(root)
    status, said = again(folder(root), tmp_path, capsys)
    assert status == 1 and says in said and said.count("\n") == 1
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_that_is_no_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no run\.json there"):
        verify_run.committed_run(Path(name))
