"""A part of a configuration by names, and the targets of Snakemake."""

import json
from argparse import ArgumentParser
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmark import config as configuration
from benchmark import jobs, layout, part
from benchmark.errors import InputError
from benchmark.layout import RunKey
from tests.test_workflow import snakemake
from tests.tree import copy_tree
from workflow import targets

CONFIG = {
    "name": "tiny",
    "seeds": [0],
    "beta_multiples": [0, 1],
    "datasets": {
        "digits": {"source": "digits", "title": "Digits", "protocol": "folds", "inliers": [0, 8]},
        "mnist": {"source": "mnist", "path": "data", "protocol": "official"},
        "cifar10": {"source": "cifar10", "path": "data", "protocol": "official"},
    },
    "methods": {"cae_grad": {"epochs": 2}, "kde": {}, "ocsvm": {"nu": 0.2}},
}


def runs(**names: object) -> set[RunKey]:
    return {*jobs.runs(configuration.load(part.of(CONFIG | names), data=False))}


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        ({}, lambda key: True),
        ({"method": "kde"}, lambda key: key.method == "kde"),
        ({"method": "CAE + Grad, ocsvm"}, lambda key: key.method in ("cae_grad", "ocsvm")),
        ({"dataset": ["Digits", "cifar10"]}, lambda key: key.dataset != "mnist"),
        ({"inlier": 8}, lambda key: key.dataset != "cifar10" and key.inlier == 8),
        (
            {"inlier": "cat,8", "method": None},
            lambda key: key.inlier == (3 if key.dataset == "cifar10" else 8),
        ),
        (
            {"dataset": "cifar10", "inlier": "plane", "method": "kde"},
            lambda key: key == RunKey("cifar10", "kde", 0, 0, 0),
        ),
    ],
)
def test_the_runs_of_a_part_are_those_of_the_whole_that_are_named(names, kept):
    expected = {key for key in runs() if kept(key)}
    assert runs(**names) == expected and expected


def test_settings_of_what_is_named_stay():
    chosen = part.of(CONFIG | {"method": "OCSVM", "dataset": "mnist"})
    assert chosen["methods"] == {"ocsvm": {"nu": 0.2}}
    assert chosen["datasets"] == {"mnist": CONFIG["datasets"]["mnist"]}
    assert part.of(CONFIG) == CONFIG


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"method": "kd"}, "no method 'kd' in this configuration; did you mean 'kde'?"),
        ({"method": "gpnd,kde"}, "no method 'gpnd' in this configuration; choose from cae_grad, "),
        ({"dataset": "svhn"}, "no dataset 'svhn' in this configuration; choose from digits, mnist"),
        ({"inlier": "plan"}, "no inlier class 'plan' in this configuration; did you mean 'plane'?"),
        ({"inlier": "3", "dataset": "digits"}, "no inlier class '3' in this"),
    ],
)
def test_an_unknown_name_is_one_line_with_those_that_there_are(names, said):
    with pytest.raises(InputError) as caught:
        part.of(CONFIG | names)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_options_of_a_command(tmp_path: Path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    parser = ArgumentParser()
    parser.add_argument("--configfile", nargs="+", type=Path)
    part.add_arguments(parser)
    words = ["--method", "CAE + Grad", "--inlier", "8"]
    chosen = parser.parse_args(["--configfile", str(tmp_path / "tiny.yaml"), *words])
    assert {*jobs.runs(part.read(chosen))} == runs(method="cae_grad", inlier="8")
    assert part.options(chosen) == " --method 'CAE + Grad' --inlier 8"


RULES = {"all": True, "auroc": True, "beta": True, "runs": False}


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("aurok", "no target 'aurok'; did you mean 'auroc'? The targets are all, auroc, beta"),
        ("x", "no target 'x'; the targets are all, auroc, beta"),
        ("runs", "'runs' makes a file at a time; name the file, or one of the targets all, auroc"),
        (
            "r/tables/auro-a.csv",
            "no table or figure r/tables/auro-a.csv; did you mean r/tables/auroc-a",
        ),
    ],
)
def test_an_unknown_target_names_the_possible_ones(target, said):
    with pytest.raises(InputError) as caught:
        targets.check(["all", target], RULES, ["r/tables/auroc-a.csv", "r/tables/beta-a.csv"])
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_targets_that_there_are_pass():
    files = ["r/tables/auroc-a.csv"]
    targets.check(["all", "auroc", *files, "r/runs/a/run.json", "Snakefile"], RULES, files)


def test_snakemake_makes_one_table_of_one_method_and_class_and_then_the_rest(tmp_path: Path):
    tree = tmp_path / "tree"
    copy_tree(tree)
    config = CONFIG | {"datasets": {"digits": CONFIG["datasets"]["digits"]}}
    config["methods"] = {"kde": {}, "ocsvm": {}}
    (tree / "config/tiny.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    done = snakemake(tree, "aurok", "--cores", "1")
    assert done.returncode == 1
    assert "no target 'aurok'; did you mean 'auroc'?" in done.stderr.splitlines()[-1]
    done = snakemake(tree, "auroc", "--cores", "1", "--config", "method=OCSVM", "inlier=8")
    assert done.returncode == 0, done.stderr
    root = tree / "results/tiny"
    first = RunKey("digits", "ocsvm", 0, 8, 0)
    made = [RunKey.of(file.parent) for file in layout.manifests(root)]
    assert made == [first]
    assert not (root / "figures").exists() and not (root / "report").exists()
    table = pd.read_csv(root / "tables/auroc-digits.csv", comment="#")
    assert set(table["method"]) == {"ocsvm"} and set(table["class_name"]) == {"average", "8"}

    finished = json.loads((layout.run(root, first) / "run.json").read_text())["finished"]
    done = snakemake(tree, "auroc", "--cores", "2")
    assert done.returncode == 0, done.stderr
    assert len([*layout.manifests(root)]) == 4
    again = json.loads((layout.run(root, first) / "run.json").read_text())["finished"]
    assert again == finished
    table = pd.read_csv(root / "tables/auroc-digits.csv", comment="#")
    assert set(table["method"]) == {"kde", "ocsvm"}
