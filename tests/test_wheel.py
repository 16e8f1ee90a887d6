"""The wheel: built from the source archive, it has all that works without a checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
import yaml

import gradcon
from benchmark.utils.code_digest import digest
from tests.tree import ROOT

PACKAGES = ("baselines", "benchmark", "gradcon")
FOLDERS = (*PACKAGES, "config", "docs", "performance", "profiles", "tests", "workflow")
BUILD = """
import tarfile
from pathlib import Path
from setuptools import build_meta

with tarfile.open(Path("..", build_meta.build_sdist(".."))) as archive:
    archive.extractall("..", filter="data")
"""
"""What ``python -m build`` does first; the wheel is then made of the archive."""

WHEEL = "from setuptools import build_meta; build_meta.build_wheel('..')"
DIGESTED = ("gradcon.detectors", "baselines.kde", "benchmark.runs.train")


def python(folder: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a folder, with more environment variables."""
    command, environment = [sys.executable, "-c", code], os.environ | variables
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, the wheel, and ``site``, where it is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    for name in (*FOLDERS, "results/published"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, tree)
    python(tree, BUILD)
    (source,) = (path for path in folder.glob("gradcon_*") if path.is_dir())
    python(source, WHEEL)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder


def metadata(folder: Path) -> Message:
    (file,) = folder.glob("site/*.dist-info/METADATA")
    return message_from_bytes(file.read_bytes())


def files(*names: str) -> set[str]:
    """The files of folders of the checkout, but what Python and an editor leave there."""
    paths = (path for name in names for path in (ROOT / name).rglob("*") if path.is_file())
    kept = (path for path in paths if "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in kept}


def test_every_file_of_the_packages_and_the_numbers_is_there(folder: Path) -> None:
    inside = {f"benchmark/shipped/{name}" for name in files("config", "results/published")}
    expected = (files(*PACKAGES) | inside) - {"baselines/README.md"}
    there = {str(p.relative_to(folder / "site")) for p in folder.rglob("site/**/*") if p.is_file()}
    assert {name for name in there if ".dist-info" not in name} == expected
    assert {f"{package}/py.typed" for package in PACKAGES} < there


def test_the_source_archive_is_enough_for_the_workflow(folder: Path) -> None:
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"Snakefile", "CITATION.cff", "environment.yml", "constraints.txt"} < names
    assert files("workflow", "profiles", "config", "docs", "tests") < names


def test_version_licence_and_citation_are_told_once(folder: Path) -> None:
    described = metadata(folder)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert described["Version"] == project["version"] == citation["version"]
    assert described["License-Expression"] == citation["license"] == "MIT"
    assert described.get_all("License-File") == ["LICENSE", "CITATION.cff"]
    assert gradcon.__version__ == project["version"]


USED = f"""
from pathlib import Path

import gradcon
from benchmark import config, published
from benchmark.__main__ import main
from benchmark.runs import device
from benchmark.utils.code_digest import digest
from gradcon.inspection.command import main as command

assert len(published.load()) > 300 and published.load(published.REPORTED)
assert config.read(Path("config/demo.yaml")).name == "demo"
assert config.read(Path("config/paper.yaml"), data=False).name == "paper"
assert main(["schema"]) == 1
assert device._commit() is None
for option in ("--help", "--version"):
    try:
        command([option])
    except SystemExit as end:
        assert not end.code
print(gradcon.__file__, digest(*{DIGESTED}))
"""


def test_it_works_without_a_checkout(folder: Path) -> None:
    """In someone's own repository, whose commit is not that of the suite."""
    lab = folder / "lab"
    shutil.copytree(folder / "site", lab / "site")
    git = ("git", "-C", str(lab), "-c", "user.name=x", "-c", "user.email=x@example.org")
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "mine")):
        subprocess.run([*git, *words], check=True)
    done = python(lab, USED, PYTHONPATH=str(lab / "site"))
    assert done.stderr == "the schema is written in a checkout of the suite: call this there\n"
    *said, last = done.stdout.splitlines()
    assert said[0].startswith("usage: gradcon") and said[-1] == gradcon.__version__
    place, code = last.split()
    assert Path(place).is_relative_to(lab)
    assert code == digest(*DIGESTED)  # so that its runs and those of the checkout are of one code


def test_the_names_at_the_top_are_the_three_of_the_documentation(folder: Path) -> None:
    """What ``CONTRIBUTING.md`` says of names that collide with those of other distributions."""
    tops = {path.name for path in (folder / "site").iterdir() if ".dist-info" not in path.name}
    assert tops == set(PACKAGES)
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert all(f"`{name}`" in page.split("## Packaging")[1].split("##")[0] for name in PACKAGES)
