"""Committed results: pages quote them, a difference is reported, runs can be added."""

import hashlib
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark import config as configuration
from benchmark import layout, metrics, reanalyse, scores, tables, verdicts
from benchmark.__main__ import main
from benchmark.config import REFERENCE, Config
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.metrics.stalled import stalled
from benchmark.published import AVERAGE, GAIN
from benchmark.reference import publish, verify
from benchmark.tables import cells
from tests.synthetic import make_config, make_results
from tests.tree import ROOT


def quoted(page: str, first: str) -> dict[str, list[str]]:
    """The rows of a Markdown table whose head starts with a word, by their first cell."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first}"))
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[start + 2 :])
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {label: rest for label, *rest in cells}


def test_the_readme_quotes_the_committed_verdicts() -> None:
    folder = ROOT / REFERENCE / "paper/tables"
    judged = pd.read_csv(folder / "verdicts-cifar10.csv")
    known = judged[judged["runs_from"] == "all known"]
    judged = judged[judged["runs_from"] == "ours"]
    series = [("CAE", "reconstruction"), ("CAE + Grad", "reconstruction")]
    series += [("CAE + Grad", "gradient"), ("GradCon", "score")]
    expected: dict[str, list[str]] = {}
    for method, loss in series:
        rows = judged[(judged["published_method"] == method) & (judged["loss"] == loss)]
        (row,) = rows[(rows["inlier"] == AVERAGE) & (rows["metric"] == "AUROC")].itertuples()
        theirs = f"{row.published:.3f}{'°' * row.recalled}"
        verdict = f"{cells.SYMBOLS[row.outcome]} {row.outcome}"
        label = method if loss == "score" else f"{method}, {scores.component(loss)}"
        expected[label] = [f"{row.mean:.3f}", theirs, verdict]
    assert quoted("README.md", "CIFAR-10, average AUROC") == expected
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    of = "published_method == 'GradCon' and inlier_class == 'average'"
    for (row,), words in (
        (judged.query(of).itertuples(), "95 % of new runs lie in"),
        (known.query(of).itertuples(), "by all together it is"),
    ):
        assert f"{words} {row.low:.3f} to {row.high:.3f}," in text
    every = pd.read_csv(folder / "verdicts.csv")
    every = every[(every["runs_from"] == "ours") & (every["metric"] != GAIN)]
    reproduced, higher, lower = (
        int((every["outcome"] == outcome).sum()) for outcome in ("reproduced", "higher", "lower")
    )
    assert (
        f"{len(every)} published numbers {reproduced + higher + lower} are decided: {reproduced} "
        f"are reproduced, {higher} come out higher, {lower} lower."
    ) in text
    claims = pd.read_csv(folder / "claims.csv").drop_duplicates("id")["outcome"]
    holds, fails = (int((claims == outcome).sum()) for outcome in ("holds", "fails"))
    assert (
        f"Of its {len(claims)} claims {holds} hold{'s' * (holds == 1)}, {fails} "
        f"fail{'s' * (fails == 1)}, the others are not decided."
    ) in text
    assert f"**{answer(expected['GradCon'][2], pd.read_csv(folder / 'claims.csv'))}**" in text
    choices = pd.read_csv(folder / "explanations.csv")
    choices = choices.query("dataset == 'cifar10' and component == 'score'")
    averages = choices.set_index("explanation")["average"]
    assert f"by the test set has {averages['epoch, on the test']:.3f}," in text
    assert f"would be expected at {averages['best of 8 seeds']:.3f}," in text
    told = (("mnist", "MNIST", "inconclusive"), ("fashion_mnist", "Fashion-MNIST", "lower"))
    for dataset, title, outcome in told:
        judged = pd.read_csv(folder / f"verdicts-{dataset}.csv")
        judged = judged.query(f"{of} and runs_from == 'ours' and metric == 'AUROC'")
        (row,) = judged.itertuples()
        published = f"(published {row.published:.3f})"
        assert f"On {title} GradCon has {row.mean:.3f} on average {published}: {outcome}," in text
        assert row.outcome == outcome


def test_the_readme_tells_which_trainings_stalled() -> None:
    root = ROOT / REFERENCE / "paper"
    config = configuration.read(root / "config.yaml", data=False)
    keys = {run.key for run in scores.collect(config, root) if stalled(run.directory)}
    digit, sandals = RunKey("mnist", "cae", 0, 1, 0), RunKey("fashion_mnist", "cae_grad", 0, 5, 1)
    assert keys == {digit, sandals}
    found = metrics.compute(config, root).table.query(
        "model == 'best' and component == 'score' and metric == 'auroc' and outlier_ratio == 0.5 "
        "and beta_multiple.isna()"
    )
    values = found.set_index([*RunKey._fields])["value"]
    others = values.drop(index=1, level="inlier").xs("mnist").groupby("method").mean()
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for words in (
        "Two of these trainings stalled: CAE on the digit 1 and the second seed of CAE + Grad on",
        f"The first has {values[digit]:.3f}, where GradCon has "
        f"{values[digit._replace(method='cae_grad')]:.3f}, and is half of CAE's distance",
        f"without the digit 1 it is {others['cae']:.3f} against {others['cae_grad']:.3f}.",
        f"The second has {values[sandals]:.3f}, where the sandals' other seed, which learnt, has "
        f"{values[sandals._replace(seed=0)]:.3f}:",
    ):
        assert words in text
    means = values.xs("mnist").groupby("method").mean()
    distance, rest = (of["cae_grad"] - of["cae"] for of in (means, others))
    assert 0.4 < 1 - rest / distance < 0.6


def answer(headline: str, claims: pd.DataFrame) -> str:
    """The answer that a verdict and the claims give, in the words of the README."""
    number = {"reproduced": "yes", "higher": "no", "lower": "no"}.get(headline[2:], "undecided")
    helps, ahead, rank = (
        next(claims[claims["weakest"] & (claims["id"] == name)].itertuples())
        for name in ("constraint-helps", "gradient-beats-reconstruction", "cifar10-best")
    )
    assert rank.comparison.endswith("against OCGAN")
    size = f"{ahead.effect_ratio:.1f} times"
    shown = {"holds": "yes", "fails": "no"}
    mechanism = shown.get(helps.outcome, f"{'yes' if helps.effect > 0 else 'no'} in these runs")
    over = shown.get(rank.outcome, f"{'' if rank.effect > 0 else 'not '}in these runs")
    return (
        f"Headline number: {number}. Mechanism: {mechanism}, {size} as large. "
        f"Rank over OCGAN: {over}."
    )


def test_the_compared_methods_are_quoted_from_the_committed_tables() -> None:
    rows = quoted("baselines/README.md", "Method | Epochs")
    config = configuration.read(ROOT / REFERENCE / "compared/config.yaml", data=False)
    seen = set()
    for place, (dataset, inlier) in enumerate(itertools.product(("mnist", "cifar10"), (0, 1, 8))):
        table = pd.read_csv(ROOT / REFERENCE / f"compared/tables/auroc-{dataset}.csv")
        for row in table[table["inlier"] == inlier].itertuples():
            title = config.methods[row.method].title
            label = title if row.component == "score" else f"{title}, {row.component.upper()}"
            ours, _, theirs = rows[label][place + 1].partition(" / ")
            assert ours == (
                "—" if np.isnan(row.mean) else f"{row.mean:.3f}{'†' * (row.mean < 0.5)}"
            )
            assert theirs == ("" if np.isnan(row.published) else f"{row.published:.3f}")
            seen.add(label)
    assert seen == set(rows)


def test_the_compared_methods_with_their_papers_settings_are_quoted() -> None:
    rows = quoted("baselines/README.md", "Average | MNIST")
    config = configuration.read(ROOT / REFERENCE / "paper/config.yaml", data=False)
    found: dict[str, list[str]] = {}
    for place, dataset in enumerate(("mnist", "fashion_mnist", "cifar10")):
        table = pd.read_csv(ROOT / REFERENCE / f"paper/tables/auroc-{dataset}.csv")
        table = table[(table["class_name"] == "average") & table["mean"].notna()]
        own_methods = table["method"].isin(["cae", "cae_grad", "vae", "vae_grad"])
        for row in table[~own_methods].itertuples():
            cells = found.setdefault(config.methods[row.method].title, ["—"] * 3)
            theirs = "" if np.isnan(row.published) else f" / {row.published:.3f}"
            cells[place] = f"{row.mean:.3f}{theirs}"
        (own,) = table.loc[table["method"] == "cae_grad", "mean"]
        if dataset == "fashion_mnist":
            text = (ROOT / "baselines/README.md").read_text(encoding="utf-8")
            assert f"what GradCon has there ({own:.3f})" in text
    assert rows == found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    config = make_config("cifar10", methods=("cae_grad",), milestones=[5], outlier_ratios=[0.5])
    root = tmp_path_factory.mktemp("results") / config.name
    make_results(config, root, inliers=20, epochs=1000)
    reanalyse.reanalyse(config, root)
    return config, root


@pytest.fixture
def copy(made: tuple[Config, Path], tmp_path: Path) -> tuple[Config, Path]:
    config, root = made
    return config, Path(shutil.copytree(root, tmp_path / config.name))


def run_folder(root: Path, inlier: int) -> Path:
    """The folder of a run of the made-up results."""
    return layout.run(root, RunKey("cifar10", "cae_grad", 0, inlier, 0))


def test_two_rebuilds_are_the_same_bytes(copy: tuple[Config, Path]) -> None:
    config, root = copy
    kept = {path: path.read_bytes() for path in root.glob("[tf]*/*")}
    reanalyse.reanalyse(config, root)
    assert {path: path.read_bytes() for path in root.glob("[tf]*/*")} == kept


def test_a_changed_number_is_reported_by_file_and_row(copy: tuple[Config, Path]) -> None:
    config, root = copy
    table, shown = (root / "tables" / f"auroc-cifar10.{suffix}" for suffix in ("csv", "md"))
    frame = pd.read_csv(table)
    mean = frame["mean"].astype(float)
    text = shown.read_text()
    cell = f"{mean[0]:.3f}"
    shown.write_text(text.replace(cell, f"{float(cell) + 0.001:.3f}", 1))
    frame.assign(mean=mean.where(frame.index != 2, mean + 1e-4)).to_csv(table, index=False)
    (root / "tables/old.csv").write_text("a\n1\n")
    (root / "figures/beta-cifar10.csv").unlink()
    blank, numbers, text, old = verify.differences(config, root)
    assert blank == f"{root}/figures/beta-cifar10.csv: missing"
    assert numbers.startswith(f"{table}: row 4, mean: '{mean[2] + 1e-4:.4f}"[:-2])
    assert text.startswith(f"{shown}: line 6: ")
    assert old == f"{root}/tables/old.csv: the scores give no such file"


def test_a_changed_score_is_reported(copy: tuple[Config, Path]) -> None:
    config, root = copy
    path = run_folder(root, 3) / "scores.parquet"
    scores = pd.read_parquet(path)
    scores.loc[0, "gradient"] += 1
    scores.to_parquet(path, index=False)
    first, *others = verify.differences(config, root)
    assert first.startswith(f"{path} has sha256 ")
    assert any(line.startswith(f"{root}/tables/auroc-cifar10.csv: row ") for line in others)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("0.123456", "0.123457", True),
        ("0.123456", "0.123466", False),
        ("12", "13", False),
        ("0", "1e-17", True),
        ("0", "", False),
        ("0 1", "0 2", False),
    ],
)
def test_what_counts_as_the_same(tmp_path: Path, old: str, new: str, same: bool) -> None:
    for folder, value in (("kept", old), ("made", new)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.csv").write_text(f"name,value\nx,{value}\n")
    messages = list(verify.compare(Path("t.csv"), tmp_path / "kept", tmp_path / "made"))
    difference = f"{tmp_path}/kept/t.csv: row 2, value: {old!r}, the scores give {new!r}"
    assert messages == ([] if same else [difference])


def test_the_stamp_may_have_another_hash_of_defaults(copy: tuple[Config, Path]) -> None:
    """But of the runs only the same one."""
    config, root = copy
    defaults, runs = (root / f"tables/{name}.md" for name in ("auroc-cifar10", "cost"))
    stamp, rest = defaults.read_text().split("\n", 1)
    head, _, tail = stamp.partition("config_sha256 ")
    defaults.write_text(f"{head}config_sha256 {'0' * 64}{tail[64:]}\n{rest}")
    stamp, rest = runs.read_text().split("\n", 1)
    runs.write_text(f"{stamp.replace('runs_sha256 ', 'runs_sha256 0')}\n{rest}")
    (line,) = verify.differences(config, root)
    assert f"{runs}: line 1: " in line


# The command and what is published

BASE = {
    "name": "made_up",
    "seeds": [0],
    "outlier_ratios": [0.5],
    "milestones": [5],
    "datasets": {
        "cifar10": {"source": "cifar10", "path": "data", "protocol": "official"},
        "gtsrb_challenges": {
            "source": "gtsrb_challenges",
            "path": "data",
            "challenges": {"types": ["Rain"], "levels": [1]},
        },
    },
    "methods": {"cae_grad": {"epochs": 1000}, "cae": {"epochs": 1000}},
}


@pytest.fixture
def here(made: tuple[Config, Path], tmp_path: Path) -> tuple[list[Path], Path]:
    """The files of a configuration of which few runs are there, and where these are."""
    _, root = made
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE, sort_keys=False))
    local = {
        "results": str(tmp_path),
        "datasets": {"cifar10": {"path": "/mine/cifar10.npz", "note": "a copy"}},
    }
    (tmp_path / "local.yaml").write_text(yaml.safe_dump(local))
    for name in ("whole", "made_up"):
        shutil.copytree(root, tmp_path / name)
    for inlier in range(3, 10):
        shutil.rmtree(run_folder(tmp_path / "made_up", inlier))
    weights = run_folder(tmp_path / "made_up", 0) / "weights"
    weights.mkdir()
    (weights / "best.safetensors").touch()
    signs = layout.data(tmp_path / "made_up", "gtsrb_challenges")
    signs.mkdir()
    for name in ("groups.npy", "images.npy"):
        np.save(signs / name, np.zeros(3, np.int64))
    return [tmp_path / "base.yaml", tmp_path / "local.yaml"], tmp_path / "out"


def test_published_is_what_is_needed_and_nothing_of_this_machine(
    here: tuple[list[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files, out = here
    arguments = ["--configfile", *map(str, files), "--to", str(out)]
    assert main(["publish", *arguments, "--without", "history.csv", "reconstructions.npz"]) == 0
    assert "3 runs" in capsys.readouterr().out
    root = out / "made_up"
    assert {path.name for path in out.iterdir()} == {"made_up"}
    names = {path.name for path in run_folder(root, 0).iterdir()}
    assert names == {"run.json", "scores.parquet", "epochs.parquet"}
    data = {str(path.relative_to(root)) for path in (root / "data").glob("*/*")}
    assert data == {"data/cifar10/dataset.json", "data/gtsrb_challenges/groups.npy"}
    text = (root / "config.yaml").read_text()
    assert "/mine" not in text and "note: a copy" in text
    config = configuration.read(root / "config.yaml", data=False)
    assert config.root == root
    assert config.methods == configuration.read(*files, data=False).methods
    runs = pd.read_parquet(root / "metrics/runs.parquet")
    assert dict(runs["status"].value_counts()) == {"missing": 19, "complete": 3}
    page = (root / "report/index.html").read_text()
    assert "19 missing" in page
    table = pd.read_csv(root / "tables/auroc-cifar10.csv").set_index(["method", "class_name"])
    assert table.loc[("cae_grad", "average"), "found"] == 3
    assert table.loc[("cae_grad", "average"), "expected"] == 10
    arguments = ["--configfile", str(root / "config.yaml")]
    (root / "tables/cost.md").unlink()
    assert main(["verify", *arguments]) == 1
    assert capsys.readouterr().err == f"{root}/tables/cost.md: missing\n"
    assert main(["reanalyse", *arguments]) == 0
    assert main(["verify", *arguments]) == 0


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishing draws no figures, which takes most of its time, where a test looks at none."""
    monkeypatch.setattr(reanalyse, "STAGES", (metrics, verdicts, tables))


def restate(path: Path, **changes: object) -> None:
    """Change what a JSON file says."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("without_pictures")
def test_runs_of_several_machines_add_up(here: tuple[list[Path], Path]) -> None:
    files, out = here
    source = files[0].parent / "made_up"
    root, number = publish.publish(files, out)
    assert number == 3
    (root / "NOTES.md").touch()
    kept = {path: text for k in (0, 1, 2) for path, text in contents(run_folder(root, k)).items()}
    shutil.rmtree(run_folder(source, 1))
    restate(run_folder(source, 2) / "run.json", status="failed", reason="diverged")
    shutil.copytree(run_folder(files[0].parent / "whole", 9), run_folder(source, 9))
    assert publish.publish(files, out, without=publish.OPTIONAL) == (root, 4)
    assert kept.items() <= contents(root).items()
    names = {path.name for path in contents(run_folder(root, 9))}
    assert names == {"run.json", "scores.parquet"}
    assert (root / "NOTES.md").is_file()
    table = pd.read_csv(root / "tables/auroc-cifar10.csv").set_index(["method", "class_name"])
    assert table.loc[("cae_grad", "average"), "found"] == 4


@pytest.mark.usefixtures("without_pictures")
def test_a_run_of_other_scores_takes_the_place_of_the_earlier(
    here: tuple[list[Path], Path],
) -> None:
    files, out = here
    path = run_folder(files[0].parent / "made_up", 1) / "scores.parquet"
    losses = pd.DataFrame({"epoch": range(1, 101), "train_loss": [1 / n for n in range(1, 101)]})
    losses.to_csv(path.with_name("history.csv"), index=False)
    root, _ = publish.publish(files, out)
    history = run_folder(root, 1) / "history.csv.xz"
    pd.testing.assert_frame_equal(pd.read_csv(history), losses, check_exact=True)
    assert history.stat().st_size < path.with_name("history.csv").stat().st_size / 2
    assert not history.with_name("history.csv").exists()
    pd.read_parquet(path).assign(gradient=0.5).to_parquet(path)
    restate(path.with_name("run.json"), scores_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert publish.publish(files, out, without=["history.csv"]) == (root, 3)
    published = run_folder(root, 1)
    pd.testing.assert_frame_equal(
        pd.read_parquet(published / "scores.parquet"), pd.read_parquet(path), check_exact=True
    )
    assert (published / "scores.parquet").stat().st_size < path.stat().st_size
    assert not history.exists()


@pytest.mark.usefixtures("without_pictures")
def test_what_does_not_fit_the_published_runs_is_refused(here: tuple[list[Path], Path]) -> None:
    files, out = here
    source = files[0].parent / "made_up"
    root, _ = publish.publish(files, out)
    kept = contents(root)
    base, local = (yaml.safe_load(path.read_text()) for path in files)

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            publish.publish(files, out)
        assert "\n" not in str(caught.value)
        assert contents(root) == kept and [path.name for path in out.iterdir()] == ["made_up"]

    for changed, message in (
        ({"split_seed": 7}, "config.yaml: split_seed is not set, now 7; make them the same"),
        ({"beta": 0.5}, r"config.yaml: beta is not set, now 0\.5; make"),
        (
            {"methods": {"cae_grad": {"epochs": 1000}}},
            "config.yaml: methods.cae is .*, now not set",
        ),
        ({"seeds": [0, 1]}, r"config.yaml: seeds is \[0\], now \[0, 1\]"),
    ):
        files[0].write_text(yaml.safe_dump({**base, **changed}))
        refused(message)
    files[0].write_text(yaml.safe_dump(base))
    del local["datasets"]["cifar10"]["note"]
    files[1].write_text(yaml.safe_dump(local))
    refused(r"config\.yaml: datasets\.cifar10\.note is 'a copy', now not set; make them the same")
    local["datasets"]["cifar10"]["note"] = "a copy"
    files[1].write_text(yaml.safe_dump(local))
    described, published = (layout.data(r, "cifar10") / "dataset.json" for r in (source, root))
    text = described.read_text()
    restate(described, sha256="of others")
    refused(f"{described}: other images than those of {published}; use")
    described.unlink()
    refused(f"{described}: missing, so nothing tells which images")
    described.write_text(text)
    for inlier in range(3):
        restate(run_folder(source, inlier) / "run.json", split_sha256="of others")
    refused(
        f"{run_folder(source, 0)}: scored on another split than {run_folder(root, 0).parents[1]}"
    )


@pytest.mark.usefixtures("without_pictures")
def test_methods_and_data_sets_may_be_added(here: tuple[list[Path], Path]) -> None:
    files, out = here
    root, _ = publish.publish(files, out)
    base = yaml.safe_load(files[0].read_text())
    base["methods"]["vae"] = {"epochs": 1000}
    files[0].write_text(yaml.safe_dump(base, sort_keys=False))
    assert publish.publish(files, out) == (root, 3)
    assert "vae" in configuration.read(root / "config.yaml", data=False).methods


@pytest.mark.usefixtures("without_pictures")
def test_a_publication_that_was_cut_off_loses_nothing(
    here: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files, out = here
    root, _ = publish.publish(files, out)
    kept = contents(root)
    rename = Path.rename

    def cut_off(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "rename", cut_off)
        publish.publish(files, out)
    assert contents(root) == kept and [path.name for path in out.iterdir()] == ["made_up"]
    root.rename(out / ".made_up.before")  # as a power failure would leave it
    for inlier in (0, 1):
        shutil.rmtree(run_folder(files[0].parent / "made_up", inlier))
    assert publish.publish(files, out) == (root, 3)
    assert [path.name for path in out.iterdir()] == ["made_up"]


@pytest.mark.usefixtures("without_pictures")
def test_what_cannot_be_published_leaves_what_was(here: tuple[list[Path], Path]) -> None:
    files, out = here
    root, number = publish.publish(files, out)
    assert number == 3
    with pytest.raises(InputError, match=r"/mine/cifar10\.npz is a place on this machine"):
        publish.publish(files[::-1], out)
    with pytest.raises(InputError, match="is where the runs are"):
        publish.publish(files, files[0].parent)
    run = run_folder(files[0].parent / "made_up", 1)
    described = (run / "run.json").read_text()
    (run / "run.json").write_text(described.replace('"epochs": 1000', '"epochs": 9', 1))
    with pytest.raises(InputError, match="inlier-1/seed-0: was run with epochs 9 and not 1000 of"):
        publish.publish(files, out)
    (run / "run.json").write_text(described)
    (run / "scores.parquet").write_bytes(b"junk")
    with pytest.raises(InputError, match="has sha256"):
        publish.publish(files, out)
    shutil.rmtree(run.parents[3])
    with pytest.raises(InputError, match="no run there"):
        publish.publish(files, out)
    assert (root / "config.yaml").is_file()
    assert {path.name for path in out.iterdir()} == {"made_up"}
