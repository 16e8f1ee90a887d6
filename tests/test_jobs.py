"""Jobs of a configuration: the same files on every device, and what they depend on."""

import json
import os
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import benchmark.jobs
from benchmark import data, layout
from benchmark.config import load
from benchmark.errors import InputError
from benchmark.layout import RUN, RunKey
from benchmark.runs import device
from benchmark.scheduling import order
from benchmark.scheduling.units import prepare, units
from benchmark.utils import stacking
from workflow.jobs import Jobs


def jobs(on="cpu", **over):
    mapping = {
        "name": "small",
        "seeds": [0, 3],
        "datasets": {
            "digits": {"source": "digits", "protocol": "folds", "folds": [0, 4], "inliers": ["8"]},
            "mnist": {"source": "mnist", "path": "data", "protocol": "official", "title": "MNIST"},
        },
        "methods": {"cae": {"epochs": 1}, "cae_grad": {"epochs": 2}},
    }
    return Jobs(load(mapping | over), on)


def test_runs_are_all_combinations():
    assert jobs().runs() == [
        f"results/small/runs/{dataset}/{method}/fold-{fold}/inlier-{inlier}/seed-{seed}"
        for dataset, folds, inliers in (("digits", [0, 4], [8]), ("mnist", [0], range(10)))
        for method, fold, inlier, seed in product(["cae", "cae_grad"], folds, inliers, [0, 3])
    ]


def test_a_method_without_chance_runs_with_one_seed():
    each = jobs(methods={"kde": {}, "cae": {"epochs": 1}})
    runs = [RunKey.of(Path(run)) for run in each.runs()]
    assert {run.seed for run in runs if run.method == "kde"} == {0}
    assert {run.seed for run in runs if run.method == "cae"} == {0, 3}
    assert each.config.seeds_of("kde", "cae") == (0, 3)


def test_runs_of_a_gpu_are_read_without_one(tmp_path):
    """What was trained in a precision of a GPU needs none any more."""
    made = {"methods": {"cae": {"precision": "tf32"}, "dcae": {}}, "results": str(tmp_path)}
    made["datasets"] = {"digits": {"source": "digits", "protocol": "folds", "inliers": [8]}}
    made["seeds"] = [0]
    config = jobs(**made).config
    root = config.root
    with pytest.raises(InputError, match=r"^methods\.cae\.precision: tf32, which only a GPU has"):
        benchmark.jobs.check_precision(config, root, "cpu")
    benchmark.jobs.check_precision(config, root, "cuda")
    (key,) = (key for key in benchmark.jobs.runs(config) if key.method == "cae")
    file = layout.run(root, key) / "run.json"
    file.parent.mkdir(parents=True)
    for made, refused in (("float32", True), ("tf32", False)):
        file.write_text(json.dumps({"config": {"precision": "tf32"}, "precision": made}))
        with pytest.raises(InputError) if refused else nullcontext():
            benchmark.jobs.check_precision(config, root, "cpu")


def test_stacks_make_the_files_of_single_runs():
    (single,) = jobs().stacks
    assert single.files(f"runs/{RUN}/run.json") == [f"runs/{RUN}/run.json"]
    stacked = [
        tuple(file.format(method=method, fold=fold, seed=seed) for file in stack.files(RUN))
        for stack, folds in zip(jobs("cuda").stacks, ([0, 4], [0]), strict=True)
        for method, fold, seed in product(["cae", "cae_grad"], folds, [0, 3])
    ]
    root = Path("results/small")
    keys = [RunKey.of(Path(run)) for run in jobs().runs()]
    assert sorted(run for stack in stacked for run in stack) == sorted(key.path for key in keys)
    of_train = [tuple(key.path for key in g) for g in units(jobs().config, root, keys, "cuda")]
    assert sorted(stacked) == sorted(of_train)
    assert [stack.rule for stack in jobs("cuda").stacks] == ["runs_digits", "runs_mnist"]
    assert jobs("cuda").stacks[1].files("data/{dataset}/dataset.json") == [
        "data/mnist/dataset.json"
    ]


def test_methods_without_a_network_take_no_gpu():
    single, digits, mnist = jobs("cuda", methods={"cae": {}, "kde": {}, "dae": {}}).stacks
    assert (single.methods, single.gpus, single.values) == (["kde"], 0, {})
    assert [(s.methods, s.gpus) for s in (digits, mnist)] == [(["cae", "dae"], 1)] * 2
    assert [stack.rule for stack in jobs("cuda", methods={"kde": {}}).stacks] == ["runs"]


def test_stacks_can_be_forced_on_a_cpu(monkeypatch):
    on_gpu = jobs("cuda").stacks
    monkeypatch.setenv(stacking.VARIABLE, "1")
    assert jobs().stacks == [stack._replace(gpus=0) for stack in on_gpu]
    monkeypatch.setenv(stacking.VARIABLE, "yes")
    with pytest.raises(InputError, match=r"^GRADCON_STACKS=yes: set it to 1"):
        jobs().stacks  # noqa: B018


def test_a_folder_gives_back_its_run():
    directories = [Path(run) for run in jobs().runs()]
    root = Path("results/small")
    assert [layout.run(root, RunKey.of(folder)) for folder in directories] == directories


def test_a_run_depends_on_its_own_method_only():
    first, other = SimpleNamespace(method="cae"), SimpleNamespace(method="cae_grad")
    edited = jobs(methods={"cae": {"epochs": 1}, "cae_grad": {"epochs": 3}})
    assert jobs().method(first) == edited.method(first)
    assert jobs().method(other) != edited.method(other)
    assert jobs(beta=0.5).method(first) == jobs().method(first)
    assert jobs(beta=0.5).analysis() != jobs().analysis()
    assert jobs(milestones=[1]).method(first) != jobs().method(first)


def test_a_method_may_have_milestones_of_its_own():
    methods = {"cae": {"epochs": 1, "milestones": []}, "cae_grad": {"epochs": 2}}
    own = jobs(methods=methods, milestones=[1, 2])
    assert own.method(SimpleNamespace(method="cae"))["milestones"] == ()
    params = [each.method(SimpleNamespace(method="cae"))["params"] for each in (own, jobs())]
    assert params[0] == params[1]
    assert own.method(SimpleNamespace(method="cae_grad"))["milestones"] == (1, 2)


def test_a_data_set_depends_on_the_files_that_are_read(tmp_path):
    file = tmp_path / "cells.npz"
    np.savez(file, x=np.zeros((20, 8, 8), np.uint8), y=np.repeat([0, 1], 10))
    entry = {"source": "npz", "path": str(file), "protocol": "folds"}
    of_own = SimpleNamespace(dataset="own")
    before = jobs(datasets={"own": entry}).source_files(of_own)
    np.savez(file, x=np.ones((20, 8, 8), np.uint8), y=np.repeat([0, 1], 10))
    os.utime(file, (0, 0))
    assert jobs(datasets={"own": entry}).source_files(of_own) != before


def test_planning_goes_through_the_files_of_a_data_set_once(tmp_path, monkeypatch):
    file = tmp_path / "cells.npz"
    np.savez(file, x=np.zeros((40, 8, 8), np.uint8), y=np.repeat([0, 1], 20))
    entry = {"source": "npz", "path": str(file), "protocol": "folds", "folds": [0]}
    config = jobs(datasets={"own": entry}, results=str(tmp_path)).config
    prepare(config, config.root, "own")
    asked, fingerprint = [], data.fingerprint

    def counted(source, *rest):
        asked.append(source)
        return fingerprint(source, *rest)

    monkeypatch.setattr(data, "fingerprint", counted)
    taken = []
    records = SimpleNamespace(metadata=lambda file: None, cleanup_metadata=taken.append)
    workflow = SimpleNamespace(
        is_main_process=True,
        local_exec=False,
        persistence=records,
        dag=SimpleNamespace(forcefiles=set()),
    )
    found = Jobs(config, "cpu", workflow=workflow).source_files(SimpleNamespace(dataset="own"))
    assert asked == ["npz"] and taken and not workflow.dag.forcefiles
    assert found == jobs(datasets={"own": entry}).source_files(SimpleNamespace(dataset="own"))


@pytest.mark.parametrize("on", ["cpu", "cuda"])
def test_the_priority_is_the_order_of_the_runs(on):
    mine = jobs(on)
    places = {}
    for stack in mine.stacks:
        for key in benchmark.jobs.runs(mine.config):
            if any(
                key.dataset == dataset for dataset in stack.values.get("dataset", [key.dataset])
            ):
                wildcards = {name: str(value) for name, value in key._asdict().items()}
                places[key] = mine.priority(stack)(wildcards)
    ordered = order.ordered(mine.config, places, {})
    priorities = [places[key] for key in ordered]
    if on == "cpu":
        assert priorities == [*range(0, -len(ordered), -1)]
    else:
        # A job has the priority of the first of its runs.
        first = {}
        for place, key in enumerate(ordered):
            first.setdefault((*key[:3], key.seed), place)
        assert priorities == [-first[*key[:3], key.seed] for key in ordered]


@pytest.mark.parametrize("on", ["cpu", "cuda"])
def test_images_are_asked_for_with_the_jobs_that_need_them(on):
    gone = {"source": "npz", "path": "gone.npz", "protocol": "folds"}
    mapping = {"name": "n", "seeds": [0], "datasets": {"own": gone}, "methods": {"cae": {}}}
    without_data = Jobs(load(mapping, data=False), on, "my.yaml")
    assert len(without_data.stacks) == (on == "cpu")
    for ask in (without_data.in_runs("run.json"), without_data.source_files):
        with pytest.raises(SystemExit, match=r"^my\.yaml: datasets\.own\.path: gone\.npz: .*$"):
            ask(SimpleNamespace(dataset="own"))
    files = jobs(on).in_runs("run.json")(SimpleNamespace())
    assert files == [f"{run}/run.json" for run in jobs(on).runs()]


@pytest.mark.parametrize(
    "folder",
    [
        "results/reference",
        "results/reference/",
        "results/../results/reference",
        "results/reference/paper",
        str(Path("results/reference").absolute()),
    ],
)
def test_committed_runs_are_not_made_again(folder):
    committed = jobs(results=folder)
    with pytest.raises(SystemExit, match=r"--config results=results$"):
        committed.in_runs("run.json")(SimpleNamespace())
    assert committed.config.for_new_runs == jobs().config


@pytest.mark.parametrize("kind", ["tables", "figures"])
def test_report_shows_each_item_once_with_a_caption(kind):
    captions = Path(__file__).parents[1] / "workflow" / "report"
    items = getattr(jobs(outlier_ratios=[0.1, 0.5]), kind)()
    shown = [item for item in items if item.shown]
    assert len({Path(item.path).stem for item in items}) == len(shown)
    assert {item.dataset for item in items} <= {"digits", "MNIST", "All data sets"}
    for item in shown:
        assert (captions / f"{item.kind}.rst").read_text().strip()


def test_device(monkeypatch):
    for name in ("cpu", "cuda", "cuda:1"):
        monkeypatch.setenv(device.VARIABLE, name)
        assert device.choose() == name
    monkeypatch.setenv(device.VARIABLE, "gpu")
    with pytest.raises(InputError, match="GRADCON_DEVICE=gpu"):
        device.choose()
    monkeypatch.delenv(device.VARIABLE)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device.choose() == "cpu"


def test_device_agrees_with_torch(monkeypatch):
    import torch

    monkeypatch.delenv(device.VARIABLE, raising=False)
    assert device.choose() == ("cuda" if torch.cuda.is_available() else "cpu")
