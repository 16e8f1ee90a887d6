import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import layout, metrics
from benchmark.__main__ import main
from benchmark.errors import InputError
from benchmark.report import provenance
from tests.conftest import Results


def test_every_file_says_what_it_was_made_from(results: Results) -> None:
    stated = metrics.load(results.config, results.root).provenance
    assert set(stated) == set(provenance.NAMES)
    assert stated["commit"] == "0123456789abcdef"
    files = [
        Path(path)
        for kind in (layout.tables, layout.figures, layout.report)
        for path in kind(results.config, results.root)
    ]
    assert {path.suffix for path in files} == {".csv", ".md", ".tex", ".png", ".svg", ".html"}
    for path in files:
        assert provenance.read(path) == stated, path


def test_prints_the_records(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    tables = results.root / "tables"
    files = [str(tables / "cost.md"), str(results.root / "figures/beta-cifar10.png")]
    assert main(["provenance", *files]) == 0
    said = capsys.readouterr().out
    for text in (*files, "commit", "0123456789abcdef", "config         made_up"):
        assert text in said
    assert main(["provenance", str(tables / "nothing.md"), files[0]]) == 1
    captured = capsys.readouterr()
    assert "nothing.md: no such file" in captured.err
    assert files[0] in captured.out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.md", "| table |\n", "does not say where it came from"),
        ("a.md", "<!-- a comment, of mine -->\n", "does not say where it came from"),
        ("a.tex", "\\begin{table}\n", "does not say where it came from"),
        ("a.svg", "<svg></svg>", "does not say where it came from"),
        ("a.html", "<p>hello</p>", "does not say where it came from"),
        ("a.csv", "a,b\n1,2\n", "does not say where it came from"),
        ("a.png", "no picture", "not a picture"),
        ("a.txt", "text", "only files of these kinds"),
    ],
)
def test_files_that_do_not_say(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        provenance.read(path)


def test_runs_as_a_command_without_torch(results: Results) -> None:
    code = (
        "import sys; from benchmark.__main__ import main; "
        f"main(['provenance', {str(results.root / 'report/index.html')!r}]); "
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"runs_sha256" in done.stdout
