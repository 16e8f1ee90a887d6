"""The site, built without a network: no warning, no dead link, nothing from another host."""

from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests import calls
from tests.tree import ROOT

GENERATOR = ("sphinx", "furo", "myst_parser", "latex2mathml")
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, GENERATOR)), reason="pip install '.[docs]' has the site's generator"
)
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""What a browser loads by itself, and the attribute that says from where."""


class Page(HTMLParser):
    """The ids of a page, where its links lead, and what it loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if (name := LOADED.get(tag)) in given:
            self.loaded.append(given[str(name)])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built pages."""
    folder = tmp_path_factory.mktemp("site")
    options = ("-c", "docs", "-b", "html", "-d", folder / "trees", "-W", "--keep-going", "-q")
    done = calls.python(ROOT, "sphinx", *map(str, options), ".", str(folder / "html"))
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page, by its file."""
    return {file: Page(file) for file in site.rglob("*.html")}


def dead(pages: dict[Path, Page]) -> Iterator[str]:
    """The links to files and places in them that do not exist."""
    for file, page in pages.items():
        for link in (*page.links, *page.loaded):
            scheme, host, path, _, fragment = urlsplit(link)
            if scheme or host:
                continue
            target = (file.parent / unquote(path)).resolve() if path else file
            ids = pages[target].ids if target in pages else {unquote(fragment)}
            if not target.is_file() or (fragment and unquote(fragment) not in ids):
                yield f"{file.name}: {link}"


def test_every_link_leads_somewhere(pages: dict[Path, Page]) -> None:
    assert len(pages) > 20
    assert [*dead(pages)] == []


def test_dead_links_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<a href="#here"><a href="#gone"><a href="gone.html"><p id="here">')
    assert [*dead({page: Page(page)})] == ["page.html: #gone", "page.html: gone.html"]


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[Path, Page]) -> None:
    loaded = {address for page in pages.values() for address in page.loaded}
    assert [address for address in loaded if urlsplit(address).netloc] == []
    for sheet in site.rglob("*.css"):
        text = sheet.read_text()
        assert "@import" not in text and "url(http" not in text and "url(//" not in text


def test_every_page_is_in_the_navigation(site: Path, pages: dict[Path, Page]) -> None:
    start = pages[site / "docs/index.html"]
    linked = {(site / "docs" / unquote(urlsplit(link).path)).resolve() for link in start.links}
    written = {
        (site / path.relative_to(ROOT)).with_suffix(".html").resolve()
        for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*.rst")]
    }
    assert written <= linked | {(site / "docs/index.html").resolve()}


def test_formulas_and_docstrings_are_set(site: Path) -> None:
    protocol = (site / "docs/protocol.html").read_text()
    assert protocol.count("<math") > 15 and "$" not in text_of(protocol)
    api = (site / "docs/api.html").read_text()
    for name in ("gradcon.detectors.GradCon", "benchmark.detector.Detector", "baselines.kde.KDE"):
        assert f'id="{name}"' in api


def text_of(html: str) -> str:
    """The text of the article, without tags."""
    article = html[html.index("<article") : html.index("</article>")]
    texts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = texts.append  # type: ignore[method-assign]
    parser.feed(article)
    return "".join(texts)
