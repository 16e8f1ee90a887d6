"""Committed results, rebuilt from their scores: the same tables, and reports that fit a page."""

import re
from pathlib import Path

import pytest

from benchmark import config as configuration
from benchmark import layout, reanalyse
from benchmark.config import REFERENCE, Config
from benchmark.reference import verify
from tests.browser import Browser
from tests.test_page import CLIPPED, DESKTOP, FAINT, LONG_CAPTIONS, OVERLAPPING, PHONE, UNFOLD
from tests.tree import ROOT

COMMITTED = sorted(path for path in (ROOT / REFERENCE).iterdir() if path.is_dir())
SHOWN = [path for path in COMMITTED if path.name in ("challenges", "paper")]
"""Those whose report is looked at: of the largest tables, and of the challenge study."""


def named(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("folder", COMMITTED, ids=named)
def test_the_configuration_is_that_of_its_folder(folder: Path) -> None:
    config = configuration.read(folder / "config.yaml", data=False)
    assert ROOT / config.root == folder
    assert not any(entry.path and entry.path.is_absolute() for entry in config.datasets.values())


@pytest.mark.parametrize("folder", [path for path in COMMITTED if path not in SHOWN], ids=named)
def test_tables_are_what_the_scores_give(folder: Path) -> None:
    config = configuration.read(folder / "config.yaml", data=False)
    assert verify.differences(config, folder) == []


@pytest.fixture(scope="module", params=SHOWN, ids=named)
def rebuilt(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, Path, Path]:
    """A configuration, where its committed results are, and where all were rebuilt."""
    folder: Path = request.param
    config = configuration.read(folder / "config.yaml", data=False)
    root = tmp_path_factory.mktemp("rebuilt") / folder.name
    verify.link_scores(folder, root)
    reanalyse.reanalyse(config, root)
    return config, folder, root


def test_rebuilt_tables_are_the_committed_ones(rebuilt: tuple[Config, Path, Path]) -> None:
    assert verify.differences_from(*rebuilt) == []


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_the_report_is_small_whole_and_short(
    browser: Browser, rebuilt: tuple[Config, Path, Path]
) -> None:
    config, _, root = rebuilt
    (path,) = map(Path, layout.report(config, root))
    assert path.stat().st_size < 5e6
    problems: dict[str, list[object]] = {}
    for width in (DESKTOP, PHONE):
        browser.open(path.as_uri(), width)
        browser.run(UNFOLD)
        for name, script in (("cut", CLIPPED), ("overlapping", OVERLAPPING)):
            problems[f"{name} at {width}"] = browser.run(script)
    browser.open(path.as_uri(), DESKTOP)
    problems["long captions"] = browser.run(LONG_CAPTIONS)
    problems["faint"] = browser.run(FAINT)
    assert not any(problems.values()), problems
    assert pages(browser.printed()) < 15
    # A page of A4 across, less the margins.
    browser.open(path.as_uri(), round(283 / 25.4 * 96), media="print")
    assert browser.run(CLIPPED) == []
    assert browser.run(OVERLAPPING) == []
