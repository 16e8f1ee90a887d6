"""What jobs ask a cluster for: what their method is forecast to need, unless a profile says it."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.resources import Resources

from benchmark import config as configuration
from benchmark import layout
from benchmark.errors import InputError
from benchmark.scheduling import requests
from benchmark.scheduling.rates import Rate
from benchmark.scheduling.requests import Key
from tests.tree import ROOT
from workflow import resources
from workflow.jobs import Jobs, Stack

METHODS = {
    "cae": {"epochs": 1000},
    "brief": {"detector": "gradcon.detectors:CAE", "epochs": 10},
    "kde": {},
    "pixelcnn": {"epochs": 50},
    "unknown": {"detector": "tests.slurm.methods:LongGradCon", "epochs": 3},
}


def config_in(folder, **changes):
    settings = {
        "name": "asked",
        "results": str(folder),
        "seeds": [0],
        "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0, 1]}},
        "methods": METHODS,
    }
    return configuration.load({**settings, **changes}, "asked", data=False)


def with_split(config, train):
    """Write the sizes of a split whose second class has some images to train."""
    sizes = {"train": train, "validation": 1, "test_inliers": 10, "test_outliers": 10}
    file = layout.split(config.root, "digits", 0, "json")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"sizes": {"0": sizes | {"train": 1}, "1": sizes}}))


def asked(config, method):
    return requests.request(config, config.root, "digits", method)


def test_a_method_asks_for_what_it_needs(tmp_path):
    """Of 6,000 images: minutes for KDE, an hour for CAE, most of a day for PixelCNN."""
    config = config_in(tmp_path)
    hours = {method: asked(config, method).minutes / 60 for method in METHODS}
    assert hours["kde"] < 0.1 < hours["cae"] < 4 < 12 < hours["pixelcnn"]
    assert hours["brief"] < hours["cae"] / 20
    assert hours["unknown"] == pytest.approx(8, abs=0.1)
    assert all(300 <= asked(config, method).megabytes <= 8000 for method in METHODS)
    short = [m for m in METHODS if requests.is_short(config, config.root, "digits", m)]
    assert short == ["brief", "kde"]


def test_every_method_of_the_paper_has_a_forecast():
    """Of no method is the time unknown, and of none is it longer than two days."""
    config = configuration.read(ROOT / "config/paper.yaml", data=False)
    for method in config.methods:
        minutes, megabytes, threads = requests.request(config, config.root, "cifar10", method)
        assert requests.START < minutes < 2 * 24 * 60
        assert minutes != 2 * requests.UNKNOWN.fit / 60 + requests.START
        assert (500 <= megabytes <= 8000, threads) == (True, 1)


def test_images_and_rates_of_the_results_count(tmp_path):
    config = config_in(tmp_path)
    before = asked(config, "cae"), requests.is_short(config, config.root, "digits", "cae")
    with_split(config, 60)
    of_few = asked(config, "cae")
    assert of_few.minutes < before[0].minutes / 20
    # A group is not to change while its jobs are under way.
    assert requests.is_short(config, config.root, "digits", "cae") == before[1]
    key = Key("cae", "gradcon.detectors:CAE", 3, 28)
    requests.write(config.root / requests.FILE, {key: Rate(1, 0.1, 0.0, 10**10)})
    of_slow = asked(config, "cae")
    assert of_slow.minutes == 2 * 60 * 1000 * 0.1 / 60 + requests.START
    assert of_slow.megabytes == 15_000
    larger = asked(config_in(tmp_path, image_size=60), "cae")
    assert larger.minutes == pytest.approx((60 / 28) ** 2 * of_slow.minutes, rel=0.05)


@given(
    st.dictionaries(
        st.builds(
            Key, st.sampled_from("ab"), st.just("m:C"), st.integers(1, 4), st.integers(8, 64)
        ),
        st.builds(
            Rate,
            st.integers(0, 9),
            st.floats(1e-6, 1e6),
            st.floats(0, 1e6),
            st.none() | st.integers(0, 10**12),
            st.integers(1, 9),
            st.floats(0, 3),
        ),
        min_size=1,
    )
)
def test_rates_are_read_as_written(tmp_path_factory, rates):
    file = tmp_path_factory.mktemp("rates") / "rates.csv"
    requests.write(file, rates)
    read = requests.read(file)
    assert set(read) == set(rates)
    for key, rate in rates.items():
        assert read[key].memory == rate.memory
        assert read[key].fit == pytest.approx(rate.fit, rel=1e-3)
        assert read[key].score == pytest.approx(rate.score, rel=1e-3)
    one = next(iter(rates))
    requests.write(file, {one: Rate(1, 2.0, 3.0, 4)})
    assert requests.read(file) == {**read, one: Rate(1, 2.0, 3.0, 4)}


def test_damaged_rates_are_refused(tmp_path):
    file = tmp_path / "rates.csv"
    file.write_text("method,detector,channels,side\ncae,m:C,1,28\n")
    requests.read.cache_clear()
    with pytest.raises(InputError, match=r"rates\.csv: damaged"):
        requests.read(file)


def test_every_method_has_a_rate():
    known = {key.detector for key in requests.read(requests.HERE)}
    assert known == {method.path for method in configuration.methods.METHODS.values()}


def of_rule(config, given=(), stack=None, local=False):
    """The resources of a rule of runs, where a profile gives default resources."""
    default = Resources.parse([*given], allow_expressions=True, defaults="full")
    workflow = SimpleNamespace(
        resource_settings=SimpleNamespace(default_resources=default), local_exec=local
    )
    jobs = Jobs(config, "cpu", "asked", workflow)
    return jobs, resources.of_runs(jobs, stack or Stack([*METHODS]))


def test_time_and_memory_grow_with_each_attempt(tmp_path):
    config = config_in(tmp_path)
    _, rule = of_rule(config)
    wildcards = SimpleNamespace(dataset="digits", method="cae")
    for name, first in zip(("runtime", "mem_mb"), asked(config, "cae")[:2], strict=True):
        assert [rule[name](wildcards, attempt) for attempt in (1, 2, 3)] == [
            first,
            2 * first,
            3 * first,
        ]


def test_what_a_job_asks_for_follows_the_split_that_is_made_meanwhile(tmp_path):
    config = config_in(tmp_path)
    _, rule = of_rule(config)
    wildcards = SimpleNamespace(dataset="digits", method="cae")
    before = rule["runtime"](wildcards, 1)
    with_split(config, 60)
    assert rule["runtime"](wildcards, 1) == asked(config, "cae").minutes < before


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ((), {"mem_mb", "runtime", "gpu"}),
        (["runtime=60*attempt"], {"mem_mb", "gpu"}),
        (["mem_mb=4000", "slurm_partition=main"], {"runtime", "gpu"}),
        (["mem=4GB", "runtime=1h"], {"gpu"}),
    ],
)
def test_a_rule_leaves_what_default_resources_give(tmp_path, given, left):
    assert set(of_rule(config_in(tmp_path), given)[1]) == left


def test_short_runs_are_grouped_on_a_cluster_only(tmp_path):
    config, stack = config_in(tmp_path), Stack([*METHODS])
    groups = {}
    for local in (True, False):
        group = resources.group(of_rule(config, local=local)[0], stack)
        named = {m: group(SimpleNamespace(dataset="digits", method=m)) for m in METHODS}
        groups[local] = [method for method, name in named.items() if name == resources.GROUP]
    assert groups == {True: [], False: ["brief", "kde"]}


def test_a_stack_on_a_gpu_asks_for_threads_and_memory_of_its_own(tmp_path):
    config = config_in(tmp_path)
    values = {"dataset": ("digits",), "inlier": (0, 1)}
    stack = Stack(["cae"], "runs_digits", "place", values, 1)
    jobs, rule = of_rule(config, stack=stack)
    wildcards = SimpleNamespace(method="cae")
    assert rule["gpu"] == 1
    assert rule["mem_mb"](wildcards, 2) == 2 * resources.STACKED.megabytes
    assert rule["runtime"](wildcards, 1) == asked(config, "cae").minutes
    assert (resources.threads(stack), resources.threads(Stack(["cae"]))) == (4, 1)
    assert resources.group(jobs, stack)(wildcards) is None
