"""The site, from the repository's own pages: ``make docs``.

The source is the root of the repository, so that links between pages, and from them to code, are
the same here as where the repository is hosted. Nothing is taken from another host: formulas are
MathML.
"""

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the API is that of this checkout, whatever is installed

project = "GradCon, reproduced"
version = release = installed("gradcon-reproducibility")
copyright = "The GradCon reproducibility authors, MIT licence"

root_doc = "docs/index"
include_patterns = [
    "docs/*",
    "*.md",
    *("baselines/README.md", "config/README.md", "performance/README.md"),
    *("results/reference/README.md", "tests/faults/README.md"),
    "results/reference/paper/tables/*.md",
]
exclude_patterns = [".*", "build", "data", "scratch", "**/data", "**/runs", "**/__pycache__"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Write formulas as MathML, which browsers set in type without a script; see the hooks too."""

    def inline(writer: Any, node: nodes.Element) -> None:
        _mathml(writer, node, "inline")
        raise nodes.SkipNode

    def block(writer: Any, node: nodes.Element) -> None:
        # Padding, as what may scroll sideways cuts off what is higher than the line.
        writer.body.append('<div style="overflow-x: auto; padding: 0.5em 0">')
        _mathml(writer, node, "block")
        writer.body.append("</div>\n")
        raise nodes.SkipNode

    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", _with_title)
    app.connect("autodoc-process-docstring", _absolute_values)


def _mathml(writer: Any, node: nodes.Element, display: str) -> None:
    writer.body.append(convert(node.astext(), display=display))


def _with_title(app: Sphinx, name: str, source: list[str]) -> None:
    """Give committed tables, to which only other pages lead, a title."""
    if name.startswith("results/reference/paper/"):
        title = name.rpartition("/")[2].replace("-", ", ")
        source[0] = f"---\norphan: true\n---\n\n# Table: {title}\n\n{source[0]}"


def _absolute_values(
    app: Sphinx, kind: str, name: str, of: Any, how: Any, lines: list[str]
) -> None:
    """Have |x| stand in docstrings, where reStructuredText would take it for a reference."""
    for number, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [part.replace("|", "\N{DIVIDES}") for part in parts[::2]]
        lines[number] = "``".join(parts)
