"""Digests: the closure is what Python imports; only edits of code change a digest."""

import ast
import subprocess
import sys

import pytest

from benchmark.errors import InputError
from benchmark.utils import code_digest as digests
from benchmark.utils import imports
from benchmark.utils.code_digest import closure, digest
from tests.tree import ROOT

FILES = {
    "__init__.py": '"""Lab."""\n',
    "model.py": '''"""A model."""
from typing import TYPE_CHECKING
from . import shapes
from .deep.layers import Layer
if TYPE_CHECKING:
    from lab.types_only import Kind

SIZE = 3
"""The size."""


class Model:
    """Documented."""

    def fit(self):
        # a comment
        import lab.late
        return SIZE
''',
    "shapes.py": "import os\n",
    "deep/__init__.py": "from ..above import X\n",
    "deep/layers.py": "class Layer: ...\n",
    "above.py": "X = 1\n",
    "late.py": "import numpy\n",
    "types_only.py": "Kind = int\n",
    "unused.py": "Y = 1\n",
}
USED = ("lab", "lab.above", "lab.deep", "lab.deep.layers", "lab.late", "lab.model", "lab.shapes")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A package outside of the project; returns its folder."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in FILES.items():
        path = tmp_path / "lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    forget()
    yield tmp_path / "lab"
    forget()


def forget():
    """A new process would know nothing of the old text."""
    for cached in (imports.find, imports.parse, digests._read):
        cached.cache_clear()


def after(path, old, new):
    """The digest once a text in a file is replaced."""
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    forget()
    return digest("lab.model")


def test_closure_follows_every_way_of_importing(lab):
    assert closure("lab.model") == USED
    assert "lab.model" not in sys.modules


@pytest.mark.parametrize("module", ["gradcon.detectors", "benchmark.metrics", "workflow.jobs"])
def test_closure_holds_all_that_python_imports(module):
    code = (
        f"import sys, {module}; packages = ('gradcon', 'baselines', 'benchmark');"
        "print(*[name for name in sys.modules if name.partition('.')[0] in packages])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= set(closure(module))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("model.py", "# a comment", "# quite another comment"),
        ("model.py", '"""A model."""', '"""A very good model."""'),
        ("model.py", '    """Documented."""\n', ""),
        ("model.py", '"""The size."""', '"""The size, in pixels."""'),
        ("model.py", "SIZE = 3", "SIZE = (\n    3\n)"),
        ("unused.py", "Y = 1", "Y = 2"),
        ("types_only.py", "int", "float"),
    ],
)
def test_what_does_nothing_changes_nothing(lab, file, old, new):
    before = digest("lab.model")
    assert after(lab / file, old, new) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("model.py", "SIZE = 3", "SIZE = 4"),
        ("model.py", "return SIZE", "return 'SIZE'"),
        ("model.py", "def fit(self)", "def fit(self, *, x=1)"),
        ("above.py", "X = 1", "X = 2"),
        ("late.py", "import numpy", "import numpy as np"),
        ("deep/__init__.py", "from ..above import X", "from ..above import X as Y"),
    ],
)
def test_an_edit_of_code_changes_the_digest(lab, file, old, new):
    before = digest("lab.model")
    assert after(lab / file, old, new) != before


def test_every_python_gives_the_same_digest(lab):
    """Packs travel between machines with CPython 3.11 to 3.14, each of which gave this."""
    assert digest("lab.model") == "98d273f8c14ccb7c1c8346b520f8211222008eed01d3ca859eec8a24765afc8c"


def test_how_a_version_of_python_parses_changes_nothing(lab, monkeypatch):
    """A newer one has more fields; that of 3.12.1 ends a nested format with an empty text."""
    (lab / "model.py").write_text('def show(x, w):\n    return f"{x:{w}}"\n')
    forget()
    before = digest("lab.model")
    for node in (ast.FunctionDef, ast.Return):
        monkeypatch.setattr(node, "_fields", (*node._fields, "newer"))
        monkeypatch.setattr(node, "newer", [], raising=False)
    forget()
    assert digest("lab.model") == before
    parse = ast.parse

    def ends_formats(*arguments, **options):
        tree = parse(*arguments, **options)
        for node in ast.walk(tree):
            if isinstance(node, ast.FormattedValue) and node.format_spec:
                node.format_spec.values.append(ast.Constant(""))
        return tree

    monkeypatch.setattr(ast, "parse", ends_formats)
    forget()
    assert digest("lab.model") == before
    monkeypatch.setattr(ast.Return, "newer", [ast.Pass()])
    forget()
    assert digest("lab.model") != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('f("")', "f()"),
        ('x = ""', "x = None"),
        ('f"{x}"', "x"),
        ('f"{x}a"', 'f"{x}"'),
        ("def f(*, a): ...", "def f(a): ..."),
        ("def f(a=None): ...", "def f(a): ..."),
        ("def f(*, a=None): ...", "def f(*, a): ..."),
        ("x: int", "x: int = None"),
        ("{**a}", "{None: a}"),
        ("x[:]", "x[::1]"),
        ("print(None)", "print()"),
    ],
)
def test_what_means_something_else_has_another_digest(lab, old, new):
    digests_of = set()
    for text in (old, new):
        (lab / "model.py").write_text(f"{text}\n")
        forget()
        digests_of.add(digest("lab.model"))
    assert len(digests_of) == 2


@pytest.mark.parametrize(("old", "new"), [('x = u"a"', 'x = "a"'), ('x = "\u00e4"', 'x = "ä"')])
def test_what_means_the_same_has_the_same_digest(lab, old, new):
    (lab / "model.py").write_text(f"{old}\n")
    forget()
    before = digest("lab.model")
    assert after(lab / "model.py", old, new) == before


def test_without_leaves_out_a_package_and_what_only_it_needs(lab):
    assert closure("lab.model", without=("lab.deep",)) == tuple(
        name for name in USED if name not in ("lab.deep", "lab.deep.layers", "lab.above")
    )


def test_a_run_does_not_depend_on_readers_and_the_registry():
    from workflow.jobs import INDIRECT

    used = closure("gradcon.detectors", "benchmark.runs.train", without=INDIRECT)
    assert {"gradcon.networks", "benchmark.runs.train", "benchmark.splits"} <= set(used)
    others = ("benchmark.data", "baselines", "gradcon.inspection")
    assert not [name for name in used if name.startswith(others)]
    assert not {"benchmark.config.methods", "benchmark.config", "benchmark.metrics"} & set(used)


def test_what_is_missing_or_broken_is_named(lab):
    with pytest.raises(InputError, match=r"lab\.gone"):
        digest("lab.gone")
    (lab / "shapes.py").write_text("def (:\n")
    forget()
    with pytest.raises(InputError, match=r"shapes\.py:1"):
        digest("lab.model")


def test_what_is_kept_for_other_processes_is_taken_only_if_it_fits(lab, monkeypatch):
    """Neither of older code, nor of another version of the reader, nor damaged."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    whole, names = digest("lab.model"), closure("lab.model")
    (kept,) = (lab / "__pycache__").glob("model.*.digest")
    written = kept.read_text()
    parsed = []
    monkeypatch.setattr(imports.parse, "__wrapped__", parsed.append)
    forget()
    assert (digest("lab.model"), closure("lab.model"), parsed) == (whole, names, [])
    monkeypatch.undo()
    monkeypatch.syspath_prepend(lab.parent)
    for text in (written[:-5], written.replace("lab.late", "os"), f"0{written}", "", "\n\n"):
        kept.write_text(text)
        forget()
        assert (digest("lab.model"), closure("lab.model")) == (whole, names)
    kept.write_text(written)
    source = (lab / "model.py").read_text()
    (lab / "model.py").write_text(source.replace("SIZE = 3", "SIZE = 4"))
    forget()
    assert digest("lab.model") != whole


def test_nothing_is_kept_where_python_is_to_write_no_compiled_files(lab, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    digest("lab.model")
    assert not list(lab.rglob("*.digest"))
