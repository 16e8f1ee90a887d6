"""Tables as Markdown, LaTeX and HTML."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape

from benchmark.tables.cells import SYMBOLS
from benchmark.tables.table import Cell, Row, Table
from benchmark.utils.text import one_line

WORDS = {"long", *(outcome.replace(" ", "-") for outcome in SYMBOLS)}
"""Kinds of cells that hold words."""


def markdown(table: Table) -> str:
    """GitHub-flavoured Markdown."""
    lines = [
        [_md(field) for field in table.head],
        ["---"] * table.labels + ["---:"] * (len(table.head) - table.labels),
        *([*_emphasised(row, "_{}_".format, _md), *map(_md_cell, row.cells)] for row in table.rows),
    ]
    grid = [f"| {' | '.join(fields)} |" for fields in lines]
    notes = ["", *(f"- {_md(note)}" for note in table.notes)] if table.notes else []
    return "\n".join([_md(table.caption), "", *grid, *notes, ""])


def latex(table: Table, name: str) -> str:
    """A LaTeX table to be included; needs booktabs and graphicx."""
    columns = "l" * table.labels + "r" * (len(table.head) - table.labels)
    body = []
    for row in table.rows:
        fields = _emphasised(row, "\\emph{{{}}}".format, _tex)
        fields += [_tex_cell(cell) for cell in row.cells]
        body.append(" & ".join(fields) + r" \\")
    notes = [rf"\par\smallskip{{\footnotesize {_tex(' '.join(table.notes))}}}"] * bool(table.notes)
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(table.caption)}}}",
            rf"\label{{tab:{name}}}",
            r"\resizebox{\linewidth}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(_tex(field) for field in table.head) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def html(table: Table, name: str = "") -> str:
    """An HTML ``figure`` with caption and table; folded under it are rows, and how to read them.

    Each cell names its column, for a page too narrow for columns. A row has an id to link to: the
    ``name`` of the table and its labels. Rows of what has not run are ``idle``.
    """
    caption, _, reading = table.caption.partition("\n")
    shown = [row for row in table.rows if not row.fold]
    folds = dict.fromkeys(row.fold for row in table.rows if row.fold)
    ids = _ids(name, table.rows)
    parts = [_grid(table.head, shown, ids)] if shown else []
    for fold in folds:
        rows = [row for row in table.rows if row.fold == fold]
        parts += [
            f"<details><summary>{len(rows)} {escape(fold)}</summary>",
            f"{_grid(table.head, rows, ids)}</details>",
        ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in (reading, *table.notes) if note)
    summary = "<summary>How to read this</summary>"
    how = f"<details class=how>{summary}<ul class=notes>{notes}</ul></details>"
    empty = "" if table.rows else "<p>Nothing to show: no run has these scores.</p>"
    return (
        f"<figure class=table><figcaption>{escape(caption)}</figcaption>"
        f"{''.join(parts)}{empty}{how if notes else ''}</figure>"
    )


def _ids(name: str, rows: Sequence[Row]) -> dict[int, str]:
    """An id for each row, by its ``id()``: rows of the same labels are numbered."""
    seen: Counter[str] = Counter()
    ids = {}
    for row in rows:
        words = re.findall(r"[a-z0-9]+", " ".join(row.labels).lower())
        key = f"{name}--{'-'.join(words)}"
        seen[key] += 1
        ids[id(row)] = key if seen[key] == 1 else f"{key}--{seen[key]}"
    return ids


def _grid(head: Sequence[str], rows: Sequence[Row], ids: Mapping[int, str]) -> str:
    labels = len(rows[0].labels)
    left = {*range(labels)}  # columns of words
    left |= {labels + k for row in rows for k, cell in enumerate(row.cells) if cell.kind in WORDS}
    heads = "".join(
        f'<th scope="col"{" class=label" * (place in left)}>{escape(field)}</th>'
        for place, field in enumerate(head)
    )
    body, idle = [], False
    for row in rows:
        if not row.published:
            idle = all(cell.text == Cell.MISSING for cell in row.cells)
        first, *rest = (escape(label) for label in row.labels)
        note = f"<small>{escape(row.note)}</small>" if row.note else ""
        marks = f"<sup>{escape(row.marks)}</sup>" if row.marks else ""
        if row.command:
            code = f"<pre>{escape(row.command)}</pre>"
            note += f'<details class="command"><summary>command</summary>{code}</details>'
        stub = f'<th scope="row">{first}{marks}{note}</th>' + "".join(
            f'<td class="label">{label}</td>' for label in rest
        )
        named = zip(head[len(row.labels) :], row.cells, strict=True)
        cells = "".join(_html_cell(cell, field) for field, cell in named)
        kinds = " ".join(["published"] * row.published + ["idle"] * idle)
        kind = f' class="{kinds}"' if kinds else ""
        body.append(f'<tr id="{ids[id(row)]}"{kind}>{stub}{cells}</tr>')
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _md(text: str) -> str:
    """Text in which nothing is Markdown, HTML or a formula."""
    return re.sub(r"[\\`*\[\]<>|$&~#]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", one_line(text))


def _md_cell(cell: Cell) -> str:
    spread = f" ± {cell.spread}" if cell.spread else ""
    note = f" ({cell.note})" if cell.note else ""
    return _md(f"{cell.text}{spread}{cell.marks}{note}")


def _emphasised(row: Row, mark: Callable[[str], str], convert: Callable[[str], str]) -> list[str]:
    first, *rest = row.labels
    first = f"{first}{row.marks} ({row.note})" if row.note else f"{first}{row.marks}"
    texts = [convert(label) for label in (first, *rest)]
    return [mark(text) if text else text for text in texts] if row.published else texts


_TEX = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # which would begin an argument of the end of the row above
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "°": r"$^\circ$",
    "*": r"$^*$",
    "—": "---",
    "–": "--",
    "…": r"$\ldots$",
    "§": r"\S{}",
    "×": r"$\times$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "−": "$-$",
    "✓": r"$\surd$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in one_line(text))


def _tex_cell(cell: Cell) -> str:
    spread = rf" {{\scriptsize $\pm$ {cell.spread}}}" if cell.spread else ""
    note = rf" {{\scriptsize ({_tex(cell.note)})}}" if cell.note else ""
    return f"{_tex(cell.text)}{spread}{_tex(cell.marks)}{note}"


def _html_cell(cell: Cell, head: str) -> str:
    spread = f" <small>± {escape(cell.spread)}</small>" if cell.spread else ""
    marks = f"<sup>{escape(cell.marks)}</sup>" if cell.marks else ""
    note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
    kinds = " ".join([cell.kind] * bool(cell.kind) + ["missing"] * (cell.text == Cell.MISSING))
    kind = f' class="{escape(kinds)}"' if kinds else ""
    return f'<td{kind} data-head="{escape(head)}">{escape(cell.text)}{marks}{spread}{note}</td>'
