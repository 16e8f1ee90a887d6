"""Configurations: what is accepted, and one line for each thing that is not."""

import copy
import doctest
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark import layout, splits
from benchmark.config import (
    Config,
    DatasetConfig,
    MethodConfig,
    load,
    loading,
    merged,
    methods,
    models,
    read,
)
from benchmark.config.methods import METHODS
from benchmark.config.schema import SCHEMA, schema
from benchmark.errors import InputError
from benchmark.layout import configured_inliers
from benchmark.utils import imports
from tests.tree import ROOT

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
    assert set(paper.methods) == {*METHODS, "ocsvm_unscaled"}


def test_schema_has_not_drifted():
    kept = json.loads(SCHEMA.read_text())
    assert kept == schema(), "run `python -m benchmark schema` and commit config/schema.json"


def test_schema_asks_for_no_protocol_where_load_has_one():
    challenged = changed("datasets", {"a": {"source": "gtsrb_challenges", "path": "."}})
    jsonschema.validate(challenged, schema())
    load(challenged)
    lacking = changed("datasets", {"a": {"source": "digits"}})
    with pytest.raises(jsonschema.ValidationError, match="'protocol' is a required property"):
        jsonschema.validate(lacking, schema())
    assert problems(lacking) == ["my.yaml: datasets.a.protocol: missing; add this key"]


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
        ("seeds", [2**32], "seeds.0", "less than 4294967296"),
        ("split_seed", 2**64 + 1, "split_seed", "less than 4294967296"),
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
    np.savez(path, x=np.zeros((20, 8, 8), np.uint8), y=np.repeat([0, 1], 10))
    (absent,) = problems(mapping)
    assert "no class 2" in absent
    assert load(mapping, data=False).datasets["mine"].inliers == (0, 2)
    entry["inliers"] = [1]
    assert load(mapping).datasets["mine"].inliers == (1,)


def test_a_path_is_needed_where_there_is_one_to_give():
    (line,) = problems(changed("datasets", {"mnist": {"source": "mnist", "protocol": "official"}}))
    assert line.startswith("my.yaml: datasets.mnist.path: ")
    assert "path" in line


@pytest.mark.parametrize(
    ("folders", "written", "chosen"),
    [
        ("1 2 3 10", "1", None),
        ("1 2 3 10", "'1'", ["1"]),
        ("1 2 3 10", "'10', '2'", ["2", "10"]),
        ("01 02 08", "01", ["01"]),
        ("01 02 08", "2", None),
        ("no yes 2020-01-01", "no, 2020-01-01", ["no", "2020-01-01"]),
        ("a b c", "2, a", ["a", "c"]),
        ("0 1 2", "2", ["2"]),
    ],
)
def test_a_number_for_a_class_is_its_index_or_refused(tmp_path, folders, written, chosen):
    for folder in folders.split():
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for k in range(10):
            (tmp_path / "photos" / folder / f"{k}.png").touch()
    path = tmp_path / "c.yaml"
    path.write_text(
        f"{{name: n, seeds: [0], methods: {{kde: }}, datasets: {{d: {{source: folder, path: "
        f"{tmp_path}/photos, protocol: folds, inliers: [{written}]}}}}}}"
    )
    if chosen is None:
        with pytest.raises(InputError, match=r"inliers: \d may be an index.* in quotes$"):
            read(path)
    else:
        settings = read(path).datasets["d"]
        names = configured_inliers(settings, dict(enumerate(settings.class_names())))
        assert sorted(names.values()) == sorted(chosen)


@pytest.mark.parametrize(
    ("protocol", "counts", "problem"),
    [
        ("official", "train/good 40, test/good 12, test/scratch 3, test/stain 9", None),
        ("official", "train/good 40, test/scratch 12", "'good' (40 to train, 0 to test)"),
        ("official", "train/other 40, test/good 12", "'good' (0 to train, 12 to test)"),
        ("official", "train/good 3, test/good 12, test/scratch 12", None),
        (
            "official",
            "train/good 2, test/good 12, test/scratch 12",
            "'good' (2 to train, 12 to test)",
        ),
        ("official", "train/good 5, test/good 4, test/scratch 4", "'good' (5 to train, 4 to test)"),
        ("folds", "good 10, scratch 1, stain 4", None),
        ("folds", "good 9, scratch 10", "'good' (9 in all)"),
    ],
)
def test_only_inlier_classes_need_images_to_train_on(tmp_path, protocol, counts, problem):
    for name in ("train/good", "test/good") * (protocol == "official"):
        (tmp_path / name).mkdir(parents=True)
    for part in counts.split(", "):
        folder, count = part.split()
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for k in range(int(count)):
            (tmp_path / folder / f"{k}.png").touch()
    entry = {"source": "folder", "path": str(tmp_path), "protocol": protocol}
    mapping = changed("datasets", {"own": entry | {"inliers": ["good"]}})
    if problem is None:
        load(mapping)
    else:
        (line,) = problems(mapping)
        expected = f"my.yaml: datasets.own.inliers: too few images of the class {problem}; "
        assert line.startswith(expected)


@pytest.mark.parametrize(
    ("labels", "names", "problem"),
    [
        ([0] * 10 + [2] * 10, ["a", "b"], "label 2 is not a class; label the 2 classes 0 to 1"),
        ([0] * 10 + [1] * 10, ["a", "a"], "class names repeat: a, a; make each unique"),
        ([0] * 20, ["a"], "needs at least two classes, as one's outliers are the others; has 1"),
        ([0] * 20, ["a", "b"], "class 'b' has no images; add some or leave it out"),
    ],
)
def test_labels_that_do_not_fit_the_classes_are_refused_before_any_job(
    tmp_path, labels, names, problem
):
    file = tmp_path / "own.npz"
    images = np.zeros((20, 8, 8), np.uint8)
    np.savez(file, x=images, y=np.array(labels), class_names=np.array(names))
    own = {"source": "npz", "path": str(file), "protocol": "folds"}
    assert problems(changed("datasets", {"own": own})) == [
        f"my.yaml: datasets.own.path: {file}: {problem}"
    ]


def test_a_share_that_gives_no_outlier_is_refused(tmp_path):
    file = tmp_path / "own.npz"
    np.savez(file, x=np.zeros((100, 8, 8), np.uint8), y=np.repeat([0, 1], 50))
    own = {"source": "npz", "path": str(file), "protocol": "folds", "inliers": [0]}
    assert problems(changed("datasets", {"own": own}) | {"outlier_ratios": [0.04, 0.5]}) == [
        "my.yaml: datasets.own.inliers: no outliers for the class '0': outlier ratio 0.04 with 10 "
        "inliers to test gives none; raise the smallest of outlier_ratios"
    ]


@pytest.mark.parametrize(
    ("protocol", "counts", "ratio", "problem"),
    [
        ("official", "train/good 40, test/good 12, test/scratch 12", 0.5, None),
        ("official", "train/good 40, test/good 12, test/scratch 11", 0.5, (12, 12, 11)),
        ("folds", "good 10, scratch 10, stain 10", 0.6, None),
        ("folds", "good 10, scratch 10, stain 9", 0.6, None),
        ("folds", "good 10, scratch 10, stain 4", 0.6, (2, 3, 2)),
    ],
)
def test_too_few_outliers_are_refused_by_the_name_of_the_class(
    tmp_path, protocol, counts, ratio, problem
):
    for part in counts.split(", "):
        folder, count = part.split()
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for k in range(int(count)):
            (tmp_path / folder / f"{k}.png").touch()
    entry = {"source": "folder", "path": str(tmp_path), "protocol": protocol, "inliers": ["good"]}
    entry["folds"] = [4] if protocol == "folds" else [0]
    mapping = changed("datasets", {"own": entry}) | {"outlier_ratios": [0.4, ratio]}
    labels = (np.repeat([0, 1, 2], [10, 10, 4]), None, "folds", 4, 0, [0], 0.6)
    if problem is None:
        load(mapping)
        return
    (line,) = problems(mapping)
    inliers, needed, others = problem
    assert line.startswith(
        f"my.yaml: datasets.own.inliers: too few outliers for the class 'good': outlier ratio "
        f"{ratio} with {inliers} inliers to test needs {needed}, the other classes have {others}; "
    )
    if protocol == "folds":  # what the split itself would say
        with pytest.raises(InputError, match=r"^class 'good', fold 4: .* 2 inliers .* 3 outl.* 2;"):
            splits.make_split(*labels, class_names=("good", "scratch", "stain"))


@pytest.mark.parametrize(
    ("method", "size", "taken"),
    [
        ("cae_grad", 64, "12, 28, 44, 60, ..."),
        ("vae", 32, "12, 28, 44, 60, ..."),
        ("deep_svdd", 64, "28"),
        ("lsa", 32, "28"),
    ],
)
def test_an_image_size_that_a_method_does_not_take_is_refused(method, size, taken):
    mapping = changed("methods", {"kde": {}, method: {}}) | {"image_size": size}
    (line,) = problems(mapping)
    assert line == (
        f"my.yaml: methods: {method} does not take images of {size}x{size} pixels; set image_size "
        f"to one of {taken}, or leave the method out"
    )
    load(mapping | {"image_size": 28})


@pytest.mark.parametrize("method", METHODS)
def test_the_sizes_of_a_method_are_those_of_its_class(method):
    assert methods.image_sizes(METHODS[method].path) == imports.load(METHODS[method].path).sizes


@pytest.mark.parametrize(
    ("kind", "entries", "title"),
    [
        ("methods", {"dcae": {"title": "AE"}, "dae": {"title": "AE"}}, "AE"),
        ("methods", {"dcae": {}, "dae": {"title": "DCAE"}}, "DCAE"),
        ("datasets", {"dcae": {"title": "A"}, "dae": {"title": "A"}}, "A"),
        ("datasets", {"dcae": {}, "dae": {"title": "dcae"}}, "dcae"),
        ("methods", {"dcae": {}, "dae": {"title": " dcae "}}, " dcae "),
    ],
)
def test_two_of_the_same_title_are_refused(kind, entries, title):
    """Nothing else tells them apart in tables and figures."""
    if kind == "datasets":
        entries = {key: VALID["datasets"]["digits"] | entry for key, entry in entries.items()}
    (line,) = problems(changed(kind, entries))
    assert line == f"my.yaml: {kind}: dcae and dae have the title {title!r}; give one another"
    load(changed(kind, entries | {"dae": entries["dae"] | {"title": "Another"}}))


def read_yaml(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return merged(path)


def test_yaml_is_read_as_it_is_meant(tmp_path):
    text = "a: 1e-4\nb: '1e-4'\nc: no\nd: 010\ne: 1:30\nf: 2020-01-01\ng: 1_0\n1: x\nno: 3\n"
    assert read_yaml(tmp_path, text + "h: [-3, 2.5, .5, 1E+3, true, ~, .inf, null, ]\n") == {
        "a": 1e-4,
        **{"b": "1e-4", "c": "no", "d": "010", "e": "1:30", "f": "2020-01-01", "g": "1_0"},
        **{"1": "x", "no": 3},
        "h": [-3, 2.5, 0.5, 1000, True, None, float("inf"), None],
    }


@given(st.dictionaries(st.text(), st.floats(allow_nan=False) | st.integers() | st.booleans()))
def test_what_was_dumped_is_read_as_it_was(tmp_path_factory, mapping):
    text = yaml.safe_dump(mapping, sort_keys=False)
    assert read_yaml(tmp_path_factory.mktemp("yaml"), text) == mapping


@pytest.mark.parametrize("text", ["a: 1\na: 2", "b: {c: 1, 'c': 2}", "1: a\n'1': b"])
def test_a_key_that_repeats_is_refused(tmp_path, text):
    with pytest.raises(
        InputError, match=r"the key '.' is there twice, remove one .*line"
    ) as caught:
        read_yaml(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_other_encodings(tmp_path):
    assert read_yaml(tmp_path, "title: Größe".encode("utf-16")) == {"title": "Größe"}
    with pytest.raises(InputError, match=r"c\.yaml: not UTF-8 text \(.*\); save it as UTF-8$"):
        read_yaml(tmp_path, "title: Größe".encode("latin-1"))
    script = (
        "from pathlib import Path; from benchmark.config import merged;"
        f"print(ascii(merged(Path({str(tmp_path / 'c.yaml')!r}))))"
    )
    (tmp_path / "c.yaml").write_text("title: Größe", encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0"}
    environment["PYTHONCOERCECLOCALE"] = "0"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "{'title': 'Gr\\xf6\\xdfe'}\n", done.stderr


NAMES = st.text(max_size=8) | st.sampled_from(["..", "../x", "/x", "a/b", ".", "a\n", "a\\b"])


@given(NAMES, NAMES, NAMES)
@example("a", "b", "c")
def test_names_cannot_leave_the_results_folder(name, dataset, method):
    mapping = VALID | {
        "name": name,
        "datasets": {dataset: VALID["datasets"]["digits"]},
        "methods": {method: {"detector": METHODS["kde"].path}},
    }
    try:
        config = load(mapping, data=False)
    except InputError:
        return
    keys = layout.run_keys(config, {dataset: [0]})
    runs = [layout.run(config.root, key) for key in keys]
    others = [layout.data(config.root, dataset), layout.split(config.root, dataset, 0)]
    files = [*layout.tables(config, config.root), *layout.figures(config, config.root)]
    for path in [*runs, *others, *map(Path, files)]:
        resolved = path.resolve().relative_to(Path("results").resolve())
        assert resolved == path.relative_to("results") and resolved.parts[0] == name


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
