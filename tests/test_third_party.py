"""Our runs and reported ones together, against a calculation by hand."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmark import metrics, published, tables
from benchmark.published import AVERAGE
from benchmark.tables import verdict_table
from benchmark.verdicts import third_party
from benchmark.verdicts.reproduced import Quantity, Reproduced
from tests.stages import source
from tests.test_verdicts import GRADCON, made

PUBLISHED = published.load()
REPORTED = published.load(published.REPORTED)
RUNS = published.by_run(REPORTED, "cifar10", "cae_grad", "score", "AUROC")


def notes(config, root, reported=REPORTED) -> list[str]:  # type: ignore[no-untyped-def]
    reproduced = Reproduced(config, metrics.compute(config, root))
    frame = third_party.frame(reproduced, PUBLISHED, reported)
    return [verdict_table._note(row) for row in frame.itertuples()]


@pytest.mark.parametrize("offset", [-0.04, 0.2])
def test_the_note_is_the_textbook_calculation(tmp_path: Path, offset: float) -> None:
    config, root = made(tmp_path, lambda key: GRADCON[key.inlier] + offset, seeds=[0])
    (note,) = notes(config, root)
    values = metrics.compute(config, root).table.query(
        "metric == 'auroc' and component == 'score' and model == 'best' and outlier_ratio == 0.5"
    )
    ours = values[values["beta_multiple"].isna()].set_index("inlier")["value"]
    rows = np.array([[ours[k], *(run[k].value for run in RUNS.values())] for k in range(10)])
    variances = rows.var(axis=1, ddof=1)
    runs = variances.sum() / 100 * (1 + 1 / 3)
    known = Reproduced(config, metrics.compute(config, root))
    total = runs + known.test_variance(Quantity("cifar10", "cae_grad"))
    error = np.sqrt(total)
    freedom = variances.sum() ** 2 / (variances**2 / 2).sum() * (total / runs) ** 2
    mean, printed = rows.mean(), GRADCON[AVERAGE]
    half = stats.t.ppf(0.975, freedom) * error
    assert f"average AUROC of {mean:.3f}" in note
    assert f"in {mean - half:.3f} to {mean + half:.3f}" in note
    where = "inside" if abs(printed - mean) <= half else "outside"
    assert f"published {printed:.3f} lies {where}" in note
    p = 2 * stats.t.sf(abs(mean - printed) / error, freedom)
    assert float(re.search(r"p = ([\d.e-]+)\)", note).group(1)) == pytest.approx(p, rel=0.06)  # type: ignore[union-attr]
    assert "our 1 seed and 2 runs that others report" in note
    source(config, root)
    for name in ("verdicts", "verdicts-cifar10"):
        assert note in tables.build(config, root)[name].notes


def test_only_whole_runs_of_the_papers_epochs_are_told_of(tmp_path: Path) -> None:
    config, root = made(tmp_path / "short", lambda key: 0.6, seeds=[0], epochs=10)
    assert notes(config, root) == []
    config, root = made(tmp_path / "part", lambda key: 0.6, seeds=[0])
    part = [row for row in REPORTED if row.inlier_class != "truck" or row.method == "run 1"]
    (note,) = notes(config, root, part)
    assert "and 1 run that others report" in note
    assert notes(config, root, part[:3]) == []
    shutil.rmtree(root / "runs/cifar10/cae_grad/fold-0/inlier-7")
    assert notes(config, root) == []
