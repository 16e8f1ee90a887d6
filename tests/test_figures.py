import functools
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from benchmark import figures, layout, metrics
from benchmark.errors import InputError
from benchmark.figures import beta, epochs, histograms, reconstructions, style
from benchmark.figures.style import Drawing
from benchmark.layout import RunKey
from benchmark.metrics import Metrics
from benchmark.published import AVERAGE
from benchmark.statistics.overlap import BINS
from tests.conftest import Results
from tests.stages import source
from tests.synthetic import make_config, make_results
from tests.test_data import Trap


@pytest.fixture(scope="module")
def found(results: Results) -> Metrics:
    return metrics.load(results.config, results.root)


Drawn = Callable[[str], Drawing]


@pytest.fixture(scope="module")
def drawn(results: Results, found: Metrics) -> Drawn:
    """The figure of a name, drawn once for all tests that look at it."""

    @functools.cache
    def draw(name: str) -> Drawing:
        with style.style_sheet():
            return figures.draw(results.config, found, results.root, name)

    return draw


def test_writes_what_it_says(results: Results) -> None:
    wanted = {Path(path) for path in layout.figures(results.config, results.root)}
    assert set((results.root / "figures").iterdir()) == wanted
    assert len(wanted) == 2 * 6 * 3


def test_files_say_what_they_were_made_from(results: Results, found: Metrics) -> None:
    for path in (results.root / "figures").glob("*.png"):
        with Image.open(path) as picture:
            about = dict(picture.info)
            assert picture.width >= 1300
        assert about["Title"] == path.stem
        assert "20 epochs; 2 seeds (0, 1)" in about["Description"]
        vector = ET.parse(path.with_suffix(".svg"))  # our own file
        described = "".join(vector.getroot().itertext())
        assert about["Description"] in described
        for text in (about["Source"], described):
            assert f"config {results.config.name}" in text
            assert found.provenance["runs_sha256"] in text
        assert "<dc:date>" not in path.with_suffix(".svg").read_text()


def test_a_figure_is_drawn_once_for_each_picture(
    drawn: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, times = Figure.draw, []
    monkeypatch.setattr(Figure, "draw", lambda *given: (times.append(1), draw(*given)))
    with style.style_sheet():
        style.save(drawn("beta-cifar10"), tmp_path, "beta-cifar10", {})
    assert len(times) == 2


def test_pictures_and_numbers_name_their_data_set(results: Results, found: Metrics) -> None:
    entry = results.config.datasets["cifar10"].model_copy(update={"note": "rebuilt copy"})
    config = results.config.model_copy(update={"datasets": {"cifar10": entry}})
    for kind in layout.FIGURES:
        with style.style_sheet():
            drawing = figures.draw(config, found, results.root, f"{kind}-cifar10")
        figure = drawing.figure
        shown = [legend.get_title().get_text() for legend in figure.legends]
        assert [*shown, figure.get_suptitle()][0] == "CIFAR-10, rebuilt copy"
        assert set(drawing.frame["images"]) == {"CIFAR-10, rebuilt copy"}


def test_same_numbers_same_bytes(results: Results, found: Metrics, tmp_path: Path) -> None:
    for name in ("histograms-cifar10", "beta-cifar10", "epochs-cifar10", "reconstructions-cifar10"):
        with style.style_sheet():
            drawing = figures.draw(results.config, found, results.root, name)
            style.save(drawing, tmp_path, name, found.provenance)
        for suffix in ("png", "svg", "csv"):
            again = (tmp_path / f"{name}.{suffix}").read_bytes()
            assert again == (results.root / "figures" / f"{name}.{suffix}").read_bytes()


def test_histograms_show_what_was_counted(drawn: Drawn, found: Metrics) -> None:
    drawing = drawn("histograms-fashion_mnist")
    shown = drawing.frame.groupby("component", sort=False)
    assert {name: set(part["method"]) for name, part in shown} == {
        "reconstruction": {"cae"},
        "latent": {"vae"},
        "gradient": {"cae_grad"},
    }
    # Two folds and two seeds of ten classes with 40 inliers each: 400 per histogram on average.
    assert (shown[["inliers", "outliers"]].sum() == 400).all(axis=None)
    assert (shown.size() == BINS).all()
    texts = [text.get_text() for axis in drawing.figure.axes for text in axis.texts]
    rows = found.table.query(
        "dataset == 'fashion_mnist' and method == 'cae_grad' and component == 'gradient' "
        "and metric == 'overlap' and model == 'best'"
    )
    by_seed = rows.groupby("seed")["value"].mean()
    assert texts[2] == f"overlap {by_seed.mean():.1f} ± {by_seed.std():.1f} %"


def test_overlap_of_an_incomplete_pool_is_marked(drawn: Drawn, found: Metrics) -> None:
    drawing = drawn("histograms-cifar10")
    # A VAE run was refused, a CAE + Grad run failed: the pool of the other seed is shown alone.
    assert not any("*" in text.get_text() for axis in drawing.figure.axes for text in axis.texts)
    assert "inlier classes are missing" not in drawing.caption
    rows = found.table.query(
        "dataset == 'cifar10' and component == 'gradient' and metric == 'overlap' "
        "and model == 'best' and method == 'cae_grad'"
    )
    assert rows["flag"].tolist() == ["", "incomplete"]
    shown = drawing.frame.query("component == 'gradient'")
    assert set(shown["overlap"]) == {rows["value"].iloc[0]}
    assert shown["inliers"].sum() == 10 * 40


def test_pools_that_all_lack_classes_are_marked(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae",), outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=8)
    shutil.rmtree(tmp_path / "runs/cifar10/cae/fold-0/inlier-3")
    with style.style_sheet():
        drawing = histograms.draw(config, metrics.compute(config, tmp_path), tmp_path, "cifar10")
    marked = [text.get_text().endswith("*") for axis in drawing.figure.axes for text in axis.texts]
    assert marked == [True, True]
    assert "* Some inlier classes are missing." in drawing.caption


def test_panels_follow_what_was_run() -> None:
    def bars(*pairs: tuple[str, str]) -> pd.DataFrame:
        return pd.DataFrame(pairs, columns=["component", "method"])

    losses = bars(("reconstruction", "vae_grad"), ("gradient", "vae_grad"), ("score", "vae_grad"))
    assert histograms.chosen(losses) == [("reconstruction", "vae_grad"), ("gradient", "vae_grad")]
    assert histograms.chosen(bars(("reconstruction", "own"))) == [("reconstruction", "own")]
    assert histograms.chosen(bars(("score", "kde"), ("score", "ocsvm"))) == [
        ("score", "kde"),
        ("score", "ocsvm"),
    ]
    assert histograms.chosen(bars()) == []


def test_beta_curve_is_the_average_of_the_sweep(drawn: Drawn, found: Metrics) -> None:
    frame = drawn("beta-fashion_mnist").frame
    rows = found.table.query(
        "dataset == 'fashion_mnist' and method == 'cae_grad' and beta_multiple == 4 "
        "and model == 'best'"
    )
    (point,) = frame.query("method == 'cae_grad' and n == 4").itertuples()
    assert point.mean == pytest.approx(rows["value"].mean())
    assert point.spread == pytest.approx(rows.groupby("seed")["value"].mean().std())
    assert point.beta == pytest.approx(0.12)
    assert set(frame["method"]) == {"cae", "cae_grad", "vae"}


def test_beta_curve_meets_the_table_at_the_main_beta(drawn: Drawn, results: Results) -> None:
    frame = drawn("beta-fashion_mnist").frame
    table = pd.read_csv(results.root / "tables/auroc-fashion_mnist.csv")
    (point,) = frame.query("method == 'cae_grad' and beta == 0.12")["mean"]
    (cell,) = table.query("method == 'cae_grad' and class_name == 'average'")["mean"]
    assert point == pytest.approx(cell, abs=1e-5)


def test_published_ocgan_is_the_dotted_line(drawn: Drawn) -> None:
    (axis,) = drawn("beta-cifar10").figure.axes
    dotted = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert [line.get_ydata()[0] for line in dotted] == [0.657]
    assert dotted[0].get_label() == "OCGAN, published 0.657"


@pytest.mark.parametrize("whole", [True, False])
def test_ocgan_is_shown_where_gradcon_has_every_class(tmp_path: Path, whole: bool) -> None:
    config = make_config("cifar10", methods=("cae_grad", "vae"))
    make_results(config, tmp_path, inliers=8)
    for method in ("vae",) if whole else ("vae", "cae_grad"):
        shutil.rmtree(tmp_path / f"runs/cifar10/{method}/fold-0/inlier-3")
    found = metrics.compute(config, tmp_path)
    with style.style_sheet():
        axis = beta.draw(config, found, tmp_path, "cifar10").figure.axes[0]
    assert any(line.get_linestyle() == ":" for line in axis.lines) is whole


def test_nothing_published_no_dotted_line(tmp_path: Path) -> None:
    config = make_config("digits", methods=("cae_grad",))
    make_results(config, tmp_path, inliers=8)
    found = metrics.compute(config, tmp_path)
    with style.style_sheet():
        drawing = beta.draw(config, found, tmp_path, "digits")
    assert not [line for line in drawing.figure.axes[0].lines if line.get_linestyle() == ":"]


def test_epoch_curve_is_the_average_of_the_milestones(drawn: Drawn, found: Metrics) -> None:
    frame = drawn("epochs-fashion_mnist").frame
    rows = found.table.query(
        "dataset == 'fashion_mnist' and method == 'vae' and component == 'latent' "
        "and model == 'epoch-5'"
    )
    (point,) = frame.query("method == 'vae' and component == 'latent' and epoch == 5").itertuples()
    assert point.mean == pytest.approx(rows["value"].mean())
    for _, line in frame.groupby(["method", "component"]):
        assert line["epoch"].tolist() == [1, 5]


def test_ticks_of_many_milestones_keep_apart() -> None:
    chosen = epochs._ticks([1, 2, 3, 5, 10, 20, 25, 50, 100])
    assert chosen[0] == 100
    assert all(a / b >= 1.8 for a, b in itertools.pairwise(chosen))
    assert epochs._ticks([7]) == [7]


def test_reconstructions_stand_side_by_side() -> None:
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) * np.ones((4, 14, 14, 1), np.uint8)
    canvas, centres = reconstructions._canvas(
        images, images + 100, [np.array([0, 2]), np.array([3])]
    )
    assert canvas.shape == (14 + 1 + 14, 3 * 15 - 1 + 7, 1)
    assert [canvas[0, x, 0] for x in (0, 15, 37)] == [0, 2, 3]
    assert [canvas[15, x, 0] for x in (0, 15, 37)] == [100, 102, 103]
    assert canvas[14].min() == 255
    assert centres == [[7.0, 22.0], [44.0]]


def test_reconstruction_errors_by_hand(drawn: Drawn, results: Results) -> None:
    drawing = drawn("reconstructions-cifar10")
    assert set(drawing.frame["method"]) == {"cae_grad"}
    with np.load(
        results.root / "runs/cifar10/cae_grad/fold-0/inlier-0/seed-0/reconstructions.npz"
    ) as arrays:
        error = (arrays["images"][9] / 255 - arrays["reconstructions"][9] / 255) ** 2
    (row,) = drawing.frame.query("class_name == 'plane' and sample_id == 9").itertuples()
    assert row.squared_error == pytest.approx(error.mean())
    assert not row.inlier


@pytest.mark.parametrize("kind", layout.FIGURES)
def test_nothing_to_draw_is_said(tmp_path: Path, kind: str) -> None:
    config = make_config("mnist")
    source(config, tmp_path)
    with style.style_sheet():
        drawing = figures.KINDS[kind](config, metrics.load(config, tmp_path), tmp_path, "mnist")
        style.save(drawing, tmp_path, kind, {"config": "none"})
    assert drawing.caption.startswith("No ")
    assert (tmp_path / f"{kind}.csv").read_text().strip() == ""
    with Image.open(tmp_path / f"{kind}.png") as picture:
        assert picture.info["Description"] == drawing.caption


@pytest.mark.parametrize(("photographs", "mode"), [(False, "P"), (True, "RGB")])
def test_a_picture_is_the_drawing_in_few_colours(
    tmp_path: Path, photographs: bool, mode: str
) -> None:
    with style.style_sheet():
        figure, (left, right) = style.panels(2, 2.0)
        for number in range(9):
            left.plot([0, 1], [number, number**2], alpha=0.5)
        left.set_title("loss, Größe ≥ 1")
        if photographs:
            right.imshow(np.random.default_rng(0).random((200, 200, 3)))
        drawing = style.Drawing(figure, "Größe ≥ 1", pd.DataFrame())
        style.save(drawing, tmp_path, "few", {"config": "none"})
        figure.savefig(tmp_path / "all.png")
    with Image.open(tmp_path / "few.png") as few, Image.open(tmp_path / "all.png") as every:
        assert (few.mode, few.size, few.info["dpi"]) == (mode, every.size, every.info["dpi"])
        assert few.info["Description"] == "Größe ≥ 1"
        one, other = (np.asarray(picture.convert("RGB")).astype(int) for picture in (few, every))
    assert np.abs(one - other).max() < (1 if photographs else 16)


def test_other_figures_keep_their_look() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with style.style_sheet():
        assert mpl.rcParams["svg.hashsalt"] == "benchmark"
    assert dict(mpl.rcParams) == before


DRAWING = """
import hashlib, io
from benchmark.figures.style import panels, style_sheet
with style_sheet():
    figure, (axis,) = panels(1, 2.0)
    axis.plot([0, 1], [0, 1])
    axis.set_title("loss")
    figure.suptitle("Digits")
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        written = io.BytesIO()
        figure.savefig(written, format=kind, metadata=metadata)
        print(hashlib.sha256(written.getvalue()).hexdigest())
"""


def test_the_users_settings_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn_with(**settings: str) -> str:
        environment = {key: os.environ[key] for key in os.environ.keys() - {"MPLBACKEND"}}
        done = subprocess.run(
            [sys.executable, "-c", DRAWING],
            env=environment | settings,
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
        )
        return done.stdout or done.stderr

    settings = tmp_path / "matplotlibrc"
    settings.write_text(
        "text.usetex: True\naxes.facecolor: black\ntext.color: red\nlines.linestyle: --\n"
        "savefig.bbox: tight\nbackend: qtagg\n"
    )
    exec(DRAWING, {})
    expected = capsys.readouterr().out
    assert len(expected.split()) == 2
    assert drawn_with(MPLBACKEND="module://matplotlib_inline.backend_inline") == expected
    assert drawn_with(MATPLOTLIBRC=str(settings)) == expected


def test_text_is_text_and_has_room(tmp_path: Path) -> None:
    names = ["$x^$", "$$", "<b>", "two\nlines", "=1", "$5 to $10", "[a]", "_a", "%", "x" * 200]
    config = make_config("cifar10", methods=("cae", "cae_grad"), milestones=[1, 5])
    titles = zip(config.methods.items(), ("$\\frac$", "y" * 200), strict=True)
    methods = {key: entry.model_copy(update={"title": title}) for (key, entry), title in titles}
    entry = config.datasets["cifar10"].model_copy(update={"title": "$z_$\n" + "z" * 200})
    config = config.model_copy(update={"methods": methods, "datasets": {"cifar10": entry}})
    make_results(config, tmp_path, inliers=8)
    (layout.data(tmp_path, "cifar10") / "dataset.json").write_text(
        json.dumps({"class_names": names, "sha256": {"images": "made up"}})
    )
    for path in layout.manifests(tmp_path):
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps(manifest | {"class_name": names[manifest["inlier"]]}))
    found = metrics.compute(config, tmp_path)
    shown = []
    for kind in layout.FIGURES:
        with style.style_sheet():
            drawing = figures.draw(config, found, tmp_path, f"{kind}-cifar10")
            style.save(drawing, tmp_path, kind, found.provenance)
            texts = [text for text in drawing.figure.findobj(Text) if text.get_text().strip()]
            box = drawing.figure.get_tightbbox()
        assert not any(text.get_parse_math() for text in texts)
        assert box.x0 >= -0.05 and box.x1 <= style.WIDTH + 0.05, kind
        shown += [text.get_text() for text in texts]
    assert {"$x^$", "$$", "<b>", "two lines", "$5 to $10", "x" * 23 + "…"} <= set(shown)
    assert {"$\\frac$", "y" * 27 + "…", "$z_$ " + "z" * 94 + "…"} <= set(shown)
    assert "x" * 200 in (tmp_path / "reconstructions.csv").read_text()


def test_a_damaged_or_pickled_file_of_reconstructions_is_named(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae_grad",))
    make_results(config, tmp_path, inliers=8)
    found = metrics.compute(config, tmp_path)
    file = layout.run(tmp_path, RunKey("cifar10", "cae_grad", 0, 3, 0)) / "reconstructions.npz"
    whole = file.read_bytes()
    sprung = tmp_path / "sprung"
    np.savez(file, images=np.array([Trap(sprung)], object))
    for content in (file.read_bytes(), whole[:-100], b""):
        file.write_bytes(content)
        with pytest.raises(InputError, match=f"^{file}: "):
            reconstructions.draw(config, found, tmp_path, "cifar10")
    assert not sprung.exists()


def test_colours_keep_apart_without_hue() -> None:
    """The two sides differ in lightness too, and the lines' colours all differ from each other."""

    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert abs(lightness(style.INLIER) - lightness(style.OUTLIER)) > 20
    text = io.StringIO(style.SHEET.read_text()).read()
    colours = text.split("color=[")[1].split("]")[0].split(", ")
    markers = text.split("marker=[")[1].split("]")[0].split(", ")
    assert len(set(colours)) == len(set(markers)) == 7


def test_a_curve_of_some_classes_has_no_published_average(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae", "cae_grad"), outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=8)
    for inlier in range(1, 10):
        shutil.rmtree(tmp_path / f"runs/cifar10/cae_grad/fold-0/inlier-{inlier}")
    found = metrics.compute(config, tmp_path)
    with style.style_sheet():
        curve = beta.draw(config, found, tmp_path, "cifar10")
        bars = histograms.draw(config, found, tmp_path, "cifar10")
    assert not [line for line in curve.figure.axes[0].lines if line.get_linestyle() == ":"]
    assert "OCGAN" not in curve.caption
    for drawing in (curve, bars):
        assert "Inlier classes: CAE 10, CAE + Grad 1 of 10 (plane)." in drawing.caption
    labels = [text.get_text() for text in curve.figure.legends[0].get_texts()]
    assert labels == ["CAE", "CAE + Grad (1 of 10 classes)"]
    titles = [axis.get_title(loc) for axis in bars.figure.axes for loc in ("left", "center")]
    assert {"CAE", "CAE + Grad (1 of 10 classes)"} <= set(titles)
    shutil.rmtree(tmp_path / "runs/cifar10/cae")
    with style.style_sheet():
        alone = beta.draw(config, metrics.compute(config, tmp_path), tmp_path, "cifar10")
    assert "Inlier classes: 1 of 10 (plane)." in alone.caption


def test_the_mark_of_beta_is_above_the_axes(drawn: Drawn) -> None:
    figure = drawn("beta-cifar10").figure
    (axis,) = figure.axes
    (label,) = axis.texts
    place(figure)
    assert label.get_window_extent().y0 >= axis.get_window_extent().y1
    assert label.get_window_extent().y1 <= figure.legends[0].get_window_extent().y0


def test_the_score_hides_no_loss(drawn: Drawn) -> None:
    """Without a gradient loss in it the anomaly score is the reconstruction error itself."""
    drawing = drawn("epochs-cifar10")
    curves = drawing.frame.query("method == 'cae'").pivot_table(
        index="epoch", columns="component", values="mean"
    )
    assert (curves["score"] == curves["reconstruction"]).all()
    lines = {tuple(np.round(line.get_ydata(), 9)): [] for line in drawing.figure.axes[0].lines[:-1]}
    for line in drawing.figure.axes[0].lines[:-1]:
        lines[tuple(np.round(line.get_ydata(), 9))].append(line)
    (same,) = (pair for pair in lines.values() if len(pair) == 2)
    below, above = sorted(same, key=lambda line: line.get_zorder())
    assert below.get_zorder() < above.get_zorder()
    assert below.get_linewidth() > 2 * above.get_linewidth()


def test_the_highest_markers_are_not_cut(results: Results, found: Metrics) -> None:
    averages = found.averages.query("metric == 'auroc' and component == 'score'")
    averages = averages[averages["model"].str.startswith("epoch-")]
    averages = averages[(averages["dataset"] == "cifar10") & (averages["inlier"] == AVERAGE)]
    low, high = averages["mean"].min(), averages["mean"].max()
    averages = averages.assign(mean=(averages["mean"] - low) / (high - low), spread=0.0)
    numbers = replace(found, averages=averages)
    with style.style_sheet():
        figure = epochs.draw(results.config, numbers, results.root, "cifar10").figure
    place(figure)
    for axis in figure.axes:
        for line in axis.lines[:-1]:
            top = axis.transData.transform((1, np.max(line.get_ydata())))[1]
            assert top + line.get_markersize() / 2 * figure.dpi / 72 <= axis.bbox.y1


def place(figure: Figure) -> None:
    """Put everything where it is in the file."""
    with style.style_sheet():
        style.lay_out(figure)
        figure.draw_without_rendering()


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of a figure that lie on each other."""
    place(figure)
    # Matplotlib keeps labels for ticks beyond the ends of an axis, and does not draw them.
    unseen = [
        tick.label1
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    ]
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t not in unseen]
    return [
        (one, other)
        for (one, here), (other, there) in itertools.combinations(boxes, 2)
        if min(here.x1, there.x1) - max(here.x0, there.x0) > 1
        and min(here.y1, there.y1) - max(here.y0, there.y0) > 1
    ]


@pytest.mark.parametrize("kind", ["forest", "explanations", *layout.FIGURES])
@pytest.mark.parametrize("dataset", ["cifar10", "fashion_mnist"])
def test_labels_do_not_overlap(drawn: Drawn, kind: str, dataset: str) -> None:
    with style.style_sheet():
        assert overlapping(drawn(f"{kind}-{dataset}").figure) == []


def test_epochs_of_many_panels_keep_their_ticks_apart(tmp_path: Path) -> None:
    """As many milestones as the paper's configuration has."""
    milestones = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    methods = ("cae", "cae_grad", "vae", "vae_grad")
    for number in range(1, 5):
        config = make_config("cifar10", methods=methods[:number], milestones=milestones)
        root = tmp_path / str(number)
        make_results(config, root, inliers=4, epochs=1000)
        with style.style_sheet():
            drawing = epochs.draw(config, metrics.compute(config, root), root, "cifar10")
            assert len(drawing.figure.axes) == number
            assert overlapping(drawing.figure) == []
        for axis in drawing.figure.axes:
            assert len(axis.get_xticks()) >= 3


def test_forest_shows_every_known_run(drawn: Drawn, found: Metrics) -> None:
    frame = drawn("forest-cifar10").frame
    score = frame[(frame["method"] == "cae_grad") & (frame["component"] == "score")]
    printed = score[score["mark"] == "published"].set_index("inlier")["value"]
    assert (printed[-1], printed[0]) == (0.664, 0.76)
    rows = found.table.query(
        "dataset == 'cifar10' and method == 'cae_grad' and component == 'score' "
        "and metric == 'auroc' and model == 'best' and outlier_ratio == 0.5"
    )
    rows = rows[rows["beta_multiple"].isna()]
    ours = score[score["mark"] == "ours"]
    assert len(rows) == 19
    assert sorted(ours.query("inlier >= 0")["value"]) == sorted(rows["value"])
    # Seed 1 lacks a class, so its average would be of others.
    (average,) = ours.query("inlier == -1")["value"]
    assert average == pytest.approx(rows.query("seed == 0")["value"].mean())
    assert not ours["same_settings"].any()  # 20 epochs
    assert (score["mark"] != "interval").all()
    reported = score[score["mark"] == "reported"].query("inlier == -1")["value"]
    assert sorted(reported) == [0.616, 0.6215]
    assert frame["published_method"].iloc[0] == "GradCon"


def test_forest_has_the_interval_of_the_verdict(tmp_path: Path) -> None:
    config = make_config("cifar10", methods=("cae_grad",), seeds=[0, 1], outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=60, epochs=1000)
    judged = source(config, tmp_path).verdicts.numbers
    with style.style_sheet():
        drawing = figures.draw(config, metrics.load(config, tmp_path), tmp_path, "forest-cifar10")
    bars = drawing.frame.query("mark == 'interval' and component == 'score'").set_index("inlier")
    rows = judged.query("method == 'cae_grad' and component == 'score' and dataset == 'cifar10'")
    rows = rows.set_index("inlier")
    assert len(bars) == 11
    assert bars["low"].to_dict() == pytest.approx(rows["low"].to_dict())
    assert bars["high"].to_dict() == pytest.approx(rows["high"].to_dict())


def test_explanations_show_each_choice_beside_the_published_numbers(
    drawn: Drawn, results: Results
) -> None:
    drawing = drawn("explanations-cifar10")
    judged = source(results.config, results.root).verdicts.explanations
    judged = judged[judged["dataset"] == "cifar10"]
    frame = drawing.frame
    assert len(frame) == len(judged) > 12
    assert frame["difference"].tolist() == (judged["average"] - judged["published"]).tolist()
    averages, classes, errors = drawing.figure.axes
    rows = [label.get_text() for label in averages.get_yticklabels()]
    assert rows[0] == "best validation loss, our rule" and len(rows) == len(set(rows))
    assert rows[-1] == "best of 10 seeds per class, expected"

    def marks(axis: Axes) -> list[float]:
        # Of lines, the first is that of 0.
        return sorted(np.concatenate([line.get_xdata() for line in axis.lines[1:]]).tolist())

    reconstruction = frame["component"] == "reconstruction"
    assert marks(averages) == sorted(frame.loc[~reconstruction, "difference"])
    assert marks(classes) == sorted(frame.loc[~reconstruction, "distance"])
    assert marks(errors) == sorted(frame.loc[reconstruction, "distance"])
    score = frame[(frame["component"] == "score") & (frame["method"] == "cae_grad")]
    beside = [text.get_text() for text in averages.texts]
    assert beside == [f"{value:.3f}" for value in score["average"]]
    # Others report GradCon's numbers, not the reconstruction errors.
    unknown = {text.get_position()[1] for text in errors.texts}
    assert {rows[int(line)] for line in unknown} == {
        *(f"best of {n} seeds per class, expected" for n in (3, 5, 8, 10)),
        "best known run per class (of 4)",
    }
    assert "not that it was made" in drawing.caption


def test_explanations_of_an_average_alone_have_one_panel(drawn: Drawn) -> None:
    """Of Fashion-MNIST the paper has no classes of GradCon, and no losses."""
    drawing = drawn("explanations-fashion_mnist")
    assert [axis.get_title(loc="left") for axis in drawing.figure.axes] == ["Average AUROC"]
    assert set(drawing.frame["component"]) == {"score"}


def test_an_empty_figure_is_written_for_snakemake_only(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("kde",), milestones=[5], outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=8)
    source(config, tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/beta-mnist.png").touch()
    figures.write(config, tmp_path)
    written = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert written == {"forest-mnist", "histograms-mnist", "epochs-mnist"}
    figures.write(config, tmp_path, notes=True)
    expected = {Path(path) for path in layout.figures(config, tmp_path)}
    assert set((tmp_path / "figures").iterdir()) == expected
    without = config.model_copy(update={"milestones": ()})
    assert "epochs-mnist" not in layout.figure_names(without)
