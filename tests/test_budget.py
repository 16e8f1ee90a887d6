"""Training within a given time, by real calls on a copy of the tree; what Snakemake then makes."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from benchmark import config as configuration
from benchmark import jobs, layout
from benchmark.layout import RunKey
from benchmark.scheduling import budget, units
from benchmark.utils import time_limit
from benchmark.utils.time_limit import OutOfTime
from tests import calls
from tests.test_workflow import AFTER_RUNS, edited, planned, snakemake
from tests.tree import copy_tree

CONFIG = {
    "name": "tiny",
    "seeds": [0],
    "milestones": [1],
    "beta_multiples": [0, 1],
    "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0, 1]}},
    "methods": {"cae": {"epochs": 2}, "cae_grad": {"epochs": 3}, "ocsvm": {}},
}
TRAINED = RunKey("digits", "cae", 0, 0, 0)


def train(tree, *options, minutes=5.0, cores=1, **keywords):
    options = ("--minutes", str(minutes), "--cores", str(cores), *options)
    return benchmark(tree, "train", *options, **keywords)


def benchmark(tree, command, *options, path=None, stacks="0", **keywords):
    """Call a command, with a path of modules in a process that has imported nothing before."""
    command = ["benchmark", command, "--configfile", "config/tiny.yaml", *options]
    environment = {"GRADCON_DEVICE": "cpu", "GRADCON_STACKS": stacks}
    if path is None and not keywords:
        return calls.python(tree, *command, environment=environment)
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tree,
        env=os.environ | environment | {"PYTHONPATH": str(path or "")},
        capture_output=True,
        text=True,
        **keywords,
    )


def made(root):
    """The content and time of every file of the runs."""
    files = [path for path in sorted((root / "runs").rglob("*")) if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def stop_after_an_epoch(tree, key, *others, config="config/tiny.yaml"):
    """Begin to train a run or a stack, and stop it after its first epoch; its checkpoint."""
    settings = configuration.read(tree / config)
    root = tree / settings.root
    units.prepare(settings, root, key.dataset)
    time_limit.end_at(lambda: 0.0)
    try:
        with pytest.raises(OutOfTime):
            jobs.make_runs(
                [layout.run(root, each) for each in (key, *others)],
                layout.data(root, key.dataset),
                layout.split(root, key.dataset, key.fold),
                jobs.run_parameters(settings, key.method),
                "cpu",
            )
    finally:
        time_limit.end_at()
    (checkpoint,) = layout.run(root, key).glob(layout.CHECKPOINTS)
    return checkpoint


def without_results(tree):
    copy_tree(tree)
    (tree / "config/tiny.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    return tree


@pytest.fixture
def tree(tmp_path):
    """A copy of the tree without results."""
    return without_results(tmp_path / "tree")


@pytest.fixture(scope="module")
def in_one_call(tmp_path_factory):
    """A copy of the tree where every run was trained by one call, without a stop."""
    tree = without_results(tmp_path_factory.mktemp("trained") / "tree")
    done = train(tree)
    assert done.returncode == 0, done.stderr
    return tree


@pytest.fixture
def trained(in_one_call, tmp_path):
    """A copy of the tree with the results of every run."""
    return shutil.copytree(in_one_call, tmp_path / "trained")


def test_snakemake_makes_only_what_is_missing(tree, tmp_path):
    """In three calls, without Snakemake and without a compiler; then edits make the runs again."""
    poison = tmp_path / "poison"
    poison.mkdir()
    # What a bare GPU machine does not have.
    for name in ("snakemake", "matplotlib", "seaborn", "jinja2"):
        (poison / f"{name}.py").write_text("raise RuntimeError('poison was imported')")
    root = tree / "results/tiny"
    for cores, path in ((1, poison), (2, None)):
        before = made(root)
        done = train(tree, minutes=0.05, cores=cores, path=path)
        assert "poison was imported" not in done.stderr
        after = made(root)
        finished = {p: f for p, f in before.items() if (p.parent / "run.json") in before}
        assert finished.items() <= after.items()
        missing = 6 - len([*root.rglob("run.json")])
        assert f", {missing} missing." in done.stdout
        if missing and cores != budget.CORES:
            assert f"--minutes 0.05 --cores {cores}\n" in done.stdout
        if list(root.rglob("fold-0.json")):
            assert planned(tree).get("runs", 0) == missing
    done = train(tree)
    assert done.returncode == 0, done.stderr
    assert planned(tree) == AFTER_RUNS
    shutil.rmtree(layout.run(root, TRAINED))
    kept = made(root)
    assert planned(tree) == {"runs": 1, **AFTER_RUNS}
    assert snakemake(tree, "all", "--until", "runs", "--cores", "2").returncode == 0
    assert kept.items() <= made(root).items()
    assert planned(tree) == AFTER_RUNS
    # Snakemake has a record of one run only, and notices what is due of the others too.
    edited(tree / "config/tiny.yaml", "epochs: 2", "epochs: 1")
    assert planned(tree) == {"runs": 2, **AFTER_RUNS}
    assert planned(tree, device="cuda") == {"runs_digits": 1, **AFTER_RUNS}
    edited(tree / "config/tiny.yaml", "epochs: 1", "epochs: 2")
    path = tree / "gradcon/networks.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert planned(tree) == {"runs": 4, **AFTER_RUNS}
    path.write_text(path.read_text().replace("\nEDITED = True\n", ""))
    assert planned(tree) == AFTER_RUNS
    edited(tree / "config/tiny.yaml", "seeds:", "split_seed: 1\nseeds:")
    assert planned(tree) == {"splits": 1, "runs": 6, **AFTER_RUNS}


def test_snakemake_has_the_same_order(tree):
    edited(tree / "config/tiny.yaml", "cae_grad:\n    epochs: 3\n  ", "")
    edited(
        tree / "config/tiny.yaml",
        "cae:\n    epochs: 2\n  ocsvm: {}",
        "ocsvm: {}\n  cae: {epochs: 1}",
    )
    done = snakemake(tree, "all", "--until", "runs", "--cores", "1")
    assert done.returncode == 0, done.stderr
    root = tree / "results/tiny/runs"
    files = sorted(root.rglob("run.json"), key=lambda path: path.stat().st_mtime_ns)
    order = [RunKey.of(path.parent) for path in files]
    assert [key[1::2] for key in order] == [
        (method, inlier) for method in ("cae", "ocsvm") for inlier in (0, 1)
    ]


def test_what_snakemake_recorded_before_does_not_make_a_run_again(tree):
    edited(tree / "config/tiny.yaml", "    - 1\n", "")
    edited(tree / "config/tiny.yaml", "  cae_grad:\n    epochs: 3\n  ocsvm: {}\n", "")
    run = f"results/tiny/runs/{TRAINED.path}"
    assert snakemake(tree, f"{run}/run.json", "--cores", "1").returncode == 0
    shutil.rmtree(tree / run)
    edited(tree / "config/tiny.yaml", "epochs: 2", "epochs: 1")
    # As if Snakemake had been killed while it trained the run.
    for record in (tree / ".snakemake/metadata").rglob("*"):
        if record.is_file() and "run.json" in record.read_text():
            shutil.copy(record, tree / ".snakemake/incomplete" / record.name)
    assert train(tree).returncode == 0
    assert planned(tree) == AFTER_RUNS


def test_a_training_goes_on_and_a_full_disk_takes_nothing(tree, in_one_call):
    checkpoint = stop_after_an_epoch(tree, TRAINED)
    kept = checkpoint.read_bytes()

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))

    failed = train(tree, preexec_fn=full)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    for line in failed.stderr.splitlines():
        assert "cannot be written" in line and "File too large" in line
    assert checkpoint.read_bytes() == kept
    assert not list(checkpoint.parent.glob("*.partial*"))
    assert train(tree).returncode == 0
    assert not checkpoint.exists()
    history = (checkpoint.parent / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in history] == ["epoch", "1", "2"]
    for key in ("cae", "cae_grad"):
        run = layout.run(Path("results/tiny"), TRAINED._replace(method=key))
        for name in ("scores.parquet", "weights/last.safetensors"):
            assert (tree / run / name).read_bytes() == (in_one_call / run / name).read_bytes()


ONE, TWO = (TRAINED._replace(inlier=inlier) for inlier in (1, 2))


@pytest.fixture
def begun(tree, monkeypatch):
    """A copy of the tree where a stack of two classes was stopped, and a third class added."""
    edited(tree / "config/tiny.yaml", "  cae_grad:\n    epochs: 3\n  ocsvm: {}\n", "")
    monkeypatch.setenv("GRADCON_STACKS", "1")
    stop_after_an_epoch(tree, TRAINED, ONE)
    edited(tree / "config/tiny.yaml", "    - 1\n", "    - 1\n    - 2\n")
    return tree


def began(tree):
    """The epochs after which trainings went on, by their logs, once all three runs are there."""
    root = tree / "results/tiny"
    for key in (TRAINED, ONE, TWO):
        history = (layout.run(root, key) / "history.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in history] == ["epoch", "1", "2"]
    assert not list(root.rglob("training-*"))
    logs = "".join(log.read_text() for log in sorted((root / "logs/runs").rglob("*.log")))
    return re.findall(r"(\d)/2 \[00:00<\?, \?epoch/s\]", logs)


def test_a_class_that_is_added_does_not_have_a_stack_begin_again(begun):
    done = train(begun, stacks="1")
    assert done.returncode == 0, done.stderr
    assert began(begun) == ["1", "0"]


def test_a_job_of_a_stack_goes_on_with_what_was_begun(begun):
    (checkpoint,) = (begun / "results/tiny/runs" / TRAINED.path).glob(layout.CHECKPOINTS)
    before = made(begun / "results/tiny")
    done = snakemake(begun, "all", "--cores", "1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"{checkpoint.relative_to(begun)}: has 2 runs that were begun together; go on with python "
        "-m benchmark train --minutes 60 --configfile config/tiny.yaml, or delete the file to "
        "start over"
    )
    assert made(begun / "results/tiny") == before
    done = snakemake(begun, "all", "--until", "runs_digits", "--cores", "1", stacks="1")
    assert done.returncode == 0, done.stderr
    assert began(begun) == ["1", "0"]


def problem(done):
    """The one line of a call that did not succeed."""
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


def test_one_line_for_what_cannot_be_trained(tree):
    root = tree / "results/tiny"
    too_short = problem(train(tree, minutes=0.00001))
    assert too_short.startswith("1e-05 minutes are too short for an epoch, or to prepare images")
    checkpoint = stop_after_an_epoch(tree, TRAINED)
    before = made(root)
    assert "too short for an epoch" in problem(train(tree, minutes=0.00001))
    assert made(root) == before
    edited(tree / "config/tiny.yaml", "epochs: 2", "epochs: 4")
    path = checkpoint.relative_to(tree)
    assert problem(train(tree)) == (
        f"{path}: begun with other settings, classes, images or code than there are here; restore "
        "those to go on, or delete the file to start over"
    )


def test_a_precision_that_a_cpu_does_not_have_is_refused_before_any_job(tree):
    edited(tree / "config/tiny.yaml", "epochs: 3", "epochs: 3\n    precision: tf32")
    line = "methods.cae_grad.precision: tf32, which only a GPU has; set it to float32, or leave"
    assert problem(train(tree)).startswith(line)
    done = snakemake(tree, "all", "--cores", "1")
    assert done.returncode == 1 and line in done.stderr
    assert not (tree / "results/tiny").exists()


def test_one_line_for_results_of_other_settings(trained):
    before = made(trained / "results/tiny")
    for old, new, line in (
        ("epochs: 2", "epochs: 4", f"runs/{TRAINED.path}/run.json: was made with config.epochs 2"),
        ("seeds:", "image_size: 12\nseeds:", "data/digits/dataset.json: was made with size"),
        ("seeds:", "split_seed: 1\nseeds:", "fold-0.json: was made with split_seed 0"),
        ("milestones:\n- 1", "milestones: [2]", "run.json: was made without the milestones [2]"),
    ):
        edited(trained / "config/tiny.yaml", old, new)
        said = problem(train(trained, minutes=0.1))
        assert line in said and said.endswith("or delete what differs")
        edited(trained / "config/tiny.yaml", new, old)
    assert made(trained / "results/tiny") == before


def test_a_training_and_snakemake_do_not_meet(tree):
    script = "import sys, time; from benchmark.utils.running import alone\n"
    script += "with alone():\n    print('here', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tree,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(tree)},
    ) as other:
        assert other.stdout.readline() == b"here\n"
        assert "wait until it ends" in problem(train(tree))
        done = snakemake(tree, "all", "--cores", "1")
        assert done.returncode == 1 and "a training runs here" in done.stderr.splitlines()[-1]
        assert planned(tree)["runs"] == 6
        other.stdin.close()


def test_an_interruption_leaves_checkpoints(tree):
    edited(tree / "config/tiny.yaml", "epochs: 2", "epochs: 1000000")
    command = [calls.interpreter(), "-m", "benchmark", "train", "--configfile", "config/tiny.yaml"]
    with subprocess.Popen(
        [*command, "--minutes", "60", "--cores", "1"],
        cwd=tree,
        env=os.environ | {"GRADCON_DEVICE": "cpu", "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        folder = tree / "results/tiny/runs" / TRAINED.path
        while not list(folder.glob(layout.CHECKPOINTS)):
            assert running.poll() is None
            time.sleep(0.05)
        running.terminate()
        output, errors = running.communicate()
    assert running.returncode == 0 and errors == ""
    assert "0 runs trained and scored, 1 stopped with a checkpoint, 6 missing" in output


def test_packs_carry_scores_to_another_machine(trained, tmp_path):
    there = tmp_path / "there"
    shutil.copytree(trained, there, ignore=shutil.ignore_patterns("results", ".snakemake"))
    shutil.copytree(trained / "results/published", there / "results/published")
    packed = benchmark(trained, "pack", "--to", str(tmp_path / "packs"))
    assert f"--packs {tmp_path}/packs/tiny-*.zip" in packed.stdout
    assert packed.returncode == 0, packed.stderr
    packs = sorted(map(str, (tmp_path / "packs").iterdir()))
    unpacked = benchmark(there, "unpack", "--packs", *packs)
    assert unpacked.returncode == 0, unpacked.stderr
    assert "6 runs added" in unpacked.stdout
    assert planned(there) == AFTER_RUNS
    again = benchmark(there, "unpack", "--packs", *packs)
    assert "0 runs added to results/tiny/runs, 6 there before" in again.stdout
    tables = benchmark(there, "reanalyse")
    assert tables.returncode == 0, tables.stderr
    record = json.loads((there / f"results/tiny/runs/{TRAINED.path}/run.json").read_text())
    assert record["status"] == "complete"
