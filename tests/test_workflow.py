"""The workflow, by real calls of Snakemake on a copy of the tree: what runs, and what reruns."""

import copy
import functools
import json
import operator
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_digits

from benchmark import layout
from benchmark.config import Config, DatasetConfig
from benchmark.data.challenges.selection import Selection
from benchmark.layout import RunKey
from benchmark.utils import checksums
from tests import calls
from tests.tree import ROOT, Kept, copy_tree

CONFIG = {
    "name": "tiny",
    "seeds": [0],
    "milestones": [1],
    "beta_multiples": [0, 1],
    "datasets": {
        "digits": {
            "source": "npz",
            "path": "data/digits.npz",
            "protocol": "folds",
            "inliers": [0],
        },
        "signs": {
            "source": "gtsrb_challenges",
            "path": "data/signs.npz",
            "challenges": {"types": ["Decolorization"], "levels": [1]},
        },
    },
    "methods": {
        "cae": {"epochs": 1},
        "toy": {"detector": "toy.detector:Toy", "title": "Toy"},
        "broken": {"detector": "toy.detector:Toy", "title": "Broken", "fail": True},
    },
}
TOY = '''"""The distance to the mean training image."""

import json
import numpy as np
from benchmark.__main__ import main
from benchmark.detector import FitFailed


class Toy:
    components = ("score",)
    models = ("best", "last")
    history = ()
    facts = {"parameters": 784, "epochs": 1, "best_epoch": 1}

    def __init__(self, *, fail: bool = False):
        self.fail = fail

    def fit(self, train, validation, *, seed, checkpoint=None, milestones=(), device="cpu"):
        if self.fail:
            raise FitFailed("the loss became NaN in epoch 1")
        self.mean = train.astype(np.float64).mean(axis=0)
        return self

    def score(self, images, model="best"):
        # the mean over pixels
        return {"score": ((images - self.mean) ** 2).mean(axis=(1, 2, 3)).astype(np.float32)}

    def save(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "detector.json").write_text(json.dumps({"fail": self.fail}))
'''
DATASETS, METHODS = len(CONFIG["datasets"]), len(CONFIG["methods"])
AFTER_RUNS = {"metrics": 1, "verdicts": 1, "tables": 1, "figures": 1, "report": 1, "all": 1}


def snakemake(tree, *arguments, device="cpu", config="config/tiny.yaml", path=None, stacks="0"):
    """Call Snakemake, with a path of modules in a process that has imported nothing before."""
    files = ["--configfile", config] if config else []
    command = ["snakemake", *arguments, "--nocolor", *files]
    environment = {"GRADCON_DEVICE": device, "GRADCON_STACKS": stacks}
    if path is None:
        return calls.python(tree, *command, environment=environment)
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tree,
        env=os.environ | environment | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
    )


def planned(tree, target="all", **options):
    """The jobs of each rule that a dry run announces; none when all is up to date."""
    done = snakemake(tree, target, "--dry-run", **options)
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    if "Nothing to be done" in output:
        return {}
    table = re.search(r"Job stats:\njob +count\n-+ +-+\n(.+?)\ntotal", output, re.DOTALL)
    assert table, output
    return {rule: int(count) for rule, count in (line.split() for line in table[1].split("\n"))}


def processor_time():
    """Seconds that child processes computed for: unlike the clock's, not those of other work."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the tree, with a method of its own, where the tiny configuration has run."""
    tree = tmp_path_factory.mktemp("workflow") / "tree"
    copy_tree(tree)
    (tree / "toy").mkdir()
    (tree / "toy" / "__init__.py").touch()
    (tree / "toy" / "detector.py").write_text(TOY)
    (tree / "config" / "tiny.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (tree / "data").mkdir()
    images, labels = load_digits(return_X_y=True)
    images = (15 * images).astype(np.uint8).reshape(-1, 8, 8)
    parts = {"x_train": images[:300], "y_train": labels[:300]}
    parts |= {"x_test": images[300:500], "y_test": labels[300:500]}
    np.savez(tree / "data/digits.npz", **parts)
    np.savez(
        tree / "data/signs.npz",
        images=np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), np.uint8),
        sign_class=np.full(40, 14),
        track=np.repeat(np.arange(10), 4),
    )
    done = snakemake(tree, "all", "--cores", "2")
    assert done.returncode == 0, done.stderr
    return tree


@pytest.fixture(scope="module")
def kept(finished):
    """A copy of the finished tree."""
    return Kept(finished, finished.with_name("kept"))


@pytest.fixture
def tree(finished, kept):
    """The finished tree, put back after a test that changes anything in it."""
    yield finished
    kept.put_back()


def test_everything_is_made_and_stays(finished):
    root = finished / "results" / "tiny"
    assert (root / "report" / "index.html").stat().st_size > 1000
    table = pd.read_csv(root / "tables" / "auroc-digits.csv", comment="#")
    assert set(table["method"]) >= {"cae", "toy"}
    for rule in ("metrics", "verdicts", "tables", "figures", "report"):
        assert (root / "logs" / f"{rule}.log").exists()
    measured = json.loads(
        (root / f"benchmarks/runs/{RunKey('digits', 'toy', 0, 0, 0).path}.jsonl").read_text()
    )
    assert measured["rule_name"] == "runs"
    assert planned(finished) == {}


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], {"runtime": 482, "mem_mb": 3000}),
        (["--default-resources", "runtime=77*attempt"], {"runtime": 77, "mem_mb": 3000}),
        (["--default-resources", "mem_mb=1234"], {"runtime": 482, "mem_mb": 1234}),
        (["--set-resources", "runs:runtime=8"], {"runtime": 8, "mem_mb": 3000}),
        (["--resources", "runtime=60"], {"runtime": 60, "mem_mb": 3000}),
    ],
    ids=["forecast", "default", "default-memory", "rule", "limit"],
)
def test_a_training_asks_for_its_forecast_unless_the_profile_says_otherwise(tree, options, asked):
    """What Snakemake has for a run of a method without a rate: four hours, doubled."""
    run = RunKey("digits", "toy", 0, 0, 0)
    shutil.rmtree(layout.run(tree / "results/tiny", run))
    target = f"results/tiny/runs/{run.path}/run.json"
    done = snakemake(tree, target, "--cores", "1", *options)
    assert done.returncode == 0, done.stderr
    measured = tree / f"results/tiny/benchmarks/runs/{run.path}.jsonl"
    resources = json.loads(measured.read_text())["resources"]
    assert {name: resources[name] for name in asked} == asked
    assert resources["_cores"] == 1


def test_what_was_damaged_or_lost_is_made_again_and_nothing_else(tree):
    """One call; images that come out the same train no model again."""
    root = tree / "results/tiny"
    toy, cae = (layout.run(root, RunKey("digits", method, 0, 0, 0)) for method in ("toy", "cae"))
    images, weights = root / "data/digits/images.npy", toy / "weights/detector.json"
    lost = next(iter(checksums.read(root / "logs/tables.sha256"))).resolve()
    kept = {path: path.read_bytes() for path in (images, weights, lost, toy / "scores.parquet")}
    trained = (cae / "run.json").stat().st_mtime_ns
    content, times = bytearray(kept[images]), (images.stat().st_atime_ns, images.stat().st_mtime_ns)
    content[-1] ^= 1
    images.write_bytes(content)
    os.utime(images, ns=times)
    weights.write_bytes(kept[weights][:3])
    lost.unlink()
    call = ("workflow.run", "config/tiny.yaml", "--cores", "2")
    done = calls.python(tree, *call, environment={"GRADCON_DEVICE": "cpu"})
    assert done.returncode == 0, done.stderr
    lines = [line.split(": ") for line in done.stderr.splitlines() if "made again" in line]
    assert {tree / name: what.split()[0] for name, what in lines} == {
        images: "changed",
        weights: "changed",
        lost: "missing;",
    }
    assert {path: path.read_bytes() for path in kept} == kept
    assert (cae / "run.json").stat().st_mtime_ns == trained
    assert planned(tree) == {}


def test_a_deleted_run_is_trained_again(tree):
    """By Snakemake alone, though all that was made from it is there, and newer."""
    folder = layout.run(tree / "results/tiny", RunKey("digits", "toy", 0, 0, 0))
    before = pd.read_parquet(folder / "scores.parquet")
    shutil.rmtree(folder)
    assert planned(tree) == {"runs": 1, **AFTER_RUNS}
    done = snakemake(tree, "all", "--cores", "2")
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "scores.parquet"), before)
    assert planned(tree) == {}


def test_a_failed_run_is_recorded_and_takes_no_other_down(finished):
    root = finished / "results/tiny"
    broken = layout.run(root, RunKey("digits", "broken", 0, 0, 0))
    record = json.loads((broken / "run.json").read_text())
    assert (record["status"], record["reason"]) == ("failed", "the loss became NaN in epoch 1")
    assert len(pd.read_parquet(broken / "scores.parquet")) == 0
    toy = layout.run(root, RunKey("digits", "toy", 0, 0, 0))
    fine = json.loads((toy / "run.json").read_text())
    assert fine["status"] == "complete"
    metrics = pd.read_parquet(root / "metrics/metrics.parquet")
    assert "broken" not in set(metrics["method"])
    assert "toy" in set(metrics["method"])
    assert "NaN in epoch 1" in (root / "report/index.html").read_text()


def test_an_edit_of_a_comment_reruns_nothing(tree):
    edited(tree / "toy/detector.py", "# the mean over pixels", "# mean of squares")
    for name in ("gradcon/networks.py", "benchmark/runs/train.py", "benchmark/tables/auroc.py"):
        path = tree / name
        path.write_text("# A new first line.\n" + path.read_text() + "\n\n# And a last one.\n")
    assert planned(tree) == {}


def test_an_edit_of_code_reruns_what_depends_on_it(tree):
    path = tree / "gradcon" / "networks.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert planned(tree) == {"runs": DATASETS, **AFTER_RUNS}


def test_an_edit_after_the_scores_trains_nothing(tree):
    path = tree / "benchmark" / "tables" / "auroc.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert planned(tree) == {"tables": 1, "report": 1, "all": 1}


def rerun_table():
    """The table of ``config/README.md``: the cells after each key that a row is of."""
    page = (ROOT / "config/README.md").read_text()
    _, _, section = page.partition("## What an edit reruns")
    rows = [row.strip("|").split("|") for row in re.findall(r"^\|.+\|$", section, re.MULTILINE)]
    return {
        key: [cell.strip() for cell in cells]
        for keys, *cells in rows[2:]
        for key in re.findall(r"`(\w+)`", keys)
    }


DIGITS, SIGNS = "datasets.digits.", "datasets.signs."
EDITS = {
    "name": ({"name": "other"}, None),
    "results": ({"results": "others"}, None),
    "spelling": (
        {"results": "results/../results", DIGITS + "path": "{tree}/data/digits.npz"}
        | {SIGNS + "path": "./data/../data/signs.npz"},
        None,
    ),
    "seeds": ({"seeds": [0, 5]}, DATASETS * METHODS),
    "split_seed": ({"split_seed": 1}, None),
    "image_size": ({"image_size": 12}, None),
    "alpha beta beta_multiples title note optional": (
        {"alpha": 0.01, "beta": 0.5, "beta_multiples": [1], SIGNS + "optional": True}
        | {DIGITS + "note": "ours", DIGITS + "title": "Ten", "methods.toy.title": "Ours"},
        None,
    ),
    "outlier_ratios": ({"outlier_ratios": [0.1, 0.6]}, METHODS),
    "milestones": ({"milestones": [1, 7]}, None),
    "datasets": (
        {"datasets.more": {"source": "digits", "protocol": "folds", "inliers": [1]}},
        METHODS,
    ),
    "methods": ({"methods.more": {"detector": "toy.detector:Toy"}}, DATASETS),
    "source": ({DIGITS + "source": "cifar10"}, METHODS),
    "path": ({SIGNS + "path": "data/copy.npz"}, METHODS),
    "protocol": ({DIGITS + "protocol": "official"}, METHODS),
    "folds": ({DIGITS + "folds": [0, 3]}, METHODS),
    "inliers": ({DIGITS + "inliers": [0, 7]}, METHODS),
    "types": ({SIGNS + "challenges.types": ["Haze"]}, METHODS),
    "levels": ({SIGNS + "challenges.levels": [1, 2]}, METHODS),
    "signs on_problem": (
        {SIGNS + "challenges.signs": ["stop"], SIGNS + "challenges.on_problem": "go"},
        METHODS,
    ),
    "detector": ({"methods.toy.detector": "toy.copy:Toy"}, DATASETS),
    "hyperparameters": ({"methods.cae.epochs": 2}, DATASETS),
}
"""By keys whose rows have the same cells: an edit of the configuration, and the number of runs that
a cell means which does not say ``all``."""

COUNTS = {"data": DATASETS, "splits": DATASETS, "runs": DATASETS * METHODS}


@pytest.mark.parametrize("keys", EDITS)
def test_an_edit_reruns_what_the_table_says(tree, keys):
    (cells, *others) = [rerun_table()[key] for key in keys.split()]
    assert all(other == cells for other in others)
    edit, runs = EDITS[keys]
    config = copy.deepcopy(CONFIG)
    for path, value in edit.items():
        *parents, last = path.split(".")
        place = functools.reduce(operator.getitem, parents, config)
        place[last] = value.format(tree=tree) if isinstance(value, str) else value
    shutil.copy(tree / "data/signs.npz", tree / "data/copy.npz")
    shutil.copy(tree / "toy/detector.py", tree / "toy/copy.py")
    (tree / "config/tiny.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    expected = {}
    for rule, cell in zip(COUNTS, cells, strict=False):
        assert cell in ("all", "its own", "new", "–")
        few = runs if rule == "runs" else 1
        expected |= {} if cell == "–" else {rule: COUNTS[rule] if cell == "all" else few}
    assert planned(tree) == expected | (AFTER_RUNS if cells[3] == "all" else {})


def test_the_table_has_every_key():
    keys = {*Config.model_fields, *DatasetConfig.model_fields, *Selection.model_fields}
    keys |= {"detector", "title", "hyperparameters"}
    assert {*rerun_table()} == keys - {"challenges"} | {"spelling"}
    assert {key for row in EDITS for key in row.split()} == {*rerun_table()}
    reference = (ROOT / "config/README.md").read_text().partition("## What an edit reruns")[0]
    described = set(re.findall(r"^\| `(\w+)` \|", reference, re.MULTILINE))
    assert keys - {"detector", "hyperparameters"} <= described


READER = "def read(path, image_size):\n    return None\n"


def test_comments_and_a_new_reader_rerun_nothing(tree):
    for folder in ("workflow/scripts", "workflow/rules", "benchmark/data"):
        for path in (tree / folder).iterdir():
            if path.suffix in (".py", ".smk"):
                path.write_text(path.read_text() + "\n# A last line.\n")
    (tree / "benchmark/data/lists.py").write_text(READER)
    edited(tree / "benchmark/data/__init__.py", "import digits,", "import digits, lists,")
    edited(tree / "benchmark/data/__init__.py", '"npz": npz,', '"npz": npz, "lists": lists,')
    assert planned(tree) == {}


def test_a_script_and_a_reader_rerun_what_they_make(tree):
    path = tree / "workflow/scripts/tables.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert planned(tree) == {"tables": 1, "report": 1, "all": 1}
    path = tree / "benchmark/data/challenges/gtsrb.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert planned(tree) == {"data": 1, "splits": 1, "runs": METHODS, **AFTER_RUNS}


def test_on_an_accelerator_the_same_files_come_from_one_job_per_method_and_seed(tree):
    assert planned(tree, device="cuda") == {}
    edited(tree / "config/tiny.yaml", "seeds:\n- 0", "seeds: [0, 1, 2]")
    assert planned(tree) == {"runs": 2 * DATASETS * METHODS, **AFTER_RUNS}
    assert planned(tree, device="cuda") == {
        **{f"runs_{dataset}": 2 * METHODS for dataset in CONFIG["datasets"]},
        **AFTER_RUNS,
    }


ONE_DATASET = {"datasets": {"digits": CONFIG["datasets"]["digits"]}}


def test_stacks_train_what_is_missing_and_leave_the_rest(tree):
    """The stacked path of an accelerator, on a CPU: all stages, then a new class, then new code."""
    own = {"name": "stacked", "methods": {"cae": {"epochs": 1}, "kde": {}}} | ONE_DATASET
    path = tree / "config/stacked.yaml"
    path.write_text(yaml.safe_dump(CONFIG | own))
    options = {"stacks": "1", "config": "config/stacked.yaml"}
    plan = {"data": 1, "splits": 1, "runs": 1, "runs_digits": 1, **AFTER_RUNS}
    assert planned(tree, **options) == plan
    runs = ("all", "--cores", "2", "--until", "runs", "runs_digits")
    done = snakemake(tree, *runs, **options)
    assert done.returncode == 0, done.stderr
    assert planned(tree, **options) == AFTER_RUNS
    root = tree / "results/stacked"

    def run_files(method, inlier):
        folder = layout.run(root, RunKey("digits", method, 0, inlier, 0))
        return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

    before = run_files("cae", 0)
    path.write_text(path.read_text().replace("inliers:\n    - 0", "inliers: [0, 1]"))
    assert planned(tree, **options) == {"runs": 1, "runs_digits": 1, **AFTER_RUNS}
    assert snakemake(tree, *runs, **options).returncode == 0
    assert run_files("cae", 0) == before
    assert json.loads(run_files("cae", 1)["run.json"])["status"] == "complete"
    assert planned(tree, **options) == AFTER_RUNS
    networks = tree / "gradcon/networks.py"
    networks.write_text(networks.read_text() + "\nEDITED = True\n")
    assert planned(tree, **options) == {"runs_digits": 1, **AFTER_RUNS}
    assert snakemake(tree, "all", "--cores", "2", **options).returncode == 0
    digests = {json.loads(run_files("cae", k)["run.json"])["code_digest"] for k in (0, 1)}
    assert len(digests) == 1 and not digests & {json.loads(before["run.json"])["code_digest"]}
    assert (root / "report/index.html").exists()
    assert planned(tree, **options) == planned(tree, config="config/stacked.yaml") == {}


def test_a_stack_that_the_machine_stops_loses_no_finished_run(tree):
    (tree / "toy/stopped.py").write_text(
        "import os\n\nfrom toy.detector import Toy\n\n\nclass Stopped(Toy):\n"
        "    def fit(self, train, validation, *, seed, **rest):\n"
        "        if os.path.exists('busy'):\n"
        "            raise RuntimeError('CUDA out of memory')\n"
        "        return super().fit(train, validation, seed=seed, **rest)\n"
    )
    methods = {"stopped": {"detector": "toy.stopped:Stopped", "title": "Stopped"}}
    path = tree / "config/stopped.yaml"
    path.write_text(yaml.safe_dump(CONFIG | {"name": "stopped", "methods": methods} | ONE_DATASET))
    options = {"stacks": "1", "config": "config/stopped.yaml"}
    runs = ("all", "--cores", "2", "--until", "runs_digits")
    assert snakemake(tree, *runs, **options).returncode == 0
    record = layout.run(tree / "results/stopped", RunKey("digits", "stopped", 0, 0, 0)) / "run.json"
    before = record.read_bytes()
    path.write_text(path.read_text().replace("inliers:\n    - 0", "inliers: [0, 1]"))
    (tree / "busy").touch()
    done = snakemake(tree, "all", "--cores", "2", **options)
    assert done.returncode == 1
    log = "results/stopped/logs/runs/digits/stopped/fold-0/seed-0.log"
    advice = "free memory, or run fewer jobs at a time (--cores, on a GPU --resources gpu=1)"
    assert done.stderr.splitlines()[-1] == (
        f"{log}: RuntimeError: CUDA out of memory; {advice}; then run again"
    )
    assert record.read_bytes() == before


def test_a_configfile_replaces_the_default(tree):
    default = dict(CONFIG, name="default", methods={"toy": CONFIG["methods"]["toy"]})
    (tree / "config/paper.yaml").write_text(yaml.safe_dump(default))
    jobs = planned(tree, config=None)
    assert jobs == {"data": DATASETS, "splits": DATASETS, "runs": DATASETS, **AFTER_RUNS}
    # Merged with the default, the tiny configuration would have a key that is not allowed.
    default["methods"]["other"] = {"detector": "toy.detector:Toy", "title": "Other"}
    (tree / "config/paper.yaml").write_text(yaml.safe_dump({**default, "unknown": 1}))
    assert planned(tree) == {}


def test_a_mistake_in_a_configuration_ends_at_once(tree):
    edited(tree / "config/tiny.yaml", "epochs: 1", "epochz: 1")
    begin = processor_time()
    done = snakemake(tree, "all", "--cores", "2", path=tree)
    assert processor_time() - begin < 3
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Using ")]
    assert lines == ["config/tiny.yaml: methods.cae.epochz: unknown key; did you mean 'epochs'?"]


def test_reanalyse_takes_the_runs_that_exist(tree):
    root = tree / "results" / "tiny"
    shutil.rmtree(tree / ".snakemake")
    shutil.rmtree(root / "runs/digits/cae")
    for name in ("metrics", "verdicts", "tables", "figures", "report"):
        shutil.rmtree(root / name)
    poison = tree / "poison"
    poison.mkdir()
    (poison / "torch.py").write_text("raise RuntimeError('torch was imported')")
    done = snakemake(tree, "reanalyse", "--cores", "1", path=poison)
    assert done.returncode == 0, done.stderr
    assert "Rule: reanalyse" in done.stderr
    # It runs whenever it is asked for.
    assert planned(tree, "reanalyse") == {"reanalyse": 1}
    assert not (root / "runs/digits/cae").exists()
    runs = pd.read_parquet(root / "metrics" / "runs.parquet").set_index("method")
    runs = runs[runs["dataset"] == "digits"]
    assert dict(runs["status"]) == {"cae": "missing", "toy": "complete", "broken": "failed"}
    for name in ("tables/auroc-digits.md", "figures/histograms-digits.png", "report/index.html"):
        assert (root / name).exists()


def contents(root):
    """The files of metrics, verdicts and tables, and what is in them."""
    return {path: path.read_bytes() for path in root.glob("[tvm]*/*") if path.is_file()}


def test_metrics_of_other_settings_are_computed_again(tree):
    root, files = tree / "results/tiny", ("config/tiny.yaml", "other.yaml")
    (tree / "other.yaml").write_text("outlier_ratios: [0.25]")
    kept = contents(root)
    assert calls.python(tree, "benchmark", "reanalyse", "--configfile", *files).returncode == 0
    assert (root / "tables/auroc-digits.csv").read_bytes() not in kept.values()
    # As if Snakemake could not tell: whoever reads the metrics notices all the same.
    script = "from pathlib import Path; from benchmark import config, tables\n"
    script += "c = config.read(Path('config/tiny.yaml')); tables.write(c, c.root)"
    (tree / "reader.py").write_text(script)
    command = [calls.interpreter(), "reader.py"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert "provenance.json: these metrics were computed with other settings" in done.stderr
    assert planned(tree) == AFTER_RUNS
    assert snakemake(tree, "all", "--cores", "2").returncode == 0
    assert contents(root) == kept
    assert planned(tree) == {}


def test_numbers_that_snakemake_has_no_record_of_are_computed_again(tree):
    """As in a copy of the results: nothing tells of which settings they are."""
    root, config = tree / "results/tiny", tree / "config/tiny.yaml"
    shutil.rmtree(tree / ".snakemake/metadata")
    config.write_text(config.read_text() + "\nbeta: 0.5\n")
    shutil.rmtree(root / "verdicts")
    assert planned(tree) == AFTER_RUNS
    assert snakemake(tree, "all", "--cores", "2").returncode == 0
    assert "plus 0.5 times the gradient loss" in (root / "tables/auroc-digits.md").read_text()
    assert planned(tree) == {}


def test_without_images_there_is_a_line_before_any_job_and_scores_are_enough(tree):
    edited(tree / "config/tiny.yaml", "path: data/digits.npz", "path: gone.npz")
    done = snakemake(tree, "all", "--cores", "2")
    assert done.returncode == 1
    last = "config/tiny.yaml: datasets.digits.path: gone.npz: no such file"
    assert done.stderr.splitlines()[-1].startswith(last)
    assert "Traceback" not in done.stderr and "jobid" not in done.stderr
    assert snakemake(tree, "reanalyse", "--cores", "1").returncode == 0


def test_published_results_are_rebuilt_in_place_and_not_run_over(tree):
    done = calls.python(tree, "benchmark", "publish", "--configfile", "config/tiny.yaml")
    assert done.returncode == 0, done.stderr
    config, root = "results/reference/tiny/config.yaml", tree / "results/reference/tiny"
    kept = {path.name: path.read_bytes() for path in (root / "tables").iterdir()}
    shutil.rmtree(root / "tables")
    done = snakemake(tree, "reanalyse", "--cores", "1", config=config)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in (root / "tables").iterdir()} == kept
    refused = snakemake(tree, "all", "--dry-run", config=config)
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (
        1,
        f"{config}: its runs are committed; make them again elsewhere, with --config "
        "results=results",
    )


SLOW = """'''A toy whose training waits for the file `go`.'''

import time
from pathlib import Path

from toy.detector import Toy


class Slow(Toy):
    def fit(self, train, validation, **options):
        Path("training").touch()
        while not Path("go").exists():
            time.sleep(0.05)
        return super().fit(train, validation, **options)
"""


def wait_for(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it does not happen")


def test_one_command_goes_on_after_a_kill_and_waits_for_what_was_left(tree):
    (tree / "toy/slow.py").write_text(SLOW)
    methods = {"slow": {"detector": "toy.slow:Slow", "title": "Slow"}}
    own = {"name": "slow", "methods": methods} | ONE_DATASET
    (tree / "config/slow.yaml").write_text(yaml.safe_dump(CONFIG | own))
    call = [sys.executable, "-m", "workflow.run", "config/slow.yaml", "--cores", "1"]
    options = {"cwd": tree, "env": os.environ | {"GRADCON_DEVICE": "cpu"}, "text": True}
    devnull = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(call, **options, **devnull) as killed:
        wait_for((tree / "training").exists)
        killed.kill()
    locked = snakemake(tree, "all", "--cores", "1", config="config/slow.yaml")
    assert locked.returncode == 1 and "LockException" in locked.stderr
    with (
        (tree / "output").open("w") as output,
        subprocess.Popen(call, **options, stdout=output, stderr=output) as again,
    ):
        try:
            wait_for(lambda: "waiting until it ends" in (tree / "output").read_text())
            assert again.poll() is None
        finally:
            (tree / "go").touch()
        assert again.wait(timeout=300) == 0, (tree / "output").read_text()
    assert (tree / "results/slow/report/index.html").exists()


def test_a_job_says_last_why_it_failed_however_quiet(tree):
    toy = CONFIG | {"methods": {"toy": CONFIG["methods"]["toy"]}}
    (tree / "config/toy.yaml").write_text(yaml.safe_dump(toy, sort_keys=False))
    options = {"config": "config/toy.yaml"}
    edited(tree / "toy/detector.py", "# the mean over pixels", "raise MemoryError('of 40 GiB')")
    done = snakemake(tree, "all", "--cores", "2", "--quiet", "rules", **options)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.match(r"results/tiny/logs/runs/\w+/toy/fold-0/inlier-0/seed-0\.log", last)
    assert last.partition(": ")[2].startswith("MemoryError: of 40 GiB; free memory,")
    assert planned(tree, **options)["runs"] == DATASETS
    edited(tree / "toy/detector.py", "raise MemoryError('of 40 GiB')", "# the mean over pixels")
    done = snakemake(tree, "all", "--cores", "2", "--until", "runs", **options)
    assert done.returncode == 0
    assert planned(tree, **options) == AFTER_RUNS


def test_a_gpu_that_torch_cannot_use_ends_at_once(tree):
    poison = tree / "poisoned"
    poison.mkdir()
    (poison / "torch.py").write_text("raise RuntimeError('the NVIDIA driver is too old')")
    done = snakemake(tree, "all", "--cores", "2", device="cuda", path=poison)
    assert done.returncode == 1 and "jobid" not in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "cuda: torch cannot use this GPU (RuntimeError: the NVIDIA driver is too old); mend that, "
        "or set GRADCON_DEVICE=cpu"
    )


def test_a_configfile_that_is_not_there_is_one_line(finished):
    done = calls.python(finished, "workflow.run", "config/gone.yaml", "--cores", "1")
    line = "config/gone.yaml: No such file or directory; name a configuration file\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_only_what_is_new_is_trained(tree):
    """One more class, and a milestone that the training does not reach: the first run stays."""
    edited(tree / "config/tiny.yaml", "milestones:\n- 1", "milestones: [1, 7]")
    edited(tree / "config/tiny.yaml", "inliers:\n    - 0", "inliers: [0, 3]")
    old, new = (
        layout.run(Path("results/tiny"), RunKey("digits", "toy", 0, inlier, 0)) / "run.json"
        for inlier in (0, 3)
    )
    before = (tree / old).read_bytes()
    done = snakemake(tree, str(old), str(new), "--cores", "2")
    assert done.returncode == 0, done.stderr
    assert (tree / old).read_bytes() == before and (tree / new).is_file()
    log = tree / f"results/tiny/logs/runs/{RunKey('digits', 'toy', 0, 0, 0).path}.log"
    assert log.read_text().startswith("1 of 1 runs stay: ")


def test_lint_and_names():
    done = snakemake(ROOT, "--lint", config="config/demo.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    files = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    rules = "\n".join(path.read_text() for path in files)
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}
    named = set(re.findall(r"^rule (\w+):", rules, re.MULTILINE))
    assert scripts - {"runs"} == named - {"all"}
    assert set(re.findall(r"scripts/(\w+)\.py", rules)) == scripts
    assert not re.search(r"\blambda\b|^\s*run:", rules, re.MULTILINE)
