import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import published
from benchmark.config.methods import METHODS
from benchmark.errors import InputError
from benchmark.published import AVERAGE, COLUMNS, Published, find, load
from tests.synthetic import CLASSES, make_config

FACTS = Path(__file__).parents[1] / "../shared/facts/published.csv"


@pytest.fixture(scope="module")
def rows() -> tuple[Published, ...]:
    return load()


@pytest.mark.skipif(not FACTS.is_file(), reason="the collected facts are not here")
def test_every_collected_number_is_kept() -> None:
    with FACTS.open(newline="") as lines:
        collected = list(csv.DictReader(lines))
    kept = []
    for path in published.DIRECTORY.glob("*.csv"):
        with path.open(newline="") as lines:
            kept += [{name: row[name] for name in collected[0]} for row in csv.DictReader(lines)]
    count = [Counter(tuple(sorted(row.items())) for row in part) for part in (collected, kept)]
    assert count[0] == count[1]


def test_every_row_can_be_found_from_a_run(rows: tuple[Published, ...]) -> None:
    for row in rows:
        assert row.run_method in METHODS
        assert row.data_source in CLASSES
        again = find(
            rows, row.data_source, row.run_method, row.run_component, row.metric, row.outlier_ratio
        )[row.inlier]
        assert (again.value, again.run_method) == (row.value, row.run_method)


def test_class_indices_are_those_of_the_data_sets(rows: tuple[Published, ...]) -> None:
    for row in rows:
        if row.inlier != AVERAGE:
            assert CLASSES[row.data_source][row.inlier] == row.inlier_class


def test_averages_agree_with_their_classes(rows: tuple[Published, ...]) -> None:
    tables: dict[tuple[str, ...], list[Published]] = {}
    for row in rows:
        if row.metric == "AUROC" and row.outlier_ratio is None:
            tables.setdefault((row.place, row.method, row.loss), []).append(row)
    whole = [part for part in tables.values() if len(part) == 11]
    assert len(whole) == 28
    for part in whole:
        (average,) = (row.value for row in part if row.inlier == AVERAGE)
        classes = [row.value for row in part if row.inlier != AVERAGE]
        assert sum(classes) / 10 == pytest.approx(average, abs=0.0016)


def test_what_others_report_can_be_found_and_agrees_with_its_average() -> None:
    reported = load(published.REPORTED)
    runs = published.by_run(reported, "cifar10", "cae_grad", "score", "AUROC")
    assert list(runs) == [("issue 2 of the official code", f"run {k}") for k in (1, 2)]
    elsewhere = [replace(row, place="elsewhere", value=0.5) for row in reported]
    both = published.by_run([*reported, *elsewhere], "cifar10", "cae_grad", "score", "AUROC")
    assert len(both) == 4 and both | runs == both
    for run in runs.values():
        classes = {inlier: row for inlier, row in run.items() if inlier != AVERAGE}
        assert {k: row.inlier_class for k, row in classes.items()} == dict(
            enumerate(CLASSES["cifar10"])
        )
        assert sum(row.value for row in classes.values()) / 10 == pytest.approx(
            run[AVERAGE].value, abs=1e-4
        )
        assert all("https://" in row.source for row in run.values())
    assert published.by_run(reported, "mnist", "cae_grad", "score", "AUROC") == {}


def test_the_runs_of_compared_methods_that_others_report() -> None:
    found = {
        (row.run_method, row.data_source, row.inlier, row.settings != ""): row.value
        for row in load(published.REPORTED)
        if row.run_method != "cae_grad"
    }
    assert {key: value for key, value in found.items() if not key[3]} == {
        ("ocgan", "mnist", AVERAGE, False): 0.925,
        ("ocgan", "cifar10", AVERAGE, False): 0.578,
        ("ocgan", "fashion_mnist", AVERAGE, False): 0.867,
        ("lsa", "mnist", AVERAGE, False): 0.916,
        ("deep_svdd", "cifar10", 7, False): 0.606,
    }
    others = {key[:3]: value for key, value in found.items() if key[3]}
    assert others.pop(("lsa", "mnist", AVERAGE)) == 0.817
    assert others == {
        ("deep_svdd", "mnist", k): value
        for k, value in enumerate((0.978, 0.994, 0.889, 0.905, 0.935, 0.860))
    }


def test_the_gains_of_the_earlier_submission() -> None:
    earlier = load(published.EARLIER)
    assert {(row.data_source, row.value) for row in earlier} == {
        ("cifar10", 0.093),
        ("cure_tsr", 0.361),
    }
    assert all(row.settings and row.metric == published.GAIN for row in earlier)


def test_each_row_says_whether_it_was_seen_and_where(rows: tuple[Published, ...]) -> None:
    for row in rows:
        assert bool(row.checked_in) == (row.checked_value is not None)
        assert bool(row.seen_in) == (not row.recalled)
        if row.confidence != "recalled":
            assert row.seen_in == row.source
    looked_up = [row for row in rows if row.checked_in]
    assert len(looked_up) == 57
    others = [row for row in looked_up if row.recalled]
    assert {(row.place, row.method) for row in others} == {("Table 5", "GPND")}
    assert len(others) == 10
    assert all("1807.02588v1" in row.copied_from for row in others)
    # 30 from an appendix or an abstract, one from the official code, and the 46 that agree.
    assert sum(not row.recalled for row in rows) == 58


def test_a_number_seen_elsewhere_is_the_same_up_to_its_last_digit(
    rows: tuple[Published, ...],
) -> None:
    row = next(row for row in rows if row.confidence == "recalled")
    for value, seen in ((row.value, True), (row.value - 0.001, True), (row.value + 0.0015, False)):
        other = replace(row, checked_value=value, checked_in="there")
        assert other.seen_in == ("there" if seen else "")


def test_series_that_are_printed_twice(rows: tuple[Published, ...]) -> None:
    one, other = ("Table 1", "VAE", "latent"), ("Table 3", "VAE", "score")
    found = published.equal_series(rows)
    assert {key[:3]: value[:3] for key, value in found.items()} == {one: other, other: one}
    changed = [
        replace(row, value=0.1)
        if (row.place, row.method, row.inlier) == ("Table 3", "VAE", 4)
        else row
        for row in rows
    ]
    assert published.equal_series(changed) == {}


def test_known_numbers(rows: tuple[Published, ...]) -> None:
    ours = find(rows, "cifar10", "cae_grad", "score", "AUROC")[AVERAGE]
    assert (ours.value, ours.recalled, ours.copied, ours.place) == (0.664, False, False, "Table 3")
    ocgan = find(rows, "cifar10", "ocgan", "score", "AUROC")[AVERAGE]
    assert (ocgan.value, ocgan.recalled, ocgan.copied) == (0.657, False, True)
    assert find(rows, "fashion_mnist", "alocc", "dr", "AUROC")[AVERAGE].value == 0.753
    assert find(rows, "cifar10", "cae_grad", "gradient", "AUROC")[1].recalled
    assert find(rows, "mnist", "cae_grad", "", "parameters")[AVERAGE].value == 230_721
    by_share = find(rows, "fashion_mnist", "gpnd", "score", "F1", 0.1)[AVERAGE]
    assert (by_share.value, by_share.copied) == (0.968, True)
    assert find(rows, "digits", "cae_grad", "score", "AUROC") == {}


def test_compared_methods_are_marked_as_copied(rows: tuple[Published, ...]) -> None:
    for row in rows:
        if row.place in ("Table 3", "Table 4", "Table 7"):
            assert row.copied == (row.method != "GradCon")
            assert bool(row.copied_from) == row.copied


def test_a_verified_number_goes_before_a_recalled_one(rows: tuple[Published, ...]) -> None:
    chosen = find(rows, "cifar10", "ocgan", "score", "AUROC")[AVERAGE]
    twin = Published(**{**vars(chosen), "value": 0.5, "confidence": "recalled"})
    for order in ([chosen, twin], [twin, chosen]):
        assert find(order, "cifar10", "ocgan", "score", "AUROC")[AVERAGE].value == 0.657


def test_own_files_are_compared_by_key() -> None:
    config = make_config("cifar10")
    assert published.data_source(config, "cifar10") == "cifar10"
    own = config.datasets["cifar10"].model_copy(update={"source": "npz"})
    renamed = config.model_copy(update={"datasets": {"mine": own, "cifar10": own}})
    assert published.data_source(renamed, "mine") == "mine"
    assert published.data_source(renamed, "cifar10") == "cifar10"


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("source", " ", "table.csv, line 2: no source"),
        ("value", "1.2", "table.csv, line 2: AUROC is 1.2"),
        ("value", "high", "table.csv, line 2: could not convert"),
    ],
)
def test_bad_rows_are_refused_by_line(
    tmp_path: Path, rows: tuple[Published, ...], column: str, text: str, message: str
) -> None:
    good = next(row for row in rows if row.metric == "AUROC")
    row = {name: str(getattr(good, name)) for name in COLUMNS}
    row |= {"outlier_ratio": "", "checked_value": ""}
    with (tmp_path / "table.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS)
        writer.writeheader()
        writer.writerow(row | {column: text})
    with pytest.raises(InputError, match=message):
        load(tmp_path)


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no CSV files"):
        load(tmp_path)
    (tmp_path / "table.csv").write_text("place,value\nTable 1,0.5\n")
    with pytest.raises(InputError, match="columns must be place, dataset"):
        load(tmp_path)
