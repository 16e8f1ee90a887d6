import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from benchmark import config as configuration
from benchmark import layout, metrics, reanalyse, report, tables
from benchmark.__main__ import main
from benchmark.errors import InputError
from benchmark.report import page as page_module
from benchmark.scores import collect
from tests.conftest import Results
from tests.synthetic import make_config, make_results

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects text, references and ids.

    ``unfolded`` is the text that is seen without unfolding anything.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.unfolded = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [] if tag in VOID else [tag]
        for name, value in attrs:
            if name in ("src", "href") and value is not None:
                self.references.append(value)
            if name == "id" and value is not None:
                self.ids.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
            self.unfolded += "" if "details" in self.open else data


@pytest.fixture(scope="module")
def page(results: Results) -> Page:
    (path,) = layout.report(results.config, results.root)
    return Page(Path(path).read_text(encoding="utf-8"))


def test_needs_no_other_file_and_no_network(page: Page) -> None:
    assert not page.tags & {"link", "iframe", "object"}
    pictures = [link for link in page.references if link.startswith("data:image/svg+xml;base64,")]
    assert len(pictures) == 12
    assert not [link for link in page.references if re.match(r"https?:|//|/", link)]


def test_figures_beyond_the_limit_are_read_from_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config("cifar10", methods=("cae",))
    make_results(config, tmp_path)
    reanalyse.reanalyse(config, tmp_path)
    (path,) = map(Path, layout.report(config, tmp_path))
    whole = path.read_text(encoding="utf-8")
    inside = re.findall(r'src="data:image[^"]*"', whole)
    shortest = min(map(len, inside))
    monkeypatch.setattr(page_module, "LIMIT", len(whole) - sum(map(len, inside)) + shortest)
    report.write(config, tmp_path)
    lighter = path.read_text(encoding="utf-8")
    assert len(lighter) < len(whole) - sum(map(len, inside)) + 2 * shortest
    beside = [name for name in Page(lighter).references if name.endswith(".svg")]
    sources = re.findall(r'src="([^"]*)"', lighter)
    assert sum(not name.startswith("data:") for name in sources) >= len(inside) - 2
    assert all((path.parent / name).is_file() for name in beside)


def test_links_lead_somewhere(results: Results, page: Page) -> None:
    assert len(set(page.ids)) == len(page.ids)
    for link in page.references:
        if link.startswith("#"):
            assert link[1:] in page.ids
        elif not link.startswith("data:"):
            assert (results.root / "report" / link).exists()


def test_says_what_was_run(results: Results, page: Page) -> None:
    runs = metrics.load(results.config, results.root).runs
    complete = int((runs["status"] == "complete").sum())
    assert f"{complete} of {len(runs)} runs complete" in page.text
    for text in ("2 seeds (0, 1)", "20 epochs", "beta = 0.12", "A CPU", "2.15.0", "0123456789ab"):
        assert text in page.text
    assert "snakemake --cores 8 all --configfile config/made_up.yaml" in page.text
    assert "beta_multiples:" in page.text
    for value in metrics.load(results.config, results.root).provenance.values():
        assert value in page.text


def test_what_ran_comes_first_and_leads_to_its_command_and_scores(
    results: Results, page: Page
) -> None:
    assert page.ids.index("ran-cifar10") < page.ids.index("verdicts")
    for text in ("19 of 20", "No complete run: CIFAR-10: OCGAN."):
        assert text in page.unfolded
    runs = metrics.load(results.config, results.root).runs
    for (dataset, method), mine in runs.groupby(["dataset", "method"]):
        assert f"made-{dataset}-{method}" in page.ids
        folder = f"runs/{dataset}/{method}"
        done = mine[mine["status"] == "complete"]
        assert sum(link.startswith(f"../{folder}/") for link in page.references) == len(
            done.drop_duplicates(["fold", "inlier"])
        )
        assert re.search(rf"snakemake [^&]+{folder}/fold-[^&]+&& snakemake .+ reanalyse", page.text)


def test_numbers_that_ran_are_seen_without_unfolding(page: Page) -> None:
    assert "… short run" in page.unfolded
    assert "– not run" in page.text
    assert "– not run" not in page.unfolded


def test_shows_a_configuration_that_can_be_loaded(results: Results) -> None:
    (path,) = layout.report(results.config, results.root)
    shown = Path(path).read_text().split('<pre id="configuration">')[1].split("</pre>")[0]
    assert configuration.load(yaml.safe_load(unescape(shown)), data=False) == results.config


def test_has_every_table_and_caption(results: Results, page: Page) -> None:
    for name, table in tables.build(results.config, results.root).items():
        caption, _, reading = table.caption.partition("\n")
        assert caption in (page.text if name.startswith("verdicts-") else page.unfolded)
        assert reading in page.text and reading not in page.unfolded
        for row in table.rows:
            for cell in row.cells:
                assert cell.text in page.text
    assert "Inliers and outliers by loss" in page.text


def test_lists_every_run_without_numbers(page: Page) -> None:
    assert "1 failed" in page.text
    assert "20 missing" in page.text
    assert "1 refused" in page.text
    assert "the loss became NaN in epoch 3" in page.text
    assert re.search(r"scores\.parquet has sha256 [0-9a-f]{12}, run\.json says", page.text)
    assert "class cat; fold 0; seed 1" in page.text
    assert "classes plane, car, bird" in page.text


def test_lists_odd_scores(page: Page) -> None:
    assert "AUROC under 0.5" in page.text
    assert "pooled over an incomplete set of classes" in page.text


def test_a_stalled_training_is_told_among_the_odd(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("cae",))
    make_results(config, tmp_path, inliers=8)
    first, *_ = (run.directory for run in collect(config, tmp_path))
    (first / "history.csv").write_text("epoch,validation_reconstruction\n1,0.5\n2,0.5\n")
    reanalyse.reanalyse(config, tmp_path)
    page = Page((tmp_path / "report/index.html").read_text(encoding="utf-8"))
    (row,) = re.findall(r"its training stalled[^\n]*[\s\S]{0,80}", page.text)
    assert "fell by less than 1% after the first epoch" in row
    assert "class 0; fold 0; seed 0" in row


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    config = make_config("mnist", methods=("ocgan",), outlier_ratios=[0.5])
    entry = config.datasets["mnist"].model_copy(update={"title": "<script>", "note": "a<b>"})
    config = config.model_copy(update={"datasets": {"mnist": entry}})
    make_results(config, tmp_path, inliers=8)
    reanalyse.reanalyse(config, tmp_path)
    page = Page((tmp_path / "report/index.html").read_text())
    assert "<script>" in page.text
    assert "a<b>" in page.text


CONFIG = """
name: tiny
seeds: [0]
datasets: {mnist: {source: mnist, path: nowhere, protocol: official}}
methods: {cae_grad: {epochs: 20}}
"""


def test_command_rebuilds_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, over = tmp_path / "tiny.yaml", tmp_path / "over.yaml"
    file.write_text(CONFIG)
    over.write_text("beta: 0.06\n")
    config = make_config("mnist", methods=("cae_grad",), outlier_ratios=[0.5])
    make_results(config, tmp_path / "results/tiny", inliers=8)
    arguments = ["--configfile", str(file), str(over), "--results", str(tmp_path / "results")]
    assert main(["reanalyse", *arguments]) == 0
    page = tmp_path / "results/tiny/report/index.html"
    assert str(page) in capsys.readouterr().out
    assert "beta = 0.06" in page.read_text()


def test_command_without_runs_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(CONFIG)
    assert main(["reanalyse", "--configfile", str(file), "--results", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"{tmp_path}/tiny/runs: no run there" in message
    assert not (tmp_path / "tiny").exists()
    assert main(["reanalyse", "--configfile", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml" in capsys.readouterr().err


def test_nothing_half_written(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report/index.html"
    monkeypatch.setattr(layout, "report", lambda config, root: [str(target)])
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        report.write(results.config, results.root)
    assert list(target.parent.iterdir()) == []


def test_no_runs_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `snakemake all` first"):
        reanalyse.reanalyse(make_config("mnist"), tmp_path)
