"""Splits out, scores in: ``docs/other_code.md``, followed, and every mistake on the way."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from benchmark import config as configuration
from benchmark import data as datasets
from benchmark import jobs, layout, splits
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.exchange import scores_in, splits_out
from benchmark.layout import RunKey
from benchmark.scheduling.units import prepare
from tests import calls
from tests.pages import blocks
from tests.test_workflow import snakemake
from tests.tree import copy_tree

PAGE = "docs/other_code.md"
LOAD, SCORE = blocks(PAGE, "python")
(MINE,) = blocks(PAGE, "yaml")
CONFIG = {
    "name": "demo",
    "seeds": [0, 4],
    "beta_multiples": [0, 1],
    "outlier_ratios": [0.2, 0.5],
    "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0, 8]}},
    "methods": {"kde": {}},
}
EXTERNAL = RunKey("digits", "distance", 0, 8, 0)


def make_config(**over: object) -> Config:
    return configuration.load(CONFIG | over | {"methods": yaml.safe_load(MINE)["methods"]})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared digits and their split, without runs."""
    root = tmp_path_factory.mktemp("exchange") / "demo"
    prepare(make_config(), root, "digits")
    return root


@pytest.fixture(scope="module")
def scored(root: Path) -> pd.DataFrame:
    """The exported test rows with scores that are normal draws, those of outliers higher by 1."""
    rows = splits_out.table(make_config(), root, "digits", 0).query("part == 'test'")
    noise = np.random.default_rng(0).normal(size=len(rows))
    return rows.assign(score=noise + (rows["outlier_rank"] >= 0))


def runs_of(root: Path) -> list[Path]:
    return sorted((root / "runs").rglob("*")) if (root / "runs").exists() else []


def test_the_export_is_the_split(root: Path) -> None:
    config = make_config()
    rows = splits_out.table(config, root, "digits", 0)
    assert tuple(rows) == splits_out.COLUMNS
    split, prepared = (
        splits.read_split(layout.split(root, "digits", 0)),
        datasets.load(layout.data(root, "digits")),
    )
    assert set(rows["inlier"]) == set(jobs.inliers(config, "digits")) == {0, 8}
    assert set(rows["split_sha256"]) == {splits.split_hash(split)}
    for inlier in (0, 8):
        own = rows[rows["inlier"] == inlier]
        assert set(own["class_name"]) == {prepared.class_names[inlier]}
        train, validation = splits.fit_indices(split, inlier)
        assert own.query("part == 'train'")["sample_id"].tolist() == train.tolist()
        assert own.query("part == 'validation'")["sample_id"].tolist() == validation.tolist()
        tests = splits.test_table(split, prepared.labels, inlier)
        for column in ("sample_id", "label", "outlier_rank"):
            assert own.query("part == 'test'")[column].tolist() == tests[column].tolist()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_imported_is_what_was_given(
    root: Path, scored: pd.DataFrame, tmp_path: Path, suffix: str
) -> None:
    """In any order of the rows, with two components, to float32."""
    file, config = tmp_path / f"scores{suffix}", make_config()
    shuffled = scored.sample(frac=1, random_state=1).assign(d=scored["score"] ** 2)
    shuffled.to_csv(file, index=False) if suffix == ".csv" else shuffled.to_parquet(file)
    runs = scores_in.read(config, root, file, "distance", ("score", "d"))
    assert {run.key.inlier for run in runs} == {0, 8}
    for run in runs:
        expected = scored[scored["inlier"] == run.key.inlier]
        assert run.tests["sample_id"].tolist() == expected["sample_id"].tolist()
        np.testing.assert_array_equal(run.tests["score"], expected["score"].astype(np.float32))
        np.testing.assert_allclose(run.tests["d"], expected["score"] ** 2, rtol=1e-6)
        outlier = expected["outlier_rank"] >= 0
        auroc = roc_auc_score(outlier, expected["score"])
        assert run.auroc["score"] == pytest.approx(auroc, abs=1e-6)
    assert runs_of(root) == []


def test_options_stand_for_columns(root: Path, scored: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    own = scored[scored["inlier"] == 8]
    own[["sample_id", "score"]].to_csv(file, index=False)
    given = {"inlier": "8", "seed": 4, "split_sha256": own["split_sha256"].iloc[0][:12]}
    (run,) = scores_in.read(make_config(), root, file, "distance", given=given)
    assert run.key == EXTERNAL._replace(seed=4)
    with pytest.raises(InputError, match="does not say its split_sha256"):
        scores_in.read(make_config(), root, file, "distance", given={"inlier": "8"})
    scored.to_csv(file, index=False)
    with pytest.raises(InputError, match="has a column for --split; leave one of them out"):
        scores_in.read(make_config(), root, file, "distance", given=given | {"inlier": None})


MISTAKES = {
    "another split": (lambda r: r.assign(split_sha256="0" * 64), "made on the split 000000000000,"),
    "a short hash": (lambda r: r.assign(split_sha256="abc"), "give at least 12 digits"),
    "no score": (lambda r: r.rename(columns={"score": "s"}), "no column 'score' among dataset,"),
    "no ids": (lambda r: r.drop(columns="sample_id"), "no column 'sample_id' among"),
    "no rows": (lambda r: r.assign(part="train"), "no rows to test in it"),
    "text": (lambda r: r.assign(score="high"), "values of 'score' are no finite number, the first"),
    "NaN": (lambda r: r.assign(score=r["score"].where(r["score"] > 0)), "are no finite number"),
    "infinite in float32": (lambda r: r.assign(score=1e39), "are no finite number"),
    "one image less": (lambda r: r.iloc[1:], " has no score; give exactly its "),
    "many less": (lambda r: r.iloc[9:], " and 8 more has no score; give exactly its "),
    "a training image": (
        lambda r: pd.concat([r, r.iloc[:1].assign(sample_id=1)]),
        "sample 1 is not in the test set; give exactly its",
    ),
    "twice": (lambda r: pd.concat([r, r.iloc[:1]]), "is there twice; give each image one score"),
    "half an id": (lambda r: r.assign(sample_id=r["sample_id"] + 0.5), "give a whole number"),
    "another data set": (lambda r: r.assign(dataset="digit"), "did you mean 'digits'?"),
    "another fold": (lambda r: r.assign(fold=3), "fold 3 is not among `folds` of digits; add it"),
    "another seed": (lambda r: r.assign(seed=2), "seed 2 is not among `seeds` of the configur"),
    "a class that is no inlier": (
        lambda r: r.assign(class_name="3"),
        "'3' is no inlier class of digits here; choose from 0, 8",
    ),
    "an empty cell": (lambda r: r.assign(dataset=None), "column 'dataset' has empty cells"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(
    root: Path, scored: pd.DataFrame, tmp_path: Path, mistake: str
) -> None:
    change, said = MISTAKES[mistake]
    file = tmp_path / "scores.csv"
    change(scored).to_csv(file, index=False)
    with pytest.raises(InputError) as caught:
        scores_in.read(make_config(), root, file, "distance")
    message = str(caught.value)
    assert message.startswith(f"{file}: ") and said in message and "\n" not in message
    assert runs_of(root) == []


@pytest.mark.parametrize(
    ("name", "content", "method", "said"),
    [
        ("none.csv", None, "distance", "none.csv: cannot be read (No such file or directory)"),
        ("empty.csv", b"", "distance", "empty.csv: cannot be read ("),
        ("junk.parquet", b"junk", "distance", "junk.parquet: cannot be read ("),
        ("scores.xlsx", b"", "distance", "give a file of scores as .csv or .parquet"),
        ("a.csv", b"", "distanc", "method 'distanc' is not in the configuration demo; add this"),
    ],
)
def test_no_file_or_method_is_one_line(
    root: Path, tmp_path: Path, name: str, content: bytes | None, method: str, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        scores_in.read(make_config(), root, tmp_path / name, method)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_method_that_is_trained_here_is_refused(root: Path, tmp_path: Path) -> None:
    config = configuration.load(CONFIG)
    with pytest.raises(InputError, match="'kde' is trained here; add this line to `methods:`"):
        scores_in.read(config, root, tmp_path / "scores.csv", "kde")


def test_the_page_from_split_to_table_and_snakemake_leaves_what_was_imported(
    tmp_path: Path,
) -> None:
    tree = tmp_path / "tree"
    copy_tree(tree)
    (tree / "config/demo.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (tree / "mine.yaml").write_text(MINE)

    def call(line: str) -> subprocess.CompletedProcess[str]:
        python, option, module, *arguments = shlex.split(line)
        assert (python, option) == ("python", "-m")
        return calls.python(tree, module, *arguments)

    def follow(line: str) -> str:
        done = call(line)
        assert done.returncode == 0, done.stderr
        return done.stdout

    export, imports = blocks(PAGE, "sh")
    bring, reanalyse = imports.splitlines()
    follow(export)
    assert len([*filter(None, LOAD.splitlines())]) == 3
    for code in (f"{LOAD}assert len(train) > 90", SCORE):
        command, environment = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": ""}
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "digits/distance/fold-0/inlier-8/seed-0, 8: AUROC score 0.9" in follow(bring)
    root = tree / "results/demo"
    folder = layout.run(root, EXTERNAL)
    assert json.loads((folder / "run.json").read_text())["external"]["file"] == "scores.csv"
    kept = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in runs_of(root) if p.is_file()}
    assert "(was there)" in follow(bring)
    follow(reanalyse)
    table = (root / "tables/auroc-digits.md").read_text()
    assert "| Distance (external) |" in table and "made elsewhere (12 lines of NumPy)" in table

    # Snakemake trains the other methods only, and once all is there nothing.
    done = snakemake(tree, "all", "--cores", "2", config="config/demo.yaml")
    assert done.returncode == 0, done.stderr
    both = [*shlex.split(bring)[-2:]]
    done = snakemake(tree, "all", "--cores", "2", "--configfile", *both, config="")
    assert done.returncode == 0, done.stderr
    assert "Distance (external)" in (root / "tables/auroc-digits.md").read_text()
    assert (layout.run(root, EXTERNAL._replace(method="kde")) / "run.json").is_file()
    for path, (content, time) in kept.items():
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, time)

    # Other scores do not take the place of these without a word.
    scores = tree / "scores.csv"
    scores.write_text(scores.read_text().replace("0.0", "0.1"))
    done = call(bring)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(": other scores are there; delete the folder to import these")
