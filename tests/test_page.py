"""The report in a headless Chromium: at 1280 pixels, on a phone, in the dark and in print.

Without a Chromium these tests skip; `.ci/run` installs that of Debian's packages.
"""

import re
from pathlib import Path

import pytest

from benchmark import layout
from tests.browser import Browser
from tests.conftest import Results

DESKTOP, PHONE = 1280, 390
"""Widths in CSS pixels."""

UNFOLD = "document.querySelectorAll('details').forEach((e) => { e.open = true; })"
# What is wider than its place, by the text or the id of what it is in; a picture may be scrolled.
CLIPPED = """
[...document.querySelectorAll("html, .scroll, .picture, td, th, pre, .tile")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)
  .filter((e) => !e.matches(".picture") || matchMedia("(min-width: 40.01rem), print").matches)
  .map((e) => `${e.tagName} ${e.innerText.slice(0, 60)}`)
"""
# Figures whose text, of 8 points in the picture's own size, is smaller than 9 CSS pixels.
SMALL_PRINT = """
[...document.querySelectorAll(".picture img")]
  .filter((e) => 8 / 0.75 * e.getBoundingClientRect().width / e.naturalWidth < 9)
  .map((e) => e.alt)
"""
# Lines of text in which cells of one row lie on each other.
OVERLAPPING = """
[...document.querySelectorAll("tr")].flatMap((row) => {
  const boxes = [...row.cells].map((cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return range.getBoundingClientRect();
  }).filter((box) => box.width > 0);
  return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1
  ).map(() => row.innerText.slice(0, 80)));
})
"""
LONG_CAPTIONS = """
[...document.querySelectorAll("figcaption")]
  .filter((e) => {
    const line = parseFloat(getComputedStyle(e).lineHeight);
    return e.getBoundingClientRect().height > 2.2 * line;
  })
  .map((e) => e.innerText)
"""
# Text of too little contrast with what is behind it (WCAG asks for 4.5; large text for 3).
FAINT = """
(() => {
  const channels = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, below) => {
    const alpha = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map((k) => top[k] * alpha + below[k] * (1 - alpha));
  };
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      layers.push(channels(getComputedStyle(at).backgroundColor));
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const named = "p, td, th, figcaption, small, strong, a, summary, li, dt, dd";
  return [...document.querySelectorAll(named)]
    .filter((e) => e.innerText.trim() && e.offsetParent)
    .map((e) => {
      const [a, b] = [light(channels(getComputedStyle(e).color)), light(behind(e))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return [contrast, e.tagName, e.innerText.slice(0, 40)];
    })
    .filter(([contrast]) => contrast < 4.5);
})()
"""


@pytest.fixture(scope="module")
def address(results: Results) -> str:
    (path,) = layout.report(results.config, results.root)
    return Path(path).as_uri()


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_cut_or_overlaps(browser: Browser, address: str, width: int, dark: bool) -> None:
    browser.open(address, width, dark=dark)
    browser.run(UNFOLD)
    assert browser.run(CLIPPED) == []
    assert browser.run(OVERLAPPING) == []
    if width == DESKTOP:
        assert browser.run(LONG_CAPTIONS) == []
    assert browser.run(FAINT) == []
    assert browser.run(SMALL_PRINT) == []
    if width == PHONE:
        pictures = "[...document.querySelectorAll('.picture')]"
        assert set(browser.run(f"{pictures}.map((e) => getComputedStyle(e).overflowX)")) == {"auto"}


def test_dark_is_dark(browser: Browser, address: str) -> None:
    colours = []
    for dark in (False, True):
        browser.open(address, DESKTOP, dark=dark)
        colours.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] == "rgb(255, 255, 255)"
    assert max(map(int, re.findall(r"\d+", colours[1]))) < 64


def test_first_screen_has_the_answer_and_the_forest_plot(browser: Browser, address: str) -> None:
    browser.open(address, DESKTOP)
    below = "document.querySelector('{}').getBoundingClientRect().{}"
    assert browser.run(below.format(".answer", "bottom")) < 200
    assert browser.run(below.format(".tiles", "bottom")) < 400
    assert browser.run(below.format(".first .picture", "top")) < 420
    assert browser.run("document.querySelectorAll('.tile').length") == 3


def column(browser: Browser, table: str, place: int) -> list[str]:
    """The texts of a column, those of rows that are shown."""
    cells = f"[...document.querySelector('{table}').tBodies[0].rows].filter((r) => !r.hidden)"
    return list(browser.run(f"{cells}.map((r) => r.cells[{place}].innerText.trim())"))


def test_tables_sort_and_filter(browser: Browser, address: str) -> None:
    browser.open(address, DESKTOP)
    table = "#ran-cifar10 + figure table"
    before = column(browser, table, 3)
    click = f"document.querySelector('{table}').tHead.rows[0].cells[3].click()"
    browser.run(click)
    rising = column(browser, table, 3)
    assert rising == sorted(before, key=float) and len(rising) > 3
    browser.run(click)
    assert column(browser, table, 3) == rising[::-1]
    table = "#ablation-cifar10 + figure table"
    labels = column(browser, table, 0)
    browser.run(
        "field = document.querySelector('#ablation-cifar10 + figure .filter');"
        "field.value = 'grad reconstruction'; field.dispatchEvent(new Event('input'))"
    )
    left = column(browser, table, 0)
    assert left[0] == "CAE + Grad" and 0 < len(left) < len(labels)
    assert any("published" in label for label in left)


def test_print_leaves_out_what_has_not_run(browser: Browser, address: str) -> None:
    browser.open(address, DESKTOP, media="print")
    rows = "[...document.querySelectorAll('#auroc-cifar10 + figure tr')]"
    shown = browser.run(f"{rows}.filter((r) => r.offsetParent).map((r) => r.cells[0].innerText)")
    assert "CAE + Grad" in shown and "published, GradCon" in shown
    assert not [label for label in shown if "OCGAN" in label]


def test_a_link_to_what_is_folded_unfolds_it(browser: Browser, address: str) -> None:
    browser.open(address, DESKTOP)
    name = browser.run("document.querySelector('.folded [id], details tr[id]').id")
    shown = f"document.getElementById('{name}').checkVisibility()"
    assert not browser.run(shown)
    browser.open(f"{address}#{name}", DESKTOP)
    assert browser.run(shown)


def anchor(browser: Browser, place: str) -> str:
    """The link of a heading or row to itself, as an expression of the page."""
    assert browser.run(f"document.querySelectorAll('{place} .anchor').length") == 1
    return f"document.querySelector('{place} .anchor')"


@pytest.mark.parametrize("place", ["#auroc-cifar10", "#ran-cifar10--cae-grad-anomaly-score"])
def test_a_heading_or_row_links_to_itself(browser: Browser, address: str, place: str) -> None:
    browser.open(address, DESKTOP)
    link = anchor(browser, place)
    opacity = f"getComputedStyle({link}).opacity"
    assert browser.run(f"getComputedStyle({link}, '::before').content") == '"#"'
    browser.run(f"document.querySelector('{place}').scrollIntoView()")
    browser.point(0, 0)
    assert browser.run(opacity) == "0"
    assert browser.run(f"{link}.getBoundingClientRect().width") > 5
    box = browser.run(f"document.querySelector('{place}').getBoundingClientRect().toJSON()")
    browser.point(box["left"] + box["width"] / 2, box["top"] + box["height"] / 2)
    assert browser.run(opacity) == "1"
    browser.point(0, 0)
    assert browser.run(opacity) == "0"
    # By the keyboard: what is before it has the focus, then Tab, then Enter.
    browser.run(
        f"(() => {{ const all = [...document.querySelectorAll('a, summary, input, [tabindex]')]"
        f".filter((e) => e.checkVisibility()); all[all.indexOf({link}) - 1].focus(); }})()"
    )
    browser.press("Tab")
    assert browser.run(f"document.activeElement === {link}")
    assert browser.run(opacity) == "1"
    browser.press("Enter", text="\r")
    assert browser.run("location.hash") == place
    assert browser.run("document.querySelector(':target').id") == place[1:]


def test_every_heading_and_verdict_has_a_link_that_is_not_printed(
    browser: Browser, address: str
) -> None:
    browser.open(address, DESKTOP)
    browser.run(UNFOLD)
    ids = browser.run("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    lacking = (
        "[...document.querySelectorAll('main h2, main h3, .judged tbody tr')]"
        ".filter((e) => !e.querySelector('.anchor')).map((e) => e.innerText)"
    )
    assert browser.run(lacking) == []
    goals = "[...document.querySelectorAll('.anchor')].map((e) => e.getAttribute('href').slice(1))"
    links = browser.run(goals)
    assert set(links) <= set(ids) and len(links) == len(set(links)) > 100
    names = browser.run("[...document.querySelectorAll('.anchor')].map((e) => e.ariaLabel)")
    assert "Link to AUROC per inlier class" in names
    browser.open(address, DESKTOP, media="print")
    assert browser.run(
        "[...document.querySelectorAll('.anchor')].filter((e) => e.checkVisibility()).length"
    ) == 0  # fmt: skip


def test_the_figure_of_the_explanations_stands_with_their_table(
    browser: Browser, address: str
) -> None:
    browser.open(address, DESKTOP)
    order = "[...document.querySelector('.explanations').querySelectorAll('img, table')]"
    assert browser.run(f"{order}.map((e) => e.tagName)") == ["IMG", "IMG", "TABLE"]
    assert browser.run("document.querySelectorAll('[id=\"explanations-cifar10\"] img').length") == 1
