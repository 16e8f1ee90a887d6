import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark import layout, scores
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.scores import (
    Run,
    TestScores,
    collect,
    combined,
    gradient_weight,
    inlier_classes,
    read_scores,
)
from tests.synthetic import make_config, make_results, write_manifest

LOSSES = {name: np.array([float(k)]) for k, name in enumerate(["reconstruction", "latent"], 1)}


def test_anomaly_score_by_hand() -> None:
    gradient = {"gradient": np.array([-0.5])}
    assert combined({"reconstruction": np.array([1.0])} | gradient, 0.12) == pytest.approx([0.94])
    assert combined(LOSSES | gradient, 2.0) == pytest.approx([2.0])
    assert combined(LOSSES, 2.0) == pytest.approx([3.0])
    assert combined(LOSSES | gradient, 0.0) == pytest.approx([3.0])
    assert combined({"score": np.array([7.0])} | gradient, 0.12) == pytest.approx([7.0])
    assert combined({"d": np.array([1.0]), "dr": np.array([2.0])}, 0.12) is None


def test_gradient_counts_where_it_was_constrained() -> None:
    assert gradient_weight({"facts": {"alpha": 0.03}}, 0.12) == 0.12
    assert gradient_weight({"facts": {"alpha": 0.0}}, 0.12) == 0
    assert gradient_weight({}, 0.12) == 0.12


def test_outliers_come_in_draw_order() -> None:
    test = TestScores(np.array([2, -1, 0, -1, 1], np.int32), {})
    inliers, outliers = test.split(np.array([[10, 11, 12, 13, 14]]))
    assert inliers.tolist() == [[11, 13]]
    assert outliers.tolist() == [[12, 14, 10]]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Config, Path]:
    config = make_config("mnist", methods=("cae", "cae_grad"), milestones=[1, 3])
    make_results(config, tmp_path, inliers=10)
    return config, tmp_path


def find(config: Config, root: Path, method: str, inlier: int) -> Run:
    (run,) = (r for r in collect(config, root) if r.key[1] == method and r.key[3] == inlier)
    return run


def test_reads_what_the_files_hold(made: tuple[Config, Path]) -> None:
    run, models = read_scores(find(*made, "cae", 4))
    assert run.status == "complete"
    assert list(models) == ["best", "last", "epoch-1", "epoch-3"]
    expected = pd.read_parquet(run.directory / "scores.parquet").query("model == 'last'")
    assert np.array_equal(models["last"].components["gradient"], expected["gradient"])
    assert np.array_equal(models["last"].rank, expected["outlier_rank"])


def test_every_expected_run_has_its_place(made: tuple[Config, Path]) -> None:
    config, root = made
    shutil.rmtree(layout.run(root, RunKey("mnist", "cae", 0, 5, 0)))
    runs = collect(config, root)
    assert len(runs) == 20
    (lost,) = (run for run in runs if not run.usable)
    assert (lost.key.path, lost.status) == ("mnist/cae/fold-0/inlier-5/seed-0", "missing")


def test_failed_run_keeps_its_reason(made: tuple[Config, Path]) -> None:
    run = find(*made, "cae", 1)
    write_manifest(run.directory, run.key, "1", 20, status="failed", reason="loss is NaN")
    run = find(*made, "cae", 1)
    assert (run.usable, run.status, run.reason) == (False, "failed", "loss is NaN")


def rewrite(run: Run, **columns: object) -> None:
    """Change columns of a run's scores, with a hash that fits them."""
    path = run.directory / "scores.parquet"
    pd.read_parquet(path).assign(**columns).to_parquet(path, index=False)
    write_manifest(run.directory, run.key, run.class_name, 20)


def test_scores_of_another_hash_are_refused_by_name(made: tuple[Config, Path]) -> None:
    run = find(*made, "cae", 1)
    path = run.directory / "scores.parquet"
    pd.read_parquet(path).assign(gradient=0.0).to_parquet(path)
    refused, models = read_scores(run)
    assert models == {}
    assert refused.status == "refused"
    assert str(path) in refused.reason
    assert "sha256" in refused.reason


@pytest.mark.parametrize("damage", ["junk", "gone", "no best", "ranks", "no ranks"])
def test_unreadable_scores_are_refused(made: tuple[Config, Path], damage: str) -> None:
    run = find(*made, "cae", 1)
    path = run.directory / "scores.parquet"
    if damage == "junk":
        path.write_bytes(b"junk")
        write_manifest(run.directory, run.key, "1", 20)
    elif damage == "gone":
        path.unlink()
    elif damage == "no best":
        rewrite(run, model="last")
    elif damage == "ranks":
        rewrite(run, inlier=True)
    else:
        pd.read_parquet(path).drop(columns="outlier_rank").to_parquet(path)
        write_manifest(run.directory, run.key, "1", 20)
    refused, models = read_scores(find(*made, "cae", 1))
    assert models == {}
    assert refused.status == "refused"
    assert "run it again" in refused.reason


@pytest.mark.parametrize("text", ["{", "[]", '{"status": "done"}'])
def test_unreadable_manifest_is_refused(made: tuple[Config, Path], text: str) -> None:
    run = find(*made, "cae", 1)
    (run.directory / "run.json").write_text(text)
    run = find(*made, "cae", 1)
    assert run.status == "refused"
    assert "run.json" in run.reason


@pytest.mark.parametrize(
    "other",
    [
        RunKey("mnist", "cae", 0, 2, 0),
        RunKey("mnist", "cae_grad", 0, 1, 0),
        RunKey("mnist", "cae", 0, 1, 7),
        RunKey("mnist", "cae", 3, 1, 0),
        RunKey("digits", "cae", 0, 1, 0),
    ],
)
def test_a_run_in_the_place_of_another_is_refused(made: tuple[Config, Path], other: RunKey) -> None:
    run = find(*made, "cae", 1)
    write_manifest(run.directory, other, "1", 20)
    run = find(*made, "cae", 1)
    assert run.status == "refused"
    assert f"of another run (dataset {other.dataset!r}, method {other.method!r}" in run.reason
    assert run.reason.endswith(f"inlier {other.inlier}, seed {other.seed}): run it again")


def test_run_of_another_split_is_refused(made: tuple[Config, Path]) -> None:
    run = find(*made, "cae_grad", 1)
    write_manifest(run.directory, run.key, "1", 20, split_sha256="f" * 64)
    run = find(*made, "cae_grad", 1)
    assert run.status == "refused"
    assert "split ffffffffffff" in run.reason
    assert find(*made, "cae_grad", 2).usable


@pytest.mark.parametrize(
    "said", [{"precision": "tf32"}, {"config": {"epochs": 20, "precision": "tf32"}}]
)
def test_a_run_of_another_precision_is_refused(made: tuple[Config, Path], said: Any) -> None:
    run = find(*made, "cae_grad", 1)
    write_manifest(run.directory, run.key, "1", 20, **said)
    refused = find(*made, "cae_grad", 1)
    assert refused.status == "refused"
    assert "run.json: trained in tf32, the configuration says float32: run it" in refused.reason
    write_manifest(run.directory, run.key, "1", 20, precision="float32")
    assert find(*made, "cae_grad", 1).usable


def test_split_on_disk_decides(made: tuple[Config, Path]) -> None:
    config, root = made
    keep = find(config, root, "cae", 0)
    write_manifest(keep.directory, keep.key, "0", 20, split_sha256="a" * 64)
    path = layout.split(root, "mnist", 0, "json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"sha256": "a" * 64}))
    assert [run.key.path for run in collect(config, root) if run.usable] == [keep.key.path]


def test_a_run_with_other_images_is_refused(made: tuple[Config, Path]) -> None:
    config, root = made
    run = find(config, root, "cae", 1)
    description = layout.data(root, "mnist") / "dataset.json"
    of_others = json.loads(description.read_text()) | {"sha256": {"images": "of others"}}
    for images, usable in (("made up", True), ("of others", False), (None, True)):
        write_manifest(run.directory, run.key, "1", 20, images_sha256=images)
        assert find(config, root, "cae", 1).usable is usable
    write_manifest(run.directory, run.key, "1", 20, images_sha256="made up")
    description.write_text(json.dumps(of_others))
    assert "other images than" in find(config, root, "cae", 1).reason


def test_classes_as_configured(made: tuple[Config, Path]) -> None:
    config, root = made
    chosen = config.datasets["mnist"].model_copy(update={"inliers": ("3", 7)})
    few = config.model_copy(update={"datasets": {"mnist": chosen}})
    assert inlier_classes(few, root, "mnist") == {3: "3", 7: "7"}


def elsewhere(config: Config) -> Config:
    """The same with a source that names its classes only where its file is."""
    gone = {"source": "npz", "path": Path("gone.npz")}
    moved = config.datasets["mnist"].model_copy(update=gone)
    return config.model_copy(update={"datasets": {"mnist": moved}})


def test_classes_of_some_runs_alone(made: tuple[Config, Path]) -> None:
    config, root = made
    expected = inlier_classes(config, root, "mnist")
    shutil.rmtree(root / "data")
    assert inlier_classes(elsewhere(config), root, "mnist") == expected
    shutil.rmtree(root / "runs/mnist/cae_grad")
    shutil.rmtree(layout.run(root, RunKey("mnist", "cae", 0, 5, 0)))
    assert inlier_classes(config, root, "mnist") == expected
    assert sum(run.status == "missing" for run in collect(config, root)) == 11
    assert inlier_classes(elsewhere(config), root, "mnist").keys() == expected.keys() - {5}


def test_damaged_descriptions_are_named(made: tuple[Config, Path]) -> None:
    config, root = made
    described = layout.data(root, "mnist") / "dataset.json"
    described.write_text("{")
    with pytest.raises(InputError, match=r"data/mnist: incomplete or damaged"):
        collect(config, root)
    described.unlink()
    path = find(config, root, "cae", 0).directory / "run.json"
    path.write_text("[]")
    with pytest.raises(InputError, match=r"run\.json: damaged, no 'inlier'"):
        collect(elsewhere(config), root)


def test_columns_of_samples_are_no_components(made: tuple[Config, Path]) -> None:
    _, models = read_scores(find(*made, "cae", 0))
    for model in models.values():
        assert not set(model.components) & set(scores.SAMPLE_COLUMNS)


def test_milestones_of_another_hash_are_refused_by_name(made: tuple[Config, Path]) -> None:
    run = find(*made, "cae", 1)
    path = run.directory / "epochs.parquet"
    stated = hashlib.sha256(path.read_bytes()).hexdigest()
    write_manifest(run.directory, run.key, run.class_name, 20, epochs_sha256=stated)
    assert read_scores(find(*made, "cae", 1))[0].usable
    pd.read_parquet(path).assign(gradient=0.0).to_parquet(path)
    refused, models = read_scores(find(*made, "cae", 1))
    assert (refused.status, models) == ("refused", {})
    assert refused.reason.startswith(f"{path} has sha256 ")
    write_manifest(run.directory, run.key, run.class_name, 20)
    assert read_scores(find(*made, "cae", 1))[0].usable  # a run.json from before it was recorded
