import csv
import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark import layout, metrics, published, tables
from benchmark.layout import RunKey
from benchmark.metrics import averages
from benchmark.metrics.averages import Average, Averages
from benchmark.metrics.numbers import Numbers, spread_out
from benchmark.published import AVERAGE
from benchmark.statistics import replicates
from benchmark.tables import cells, formats, rows
from benchmark.tables.table import Cell, Row, Table
from benchmark.utils.text import csv_text
from benchmark.verdicts.reproduced import by_inlier
from tests.conftest import Results
from tests.stages import source
from tests.synthetic import make_config, make_results

NAN = float("nan")


def averages_of(
    cube: np.ndarray, configured: Sequence[int] = (), detector: str = "gradcon.detectors:CAE"
) -> dict[int, Average]:
    """The averages of made-up AUROCs by (seed, fold, class)."""
    seeds, folds, classes = map(list, map(range, cube.shape))
    of = make_config("mnist", methods=("cae",), folds={"mnist": folds}, seeds=configured or seeds)
    method = of.methods["cae"].model_copy(update={"detector": detector})
    config = of.model_copy(update={"methods": {"cae": method}})
    places = pd.MultiIndex.from_product([seeds, folds, classes], names=["seed", "fold", "inlier"])
    rows = places.to_frame(index=False).assign(dataset="mnist", method="cae", model="best")
    numbers = rows.assign(
        component="score", metric="auroc", outlier_ratio=0.5, beta_multiple=NAN,
        value=cube.ravel(), flag="",
    )  # fmt: skip
    frame = averages.compute(numbers.dropna(subset="value"), rows, config)
    return Averages(frame, rows, config).of("mnist", "cae", "score", "auroc", 0.5)


def test_average_by_hand() -> None:
    # Two seeds, one fold, two classes.
    made = averages_of(np.array([[[0.6, 0.8]], [[0.7, 1.0]]]))
    whole = made[AVERAGE]
    assert whole.mean == pytest.approx(0.775)
    assert whole.spread == pytest.approx(np.std([0.7, 0.85], ddof=1))
    assert (whole.found, whole.expected, whole.complete, whole.lacking) == (4, 4, True, False)
    assert made[1].mean == pytest.approx(0.9)
    assert made[1].spread == pytest.approx(np.std([0.8, 1.0], ddof=1))
    assert (made[1].found, made[1].expected) == (2, 2)


def test_missing_runs_neither_shift_the_weight_of_classes_nor_enter_the_spread() -> None:
    made = averages_of(np.array([[[0.6, 0.8]], [[0.7, NAN]], [[0.8, 1.0]]]))
    whole = made[AVERAGE]
    assert whole.mean == pytest.approx((0.7 + 0.9) / 2)
    assert whole.spread == pytest.approx(np.std([0.7, 0.9], ddof=1))
    assert (whole.found, whole.expected, whole.complete, whole.lacking) == (5, 6, False, False)


def test_one_seed_is_all_of_a_method_without_chance() -> None:
    kde = ([0, 1, 2], "baselines.kde:KDE")
    whole = averages_of(np.array([[[0.6, 0.8]]]), *kde)[AVERAGE]
    assert (whole.found, whole.expected, whole.complete) == (2, 2, True)
    assert whole.mean == pytest.approx(0.7)
    one = averages_of(np.array([[[0.6, 0.8]]]), [0, 1, 2])[AVERAGE]
    assert (one.found, one.expected, one.complete) == (2, 6, False)
    nothing = averages_of(np.full((1, 1, 2), NAN), *kde)[AVERAGE]
    assert (nothing.found, nothing.expected) == (0, 2)


def test_averages_of_little_or_nothing() -> None:
    assert np.isnan(averages_of(np.array([[[0.6, 0.8]]]))[AVERAGE].spread)
    some = averages_of(np.array([[[0.6, NAN]], [[0.7, NAN]]]))
    assert (some[AVERAGE].mean, some[AVERAGE].lacking) == (pytest.approx(0.65), True)
    assert (some[1].found, some[1].expected, some[1].lacking) == (0, 2, True)
    for average in averages_of(np.full((2, 1, 3), NAN)).values():
        assert np.isnan(average.mean)
        assert (average.found, average.complete) == (0, False)


@settings(max_examples=20)  # any of them shows a wrong formula
@given(arrays(np.float64, (3, 2, 4), elements=st.floats(0, 1)))
def test_complete_average_is_the_plain_mean(cube: np.ndarray) -> None:
    made = averages_of(cube)
    assert made[AVERAGE].mean == pytest.approx(cube.mean())
    assert made[AVERAGE].spread == pytest.approx(cube.mean(axis=(1, 2)).std(ddof=1))
    for inlier in range(4):
        assert made[inlier].mean == pytest.approx(cube[:, :, inlier].mean())


@settings(max_examples=30)
@given(arrays(np.float64, (2, 2, 3), elements=st.floats(0, 1) | st.just(NAN)))
def test_average_is_the_mean_of_the_verdicts(cube: np.ndarray) -> None:
    """Whatever runs are missing, as long as each class has one."""
    groups = by_inlier(cube)
    if all(group.size for group in groups):
        assert averages_of(cube)[AVERAGE].mean == pytest.approx(replicates.sample(groups).mean)


def test_spread_out_puts_each_number_in_its_place() -> None:
    rows = pd.DataFrame({"seed": [5, 9], "fold": [0, 1], "inlier": [3, 4], "value": [0.1, 0.2]})
    cube = spread_out(rows, [9, 5], [0, 1], [4, 3])
    assert cube[1, 0, 1] == 0.1
    assert cube[0, 1, 0] == 0.2
    assert np.isnan(cube).sum() == 6


@pytest.fixture(scope="module")
def built(results: Results) -> dict[str, Table]:
    return tables.build(results.config, results.root)


def row(table: Table, *labels: str) -> Row:
    (found,) = (row for row in table.rows if tuple(row.labels) == labels)
    return found


def test_writes_what_it_says(results: Results) -> None:
    wanted = {Path(path) for path in layout.tables(results.config, results.root)}
    assert set((results.root / "tables").iterdir()) == wanted
    assert len(wanted) == 4 * (2 * 7 + 4)


def test_means_are_those_of_the_metrics(results: Results, built: dict[str, Table]) -> None:
    rows = metrics.load(results.config, results.root).table.query(
        "dataset == 'fashion_mnist' and method == 'cae_grad' and component == 'score' "
        "and model == 'best' and metric == 'auroc' and outlier_ratio == 0.5 "
        "and beta_multiple.isna()"
    )
    frame = built["auroc-fashion_mnist"].frame.query("method == 'cae_grad'").set_index("inlier")
    by_seed = rows.groupby("seed")["value"].mean()
    assert frame.loc[AVERAGE, "mean"] == pytest.approx(by_seed.mean())
    assert frame.loc[AVERAGE, "spread"] == pytest.approx(by_seed.std())
    expected = rows[rows["inlier"] == 7]["value"].mean()
    assert frame.loc[7, "mean"] == pytest.approx(expected)
    assert frame.loc[7, ["found", "expected"]].tolist() == [4, 4]
    assert frame.loc[7, ["epochs", "seeds"]].tolist() == ["20", "0 1"]
    shown = row(built["auroc-fashion_mnist"], "CAE + Grad", "anomaly score")
    assert shown.cells[0].text == f"{by_seed.mean():.3f}"
    assert shown.cells[8].text == f"{expected:.3f}"


def test_published_stands_under_reproduced(built: dict[str, Table]) -> None:
    table = built["auroc-cifar10"]
    place = [tuple(row.labels) for row in table.rows]
    ours = place.index(("CAE + Grad", "anomaly score"))
    assert place[ours + 1] == ("published, GradCon", "Table 3")
    shown = table.rows[ours + 1]
    assert shown.published
    assert shown.cells[0] == Cell("0.664")
    assert shown.cells[1] == Cell("0.760", marks="°")
    assert row(table, "published, OCGAN", "Table 3, from an earlier paper").cells[0].text == "0.657"


def test_what_others_report_stands_under_published(built: dict[str, Table]) -> None:
    table = built["auroc-cifar10"]
    place = [row.labels[0] for row in table.rows]
    stated = place.index("published, GradCon")
    apart, *others = table.rows[stated + 1 : stated + 4]
    assert [row.labels[0] for row in others] == [f"reported by others, run {k}" for k in (1, 2)]
    assert [cell.text for cell in others[1].cells[:3]] == ["0.622", "0.759", "0.526"]
    ours, printed = table.rows[stated - 1].cells, table.rows[stated].cells
    for difference, mean, value in zip(apart.cells, ours, printed, strict=True):
        assert float(difference.text) == pytest.approx(
            float(mean.text) - float(value.text), abs=0.0011
        )
    frame = table.frame.query("method == 'cae_grad'").set_index("inlier")
    assert frame.loc[[AVERAGE, 9], "reported"].tolist() == ["0.616 0.6215", "0.4518 0.529"]
    others = [row for row in built["auroc-fashion_mnist"].rows if "reported" in row.labels[0]]
    assert [row.labels for row in others] == [
        ["reported by others, a run", "issue 8 of the OCGAN code"]
    ]


def test_how_a_reported_run_differs_stands_beside_it(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("lsa",))
    source(config, tmp_path)
    rows = tables.build(config, tmp_path)["auroc-mnist"].rows
    assert [row.labels[1] for row in rows if "reported" in row.labels[0]] == [
        "issue 2 of the LSA code; batch size 256, not 64",
        "issue 2 of the LSA code",
    ]


def test_numbers_printed_twice_and_other_sources_are_noted(tmp_path: Path) -> None:
    config = make_config(
        "cifar10", "fashion_mnist", methods=("vae", "and_vae", "gpnd"),
        outlier_ratios=[0.1, 0.5],
    )  # fmt: skip
    source(config, tmp_path)
    built = tables.build(config, tmp_path)
    (twice,) = (note for note in built["ablation-cifar10"].notes if "same number" in note)
    assert twice.startswith("Table 1, VAE, latent, and Table 3, VAE, score, have the same number")
    (again,) = (note for note in built["auroc-cifar10"].notes if "same number" in note)
    assert again.startswith("Table 3, VAE, score, and Table 1, VAE, latent, have")
    other = [note for note in built["outliers-fashion_mnist"].notes if "another source" in note]
    assert [note.partition(" in another source, ")[0] for note in other] == [
        "GPND, F1: 0.961, 0.809",
        "GPND, AUROC: 0.915, 0.901",
    ]
    assert all("arXiv 1807.02588v1" in note for note in other)


def test_missing_is_shown_as_missing(built: dict[str, Table]) -> None:
    table = built["auroc-cifar10"]
    assert {cell.text for cell in row(table, "OCGAN", "anomaly score").cells} == {"—"}
    frame = table.frame.query("method == 'ocgan'")
    assert frame["mean"].isna().all()
    assert (frame["found"] == 0).all()
    assert any(note.startswith("— not run") for note in table.notes)


def test_incomplete_averages_are_marked(built: dict[str, Table]) -> None:
    cells = row(built["auroc-cifar10"], "CAE + Grad", "anomaly score").cells
    marked = [index for index, cell in enumerate(cells) if "*" in cell.marks]
    assert marked == [0, 4]  # the average and class 3, of which one seed failed
    assert cells[4].spread == ""
    whole = row(built["auroc-fashion_mnist"], "CAE + Grad", "anomaly score").cells
    assert not any("*" in cell.marks for cell in whole)


def test_area_under_a_half_is_marked(built: dict[str, Table]) -> None:
    for table in (built["auroc-cifar10"], built["ablation-cifar10"]):
        for line in table.rows:
            for cell in line.cells:
                if line.published or cell.text == "—":
                    continue
                area = float(cell.text)
                assert ("†" in cell.marks) == (area < 0.5) or area == 0.5  # rounded


def test_constant_scores_are_marked(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",))
    make_results(config, tmp_path, inliers=8, draw=lambda *key: np.zeros(sum(key[3:])))
    source(config, tmp_path)
    table = tables.build(config, tmp_path)["auroc-mnist"]
    assert all("‡" not in cell.marks for cell in table.rows[0].cells)
    assert "Every number of ours: some of its runs give every image the same score." in table.notes
    assert table.frame["constant"].all()


def test_ablation_has_every_loss_beside_table_1(built: dict[str, Table]) -> None:
    table = built["ablation-cifar10"]
    labels = [tuple(row.labels) for row in table.rows if not row.published]
    assert labels == [
        ("CAE", "reconstruction error"),
        ("CAE", "gradient loss"),
        ("CAE", "anomaly score"),
        ("CAE + Grad", "reconstruction error"),
        ("CAE + Grad", "gradient loss"),
        ("CAE + Grad", "anomaly score"),
        ("VAE", "reconstruction error"),
        ("VAE", "latent loss"),
        ("VAE", "gradient loss"),
        ("VAE", "anomaly score"),
    ]
    frame = table.frame.query("method == 'vae' and component == 'latent'").set_index("inlier")
    assert frame.loc[AVERAGE, "published"] == 0.583
    assert frame.loc[0, "published_place"] == "Table 1"


def test_unrun_methods_keep_their_rows_in_the_ablation(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae", "cae_grad"))
    make_results(config, tmp_path, inliers=8)
    more = make_config("cifar10", methods=("cae", "cae_grad", "vae_grad", "alocc"))
    source(more, tmp_path)
    built = tables.build(more, tmp_path)
    cells = row(built["ablation-cifar10"], "VAE + Grad", "gradient loss").cells
    assert {cell.text for cell in cells} == {"—"}
    labels = [row.labels[0] for row in built["auroc-cifar10"].rows]
    assert "ALOCC" not in labels  # it has neither a run nor a published number of these images


def test_nothing_run_at_all_is_all_missing(tmp_path: Path) -> None:
    config = make_config("cifar10")
    source(config, tmp_path)
    tables.write(config, tmp_path)
    for name, table in tables.build(config, tmp_path).items():
        reproduced = [row for row in table.rows if not row.published]
        kind = name.partition("-")[0]
        if not reproduced:
            assert kind in ("explanations", "ran", "overlap", "outliers", "selection", "cost")
            continue
        reproduced = [row for row in reproduced if not row.labels[0].endswith("all known runs")]
        if kind in ("verdicts", "claims"):
            told = {cell.text for row in reproduced for cell in row.cells if cell.kind == "not-run"}
            assert told == {"– not run"}
            frame = table.frame
            if kind == "verdicts":
                frame = frame[frame["runs_from"] == "ours"]
            assert set(frame["outcome"]) == {"not run"}
            assert frame["mean" if kind == "verdicts" else "effect"].isna().all()
        elif kind != "selection":
            cells = [cell for row in reproduced for cell in row.cells]
            assert {cell.text for cell in cells} == {"—"}
        assert "epochs: none" in table.caption


def test_tally_counts_the_rows_beside_it(built: dict[str, Table]) -> None:
    names = [name for name in built if name.startswith("verdicts")]
    assert len(names) > 1
    for name in names:
        ours = [row for row in built[name].rows if not row.labels[0].endswith("all known runs")]
        shown = Counter(row.cells[4].text.partition(" ")[2] for row in ours)
        told = re.search(r"Of (\d+) published numbers: ([^.]+)\.", built[name].caption)
        assert told is not None
        assert int(told[1]) == shown.total()
        counts = re.findall(r"(\d+) ([a-z ]+)", told[2])
        assert {outcome: int(count) for count, outcome in counts} == shown


def test_two_scores_of_a_method_have_a_row_each(built: dict[str, Table]) -> None:
    table = built["auroc-fashion_mnist"]
    assert row(table, "ALOCC", "D").cells[0].text != row(table, "ALOCC", "DR").cells[0].text
    assert row(table, "published, ALOCC DR", "Table 7, from an earlier paper").cells[0] == Cell(
        "0.753"
    )


def test_outlier_shares_stand_beside_table_5(built: dict[str, Table]) -> None:
    table = built["outliers-fashion_mnist"]
    assert table.head == ["Method", "Metric", "10%", "50%"]
    published = [row for row in table.rows if "Table 5" in row.labels[1]]
    assert [[cell.text for cell in row.cells] for row in published] == [
        ["0.964", "0.870"],  # F1
        ["0.938", "0.934"],  # AUROC
    ]
    assert "gives F1 0.947, 0.667" in table.caption
    assert not any(row.published for row in built["outliers-cifar10"].rows)


def test_one_share_needs_no_table_of_shares() -> None:
    config = make_config("mnist", outlier_ratios=[0.5])
    kinds = ("ran", "auroc", "ablation", "overlap", "selection", "verdicts")
    by_dataset = [f"{kind}-mnist" for kind in kinds]
    assert layout.table_names(config) == ["verdicts", "claims", "explanations", *by_dataset, "cost"]


def test_only_the_papers_data_sets_are_judged() -> None:
    config = make_config("digits", outlier_ratios=[0.5])
    kinds = ("ran", "auroc", "ablation", "overlap", "selection")
    assert layout.table_names(config) == [*(f"{kind}-digits" for kind in kinds), "cost"]
    stated = {row.data_source for row in published.load()}
    assert stated == set(published.SOURCES)


def test_cost_by_hand(results: Results, built: dict[str, Table]) -> None:
    frame = built["cost"].frame.set_index(["dataset", "method"])
    ours = frame.loc[("cifar10", "cae_grad")]
    assert (ours["parameters"], ours["fit_seconds"], ours["runs"]) == (230_721, 61.5, 19)
    assert ours["score_milliseconds"] == pytest.approx(1000 * 0.4 / 80)
    assert ours["epoch_seconds"] == pytest.approx(61.5 / 20)
    assert ours["memory_megabytes"] == 512
    cells = row(built["cost"], "CIFAR-10", "CAE + Grad").cells
    assert [cell.text for cell in cells][::8] == ["230,721", "19 of 20"]
    assert ["CIFAR-10", "OCGAN"] not in [row.labels for row in built["cost"].rows]
    assert frame.loc[("cifar10", "ocgan")]["runs"] == 0


@pytest.mark.parametrize("some", [None, (0, 3)])
def test_a_published_average_stands_beside_one_of_all_classes_only(
    tmp_path: Path, some: tuple[int, ...] | None
) -> None:
    config = make_config("cifar10", methods=("cae_grad",))
    if some:
        settings = config.datasets["cifar10"].model_copy(update={"inliers": some})
        config = config.model_copy(update={"datasets": {"cifar10": settings}})
    make_results(config, tmp_path, inliers=8)
    source(config, tmp_path)
    rows = tables.build(config, tmp_path)["ran-cifar10"].rows
    shown = {row.labels[1]: [cell.text for cell in row.cells[:3]] for row in rows}
    expected, obtained, difference = shown["anomaly score"]
    assert float(obtained) > 0
    assert (expected, difference != "") == (("", False) if some else ("0.664", True))


def test_nothing_is_published_about_a_test_set_with_every_outlier() -> None:
    config = make_config("cifar10")
    assert published.data_source(config, "cifar10") == "cifar10"
    settings = config.datasets["cifar10"].model_copy(update={"protocol": "whole"})
    other = config.model_copy(update={"datasets": {"cifar10": settings}})
    rows = published.load()
    assert not published.find(
        rows, published.data_source(other, "cifar10"), "cae", "reconstruction", "AUROC"
    )


def test_times_of_devices_are_not_mixed(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("cae", "ocgan"), seeds=(0, 1, 2))
    make_results(config, tmp_path, inliers=8)
    for path in (tmp_path / "runs/mnist/cae").glob("*/*/seed-2/run.json"):
        facts = json.loads(path.read_text())
        path.write_text(
            json.dumps(facts | {"device": "H100", "seconds": {"fit": 2.0, "score": 0.1}})
        )
    source(config, tmp_path)
    rows = [row for row in tables.build(config, tmp_path)["cost"].rows if row.labels[1] == "CAE"]
    shown = [[row.cells[place].text for place in (0, 3, 7, 8)] for row in rows]
    assert shown == [["230,721", "2.0", "H100", "10 of 30"], ["230,721", "61.5", "cpu", "20 of 30"]]


def test_captions_say_how_it_was_made(results: Results, built: dict[str, Table]) -> None:
    for name, table in built.items():
        assert "2 seeds (0, 1)" in table.caption
        if name != "cost":
            assert "20 epochs" in table.caption
            assert "best validation loss" in table.caption
    assert "The published GradCon has 1000 epochs." in built["auroc-cifar10"].caption
    assert "folds 0, 1 of 5" in built["auroc-fashion_mnist"].caption


def test_captions_count_the_seeds_that_ran_not_those_that_are_wanted(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("cae", "ocgan"), seeds=(0, 1, 2))
    make_results(config, tmp_path, inliers=8)
    for seed in (1, 2):
        for folder in (tmp_path / "runs").glob(f"*/*/*/*/seed-{seed}"):
            shutil.rmtree(folder)
    source(config, tmp_path)
    caption = tables.build(config, tmp_path)["auroc-mnist"].caption
    assert "1 of 3 seeds (0)" in caption
    assert "standard deviation" not in caption
    make_results(config.model_copy(update={"methods": {"cae": config.methods["cae"]}}), tmp_path, 8)
    source(config, tmp_path)
    caption = tables.build(config, tmp_path)["auroc-mnist"].caption
    assert "seeds: CAE 3 (0 to 2), OCGAN 1 of 3 (0)" in caption
    assert "standard deviation over seeds" in caption


def test_captions_tell_settings_that_are_not_the_papers(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("cae", "ocgan"))
    make_results(config, tmp_path, inliers=8)
    for file in (tmp_path / "runs/mnist/ocgan").glob("*/*/*/run.json"):
        told = json.loads(file.read_text())
        told["config"] = {"epochs": 20, "learning_rate": 0.01, "batch_size": 64}
        file.write_text(json.dumps(told))
    source(config, tmp_path)
    caption = tables.build(config, tmp_path)["auroc-mnist"].caption
    assert "Other settings than the papers': OCGAN learning_rate 0.01, not 0.001. " in caption


def test_note_of_a_data_set_is_in_its_captions(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",))
    noted = config.datasets["mnist"].model_copy(update={"note": "rebuilt copy"})
    config = config.model_copy(update={"datasets": {"mnist": noted}})
    make_results(config, tmp_path, inliers=8)
    source(config, tmp_path)
    for name, table in tables.build(config, tmp_path).items():
        assert ("MNIST, rebuilt copy" in table.caption) == (name != "cost")


def test_the_three_forms_agree(results: Results, built: dict[str, Table]) -> None:
    folder = results.root / "tables"
    for name, table in built.items():
        text = (folder / f"{name}.md").read_text()
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == 2 + len(table.rows)
        assert {line.count("|") for line in lines} == {len(table.head) + 1}
        latex = (folder / f"{name}.tex").read_text()
        body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
        assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {len(table.head) - 1}
        for line, tex, shown in zip(lines[2:], body, table.rows, strict=True):
            for cell in shown.cells:
                assert cell.text in line
                plain = cell.text.replace("—", "---").replace("%", r"\%")
                assert re.sub(r"[^\x00-\x7f]", "", plain).strip() in tex
        rows = list(csv.DictReader(io.StringIO((folder / f"{name}.csv").read_text())))
        assert len(rows) == len(table.frame)


def test_latex_is_escaped() -> None:
    table = Table("50% of A & B_1", ["M", "#", "x"], [Row(["a_b", "~^"], [Cell("1", "2")])], [],
                  pd.DataFrame())  # fmt: skip
    text = formats.latex(table, "t")
    assert r"50\% of A \& B\_1" in text
    assert r"a\_b & \textasciitilde{}\textasciicircum{} & 1 {\scriptsize $\pm$ 2} \\" in text


def test_html_is_escaped() -> None:
    table = Table("a < b", ["<i>", "", "x"], [Row(["<script>", ""], [Cell()])], [], pd.DataFrame())
    text = formats.html(table)
    assert "<script>" not in text
    assert "a &lt; b" in text


def test_html_folds_rows_and_names_the_column_of_each_cell() -> None:
    rows = [
        Row(["a"], [Cell("1")], note="Table 3"),
        *(Row([name], [Cell()], fold="not run") for name in "bc"),
    ]
    table = Table("caption", ["Number", "<x>"], rows, [], pd.DataFrame())
    shown, folded = formats.html(table).split("<details>")
    assert '<th scope="row">a<small>Table 3</small></th><td data-head="&lt;x&gt;">1</td>' in shown
    assert "<summary>2 not run</summary>" in folded
    assert re.findall(r'<th scope="row">(\w)', folded) == ["b", "c"]
    assert "| a (Table 3) | 1 |" in formats.markdown(table)


HOSTILE = [
    *("$x^$", "$$", "<b>bold</b>", "two\nlines", "=1+1", "[1pt]", "[a](b)", "*a*", "_a_", "a_b"),
    *("a|b", "`a`", "a\\b", "&lt;", "#1", "~~a~~", "100 %", "{a}", "-1a", "@a", "+a", "x" * 200),
]


def hostile_table(text: str) -> Table:
    rows = [Row([text, text], [Cell(text, note=text)], note=text)]
    rows += [Row([text, ""], [Cell("1")], published=True)]
    return Table(text, ["", text, text], rows, [text], pd.DataFrame({"name": [text], "n": [-1.5]}))


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_text_in_markdown(text: str) -> None:
    def plain(field: str) -> str:
        bare = re.sub(r"\\.|(?<=[a-z])_(?=[a-z])", "", field)
        assert not re.search(r"[\\`*\[\]<>|$&~#_]", bare), field
        return re.sub(r"\\(.)", r"\1", field)

    line = " ".join(text.split())
    caption, _, head, _, first, second, _, note = formats.markdown(hostile_table(text)).splitlines()
    assert [plain(caption), plain(note)] == [line, f"- {line}"]
    cells = [re.split(r" (?<!\\)\| ", row.strip("|")[1:-1]) for row in (head, first, second)]
    assert [[plain(cell) for cell in row] for row in cells[:2]] == [
        ["", line, line],
        [f"{line} ({line})", line, f"{line} ({line})"],
    ]
    assert plain(cells[2][0][1:-1]) == line and cells[2][0][0] == cells[2][0][-1] == "_"


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_text_in_html(text: str) -> None:
    quoted = re.sub(r"(class)=(\w+)", r"\1='\2'", formats.html(hostile_table(text)))
    page = ET.fromstring(quoted)  # our own text
    shown, _, folded = text.partition("\n")
    assert page.findtext("figcaption") == shown
    assert (page.findtext("details/ul/li") or "").startswith(folded)
    assert [cell.text for cell in page.iter("th")][:4] == [None, text, text, text]
    assert next(page.iter("td")).text == text


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_text_in_latex(text: str) -> None:
    lines = formats.latex(hostile_table(text), "t").splitlines()
    caption = next(line for line in lines if line.startswith(r"\caption"))
    body = [line for line in lines if line.endswith(r" \\")]
    assert len(body) == 4 - 1 and not any(line.startswith("[") for line in lines)
    # What is left once commands and their braces are gone is the text, and nothing is special.
    known = {command: mark for mark, command in formats._TEX.items()}
    written = caption.removeprefix(r"\caption{").removesuffix("}")
    pattern = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    assert re.sub(pattern, lambda match: known[match[0]], written) == " ".join(text.split())
    assert not set(re.sub(pattern, "", written)) & set("&%$#_{}\\~^<>[|`")


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_no_formula_in_csv(text: str) -> None:
    written = csv_text(hostile_table(text).frame)
    head, (name, number) = csv.reader(io.StringIO(written, newline=""))
    assert (head, number) == (["name", "n"], "-1.5")
    assert name == (f"'{text}" if text[0] in "=+-@" else text)


def test_bars_do_not_break_markdown() -> None:
    table = Table("c", ["a|b", "", "x"], [Row(["k|l", ""], [Cell("1", "2", "*")])], [],
                  pd.DataFrame())  # fmt: skip
    last = formats.markdown(table).splitlines()[-1]
    assert last == r"| k\|l |  | 1 ± 2\* |"


def test_numbers_leave_the_sweep_aside(results: Results) -> None:
    table = metrics.load(results.config, results.root).table
    rows = Numbers(table).select("cifar10", "cae_grad", "score", "auroc", 0.5)
    assert len(rows) == 19
    assert Numbers(table).select("cifar10", "ocgan", "score", "auroc", 0.5).empty


def test_a_published_average_stands_only_beside_the_same_classes() -> None:
    values = {
        inlier: published.find(published.load(), "cifar10", "cae_grad", "score", "AUROC")[inlier]
        for inlier in (AVERAGE, 0)
    }
    config = make_config("cifar10", methods=("cae_grad",))
    assert published.comparable(values, config, "cifar10") == values
    some = config.datasets["cifar10"].model_copy(update={"inliers": (0,)})
    partly = config.model_copy(update={"datasets": {"cifar10": some}})
    assert published.comparable(values, partly, "cifar10") == {0: values[0]}


@pytest.mark.parametrize(
    "components, shown",
    [
        ([], ["score"]),
        (["reconstruction", "latent", "gradient"], ["score"]),
        (["reconstruction", "gradient", "score"], ["score"]),
        (["d", "dr"], ["d", "dr"]),
    ],
)
def test_a_method_is_shown_by_its_anomaly_score(components: list[str], shown: list[str]) -> None:
    assert rows.main_components(components) == shown


def test_every_number_names_its_data_set(results: Results) -> None:
    titles = {key: entry.title for key, entry in results.config.datasets.items()}
    for path in (results.root / "tables").glob("*.csv"):
        frame = pd.read_csv(path, keep_default_na=False)
        dataset = path.stem.partition("-")[2]
        if dataset:
            assert set(frame["images"]) == {titles[dataset]}
        elif path.stem == "claims":
            named = ("; ".join(titles[key] for key in keys.split()) for keys in frame["dataset"])
            assert frame["images"].tolist() == list(named)
            assert "CIFAR-10" in set(frame["images"])
        else:
            assert frame["images"].tolist() == [titles.get(key, "") for key in frame["dataset"]]


def test_a_mark_of_all_numbers_is_told_once() -> None:
    def row(*marks: str, published: bool = False) -> Row:
        return Row(["a", "b"], [Cell("0.5", marks=m) for m in marks], published=published)

    rows = [row("*†", "*"), row("*", "*"), row("°", "", published=True), Row(["c", ""], [Cell()])]
    shown, notes = cells.mark_rows(rows)
    assert [[cell.marks for cell in row.cells] for row in shown] == [
        *(["†", ""], ["", ""], ["°", ""], [""])
    ]
    assert [row.marks for row in shown] == [""] * 4
    assert notes == [f"Every number of ours: {cells.NOTES['*']}."]
    shown, notes = cells.mark_rows([row("*", "*"), row("*", ""), row("°", "°", published=True)])
    assert [row.marks for row in shown] == ["*", "", ""]
    assert [cell.marks for cell in shown[1].cells] == ["*", ""]
    assert notes == [f"Every number published: {cells.NOTES['°']}."]
    assert cells.legend(shown, "")[0].startswith("* ")


@given(st.floats(-1, 1))
def test_shades_grow_with_the_difference(value: float) -> None:
    cell = cells.difference_cell(value)
    side, _, shade = cell.kind.partition("-")
    assert cell.text[0] == ("-" if value <= -0.0005 else cell.text[0])
    assert cell.text != "-0.000"
    assert int(shade or 0) == sum(abs(value) >= least - 1e-9 for least in cells.SHADES)
    assert not shade or side == ("above" if value > 0 else "below")


def test_what_ran_is_compared_with_what_was_expected(built: dict[str, Table]) -> None:
    table = built["ran-cifar10"]
    assert "OCGAN" not in [row.labels[0] for row in table.rows]
    shown = row(table, "CAE + Grad", "anomaly score")
    expected, obtained, apart, verdict, *_ = (cell.text for cell in shown.cells)
    assert expected == "0.664"
    assert float(apart) == pytest.approx(float(obtained) - 0.664, abs=0.0011)
    assert verdict == "… short run"
    assert shown.command.startswith("snakemake ") and "/cae_grad/" in shown.command
    assert shown.cells[-1].text == "19 of 20"


def test_overlaps_by_hand(results: Results, built: dict[str, Table]) -> None:
    table = built["overlap-fashion_mnist"]
    numbers = metrics.load(results.config, results.root)
    of = "dataset == 'fashion_mnist' and method == 'cae_grad' and component == 'gradient'"
    rows = numbers.table.query(f"{of} and model == 'best'")
    pooled, *by_class = row(table, "CAE + Grad", "gradient loss").cells
    overlaps = rows.query("metric == 'overlap'")["value"]
    assert pooled.text == f"{overlaps.mean():.1f}"
    assert len(by_class) == 10
    # The bins of a class are part of the pool: what it has alone and what the rest has add up.
    bins = numbers.histograms.query(f"{of} and model == 'best' and fold == 0 and seed == 0")
    path = layout.run(results.root, RunKey("fashion_mnist", "cae_grad", 0, 2, 0))
    scores = pd.read_parquet(path / "scores.parquet").query("model == 'best'")
    edges = np.append(bins["left"], bins["right"].iloc[-1])
    own = [
        np.histogram(np.clip(part, edges[0], edges[-1]), edges)[0]
        for part in (
            scores.loc[scores["inlier"], "gradient"],
            scores.loc[~scores["inlier"] & (scores["outlier_rank"] < 40), "gradient"],
        )
    ]
    rest = bins["inliers"].to_numpy() - own[0], bins["outliers"].to_numpy() - own[1]

    def shared(pair: Sequence[np.ndarray]) -> float:
        return 200 * np.minimum(*pair).sum() / np.sum(pair)

    one = rows.query("fold == 0 and seed == 0 and inlier == 2").set_index("metric")["value"]
    assert one["class overlap"] == pytest.approx(shared(own))
    assert one["overlap without"] == pytest.approx(shared(rest))
    inverted = [cell.marks == "†" for cell in row(table, "CAE", "gradient loss").cells[1:]]
    areas = numbers.averages.query(
        "dataset == 'fashion_mnist' and method == 'cae' and component == 'gradient' "
        "and metric == 'auroc' and model == 'best' and outlier_ratio == 0.5 and inlier >= 0"
    ).sort_values("inlier")
    assert inverted == (areas["mean"] < 0.5).tolist()


def test_published_difference_of_overlaps_stands_under_ours(built: dict[str, Table]) -> None:
    *_, ours, without, printed = built["overlap-cifar10"].rows
    plain = row(built["overlap-cifar10"], "CAE", "reconstruction error").cells[0]
    own = row(built["overlap-cifar10"], "CAE + Grad", "gradient loss").cells[0]
    apart = float(plain.text) - float(own.text)
    assert float(ours.cells[0].text) == pytest.approx(apart, abs=0.11)
    assert without.cells[0].text == ""
    assert printed.cells[0].text == "+12.4"
