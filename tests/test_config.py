"""Configurations: what is accepted, and one line for each thing that is not."""

import copy
import doctest
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config import (
    Config,
    DatasetConfig,
    MethodConfig,
    load,
    loading,
    methods,
    models,
    read,
)
from benchmark.config.methods import METHODS
from benchmark.config.schema import SCHEMA, schema
from benchmark.errors import InputError

ROOT = Path(__file__).parents[1]
SHIPPED = sorted((ROOT / "config").glob("*.yaml"))

VALID = {
    "name": "small",
    "seeds": [0, 1],
    "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0, "8"]}},
    "methods": {"cae_grad": {"epochs": 3, "alpha": 0.5}},
}


def changed(key, value):
    """The valid configuration with the value of a dotted key set, or removed for ``...``."""
    mapping = copy.deepcopy(VALID)
    *path, last = key.split(".")
    place = mapping
    for part in path:
        place = place.setdefault(part, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return mapping


def problems(mapping, **options):
    with pytest.raises(InputError) as caught:
        load(mapping, "my.yaml", **options)
    return str(caught.value).split("\n")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert read(path).name == path.stem
    jsonschema.validate(yaml.safe_load(path.read_text()), schema())


def test_the_paper_is_the_papers():
    paper = read(ROOT / "config" / "paper.yaml", data=False)
    assert {key: entry.protocol for key, entry in paper.datasets.items()} == {
        "mnist": "official",
        "fashion_mnist": "folds",
        "cifar10": "official",
        "cure_tsr": "official",
    }
    assert paper.datasets["fashion_mnist"].folds == (0, 1, 2, 3, 4)
    assert paper.beta == pytest.approx(4 * paper.alpha)
    ours = ("cae", "cae_grad", "vae", "vae_grad")
    assert {paper.methods[method].params["epochs"] for method in ours} == {1000}
    assert len(paper.seeds) > 1
    assert set(paper.methods) == set(METHODS)


def test_schema_has_not_drifted():
    kept = json.loads(SCHEMA.read_text())
    assert kept == schema(), "run `python -m benchmark schema` and commit config/schema.json"


def test_schema_refuses_what_load_refuses():
    jsonschema.validate(VALID, schema())
    for key, value in [
        ("methods.cae_grad.epochz", 3),
        ("methods.cae_grad.epochs", 0),
        ("methods.unknown.width", 3),
        ("datasets.digits.protocol", "official-ish"),
        ("datasets.digits.extra", 1),
        ("seedz", [0]),
    ]:
        mapping = changed(key, value)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(mapping, schema())
        problems(mapping)


@pytest.mark.parametrize("module", [loading, methods, models])
def test_examples(module, monkeypatch):
    monkeypatch.chdir(ROOT)
    examples = doctest.testmod(module)
    assert examples.attempted and not examples.failed


def test_every_field_is_described():
    for model in (Config, DatasetConfig, MethodConfig):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


def test_what_follows_from_the_keys_is_filled_in():
    config = load(VALID)
    assert config.datasets["digits"].title == "digits"
    method = config.methods["cae_grad"]
    assert (method.title, method.detector) == ("CAE + Grad", "gradcon.detectors:GradCon")
    assert method.params["epochs"] == 3
    assert method.params["alpha"] == 0.5
    assert method.params["batch_size"] == 64
    assert load(changed("methods.cae_grad", None)).methods["cae_grad"].params["epochs"] == 1000
    assert config.root == Path("results/small")


@pytest.mark.parametrize(
    ("key", "value", "at", "says"),
    [
        ("seedz", [1], "seedz", "did you mean 'seeds'?"),
        ("seeds", ..., "seeds", "missing"),
        ("seeds", [], "seeds", "empty"),
        ("seeds", [1, 1], "seeds", "repeats"),
        ("seeds", ["1"], "seeds.0", "integer"),
        ("seeds", [-1], "seeds.0", "greater than or equal to 0"),
        ("seeds", [True], "seeds.0", "integer"),
        ("image_size", 28.5, "image_size", "28.5"),
        ("alpha", "much", "alpha", "'much'"),
        ("beta", float("nan"), "beta", "finite"),
        ("outlier_ratios", [0.5, 1], "outlier_ratios.1", "less than 1"),
        ("milestones", [0], "milestones.0", "greater than or equal to 1"),
        ("name", "a/b", "name", "paths"),
        ("name", "published", "name", "another name"),
        ("results", "results/published", "results", "another folder"),
        ("datasets", {}, "datasets", "empty"),
        ("datasets", [1], "datasets", "keys belong here"),
        ("datasets.digits", None, "datasets.digits", "keys belong here"),
        ("datasets.Big", VALID["datasets"]["digits"], "datasets.Big", "lower-case"),
        ("datasets.digits.source", "digit", "datasets.digits.source", "did you mean 'digits'?"),
        ("datasets.digits.protocl", "folds", "datasets.digits.protocl", "'protocol'"),
        ("datasets.digits.protocol", "fold", "datasets.digits.protocol", "'folds'"),
        ("datasets.digits.protocol", "official", "datasets.digits.protocol", "no official split"),
        ("datasets.digits.folds", [5], "datasets.digits.folds.0", "less than or equal to 4"),
        ("datasets.digits.inliers", ["zero"], "datasets.digits.inliers", "'zero'"),
        ("datasets.digits.inliers", [10], "datasets.digits.inliers", "no class 10"),
        ("methods.cae_grad.epochz", 3, "methods.cae_grad.epochz", "did you mean 'epochs'?"),
        ("methods.cae_grad.epochs", 0, "methods.cae_grad.epochs", "greater than or equal to 1"),
        ("methods.cae_grad.epochs", "3", "methods.cae_grad.epochs", "'3'"),
        ("methods.cae_grad", 3, "methods.cae_grad", "keys belong here"),
        ("methods.cea", {}, "methods.cea", "did you mean 'cae'?"),
        ("methods.own.detector", "nowhere.at_all:Own", "methods.own", "nowhere.at_all"),
        ("methods.own.detector", "benchmark.errors", "methods.own", "package.module:Class"),
        ("methods.own.detector", "benchmark.errors:Own", "methods.own", "no class 'Own'"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(key, value, at, says):
    (line,) = problems(changed(key, value))
    assert line.startswith(f"my.yaml: {at}: ")
    assert says in line


@given(
    st.text(min_size=1).filter(
        lambda key: key not in Config.model_fields and not (key.isspace() or "\n" in key)
    )
)
def test_no_unknown_key_passes(key):
    lines = problems({**VALID, key: 1}, data=False)
    assert any("unknown key" in line for line in lines)


def test_official_has_one_fold():
    entry = {"source": "mnist", "path": "data", "protocol": "official"}
    assert load(changed("datasets", {"mnist": entry})).datasets["mnist"].folds == (0,)
    (line,) = problems(changed("datasets", {"mnist": {**entry, "folds": [0, 1]}}))
    assert line.startswith("my.yaml: datasets.mnist.folds: ")
    assert "[0]" in line


def test_an_unknown_key_of_challenges_is_compared_with_theirs():
    entry = {"source": "gtsrb_challenges", "path": "data", "challenges": {"type": ["Rain"]}}
    (line,) = problems(changed("datasets", {"gtsrb": entry}))
    assert line == "my.yaml: datasets.gtsrb.challenges.type: unknown key; did you mean 'types'?"


def test_all_mistakes_are_told_at_once():
    mapping = changed("seedz", [1])
    mapping["methods"]["cae_grad"] = {"epochz": 1, "alpha": -1}
    lines = problems(mapping)
    assert sorted(line.split(": ")[1] for line in lines) == [
        "methods.cae_grad.alpha",
        "methods.cae_grad.epochz",
        "seedz",
    ]


def test_data_is_looked_at_unless_it_is_not_needed(tmp_path):
    path = tmp_path / "mine.npz"
    entry = {"source": "npz", "path": str(path), "protocol": "folds", "inliers": [0, 2]}
    mapping = changed("datasets", {"mine": entry})
    (missing,) = problems(mapping)
    assert missing.startswith("my.yaml: datasets.mine.path: ")
    assert str(path) in missing
    np.savez(path, x=np.zeros((4, 8, 8), np.uint8), y=np.array([0, 0, 1, 1]))
    (absent,) = problems(mapping)
    assert "no class 2" in absent
    assert load(mapping, data=False).datasets["mine"].inliers == (0, 2)
    entry["inliers"] = [1]
    assert load(mapping).datasets["mine"].inliers == (1,)


def test_a_path_is_needed_where_there_is_one_to_give():
    (line,) = problems(changed("datasets", {"mnist": {"source": "mnist", "protocol": "official"}}))
    assert line.startswith("my.yaml: datasets.mnist.path: ")
    assert "path" in line


def test_numbers_without_a_point_are_numbers(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "name: n\nseeds: [0]\nalpha: 1e-4\nbeta: 2E+1\n"
        "datasets: {digits: {source: digits, protocol: folds}}\n"
        "methods: {cae: {learning_rate: 5e-4}}\n"
    )
    config = read(path)
    assert (config.alpha, config.beta) == (1e-4, 20)
    assert config.methods["cae"].params["learning_rate"] == 5e-4


def test_results_may_lie_elsewhere():
    assert load(changed("results", "/scratch")).root == Path("/scratch/small")
    assert not load(VALID).committed
    assert load(changed("results", "results/reference")).committed


def test_later_files_override_single_keys(tmp_path):
    base, local = tmp_path / "base.yaml", tmp_path / "local.yaml"
    base.write_text(yaml.safe_dump(VALID))
    local.write_text("datasets: {digits: {title: Zeros}}\nseeds: [7]\n")
    config = read(base, local)
    assert config.seeds == (7,)
    assert config.datasets["digits"].title == "Zeros"
    assert config.datasets["digits"].inliers == (0, "8")


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", ""])
def test_a_file_that_is_no_configuration_is_named(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=str(path)) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"gone\.yaml"):
        read(tmp_path / "gone.yaml")


def test_a_configuration_cannot_be_changed():
    config = load(VALID)
    with pytest.raises(ValueError, match="frozen"):
        config.beta = 1.0


def test_the_check_imports_no_heavy_package():
    code = (
        "import sys; from pathlib import Path; from benchmark.config import read;"
        "read(Path('config/demo.yaml'));"
        "print(*{'torch', 'torchvision', 'pandas', 'sklearn', 'scipy', 'gradcon', 'baselines'}"
        " & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
