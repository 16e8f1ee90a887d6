"""The order of runs, what is trained together, time limits, packs and forecasts."""

import itertools
import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from benchmark import config as configuration
from benchmark import jobs, layout, published
from benchmark.config.methods import create
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.published import AVERAGE
from benchmark.scheduling import decides, forecast, order, state, units
from benchmark.scheduling.pack import FILES, OVERHEAD, pack
from benchmark.scheduling.rates import Rate, Size, recorded
from benchmark.scheduling.unpack import unpack
from benchmark.utils import time_limit
from benchmark.utils.time_limit import Checkpoints, OutOfTime
from tests.digits import of_class

FOLDS = {"fashion_mnist": [0, 1, 2, 3, 4]}


def make_config(**over):
    """The paper's configuration, without the data set that is not there."""
    mapping = configuration.merged(Path("config/paper.yaml"))
    mapping["datasets"].pop("cure_tsr")
    return configuration.load(mapping | over, data=False)


PAPER = make_config()


@given(st.randoms())
def test_the_order_does_not_depend_on_that_of_the_runs(random: random.Random) -> None:
    keys = [key for key in jobs.runs(PAPER) if key.inlier < 2 and key.seed < 2]
    once = order.ordered(PAPER, keys, {})
    assert sorted(once) == sorted(keys)
    random.shuffle(keys)
    assert order.ordered(PAPER, keys, {}) == once


def places(keys, **of):
    """The places of the runs with these values."""
    return [n for n, key in enumerate(keys) if of.items() <= key._asdict().items()]


def test_what_decides_most_comes_first():
    keys = order.ordered(PAPER, jobs.runs(PAPER), {})
    series = [name for name, _ in itertools.groupby(keys, key=lambda key: key[:3] + key[4:])]
    assert series[0] == ("cifar10", "cae_grad", 0, 0)
    first = {"fold": 0, "seed": 0}
    for dataset in PAPER.datasets:
        of = {"dataset": dataset}
        by_method = {method: places(keys, method=method, **first, **of) for method in PAPER.methods}
        own = ("cae_grad", "cae", "vae", "vae_grad")
        compared = [place for name, p in by_method.items() if name not in own for place in p]
        assert max(by_method["cae_grad"]) < min(by_method["cae"])
        assert max(by_method["cae"]) < min(by_method["vae"] + by_method["vae_grad"])
        assert max(by_method["vae"] + by_method["vae_grad"]) < min(compared)
        for method in PAPER.methods:
            seeds = [places(keys, method=method, fold=0, seed=s, **of) for s in PAPER.seeds]
            runs = [of_seed for of_seed in seeds if of_seed]  # one seed of a method without chance
            assert all(max(a) < min(b) for a, b in itertools.pairwise(runs))
    # A third run of a class decides no number before its verdict says so.
    late = places(keys, dataset="cifar10", method="cae_grad", seed=2)
    assert min(late) > max(places(keys, dataset="cifar10", method="ocgan", seed=1))


def test_further_seeds_come_where_verdicts_need_them(tmp_path):
    path = Path(layout.verdicts(PAPER, tmp_path)[0])
    path.parent.mkdir()
    rows = [
        ("cifar10", "cae_grad", AVERAGE, "AUROC", "lower", "", None, 2),
        ("cifar10", "cae_grad", 2, "AUROC", "inconclusive", "further seeds", 2, 1),
        ("cifar10", "cae_grad", 3, "AUROC", "reproduced", "", None, 2),
        ("cifar10", "cae", 4, "AUROC", "inconclusive", "one run per class", None, 1),
        ("fashion_mnist", "cae_grad", AVERAGE, "AUROC", "inconclusive", "further seeds", 1, 1),
        ("mnist", "cae_grad", 0, "AUROC", "not run", "", None, 0),
        ("", "gpnd", 0, "AUROC", "not run", "", None, 0),
        # What the authors stated earlier is no number of the paper.
        ("cifar10", "cae_grad", AVERAGE, published.GAIN, "inconclusive", "further seeds", 9, 2),
    ]
    names = ["dataset", "method", "inlier", "metric", "outcome", "reason", "further", "seed_count"]
    pd.DataFrame(rows, columns=names).to_parquet(path)
    needs = order.replicates_needed(PAPER, tmp_path)

    def needed(dataset, method, inlier):
        return order.needed(PAPER, RunKey(dataset, method, 0, inlier, 0), needs)

    assert [needed("cifar10", "cae_grad", inlier) for inlier in (2, 3, 7)] == [3, 2, 2]
    assert [needed("cifar10", "cae", inlier) for inlier in (4, 5)] == [2, 2]
    assert needed("fashion_mnist", "cae_grad", 0) == 2 * 5
    assert needed("mnist", "cae_grad", 0) == order.TELL_THE_SPREAD
    keys = order.ordered(PAPER, jobs.runs(PAPER), needs)
    third = {"dataset": "cifar10", "method": "cae_grad", "seed": 2}
    (bird,), (cat,) = (places(keys, inlier=inlier, **third) for inlier in (2, 3))
    compared = places(keys, method="ocgan", seed=0, fold=0)
    assert bird < min(compared) and max(compared) < cat


class Clock:
    """A clock that a test sets; each reading takes no time."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(time_limit.time, "monotonic", lambda: self.now)


@given(
    epochs=st.lists(st.floats(0.01, 50), min_size=1, max_size=30),
    cost=st.floats(0, 3),
    given_seconds=st.floats(0.1, 300),
)
def test_a_training_ends_in_time_with_its_last_epoch_written(epochs, cost, given_seconds):
    """As long as no epoch takes much longer than the one before it."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        end = clock.now + given_seconds
        patch.setattr(time_limit, "_end", lambda: end)
        written: list[int] = []

        def write():
            clock.now += cost
            written.append(done)

        checkpoints, done = Checkpoints(write, 30.0), 0
        previous = epochs[0]
        try:
            for number, seconds in enumerate(epochs, 1):
                took = min(seconds, time_limit.LONGER * previous)
                clock.now += took
                done, previous = number, took
                checkpoints.after_epoch(took, number == len(epochs))
        except OutOfTime:
            assert done < len(epochs)
        else:
            assert done == len(epochs)
        assert written and written[-1] == done
        # Only the first epoch, of which nothing was known, may have been too long.
        assert clock.now <= end or done <= 1 or len(written) == 1 or done == len(epochs)


def test_without_a_limit_a_training_is_not_ended(monkeypatch):
    clock = Clock(monkeypatch)
    written = []
    checkpoints = Checkpoints(lambda: written.append(clock.now), 30.0)
    for number in range(1, 11):
        clock.now += 11
        checkpoints.after_epoch(11, number == 10)
    assert written == [133, 166, 199, 210]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("gradcon.detectors:GradCon", {"epochs": 3, "batch_size": 16}),
        ("baselines.dae:DAE", {"epochs": 3, "batch_size": 16}),
        ("baselines.deep_svdd:DeepSVDD", {"epochs": 2, "pretrain_epochs": 1, "batch_size": 16}),
    ],
)
def test_a_training_in_pieces_is_the_whole_one(path, params, tmp_path):
    images = of_class(3, 40)

    def fit(**options):
        return create(path, params).fit(images[8:], images[:8], seed=1, **options)

    whole = fit()
    try:
        time_limit.end_at(lambda: 0.0)
        for _ in range(2):
            with pytest.raises(OutOfTime):
                fit(checkpoint=tmp_path / "checkpoint", milestones=[2])
        pieces = fit(checkpoint=tmp_path / "checkpoint", milestones=[2])
    finally:
        time_limit.end_at()
    for model in ("best", "last"):
        for name, scores in whole.score(images, model).items():
            assert np.array_equal(scores, pieces.score(images, model)[name])


CONFIG = {
    "name": "tiny",
    "seeds": [0, 1],
    "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0, 1]}},
    "methods": {"ocsvm": {}, "cae": {"epochs": 1}},
}


def tiny(results, **over):
    return configuration.load(CONFIG | {"results": str(results)} | over)


def make(config, *keys):
    for key in keys:
        units.prepare(config, config.root, key.dataset)
        jobs.make_runs(
            [layout.run(config.root, key)],
            layout.data(config.root, key.dataset),
            layout.split(config.root, key.dataset, key.fold),
            jobs.run_parameters(config, key.method),
            "cpu",
        )


SVM, CAE = RunKey("digits", "ocsvm", 0, 0, 0), RunKey("digits", "cae", 0, 0, 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results with two runs."""
    config = tiny(tmp_path_factory.mktemp("trained"))
    make(config, SVM, CAE)
    return config


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A function for the configuration on another machine, with empty results."""
    monkeypatch.chdir(tmp_path)
    return lambda **over: tiny(tmp_path / "there", **over)


def test_on_a_gpu_the_classes_of_a_seed_are_trained_together(trained, tmp_path):
    config = tiny(tmp_path)
    keys = jobs.runs(config)
    single = units.units(config, config.root, keys, "cpu")
    assert single == [(key,) for key in keys]
    # OCSVM does not train in stacks.
    stacks = units.units(config, config.root, keys, "cuda")
    cae = [tuple(RunKey("digits", "cae", 0, inlier, seed) for inlier in (0, 1)) for seed in (0, 1)]
    assert stacks == [(key,) for key in keys if key.method == "ocsvm"] + cae
    rest = [key for key in keys if key != CAE]
    assert CAE not in itertools.chain(*units.units(config, config.root, rest, "cuda"))


def test_a_training_goes_on_in_the_group_in_which_it_was_begun(trained, tmp_path):
    source = CONFIG["datasets"]["digits"] | {"inliers": [0, 1, 2, 3]}
    classes = {"datasets": {"digits": source}}
    config = tiny(tmp_path, **classes)
    units.prepare(config, config.root, "digits")
    keys = [key for key in jobs.runs(config) if key.method == "cae"]
    stack = tuple(key for key in keys if key.seed == 0)
    three = stack[:3]
    for group in ([CAE], stack, three, (three[0], three[2])):
        checkpoint = jobs.checkpoint(config, config.root, group)
        checkpoint.parent.mkdir(parents=True)
        checkpoint.touch()
        for device in ("cpu", "cuda"):
            groups = units.units(config, config.root, keys, device)
            assert tuple(group) in groups and sorted(itertools.chain(*groups)) == sorted(keys)
            others = tuple(key for key in stack if key not in group)
            left = [others] if others and device == "cuda" else [(key,) for key in others]
            assert [g for g in groups if {*g} & {*others}] == left
            units.require_usable_checkpoints(config, config.root, groups)
        other = tiny(tmp_path, milestones=[1], **classes)
        with pytest.raises(InputError, match=r"training-\w+\.safetensors: begun with other"):
            groups = units.units(other, other.root, keys, "cpu")
            units.require_usable_checkpoints(other, other.root, groups)
        shutil.rmtree(checkpoint.parent)


def test_the_pipeline_and_these_functions_agree_on_what_is_missing(trained):
    missing = state.missing(trained, trained.root)
    assert sorted([*missing, SVM, CAE]) == sorted(jobs.runs(trained))
    assert list(state.differences(trained, trained.root)) == []


def test_runs_that_share_images_are_compared_with_them_in_one_reading(trained, monkeypatch):
    read, read_text = [], Path.read_text

    def counted(file, *options, **more):
        read.append(file.name)
        return read_text(file, *options, **more)

    monkeypatch.setattr(Path, "read_text", counted)
    assert list(state.differences(trained, trained.root)) == []
    assert read.count("run.json") == 2
    # Once for the data set itself, once for all its runs.
    assert read.count("dataset.json") == 2


@pytest.mark.parametrize(
    ("over", "line"),
    [
        ({"image_size": 12}, r"dataset\.json: was made with size \[28, 28\]"),
        ({"split_seed": 3}, r"fold-0\.json: was made with split_seed 0, the configuration has 3"),
        ({"outlier_ratios": [0.2]}, r"fold-0\.json: was made with test_outliers"),
        ({"milestones": [1]}, r"run\.json: was made without the milestones \[1\]"),
        ({"methods": {"cae": {"epochs": 2}}}, r"run\.json: was made with config\.epochs 1"),
        (
            {"methods": {"cae": {"epochs": 1, "precision": "bfloat16"}}},
            r"run\.json: was made with config\.precision float32, the configuration has bfloat16",
        ),
    ],
)
def test_a_folder_of_another_configuration_is_refused(trained, over, line):
    other = tiny(trained.results, **over)
    with pytest.raises(InputError, match=line + r".*; name another folder of results, or delete"):
        state.require_same_settings(other, other.root)


def test_images_that_were_changed_since_are_not_trained_on(tmp_path):
    file = tmp_path / "digits.npz"
    pixels, labels = load_digits(return_X_y=True)
    images = (15 * pixels).astype(np.uint8).reshape(-1, 8, 8)
    np.savez(file, x=images, y=labels)
    source = {"source": "npz", "path": str(file), "protocol": "folds", "inliers": [0]}
    config = tiny(tmp_path / "results", datasets={"digits": source})
    make(config, SVM)
    # A copy is newer, and has the same images.
    os.utime(file, (1, 1))
    state.require_same_settings(config, config.root)
    images[0] = 0
    np.savez(file, x=images, y=labels)
    changed = rf"dataset\.json: was made from other images than {file} has; name another"
    with pytest.raises(InputError, match=changed):
        state.require_same_settings(config, config.root)
    # Whoever removes the images only has runs of the old ones.
    shutil.rmtree(layout.data(config.root, "digits"))
    units.prepare(config, config.root, "digits")
    with pytest.raises(InputError, match=r"run\.json: was made from other images than those that"):
        state.require_same_settings(config, config.root)


def test_a_run_in_the_place_of_another_is_refused(trained, tmp_path):
    config = tiny(tmp_path)
    shutil.copytree(trained.root, config.root)
    other = SVM._replace(inlier=1)
    shutil.copytree(layout.run(config.root, SVM), layout.run(config.root, other))
    with pytest.raises(InputError, match=r"run\.json: is of another run, .*inlier 0"):
        state.require_same_settings(config, config.root)
    assert list(state.run_differs(config, config.root, other, code=True))


def test_packs_are_small_and_whole(trained, elsewhere, tmp_path):
    sizes = [
        sum(
            path.stat().st_size
            for path in layout.run(trained.root, key).iterdir()
            if path.is_file()
        )
        for key in (SVM, CAE)
    ]
    limit = max(sizes) + OVERHEAD * len(FILES)
    packs = pack(trained, trained.root, tmp_path / "packs", limit)
    assert len(packs) == 2
    assert all(path.stat().st_size <= limit for path in packs)
    with pytest.raises(InputError, match="is there already; name another folder"):
        pack(trained, trained.root, tmp_path / "packs", limit)
    with pytest.raises(InputError, match="a pack takes 1000; copy it instead"):
        pack(trained, trained.root, tmp_path / "small", 1000)
    config = elsewhere()
    assert unpack(config, config.root, packs) == (2, 0)
    assert sorted(state.missing(config, config.root)) == sorted(
        state.missing(trained, trained.root)
    )
    for key in (SVM, CAE):
        here, there = (layout.run(root, key) for root in (config.root, trained.root))
        for path in here.iterdir():
            assert path.read_bytes() == (there / path.name).read_bytes()
    # A run that is there is kept.
    before = (layout.run(config.root, SVM) / "run.json").stat().st_mtime_ns
    assert unpack(config, config.root, packs) == (0, 2)
    assert (layout.run(config.root, SVM) / "run.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("over", "line"),
    [
        ({"split_seed": 3}, "scored on another split than"),
        (
            {"methods": {"ocsvm": {}, "cae": {"epochs": 1, "precision": "bfloat16"}}},
            "was made with config.precision float32, the configuration has bfloat16",
        ),
        ({"methods": {"ocsvm": {}}}, "the configuration has no such run"),
        ({"seeds": [1]}, "the configuration has no such run"),
    ],
)
def test_packs_of_other_results_are_refused(trained, elsewhere, tmp_path, over, line):
    packs = pack(trained, trained.root, tmp_path / "packs")
    config = elsewhere(**over)
    with pytest.raises(InputError, match=line) as caught:
        unpack(config, config.root, packs)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(packs[0]))
    assert not list(config.root.rglob("run.json"))


def test_damaged_packs_are_refused(trained, elsewhere, tmp_path):
    (path,) = pack(trained, trained.root, tmp_path / "packs")
    config, content = elsewhere(), path.read_bytes()
    members = {}
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    other = {name: b"{}" if name.endswith("epochs.parquet") else c for name, c in members.items()}
    first = next(name for name in members if name.endswith("run.json"))
    odd = {**json.loads(members[first]), "code_digest": "", "environment": "unknown"}
    outside = {f"../{name}": data for name, data in members.items()}
    lacking = {name: data for name, data in members.items() if not name.endswith("history.csv")}

    def zipped(parts):
        with zipfile.ZipFile(path, "w") as file:
            for name, data in parts.items():
                file.writestr(name, data)

    def marked(offset, mark):
        """A number in the entry of the first file, there and in the directory at the end."""
        changed = bytearray(content)
        for start, at in ((content.index(b"PK\1\2"), offset + 2), (0, offset)):
            changed[start + at] = mark
        path.write_bytes(changed)

    def scrambled():
        """Not a checksum that fails: no compressed data at all."""
        start = len(first) + 30
        path.write_bytes(content[:start] + bytes([255] * 40) + content[start + 40 :])

    for damage in (
        lambda: path.write_bytes(content[: len(content) // 2]),
        lambda: path.write_bytes(b""),
        path.unlink,
        lambda: zipped(other),
        lambda: zipped(outside),
        lambda: zipped(lacking),
        lambda: zipped({}),
        lambda: zipped({"readme": b"", **members}),
        lambda: zipped({**members, first: b"[]"}),
        lambda: zipped({**members, first: json.dumps(odd).encode()}),
        lambda: zipped({**members, first: json.dumps({**odd, "status": "begun"}).encode()}),
        lambda: marked(6, 1),  # encrypted
        lambda: marked(8, 99),  # compressed in a way that Python does not know
        scrambled,
    ):
        damage()
        with pytest.raises(InputError) as caught:
            unpack(config, config.root, [path])
        assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))
        assert not list(tmp_path.rglob("there/**/run.json"))


@pytest.mark.parametrize("name", state.FILES[1:])
def test_a_run_without_one_of_its_files_is_missing_and_not_packed(
    trained, elsewhere, tmp_path, name
):
    packs = pack(trained, trained.root, tmp_path / "packs")
    config = elsewhere()
    unpack(config, config.root, packs)
    assert CAE not in state.missing(config, config.root)
    file = layout.run(config.root, CAE) / name
    content = file.read_bytes()
    file.unlink()
    assert CAE in state.missing(config, config.root)
    with pytest.raises(InputError, match=rf"{name}.*: run it again$"):
        pack(config, config.root, tmp_path / "more")
    assert unpack(config, config.root, packs) == (1, 1)
    assert file.read_bytes() == content


@given(st.integers(1, 50), st.integers(1, 1000), st.integers(1, 1000))
def test_a_forecast_grows_with_what_is_done(epochs, train, test):
    rate, size = Rate(epochs, 0.01, 0.001, None), Size(train, 1, test)
    time = rate.seconds(size, [])
    assert time == pytest.approx(0.01 * epochs * train + 0.002 * test)
    assert rate.seconds(size, [epochs, epochs + 1]) == pytest.approx(time + 0.001 * test)


def test_a_forecast_is_of_the_missing_runs(trained, capsys):
    series = forecast.forecast(trained, trained.root)
    assert [(each.method, each.missing) for each in series] == [("ocsvm", 1), ("cae", 3)]
    assert all(each.seconds > 0 and each.memory for each in series)
    # The runs that are there have been recorded.
    assert all(each.recorded and each.recorded.seconds > 0 for each in series)
    text = "\n".join(forecast.lines(trained, trained.root, series, 2))
    assert "In all: 4 runs" in text
    assert list(forecast.lines(trained, trained.root, [], 2)) == ["No run is missing."]


def test_a_forecast_needs_nothing_prepared(tmp_path):
    config = tiny(tmp_path)
    series = forecast.forecast(config, config.root)
    assert sum(each.missing for each in series) == len(jobs.runs(config))
    assert not config.root.exists()


def test_a_forecast_names_what_has_no_data(tmp_path):
    absent = {"source": "npz", "path": str(tmp_path / "a.npz"), "protocol": "folds"}
    config = tiny(tmp_path, datasets={"mine": absent | {"optional": True}})
    left_out = f"Left out: mine, as {tmp_path}/a.npz is not there."
    assert list(forecast.lines(config, config.root, [], 1)) == [left_out, "No run is missing."]


def test_a_forecast_refuses_what_a_cpu_cannot_do(tmp_path):
    config = tiny(tmp_path, methods={"cae": {"precision": "tf32"}})
    with pytest.raises(InputError, match=r"^methods\.cae\.precision: tf32, which only a GPU has"):
        forecast.forecast(config, config.root)


def test_runs_of_a_gpu_tell_nothing_of_a_cpu(trained):
    (key, *_) = jobs.runs(trained)
    file = layout.run(trained.root, key) / "run.json"
    kept = file.read_text()
    rate = Rate(1, 1.0, 1.0, None)
    before = recorded(trained, key, rate)
    record = json.loads(kept)
    record["environment"]["device"] = "NVIDIA H100 80GB HBM3"
    file.write_text(json.dumps(record))
    try:
        assert before and recorded(trained, key, rate) != before
    finally:
        file.write_text(kept)


def test_what_is_done_when(trained, tmp_path):
    config = tiny(tmp_path)
    seconds = {("digits", "ocsvm"): 1.0, ("digits", "cae"): 10.0}
    limits = (9, 10, 11, 21, 22)
    done = [forecast.done_after(config, config.root, seconds, 2, limit) for limit in limits]
    assert [len(keys) for keys in done] == [0, 2, 4, 6, 6]
    assert {key.seed for key in done[2]} == {0}


def test_numbers_and_claims_that_runs_could_decide():
    keys = jobs.runs(PAPER)
    assert decides.numbers(PAPER, [], {}) == set()
    assert decides.claim_ids(PAPER, [], {}) == []
    everything = decides.numbers(PAPER, keys, {})
    assert {row.data_source for row in everything} == {"mnist", "fashion_mnist", "cifar10"}
    assert everything == {row for row in published.load() if row.data_source in PAPER.datasets}
    both = [k for k in keys if k[:2] == ("cifar10", "cae_grad") and k.seed < 2]
    of_gradcon = decides.numbers(PAPER, both, {})
    assert {row.run_method for row in of_gradcon} == {"cae_grad"}
    assert decides.claim_ids(PAPER, both, {}) == ["cifar10-best", "any-beta"]
    one_class = decides.numbers(PAPER, [key for key in both if key.inlier == 3], {})
    assert {row.inlier for row in one_class} == {3}
    assert decides.numbers(PAPER, [key for key in both if key.seed == 0], {}) == set()
    short = make_config(methods={"cae_grad": {"epochs": 999}})
    assert decides.numbers(short, both, {}) == set()
