"""The stage of the verdicts: what it writes is all that later stages need, and has no sentences."""

import shutil
from pathlib import Path

import pandas as pd

from benchmark import figures, layout, metrics, tables, verdicts
from benchmark.verdicts import challenge_claim, numbers, selection
from tests.conftest import Results


def test_writes_what_it_says(results: Results) -> None:
    paths = {Path(path) for path in layout.verdicts(results.config, results.root)}
    assert set((results.root / "verdicts").iterdir()) == paths


def test_files_give_what_was_computed(results: Results) -> None:
    written = verdicts.load(results.config, results.root)
    computed = verdicts.compute(results.config, results.root)
    for name in ("numbers", "claims", "selection", "third_party", "challenge_claim"):
        here, there = getattr(written, name), getattr(computed, name)
        pd.testing.assert_frame_equal(here, there, check_dtype=False)
    assert set(numbers.PUBLISHED) < set(written.numbers)
    assert list(written.third_party) == list(written.numbers)
    assert list(written.challenge_claim) == list(challenge_claim.COLUMNS)
    assert set(selection.RULES) < set(written.selection)


def test_tables_need_no_scores_once_there_are_verdicts(results: Results, tmp_path: Path) -> None:
    for name in ("metrics", "verdicts"):
        (tmp_path / name).symlink_to(results.root / name)
    built = tables.build(results.config, tmp_path)
    there = tables.build(results.config, results.root)
    assert {name: table.rows for name, table in built.items()} == {
        name: table.rows for name, table in there.items()
    }


def test_tables_and_figures_set_in_type_what_is_computed_once(
    results: Results, tmp_path: Path
) -> None:
    """Without the values of single runs they show the same numbers."""
    shutil.copytree(results.root / "metrics", tmp_path / "metrics")
    (tmp_path / "verdicts").symlink_to(results.root / "verdicts")
    numbers = pd.read_parquet(tmp_path / "metrics/metrics.parquet")
    numbers.assign(value=0.0).to_parquet(tmp_path / "metrics/metrics.parquet", index=False)
    runs = pd.read_parquet(tmp_path / "metrics/runs.parquet")
    runs.assign(parameters=0.0, fit_seconds=0.0).to_parquet(tmp_path / "metrics/runs.parquet")
    built = tables.build(results.config, tmp_path)
    for name, table in tables.build(results.config, results.root).items():
        pd.testing.assert_frame_equal(built[name].frame, table.frame)
    for kind in ("beta", "epochs", "histograms"):
        frames = [
            figures.KINDS[kind](
                results.config, metrics.load(results.config, root), root, "cifar10"
            ).frame
            for root in (tmp_path, results.root)
        ]
        pd.testing.assert_frame_equal(*frames)


def test_verdicts_are_data_not_sentences(results: Results) -> None:
    """Texts are labels of a few words; what is quoted from the paper or typed in a shell is not."""
    quoted = {"claim", "source", "copied_from", "command", "place", "comparison", "missing"}
    quoted |= {"seen_in", "checked_in", "places", "published_method", "other_settings", "equals"}
    quoted |= {"borrowed", "claim_borrowed"}  # names of methods
    stage = verdicts.load(results.config, results.root)
    for frame in (stage.numbers, stage.claims, stage.selection, stage.third_party):
        for column in frame.select_dtypes(["object", "string"]):
            if column not in quoted and not column.endswith("_missing"):
                longest = max((len(str(text).split()) for text in frame[column]), default=0)
                assert longest <= 6, (column, longest)
