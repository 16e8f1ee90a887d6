import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, roc_auc_score

from benchmark import layout, metrics
from benchmark.errors import InputError
from benchmark.metrics import stalled
from benchmark.metrics.pool import POOLED
from benchmark.reanalyse import STAGES
from benchmark.scores import collect
from benchmark.statistics.overlap import BINS, bin_edges, counts, overlap
from benchmark.statistics.roc import Ranked, f1, placements
from tests.conftest import Results
from tests.synthetic import make_config, make_results


def auroc(inliers: np.ndarray, outliers: np.ndarray) -> np.ndarray:
    return placements(inliers, outliers).mean(axis=-1)


COARSE = st.integers(-4, 4).map(float)


def scores(size: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    return size.flatmap(lambda n: arrays(np.float64, n, elements=COARSE))


SOME = scores(st.integers(1, 12))


@given(SOME, SOME)
def test_auroc_counts_pairs_with_ties_as_half(inliers: np.ndarray, outliers: np.ndarray) -> None:
    pairs = [(a < b) + (a == b) / 2 for a in inliers for b in outliers]
    assert auroc(inliers, outliers) == pytest.approx(np.mean(pairs))


@given(SOME, SOME)
def test_auroc_depends_on_order_only(inliers: np.ndarray, outliers: np.ndarray) -> None:
    area = auroc(inliers, outliers)
    assert auroc(np.exp(inliers), np.exp(outliers)) == pytest.approx(area)
    assert auroc(-inliers, -outliers) == pytest.approx(1 - area)


@given(SOME, SOME, st.data())
def test_placements_give_the_auroc_of_every_smaller_test_set(
    inliers: np.ndarray, outliers: np.ndarray, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, outliers.size))
    placed = placements(inliers, outliers)
    assert placed[:k].mean() == pytest.approx(auroc(inliers, outliers[:k]))


def test_auroc_of_many_scores_at_once_is_that_of_each() -> None:
    rng = np.random.default_rng(0)
    inliers, outliers = rng.normal(size=(3, 50)), rng.normal(1, 1, size=(3, 20))
    truth = np.r_[np.zeros(50), np.ones(20)]
    each = [roc_auc_score(truth, np.r_[a, b]) for a, b in zip(inliers, outliers, strict=True)]
    assert auroc(inliers, outliers) == pytest.approx(each)


@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.data())
def test_one_sort_gives_what_each_number_alone_does(
    n: int, m: int, tied: bool, data: st.DataObject
) -> None:
    values = st.integers(-4, 4).map(float) if tied else st.floats(-1e9, 1e9)
    inliers, outliers = (data.draw(arrays(np.float64, (2, k), elements=values)) for k in (n, m))
    count, ranked = data.draw(st.integers(1, m)), Ranked(inliers, outliers)
    some = outliers[:, :count]
    assert np.array_equal(ranked.of_outliers(), placements(inliers, outliers))
    assert np.array_equal(ranked.of_inliers(count), placements(some, inliers))
    assert np.array_equal(ranked.f1(count), f1(inliers, some))


def test_f1_by_hand() -> None:
    # The third smallest score is 1.5: 0 and 1 are rightly kept, 1.5 is passed, 2 is lost.
    assert f1(np.array([0.0, 1, 2]), np.array([1.5, 3, 4])) == pytest.approx(2 * 2 / (3 + 2 + 1))
    assert f1(np.array([0.0, 1]), np.array([2.0, 3])) == 1
    assert f1(np.array([2.0, 3]), np.array([0.0, 1])) == 0
    assert f1(np.zeros(3), np.zeros(3)) == pytest.approx(2 / 3)  # all kept, as none stands out


@given(SOME, SOME)
def test_f1_is_that_of_the_flagged_share(inliers: np.ndarray, outliers: np.ndarray) -> None:
    both = np.r_[inliers, outliers]
    kept = both <= np.sort(both)[inliers.size - 1]
    truth = np.r_[np.ones(inliers.size), np.zeros(outliers.size)]
    assert f1(inliers, outliers) == pytest.approx(f1_score(truth, kept))


def test_overlap_by_hand() -> None:
    # One inlier and one outlier of eight samples lie in the overlapped region.
    assert overlap(np.array([3, 1, 0]), np.array([0, 1, 3])) == 25
    assert overlap(np.array([1, 2]), np.array([1, 2])) == 100
    assert overlap(np.array([5, 0]), np.array([0, 5])) == 0
    assert overlap(np.array([4, 0]), np.array([2, 2])) == 50
    assert np.isnan(overlap(np.zeros(2, int), np.zeros(2, int)))


BARS = arrays(np.int64, 6, elements=st.integers(0, 9))


@given(BARS, BARS)
def test_overlap_is_a_symmetric_share(inliers: np.ndarray, outliers: np.ndarray) -> None:
    if inliers.any() or outliers.any():
        share = overlap(inliers, outliers)
        assert share == overlap(outliers, inliers)
        assert 0 <= share <= 100


@given(arrays(np.float64, 30, elements=st.floats(-1e6, 1e6)))
def test_every_sample_is_in_a_bin(values: np.ndarray) -> None:
    assert counts(values, bin_edges(values)).sum() == values.size


def test_one_wild_score_does_not_widen_the_bins() -> None:
    values = np.r_[np.linspace(0, 1, 5000), 1e9]
    edges = bin_edges(values)
    assert edges[-1] < 2
    assert counts(values, edges)[-1] >= 1


@pytest.fixture(scope="module")
def table(results: Results) -> pd.DataFrame:
    return metrics.load(results.config, results.root).table


def lookup(table: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    keep = np.all([table[name] == value for name, value in wanted.items()], axis=0)
    return table[keep]


@pytest.mark.parametrize(
    ("method", "ratio", "expression"),
    [
        ("cae_grad", 0.5, "reconstruction + 0.12 * gradient"),
        ("cae_grad", 0.1, "reconstruction + 0.12 * gradient"),
        ("cae", 0.5, "reconstruction"),
        ("vae", 0.5, "reconstruction + latent"),
    ],
)
def test_anomaly_score_from_the_files(
    results: Results, table: pd.DataFrame, method: str, ratio: float, expression: str
) -> None:
    path = results.root / f"runs/cifar10/{method}/fold-0/inlier-7/seed-1/scores.parquet"
    rows = pd.read_parquet(path).query("model == 'last'")
    rows = rows[rows["outlier_rank"] < round(40 * ratio / (1 - ratio))]
    score = rows.astype({"reconstruction": float, "gradient": float}).eval(expression)
    (found,) = lookup(
        table[table["beta_multiple"].isna()],
        dataset="cifar10", method=method, inlier=7, seed=1, model="last", component="score",
        outlier_ratio=ratio, metric="auroc",
    )["value"]  # fmt: skip
    assert found == pytest.approx(roc_auc_score(~rows["inlier"], score), abs=1e-6)


def test_f1_from_the_files(results: Results, table: pd.DataFrame) -> None:
    path = results.root / "runs/cifar10/cae_grad/fold-0/inlier-7/seed-1/scores.parquet"
    rows = pd.read_parquet(path).query("model == 'best'")
    rows = rows[rows["outlier_rank"] < round(40 * 0.1 / 0.9)]
    kept = rows["gradient"].rank(method="first") <= 40
    (found,) = lookup(
        table, dataset="cifar10", method="cae_grad", inlier=7, seed=1, model="best",
        component="gradient", outlier_ratio=0.1, metric="f1",
    )["value"]  # fmt: skip
    assert found == pytest.approx(f1_score(rows["inlier"], kept))


def test_histograms_are_of_the_main_share_of_outliers(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",), outlier_ratios=[0.1, 0.5, 0.75])
    make_results(config, tmp_path, inliers=8)
    bars = metrics.compute(config, tmp_path).histograms
    best = bars[bars["model"] == "best"]
    assert best[["inliers", "outliers"]].sum().tolist() == [80, 80]


def test_beta_sweep_from_the_files(results: Results, table: pd.DataFrame) -> None:
    path = results.root / "runs/cifar10/cae/fold-0/inlier-2/seed-0/scores.parquet"
    rows = pd.read_parquet(path).query("model == 'best'").astype({"gradient": float})
    swept = lookup(
        table[table["beta_multiple"].notna()],
        dataset="cifar10", method="cae", inlier=2, seed=0, model="best",
    )  # fmt: skip
    assert list(swept["beta_multiple"]) == list(results.config.beta_multiples)
    for multiple, found in zip(swept["beta_multiple"], swept["value"], strict=True):
        score = rows["reconstruction"] + multiple * 0.03 * rows["gradient"]
        assert found == pytest.approx(roc_auc_score(~rows["inlier"], score), abs=1e-6)


def test_milestones_are_measured(table: pd.DataFrame) -> None:
    rows = lookup(table, dataset="cifar10", method="ocgan")
    assert rows.empty
    rows = lookup(table, dataset="fashion_mnist", method="ocgan", fold=1, inlier=0, seed=0)
    assert set(rows["model"]) == {"best", "last", "epoch-1", "epoch-5"}


def test_runs_without_scores_have_no_numbers(results: Results, table: pd.DataFrame) -> None:
    key = ["dataset", "method", "fold", "inlier", "seed"]
    runs = metrics.load(results.config, results.root).runs.set_index(key).sort_index()
    assert runs.loc[("cifar10", "cae_grad", 0, 3, 1), "reason"] == "the loss became NaN in epoch 3"
    assert runs.loc[("cifar10", "vae", 0, 0, 0), "status"] == "refused"
    assert (runs.loc[("cifar10", "ocgan"), "status"] == "missing").all()
    gone = lookup(table, dataset="cifar10", method="cae_grad", inlier=3, seed=1)
    assert gone.empty
    assert lookup(table, dataset="cifar10", method="vae", inlier=0, seed=0).empty


def test_overlap_pools_all_classes(results: Results, table: pd.DataFrame) -> None:
    frames = [
        pd.read_parquet(path).query("model == 'best' and outlier_rank < 40")
        for path in results.root.glob("runs/fashion_mnist/cae_grad/*/*/*/scores.parquet")
    ]
    every = pd.concat(frames)["gradient"].astype(float)
    edges = np.linspace(*np.percentile(every, [0.1, 99.9]), BINS + 1)
    paths = results.root.glob("runs/fashion_mnist/cae_grad/fold-1/*/seed-0/scores.parquet")
    mine = pd.concat(pd.read_parquet(path).query("model == 'best'") for path in paths)
    mine["bin"] = np.clip(np.digitize(mine["gradient"].astype(float), edges) - 1, 0, BINS - 1)
    bars = mine.groupby(["bin", "inlier"]).size().unstack(fill_value=0)
    expected = 100 * 2 * bars.min(axis=1).sum() / len(mine)
    (row,) = lookup(
        table, dataset="fashion_mnist", method="cae_grad", fold=1, seed=0, inlier=POOLED,
        model="best", component="gradient", metric="overlap",
    ).itertuples()  # fmt: skip
    assert row.value == pytest.approx(expected, abs=0.3)  # a sample on an edge may fall either way
    assert row.flag == ""


def test_overlap_over_missing_classes_is_flagged(table: pd.DataFrame) -> None:
    rows = lookup(table, dataset="cifar10", method="cae_grad", metric="overlap", model="best")
    assert set(rows.loc[rows["seed"] == 0, "flag"]) == {""}
    assert set(rows.loc[rows["seed"] == 1, "flag"]) == {"incomplete"}


def test_histograms_hold_every_sample(results: Results) -> None:
    bars = metrics.load(results.config, results.root).histograms
    mine = lookup(bars, dataset="fashion_mnist", method="cae", model="best", component="score")
    totals = mine.groupby(["fold", "seed"])[["inliers", "outliers"]].sum()
    assert (totals == 400).all(axis=None)


def strange(key, component, rng, n, m):  # type: ignore[no-untyped-def]
    """Scores with one oddity per inlier class."""
    odd = {
        0: np.zeros(n + m),
        1: np.r_[np.zeros(n), np.full(m, np.nan)],
        2: np.r_[np.ones(n), np.zeros(m)],
        3: np.r_[np.zeros(n), np.full(m, np.inf)],
    }
    return odd.get(key.inlier, np.r_[np.zeros(n), np.ones(m)])


def test_odd_scores_are_flagged_and_never_averaged_in(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",))
    make_results(config, tmp_path, inliers=8, draw=strange)
    table = metrics.compute(config, tmp_path).table
    rows = lookup(table, model="best", metric="auroc", outlier_ratio=0.5).set_index("inlier")
    assert rows.loc[0, ["value", "flag"]].tolist() == [0.5, "constant"]
    assert rows.loc[2, ["value", "flag"]].tolist() == [0.0, "below 0.5"]
    assert rows.loc[4, ["value", "flag"]].tolist() == [1.0, ""]
    assert rows.loc[[1, 3], "flag"].tolist() == ["not finite"] * 2
    assert rows.loc[[1, 3], "value"].isna().all()
    (pooled,) = lookup(table, model="best", metric="overlap")["flag"]
    assert pooled == "incomplete"


LEARNT, DEAD = ([0.5, 0.4, 0.3], [0.5, 0.4951, 0.6])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ({"epoch": [1, 2, 3], stalled.COLUMN: DEAD}, True),
        ({"epoch": [1, 2, 3], stalled.COLUMN: LEARNT}, False),
        ({"epoch": [1, 2, 3], stalled.COLUMN: [0.5, 0.4949, 0.6]}, False),
        ({"epoch": [1], stalled.COLUMN: [0.5]}, False),
        ({"epoch": [1, 2, 3], stalled.COLUMN: [0.5, 0.5, None]}, True),
        ({"epoch": [1, 2, 3], stalled.COLUMN: [0.5, None, None]}, False),
        ({"epoch": [1, 2, 3], "validation_loss": DEAD}, False),
        ({}, False),
    ],
)
def test_a_training_that_hardly_learns_is_told_by_its_losses(
    tmp_path: Path, losses: dict[str, list[float | None]], told: bool, packed: bool
) -> None:
    name = "history.csv.xz" if packed else "history.csv"
    pd.DataFrame(losses).to_csv(tmp_path / name, index=False)
    assert stalled.stalled(tmp_path) is told


def test_whether_each_run_stalled_is_in_the_table_of_runs(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("cae",))
    make_results(config, tmp_path, inliers=8)
    _, second, third, *_ = (run.directory for run in collect(config, tmp_path))
    for directory, errors in ((second, DEAD), (third, LEARNT)):
        pd.DataFrame({stalled.COLUMN: errors}).to_csv(directory / "history.csv", index=False)
    runs = metrics.compute(config, tmp_path).runs
    assert runs.index[runs["stalled"]].tolist() == [1]
    for text in ("1,0.5\n2\n", "1,half\n", "1,0.5\r2,0.5\r"):
        (third / "history.csv").write_bytes(f"epoch,{stalled.COLUMN}\n{text}".encode())
        with pytest.raises(InputError, match=r"history\.csv: damaged \(.*\); delete it and run"):
            metrics.compute(config, tmp_path)


def test_too_few_outliers_give_no_number(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",), outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=8)
    wider = make_config("mnist", methods=("ocgan",), outlier_ratios=[0.5, 0.8])
    table = metrics.compute(wider, tmp_path).table
    rows = lookup(table, outlier_ratio=0.8)
    assert rows["value"].isna().all()
    assert set(rows["flag"]) == {"too few outliers"}


def test_no_runs_at_all(tmp_path: Path) -> None:
    found = metrics.compute(make_config("mnist"), tmp_path)
    assert found.table.empty
    assert set(found.runs["status"]) == {"missing"}


def test_provenance_changes_with_the_scores(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",))
    make_results(config, tmp_path, inliers=8)
    before = metrics.compute(config, tmp_path).provenance
    assert metrics.compute(config, tmp_path).provenance == before
    entry = config.datasets["mnist"].model_copy(update={"path": Path("elsewhere")})
    moved = config.model_copy(update={"datasets": {"mnist": entry}})
    assert metrics.compute(moved, tmp_path).provenance == before
    other = config.model_copy(update={"beta": 0.5})
    assert metrics.compute(other, tmp_path).provenance != before
    make_results(config, tmp_path, inliers=9)
    after = metrics.compute(config, tmp_path).provenance
    assert after["config_sha256"] == before["config_sha256"]
    assert after["runs_sha256"] != before["runs_sha256"]


def test_writes_what_it_says(results: Results) -> None:
    for path in layout.metrics(results.config, results.root):
        assert Path(path).is_file()


def test_nothing_after_the_scores_imports_torch() -> None:
    code = "import benchmark.reanalyse, sys; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_errors_from_the_files(results: Results, table: pd.DataFrame) -> None:
    path = results.root / "runs/cifar10/cae_grad/fold-0/inlier-7/seed-1/scores.parquet"
    rows = pd.read_parquet(path).query("model == 'best'")
    rows = rows[rows["outlier_rank"] < round(40 * 0.1 / 0.9)]
    values = rows["gradient"].to_numpy(float)
    a, b = values[rows["inlier"]][:, None], values[~rows["inlier"]][None, :]
    kernel = (a < b) + (a == b) / 2
    variance = kernel.mean(1).var(ddof=1) / a.size + kernel.mean(0).var(ddof=1) / b.size
    (found,) = lookup(
        table, dataset="cifar10", method="cae_grad", inlier=7, seed=1, model="best",
        component="gradient", outlier_ratio=0.1, metric="auroc",
    )["error"]  # fmt: skip
    assert found == pytest.approx(np.sqrt(variance))
    assert lookup(table, metric="f1")["error"].isna().all()
    assert table.loc[table["beta_multiple"].notna(), "error"].isna().all()


@pytest.mark.parametrize("stage", STAGES[1:], ids=lambda stage: stage.__name__)
def test_metrics_of_other_settings_are_refused(results: Results, stage: ModuleType) -> None:
    other = results.config.model_copy(update={"beta": 0.5})
    with pytest.raises(InputError, match=r"provenance\.json: .* other settings; run .* again$"):
        stage.write(other, results.root)
    moved = results.config.model_copy(update={"results": Path("elsewhere")})
    assert metrics.load(moved, results.root).provenance["config"] == moved.name
