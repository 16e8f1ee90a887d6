"""Scores are of the rows, the models and the splits that they should be of."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.config import Config
from benchmark.scores import Run, collect, combined, read_scores
from tests.synthetic import make_config, make_results, write_manifest


@pytest.fixture
def made(tmp_path: Path) -> tuple[Config, Path]:
    config = make_config("mnist", methods=("cae_grad",), milestones=[2], seeds=[0, 1])
    make_results(config, tmp_path, inliers=10)
    return config, tmp_path


def first(config: Config, root: Path) -> Run:
    return collect(config, root)[0]


def rewritten(run: Run, table: pd.DataFrame) -> None:
    """Write other scores, with a hash that fits them."""
    table.to_parquet(run.directory / "scores.parquet", index=False)
    write_manifest(run.directory, run.key, run.class_name, 20)


def test_a_gradient_loss_without_weight_is_left_out() -> None:
    """Of a plain autoencoder it may be anything, NaN too."""
    parts = {"reconstruction": np.array([1.0, 2.0]), "gradient": np.array([np.nan, 0.0])}
    assert combined(parts, 0.0) == pytest.approx([1, 2])


def test_models_are_told_apart_whatever_the_order_of_rows(made: tuple[Config, Path]) -> None:
    run = first(*made)
    table = pd.read_parquet(run.directory / "scores.parquet")
    rewritten(run, table.sample(frac=1, random_state=0))
    known, models = read_scores(first(*made))
    assert known.usable and models.keys() == {"best", "last", "epoch-2"}
    for model in ("best", "last"):
        rows = table[table["model"] == model].set_index("sample_id")
        scores = models[model]
        assert sorted(scores.sample_id) == sorted(rows.index)
        ordered = rows.loc[scores.sample_id]
        assert scores.label.tolist() == ordered["label"].tolist()
        assert scores.rank.tolist() == ordered["outlier_rank"].tolist()
        for name, values in scores.components.items():
            assert values.dtype == np.float64
            assert values == pytest.approx(ordered[name].to_numpy())


@pytest.mark.parametrize("model", ["best", "last"])
def test_both_final_models_are_needed(made: tuple[Config, Path], model: str) -> None:
    run = first(*made)
    table = pd.read_parquet(run.directory / "scores.parquet")
    rewritten(run, table[table["model"] == model].astype({"model": str}))
    refused, models = read_scores(first(*made))
    assert (refused.status, models) == ("refused", {})


def test_scores_without_a_stated_hash_are_refused(made: tuple[Config, Path]) -> None:
    path = first(*made).directory / "run.json"
    manifest = json.loads(path.read_text())
    del manifest["scores_sha256"]
    path.write_text(json.dumps(manifest))
    assert read_scores(first(*made))[0].status == "refused"


def test_the_split_of_most_runs_that_can_be_used_decides(made: tuple[Config, Path]) -> None:
    """Three complete runs are of another split; failed ones of that split count for nothing."""
    config, root = made
    other = hashlib.sha256(b"other").hexdigest()
    failed = {"status": "failed", "reason": "NaN"}
    for number, run in enumerate(collect(config, root)[:15]):
        over = {} if number < 3 else failed
        write_manifest(run.directory, run.key, run.class_name, 20, split_sha256=other, **over)
    found = [run.status for run in collect(config, root)]
    assert found == ["refused"] * 3 + ["failed"] * 12 + ["complete"] * 5
