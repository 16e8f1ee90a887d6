"""The layers of the code: a module imports only from layers below its own.

``docs/stages.md`` explains the layers and shows the stages.
"""

import ast
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.tree import ROOT

LAYERS = (
    ("benchmark.errors", "benchmark.detector", "benchmark.statistics"),
    ("benchmark.utils",),
    ("benchmark.base_detector", "benchmark.data", "benchmark.external"),
    ("benchmark.shallow_detector",),
    ("gradcon", "baselines", "benchmark.adapters", "benchmark.config", "benchmark.splits"),
    ("benchmark.published",),
    ("benchmark.layout",),
    ("benchmark.runs", "benchmark.scores"),
    ("benchmark.jobs", "benchmark.part", "benchmark.conformance"),
    ("benchmark.metrics",),
    ("benchmark.verdicts", "benchmark.captions"),
    ("benchmark.tables", "benchmark.figures", "benchmark.report"),
    ("benchmark.reanalyse",),
    ("benchmark.reference", "benchmark.scheduling", "gradcon.inspection"),
    ("benchmark.exchange",),
    ("benchmark.__main__", "gradcon.__main__"),
)
"""From the bottom; parts of one layer do not import each other."""

LAYER = {part: layer for layer, parts in enumerate(LAYERS) for part in parts}
PACKAGES = ("benchmark", "gradcon", "baselines")
BY_NAME = ("benchmark.__main__", "benchmark.utils.imports")
"""What imports modules by their names at run time: commands, and classes of methods."""

NEVER_IMPORTED = ("performance", "workflow", "tests", "conftest")


def part_of(module: str) -> str | None:
    """The part of a layer that a module is or belongs to, the smallest one."""
    parts = (part for part in LAYER if f"{module}.".startswith(f"{part}."))
    return max(parts, key=len, default=None)


def project() -> dict[str, str]:
    """The source of every module of the packages, by dotted name."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return {
        name.removesuffix(".__init__"): path.read_text()
        for name, path in zip(names, paths, strict=True)
    }


def imported(source: str, modules: Mapping[str, str]) -> set[str]:
    """What a source imports anywhere: modules, and packages that it takes names from."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            full = [f"{package}.{alias.name}" for alias in node.names]
            names |= {name if name in modules else package for name in full}
    return names


def problems(modules: Mapping[str, str]) -> list[str]:
    """Imports that are not allowed and modules without a layer, one line each."""
    graph = {module: imported(source, modules) for module, source in modules.items()}
    lines = [
        f"{module} imports by name"
        for module, source in modules.items()
        if module not in BY_NAME and re.search(r"\b(import_module|__import__)\b", source)
    ]
    for module, targets in graph.items():
        own = part_of(module)
        if own is None and (module not in PACKAGES or targets):
            lines.append(f"{module} is in no layer")
        for target in sorted(targets):
            other = part_of(target)
            if other is None:
                if target.startswith(".") or target.split(".")[0] in PACKAGES + NEVER_IMPORTED:
                    lines.append(f"{module} imports {target}")
            elif own is not None and own != other and LAYER[other] >= LAYER[own]:
                lines.append(f"{module} imports {target}, which is not below it")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        lines.append(f"circle: {' <- '.join(error.args[1])}")
    return lines


def test_imports_go_down() -> None:
    assert problems(project()) == []


def test_every_part_exists() -> None:
    modules = project()
    assert [part for part in LAYER if part not in modules] == []


@pytest.mark.parametrize(
    ("modules", "problem"),
    [
        (
            {"benchmark.metrics.compute": "from benchmark.tables import rows"},
            "benchmark.metrics.compute imports benchmark.tables, which is not below it",
        ),
        (
            {
                "benchmark.scores": "def late():\n    from benchmark import runs",
                "benchmark.runs": "",
            },
            "benchmark.scores imports benchmark.runs, which is not below it",
        ),
        (
            {"gradcon.losses": "import baselines.dcae"},
            "gradcon.losses imports baselines.dcae, which is not below it",
        ),
        (
            {
                "benchmark.data": "from benchmark.data import npz",
                "benchmark.data.npz": "from benchmark.data import read",
            },
            "circle: benchmark.data <- benchmark.data.npz <- benchmark.data",
        ),
        ({"benchmark.helpers": ""}, "benchmark.helpers is in no layer"),
        ({"benchmark": "import gradcon"}, "benchmark is in no layer"),
        ({"gradcon.losses": "from . import networks"}, "gradcon.losses imports ."),
        ({"gradcon": "import performance.bench"}, "gradcon imports performance.bench"),
        ({"benchmark.data": "__import__('benchmark.report')"}, "benchmark.data imports by name"),
    ],
)
def test_the_check_sees(modules: dict[str, str], problem: str) -> None:
    assert problems(modules) == [problem]


def between(start: str, end: str, page: str) -> str:
    """The text of a page between two marks."""
    match = re.search(f"{start}(.*?){end}", (ROOT / page).read_text(), re.DOTALL)
    assert match, f"{page} has no {start}"
    return match[1]


def arrows() -> list[tuple[str, str, str]]:
    """The arrows of the picture: where they start, their form, where they end."""
    picture = between("```mermaid\n", "```", "docs/stages.md")
    return re.findall(r"^ *(\w+)(?:\[.*?\])? (-->|-\.->) (\w+)", picture, re.MULTILINE)


def test_the_table_of_layers_is_the_one_tested() -> None:
    table = between(r"What it is \|\n\| --- \| --- \|\n", r"\n\n", "docs/stages.md")
    rows = [re.findall(r"`([\w.]+)`", row.split("|")[1]) for row in table.splitlines()]
    assert [tuple(row) for row in reversed(rows)] == list(LAYERS)


def test_the_picture_shows_the_stages() -> None:
    snakefile = (ROOT / "Snakefile").read_text()
    rules = set(re.findall(r'include: "workflow/rules/(\w+)\.smk"', snakefile))
    named = {name for start, _, end in arrows() for name in (start, end)}
    assert named == rules | {"config", "scores", "published", "gradcon", "baselines"}
    layer = {part.removeprefix("benchmark."): floor for part, floor in LAYER.items()}
    for start, arrow, end in arrows():
        assert (arrow == "-->") == (layer[start] <= layer[end]), f"{start} {arrow} {end}"


def test_the_readme_has_the_stages_in_their_order() -> None:
    chain = re.split(" -> |, ", between("```\n(?=config ->)", "\n```", "README.md"))
    stages = {name for arrow in arrows() for name in arrow[::2]}
    assert set(chain) == stages - {"published", "gradcon", "baselines"}
    place = {name: number for number, name in enumerate(chain)}
    pairs = [(start, end) for start, _, end in arrows() if {start, end} <= set(chain)]
    assert [(start, end) for start, end in pairs if place[start] >= place[end]] == []


def test_the_tree_in_the_readme_exists() -> None:
    tree = between("```\n(?=Snakefile )", "\n```", "README.md")
    names = re.findall(r"[\w/]+(?:/|\.py)(?=[\s):])", tree)
    folders = (ROOT, ROOT / "benchmark", ROOT / "gradcon", ROOT / "workflow")
    assert len(names) > 15
    assert [n for n in names if not any((folder / n).exists() for folder in folders)] == []
