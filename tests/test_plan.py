"""Jobs of a configuration: the same files on every device, and what they depend on."""

from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.config import load
from benchmark.errors import InputError
from benchmark.jobs import Jobs
from benchmark.layout import RUN, place
from benchmark.runs import device


def plan(on="cpu", **over):
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
    assert plan().runs() == [
        f"results/small/runs/{dataset}/{method}/fold-{fold}/inlier-{inlier}/seed-{seed}"
        for dataset, folds, inliers in (("digits", [0, 4], [8]), ("mnist", [0], range(10)))
        for method, fold, inlier, seed in product(["cae", "cae_grad"], folds, inliers, [0, 3])
    ]


def test_stacks_make_the_files_of_single_runs():
    (single,) = plan().stacks
    assert single.files(f"runs/{RUN}/run.json") == [f"runs/{RUN}/run.json"]
    stacked = [
        file.format(method=method, fold=fold)
        for stack, folds in zip(plan("cuda").stacks, ([0, 4], [0]), strict=True)
        for file in stack.files(f"results/small/runs/{RUN}")
        for method, fold in product(["cae", "cae_grad"], folds)
    ]
    assert sorted(stacked) == sorted(plan().runs())
    assert [stack.rule for stack in plan("cuda").stacks] == ["train_digits", "train_mnist"]
    assert plan("cuda").stacks[1].files("data/{dataset}/dataset.json") == [
        "data/mnist/dataset.json"
    ]


def test_place_reads_what_runs_wrote():
    directories = [Path(run) for run in plan().runs()]
    assert [str(directory) for directory in directories] == [
        f"results/small/runs/{RUN.format(**place(directory)._asdict())}"
        for directory in directories
    ]


def test_a_run_depends_on_its_own_method_only():
    first, other = SimpleNamespace(method="cae"), SimpleNamespace(method="cae_grad")
    edited = plan(methods={"cae": {"epochs": 1}, "cae_grad": {"epochs": 3}})
    assert plan().method(first) == edited.method(first)
    assert plan().method(other) != edited.method(other)
    assert plan(beta=0.5).method(first) == plan().method(first)
    assert plan(beta=0.5).analysis() != plan().analysis()
    assert plan(milestones=[1]).method(first) != plan().method(first)


def test_a_data_set_depends_on_the_users_files(tmp_path):
    for name in ("train/a", "train/b", "test/a"):
        (tmp_path / "tree" / name).mkdir(parents=True)
    (tmp_path / "tree/train/a/1.png").touch()
    entry = {"source": "folder", "path": str(tmp_path / "tree"), "protocol": "official"}
    tree = plan(datasets={"tree": entry}).sources(SimpleNamespace(dataset="tree"))
    names = ["", "test", "test/a", "train", "train/a", "train/b"]
    assert tree == [str(tmp_path / "tree" / name) for name in names]
    assert plan().sources(SimpleNamespace(dataset="digits")) == []
    assert plan().sources(SimpleNamespace(dataset="mnist")) == []


@pytest.mark.parametrize("on", ["cpu", "cuda"])
def test_images_are_asked_for_with_the_jobs_that_need_them(on):
    gone = {"source": "npz", "path": "gone.npz", "protocol": "folds"}
    mapping = {"name": "n", "seeds": [0], "datasets": {"own": gone}, "methods": {"kde": {}}}
    lacking = Jobs(load(mapping, data=False), on, "my.yaml")
    assert len(lacking.stacks) == (on == "cpu")
    for ask in (lacking.in_runs("run.json"), lacking.sources):
        with pytest.raises(SystemExit, match=r"^my\.yaml: datasets\.own\.path: gone\.npz: .*$"):
            ask(SimpleNamespace(dataset="own"))
    files = plan(on).in_runs("run.json")(SimpleNamespace())
    assert files == [f"{run}/run.json" for run in plan(on).runs()]


def test_committed_runs_are_not_made_again():
    committed = plan(results="results/reference")
    with pytest.raises(SystemExit, match=r"--config results=results$"):
        committed.in_runs("run.json")(SimpleNamespace())
    assert committed.config.for_new_runs == plan().config


@pytest.mark.parametrize("kind", ["tables", "figures"])
def test_report_shows_each_item_once_with_a_caption(kind):
    captions = Path(__file__).parents[1] / "workflow" / "report"
    items = getattr(plan(outlier_ratios=[0.1, 0.5]), kind)()
    shown = [item for item in items if item.shown]
    assert len({Path(item.path).stem for item in items}) == len(shown)
    assert {item.dataset for item in items} <= {"digits", "MNIST", "All data sets"}
    for item in shown:
        assert (captions / f"{item.kind}.rst").read_text().strip()


def test_device(monkeypatch):
    for wanted in ("cpu", "cuda", "cuda:1"):
        monkeypatch.setenv(device.VARIABLE, wanted)
        assert device.choose() == wanted
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
