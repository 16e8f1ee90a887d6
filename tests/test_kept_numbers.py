"""Numbers are kept between computations, and are those of the present scores, settings and code."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import layout, metrics
from benchmark.config import Config
from benchmark.layout import RunKey
from benchmark.metrics import kept, of_method
from benchmark.utils import code_digest, imports
from tests.synthetic import make_config, make_results, make_run

FILES = ("runs", "pool", "histograms")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results whose numbers were computed once."""
    root = tmp_path_factory.mktemp("kept") / "results"
    config = make()
    make_results(config, root)
    metrics.compute(config, root)
    return root


@pytest.fixture
def root(original: Path, tmp_path: Path) -> Path:
    """A copy of them."""
    return shutil.copytree(original, tmp_path / "results")


def make(**over: object) -> Config:
    return make_config("mnist", methods=("cae_grad", "alocc"), milestones=[1], **over)


def kept_files(root: Path, method: str) -> list[Path]:
    return [root / f"metrics/kept/mnist/{method}/{name}.arrow" for name in FILES]


def check(config: Config, root: Path) -> None:
    """What is computed is what would be if nothing were kept."""
    known = metrics.compute(config, root)
    shutil.rmtree(root / "metrics/kept")
    expected = metrics.compute(config, root)
    for name in ("table", "runs", "histograms", "averages"):
        pd.testing.assert_frame_equal(
            getattr(known, name), getattr(expected, name), check_exact=True
        )


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each run whose numbers are computed."""
    calls: list[int] = []
    numbers = of_method.numbers

    def counted(*arguments: object) -> object:
        calls.append(1)
        return numbers(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(of_method, "numbers", counted)
    return calls


def test_numbers_are_computed_once(root: Path, computed: list[int]) -> None:
    before = {file: file.stat().st_mtime_ns for file in kept_files(root, "cae_grad")}
    metrics.compute(make(), root)
    assert computed == []
    assert {file: file.stat().st_mtime_ns for file in before} == before
    check(make(), root)


def test_a_new_run_is_the_only_one_that_is_computed(root: Path, computed: list[int]) -> None:
    more = make(seeds=[0, 1])
    key = RunKey("mnist", "cae_grad", 0, 3, 1)
    make_run(more, key, "3", layout.run(root, key))
    metrics.compute(more, root)
    assert len(computed) == 1
    check(more, root)


def test_other_scores_have_other_numbers(root: Path, computed: list[int]) -> None:
    config, key = make(), RunKey("mnist", "cae_grad", 0, 3, 0)
    other = np.random.default_rng(7)
    make_run(
        config, key, "3", layout.run(root, key), draw=lambda k, c, r, n, m: other.random(n + m)
    )
    before = metrics.compute(config, root)
    assert len(computed) == 1
    # Other scores of milestones only; the first published runs state no hash of them.
    epochs = layout.run(root, key) / "epochs.parquet"
    table = pd.read_parquet(epochs)
    table.assign(gradient=other.random(len(table))).to_parquet(epochs, index=False)
    computed.clear()
    after = metrics.compute(config, root)
    assert len(computed) == 1 and not after.table.equals(before.table)
    check(config, root)


def test_scores_that_are_damaged_or_gone_have_no_kept_numbers(root: Path) -> None:
    config = make()
    damaged, gone, nameless = (
        layout.run(root, RunKey("mnist", "alocc", 0, k, 0)) for k in (0, 1, 2)
    )
    scores = damaged / "scores.parquet"
    scores.write_bytes(scores.read_bytes()[:-1] + b"x")
    (gone / "scores.parquet").unlink()
    shutil.rmtree(nameless)
    found = metrics.compute(config, root)
    status = found.runs.loc[found.runs["method"] == "alocc", "status"]
    assert status[:3].tolist() == ["refused", "refused", "missing"]
    rows = found.table.query("method == 'alocc' and inlier in [0, 1, 2]")
    assert rows.empty
    check(config, root)


@pytest.mark.parametrize(
    "over",
    [
        {"beta": 0.3},
        {"alpha": 0.5},
        {"beta_multiples": (0.0, 3.0)},
        {"outlier_ratios": (0.2, 0.5)},
        {"outlier_ratios": (0.1, 0.3)},
        {"milestones": ()},
    ],
    ids=str,
)
def test_other_settings_have_other_numbers(root: Path, over: dict[str, object]) -> None:
    check(make().model_copy(update=over), root)


def test_settings_that_change_no_number_compute_none(root: Path, computed: list[int]) -> None:
    metrics.compute(make(seeds=[0, 1]), root)
    assert computed == []


def test_other_names_of_classes_are_in_the_numbers(root: Path) -> None:
    description = layout.data(root, "mnist") / "dataset.json"
    description.write_text(description.read_text().replace('"3"', '"three"'))
    check(make(), root)
    assert "three" in set(metrics.compute(make(), root).table["class_name"])


def test_a_model_without_the_constraint_has_numbers_of_its_own(root: Path) -> None:
    manifest = layout.run(root, RunKey("mnist", "cae_grad", 0, 3, 0)) / "run.json"
    manifest.write_text(manifest.read_text().replace('"best_epoch": 15', '"alpha": 0.0'))
    check(make(), root)


@pytest.mark.parametrize("damage", ["bit", "end", "empty", "junk", "folder", "other method"])
@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_computed_again(root: Path, damage: str, name: str) -> None:
    file = root / f"metrics/kept/mnist/cae_grad/{name}.arrow"
    content = bytearray(file.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
    elif damage == "end":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content.clear()
    elif damage == "junk":
        content[:] = b"junk"
    else:
        content[:] = (root / f"metrics/kept/mnist/alocc/{name}.arrow").read_bytes()
    file.write_bytes(content)
    if damage == "folder":
        shutil.rmtree(file.parent)
    check(make(), root)


def test_other_code_computes_everything_again(
    root: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The digest is of the code that the numbers come from, here of a copy that is edited."""
    before = kept.code_key()
    code = Path(imports.find("benchmark.statistics.roc") or "")
    edited = tmp_path / "roc.py"
    edited.write_text(code.read_text().replace("(2 * n)", "(3 * n)"))
    assert edited.read_text() != code.read_text()
    find = imports.find

    def found(module: str) -> Path | None:
        return edited if module == "benchmark.statistics.roc" else find(module)

    monkeypatch.setattr(imports, "find", found)
    code_digest._read.cache_clear()
    try:
        assert kept.code_key() != before
        metrics.compute(make(), root)
    finally:
        code_digest._read.cache_clear()
    assert len(computed) == 20


def test_the_digest_has_all_code_that_numbers_pass_through() -> None:
    names = code_digest.closure(*kept._CODE, without=kept._NOT_IN_NUMBERS)
    for module in ("scores", "splits", "statistics.roc", "statistics.overlap", "metrics.of_run"):
        assert f"benchmark.{module}" in names
