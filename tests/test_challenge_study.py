"""The challenge study's numbers beside oracles, and its way through config, plan and outputs."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from benchmark import captions, figures, layout, metrics, reanalyse, tables, verdicts
from benchmark import config as configuration
from benchmark.config import Config
from benchmark.data.challenges.gtsrb import NAME
from benchmark.errors import InputError
from benchmark.metrics import challenge_study
from benchmark.metrics.challenge_study import Part
from benchmark.scores import collect
from benchmark.tables import cells, challenge_table
from benchmark.tables.table import Cell, Row
from benchmark.verdicts import challenge_claim
from tests.synthetic import write_manifest
from workflow.jobs import Jobs

CLEAN_IMAGES = 40
KEY = "gtsrb_challenges"
SHIFT = {"reconstruction": 0.3, "latent": 0.2, "gradient": 0.6}


def make(**over) -> Config:
    plain = {
        "name": "made_up",
        "seeds": [0, 1],
        "datasets": {
            KEY: {
                "source": KEY,
                "path": "few.npz",
                "challenges": {"types": ["Rain", "Haze"], "levels": [1, 3]},
            }
        },
        "methods": {
            method: {"detector": "gradcon.detectors:CAE", "title": title}
            for method, title in (("cae", "CAE"), ("cae_grad", "CAE + Grad"), ("vae", "VAE"))
        },
    }
    return configuration.load(plain | over, data=False)


def scores_of(key, components: tuple[str, ...]) -> pd.DataFrame:
    """Clean images, then as many of each of four conditions; two images a sign."""
    rng = np.random.default_rng([key.seed, len(key.method)])
    label = np.repeat(np.arange(5), CLEAN_IMAGES)
    outlier = label > 0
    frame = pd.DataFrame(
        {
            "sample_id": np.arange(label.size, dtype=np.int32) + 100,
            "label": label.astype(np.int16),
            "inlier": ~outlier,
            "outlier_rank": np.where(outlier, np.arange(label.size) - CLEAN_IMAGES, -1).astype(
                "i4"
            ),
        }
    )
    sign = np.tile(rng.normal(size=CLEAN_IMAGES // 2).repeat(2), 5)
    for name in components:
        values = sign + rng.normal(size=label.size) + SHIFT[name] * label
        frame[name] = values.astype(np.float32)
    return frame


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    config = make()
    root = tmp_path_factory.mktemp("results") / config.name
    groups = np.full(100 + 5 * CLEAN_IMAGES, -1)
    groups[100:] = np.tile(np.arange(CLEAN_IMAGES) // 2, 5)
    (root / "data" / KEY).mkdir(parents=True)
    np.save(root / "data" / KEY / "groups.npy", groups)
    for run in collect(config, root):
        if run.key.method == "vae":
            continue
        frame = scores_of(run.key, ("reconstruction", "gradient"))
        both = pd.concat([frame.assign(model=model) for model in ("best", "last")])
        run.directory.mkdir(parents=True)
        path = run.directory / "scores.parquet"
        both.astype({"model": "category"}).to_parquet(path, index=False)
        pictures = np.zeros((4, 8, 8, 3), np.uint8)
        np.savez(
            run.directory / "reconstructions.npz",
            images=pictures,
            reconstructions=pictures,
            inlier=np.array([True, True, False, False]),
            sample_id=np.array([100, 101, 100 + CLEAN_IMAGES, 100 + 4 * CLEAN_IMAGES]),
        )
        write_manifest(run.directory, run.key, "clean", len(frame))
    metrics.write(config, root)
    verdicts.write(config, root)
    return config, root


def plain_part(n: int, m: int, cluster: np.ndarray | None = None) -> Part:
    cluster = np.arange(n + m) if cluster is None else cluster
    return Part(np.arange(n + m), cluster, n)


# Numbers


def test_auroc_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    inliers, outliers = rng.integers(0, 9, 50) / 2, rng.integers(2, 12, 70) / 2
    found = challenge_study.influence(np.r_[inliers, outliers], plain_part(50, 70))
    truth = np.r_[np.zeros(50), np.ones(70)]
    assert found.auroc == pytest.approx(roc_auc_score(truth, np.r_[inliers, outliers]))
    assert found.of_cluster.sum() == pytest.approx(0, abs=1e-12)


def test_without_clusters_the_error_is_delongs() -> None:
    rng = np.random.default_rng(1)
    inliers, outliers = rng.normal(size=300), rng.normal(0.7, 1, 400)
    found = challenge_study.influence(np.r_[inliers, outliers], plain_part(300, 400))
    # By pairs, from the paper of DeLong and others (1988).
    wins = (outliers[np.newaxis] > inliers[:, np.newaxis]).astype(float)
    variance = wins.mean(axis=1).var(ddof=1) / 300 + wins.mean(axis=0).var(ddof=1) / 400
    mean, low, high, _ = challenge_study.estimate([found.auroc], [found.of_cluster])
    assert mean == pytest.approx(wins.mean())
    assert (high - low) / 2 / 1.959964 == pytest.approx(variance**0.5, rel=0.005)


def test_the_error_of_clusters_is_that_of_drawing_signs_anew() -> None:
    """Signs with three clean and three challenged images each, drawn again and again."""
    rng = np.random.default_rng(2)
    signs, each = 60, 3

    def draw() -> tuple[float, float]:
        level = rng.normal(size=(signs, 1))
        inliers, outliers = (
            (level + 0.5 * rng.normal(size=(signs, each)) + shift).ravel() for shift in (0, 0.5)
        )
        cluster = np.tile(np.arange(signs).repeat(each), 2)
        found = challenge_study.influence(np.r_[inliers, outliers], plain_part(180, 180, cluster))
        _, low, high, _ = challenge_study.estimate([found.auroc], [found.of_cluster])
        return found.auroc, (high - low) / 2 / 1.959964

    values, errors = np.array([draw() for _ in range(400)]).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.12)


def test_seeds_widen_the_interval() -> None:
    moved = [np.array([0.01, -0.01])] * 2
    one = challenge_study.estimate([0.7], moved[:1])
    same = challenge_study.estimate([0.7, 0.7], moved)
    apart = challenge_study.estimate([0.6, 0.8], moved)
    assert one == pytest.approx(same) and apart[0] == pytest.approx(0.7)

    # Two clusters: 2 * (0.01^2 + 0.01^2), and the seeds' variance 0.02 over two, which has one
    # degree of freedom, so that its quantile is Student's.
    def reach(tail: float) -> float:
        student, normal = stats.t.isf(tail, 1), stats.norm.isf(tail)
        return float(np.sqrt(student**2 * 0.01 + normal**2 * 0.0004))

    assert apart.high - 0.7 == pytest.approx(reach(0.025), rel=1e-6)
    assert reach(apart.p_not_above) == pytest.approx(0.7, rel=1e-6)


def test_few_seeds_give_the_p_value_of_a_t_test() -> None:
    values = [0.02, 0.03, 0.045, 0.05, 0.06]
    found = challenge_study.estimate(values, [np.zeros(4)] * 5)
    expected = stats.ttest_1samp(values, 0, alternative="greater").pvalue
    assert found.p_not_above == pytest.approx(expected)


def test_rows_are_the_scores_numbers(made: tuple[Config, Path]) -> None:
    config, root = made
    frame = challenge_study.load(config, root, KEY)
    conditions = [("Rain", 1), ("Rain", 3), ("Haze", 1), ("Haze", 3)]
    # Two methods with two losses each, and their one difference, of four conditions.
    assert len(frame) == 4 * (2 * 2 + 1)
    assert set(frame["images"]) == {"Simulated challenges on GTSRB"}
    keys = {run.key.seed: run.key for run in collect(config, root) if run.key.method == "cae_grad"}
    for label, (challenge, level) in enumerate(conditions, start=1):
        (row,) = frame.query(
            f"challenge == '{challenge}' and level == {level} and method == 'cae_grad' "
            "and component == 'gradient' and against_method == ''"
        ).itertuples()
        values = []
        for key in keys.values():
            scores = scores_of(key, ("reconstruction", "gradient"))
            taken = scores[scores["label"].isin([0, label])]
            values.append(roc_auc_score(taken["label"] > 0, taken["gradient"]))
        assert row.value == pytest.approx(np.mean(values))
        assert row.low < row.value < row.high
        assert (row.inliers, row.outliers, row.clusters) == (40, 40, 20)
        assert (row.seeds, row.missing_seeds, row.clustered) == (2, "", True)
    difference = frame[frame["against_method"] != ""]
    assert len(difference) == 4
    row = difference.iloc[0]
    own, other = (
        frame.query(
            f"challenge == 'Rain' and level == 1 and method == '{method}' "
            f"and component == '{component}' and against_method == ''"
        )["value"].item()
        for method, component in (("cae_grad", "gradient"), ("cae", "reconstruction"))
    )
    assert row["value"] == pytest.approx(own - other)


def test_without_groups_images_count_as_independent(made, tmp_path: Path) -> None:
    config, root = made
    (tmp_path / config.name).mkdir()
    (tmp_path / config.name / "runs").symlink_to(root / "runs")
    frame = challenge_study.compute(config, tmp_path / config.name, KEY)
    assert not frame["clustered"].any()
    assert set(frame["clusters"]) == {80}


# The claim


def claimed(
    *intervals: tuple[float, float], missing: str = "", gradient: float = 0.7, types: int = 3
) -> str:
    """What is said of differences in Rain, Haze and Noise, the first ``types`` configured."""
    config = make(**entry(challenges={"types": ["Rain", "Haze", "Noise"][:types]}))
    rows = [
        dict.fromkeys(challenge_study.COLUMNS) | {
            "challenge": name, "level": 1, "missing_seeds": missing,
            "method": method, "component": component, "against_method": against,
            "value": value, "low": low, "high": high,
        }
        for name, (low, high) in zip(("Rain", "Haze", "Noise"), intervals, strict=False)
        for method, component, against, value in (
            ("cae_grad", "gradient", "", gradient),
            ("cae", "reconstruction", "", gradient - (low + high) / 2),
            ("cae_grad", "gradient", "cae", (low + high) / 2),
        )
    ]  # fmt: skip
    return in_words(config, KEY, pd.DataFrame(rows, columns=list(challenge_study.COLUMNS)))


def in_words(config: Config, key: str, study: pd.DataFrame) -> str:
    return captions.challenge_claim(config, key, challenge_claim.frame(config, {key: study}))


def test_the_claim_is_decided() -> None:
    won, open_, lost = (0.01, 0.3), (-0.1, 0.3), (-0.4, -0.1)
    assert ": holds here; better in 3 of 3, worse in 0." in claimed(won, won, won)
    assert ": open here; better in 2 of 3, worse in 0, 1 within the interval (Haze)." in claimed(
        won, open_, won
    )
    assert (
        "does not hold here; better in 1 of 3, worse in 1 (Noise), 1 within the interval (Haze)."
    ) in claimed(won, open_, lost)
    assert "not decided, as no run" in claimed()


def test_the_claim_is_not_decided_by_a_part_of_the_challenges_or_seeds() -> None:
    won = (0.1, 0.2)
    assert ": not decided: no Haze, Noise; better in 1 of 1, worse in 0." in claimed(won)
    assert ": not decided: no seeds 1, 2; better in 3 of 3" in claimed(won, won, won, missing="1 2")
    assert ": not decided: no Noise; no seed 1; better in 2" in claimed(won, won, missing="1")
    assert ": holds here" in claimed(won, types=1)


def test_wins_below_chance_are_told() -> None:
    said = claimed((0.1, 0.2), (-0.2, 0.1), types=2, gradient=0.46)
    assert "better in 1 of 2 (1 of them with an AUROC under 0.5: Rain 0.460 against 0.310)" in said


def test_a_stand_in_is_no_verdict_on_the_paper(made: tuple[Config, Path]) -> None:
    stand_in, root = made
    cure_tsr = {"source": "cure_tsr", "path": "none", "optional": True}
    both = {"cure_tsr": cure_tsr, KEY: stand_in.model_dump(mode="json")["datasets"][KEY]}
    config = make(datasets=both, results=str(root.parent))
    again = root.with_name("both")
    again.mkdir()
    for name in ("runs", "data"):
        (again / name).symlink_to(root / name)
    metrics.write(config, again)
    verdicts.write(config, again)
    challenge_table = tables.build(config, again)["claims"]
    (note,) = challenge_table.notes
    assert "Claim of A.4" in note and note.endswith("not CURE-TSR: no verdict on the paper.")
    (outcome,) = set(challenge_table.frame.query("id == 'cure-tsr-level-1'")["outcome"])
    assert outcome == "not run"
    real = challenge_study.load(config, again, KEY).assign(dataset="cure_tsr")
    assert "no verdict" not in in_words(config, "cure_tsr", real)


# Tables and figures


def test_the_table_shows_losses_and_difference(made: tuple[Config, Path]) -> None:
    config, root = made
    built = tables.build(config, root)[f"challenges-{KEY}"]
    assert [list(row.labels) for row in built.rows] == [
        *(["Rain", "level 1"], ["Rain", "level 3"], ["Haze", "level 1"], ["Haze", "level 3"]),
    ]
    assert built.head[2:] == [
        "CAE, reconstruction error",
        "CAE + Grad, gradient loss",
        "CAE + Grad, gradient loss − CAE, reconstruction error",
    ]
    first = built.frame[(built.frame["challenge"] == "Rain") & (built.frame["level"] == 1)]
    value = first[first["against_method"] != ""]["value"].item()
    assert built.rows[0].cells[2].text == f"{value:+.3f}"
    assert NAME in built.caption.lower().replace("gtsrb", "GTSRB")
    assert "images of one sign taken together" in built.caption
    assert any("Claim of A.4" in note for note in built.notes)


def test_an_auroc_under_a_half_is_marked(made: tuple[Config, Path]) -> None:
    config, root = made
    row = challenge_study.load(config, root, KEY).iloc[0]
    low = row.rename("row").to_frame().T.assign(value=0.46)
    assert challenge_table._cell(next(low.itertuples())).marks == "†"
    difference = low.assign(against_method="cae")
    assert challenge_table._cell(next(difference.itertuples())).marks == ""
    fewer = low.assign(missing_seeds="1", value=0.5)
    assert challenge_table._cell(next(fewer.itertuples())).marks == "*"
    notes = cells.legend(
        [Row(["Rain"], [Cell("0.460", marks="†*"), Cell()])], challenge_table.ABSENT
    )
    assert [note[0] for note in notes] == ["*", "†", "—"]
    assert notes[2] == "— not run, or no images of this condition."


def test_the_figure_has_a_panel_per_challenge(made: tuple[Config, Path]) -> None:
    config, root = made
    found = metrics.load(config, root)
    drawing = figures.KINDS["challenges"](config, found, root, KEY)
    titles = [axis.get_title(loc="left") or axis.get_title() for axis in drawing.figure.axes]
    assert titles == ["Rain", "Haze"]
    for axis, challenge in zip(drawing.figure.axes, ("Rain", "Haze"), strict=True):
        lines = [
            line
            for line in axis.lines
            if len(line.get_xdata()) == 2 and line.get_marker() != "None"
        ]
        assert len(lines) == 2
        gradient = drawing.frame.query(
            f"challenge == '{challenge}' and component == 'gradient' and method == 'cae_grad' "
            "and against_method == ''"
        )
        assert lines[1].get_ydata().tolist() == gradient["value"].tolist()
    assert "Simulated challenges on GTSRB" in drawing.caption
    blank = figures.KINDS["signs"](config, found, root, KEY)
    assert blank.caption.startswith("No pictures") and blank.frame.empty


def test_a_condition_out_of_line_is_told_wherever_its_numbers_are(
    made: tuple[Config, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, root = made
    told = "simulated, and thicker than the others"
    monkeypatch.setattr(captions, "UNEVEN", {("Haze", 1): told})
    table = tables.build(config, root)[f"challenges-{KEY}"]
    assert [row.note for row in table.rows] == ["", "", told, ""]
    assert any(f"Haze of level 1 is {told}." in note for note in table.notes)
    drawing = figures.KINDS["challenges"](config, metrics.load(config, root), root, KEY)
    titles = [axis.get_title(loc="left") or axis.get_title() for axis in drawing.figure.axes]
    assert titles == ["Rain", "Haze *"]
    assert f"\n* Level 1: {told}. " in drawing.caption
    # Of CURE-TSR's own images nothing is simulated.
    sets = config.datasets[KEY].model_copy(update={"source": "cure_tsr"})
    real = config.model_copy(update={"datasets": {KEY: sets}})
    assert captions.uneven_conditions(real, KEY) == {}


def test_blur_of_level_one_is_out_of_line() -> None:
    """Its strength is that of the committed numbers, so it is told beside them."""
    config = make()
    ((condition, text),) = captions.uneven_conditions(config, KEY).items()
    assert condition == ("GaussianBlur", 1) and "more severe" in text
    folder = Path(__file__).parents[1] / "results/reference/challenges/tables"
    lines = (folder / f"challenges-{KEY}.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith("| GaussianBlur") and "| level 1 |" in line]
    assert text in row


def test_reconstructions_name_their_conditions(made: tuple[Config, Path]) -> None:
    config, root = made
    found = metrics.load(config, root)
    drawing = figures.draw(config, found, root, f"reconstructions-{KEY}")
    assert drawing.frame["condition"].tolist() == ["clean", "clean", "Rain 1", "Haze 3"]
    (axis,) = drawing.figure.axes
    assert {"Rain\n1", "Haze\n3"} <= {text.get_text() for text in axis.texts}


def test_reanalysis_writes_all_of_it(made: tuple[Config, Path]) -> None:
    config, root = made
    reanalyse.reanalyse(config, root)
    # There are no images, reconstructions and milestones here, so no figures of them are drawn.
    drawn = ("challenges", "histograms")
    figures = [path for path in layout.figures(config, root) if Path(path).name.startswith(drawn)]
    wanted = [*layout.tables(config, root), *figures]
    assert f"{root}/tables/challenges-{KEY}.md" in wanted
    assert f"{root}/figures/signs-{KEY}.png" in layout.figures(config, root)
    assert [path for path in wanted if not Path(path).is_file()] == []
    page = (root / "report/index.html").read_text()
    head = page.split("<h1>")[1].split("<h3")[0]
    assert "Claim of A.4" in head and "not CURE-TSR: no verdict on the paper" in head
    assert "Challenge study" in page and "Simulated challenges on GTSRB" in page
    for suffix in ("csv", "md", "tex"):
        text = (root / f"tables/challenges-{KEY}.{suffix}").read_text()
        assert "imulated challenges on GTSRB" in text


# Configuration


def entry(**keys) -> dict:
    return {"datasets": {KEY: {"source": KEY, "path": "few.npz"} | keys}}


def test_defaults_follow_from_the_source() -> None:
    settings = make(**entry()).datasets[KEY]
    assert settings.title == "Simulated challenges on GTSRB"
    assert settings.protocol == "official" and settings.inliers == ("clean",)
    assert settings.challenges is not None and len(settings.challenges.conditions) == 40


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"title": "CURE-TSR"}, "must say 'simulated challenges on GTSRB'"),
        ({"protocol": "folds"}, "has only the protocol official"),
        ({"inliers": ["Rain 1"]}, r"inliers of challenges are \[clean\]"),
        ({"challenges": {"types": ["Fog"]}}, "challenges.types.0"),
        ({"challenges": {"kinds": ["Rain"]}}, "unknown key"),
        ({"challenges": {"levels": [7]}}, "levels.0"),
        ({"source": "digits", "path": None, "protocol": "folds", "challenges": {}}, "only for"),
    ],
)
def test_wrong_keys_are_refused(keys: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make(**entry(**keys))


def test_an_absent_data_set_stops_unless_it_is_optional(tmp_path: Path) -> None:
    keys = {"source": "cure_tsr", "path": str(tmp_path / "none")}

    def load(**more) -> Config:
        plain = make().model_dump(mode="json") | {"datasets": {"cure_tsr": keys | more}}
        plain["methods"] = {"cae": {}}
        return configuration.load(plain)

    with pytest.raises(InputError, match="no such folder; `path:` must be the folder of CURE-TSR"):
        load()
    config = load(optional=True)
    plan = Jobs(config, "cpu")
    assert plan.runs() == [] and plan.splits() == []
    assert [run.status for run in collect(config, tmp_path)] == ["missing"] * 2
    (tmp_path / "none/Real_Train/ChallengeFree").mkdir(parents=True)
    (tmp_path / "none/Real_Test/ChallengeFree").mkdir(parents=True)
    plan = Jobs(load(optional=True), "cpu")
    assert len(plan.runs()) == 2
    asked = SimpleNamespace(dataset="cure_tsr")
    assert plan.split(asked)["max_ratio"] is None
    assert plan.data(asked)["selection"]["on_problem"] == "stop"
    before = plan.source_files(asked)
    (tmp_path / "none/Real_Train/ChallengeFree/01_14_00_00_0001.bmp").write_bytes(b"BM")
    assert Jobs(load(optional=True), "cpu").source_files(asked) != before
