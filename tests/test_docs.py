"""Every command and code block of the documentation is run, or read by what would run it.

A page of its own test is followed there, block by block. Of all other pages each line of a shell
block goes to the first entry of ``READ_BY`` that fits it, and a block that nothing takes is an
error. What costs hours, a GPU, a cluster or a download is not run here; the entry says why.
"""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from snakemake.cli import parse_args

from benchmark import config as configuration
from benchmark import layout
from benchmark.__main__ import COMMANDS
from tests.pages import fenced
from tests.tree import ROOT

PAGES = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [ROOT / name / "README.md" for name in ("config", "baselines", "performance")]
PAGES += [ROOT / "results/reference/README.md", ROOT / "tests/faults/README.md"]
FOLLOWED = {
    "docs/adding_a_data_set.md": "tests/test_adding_a_data_set.py",
    "docs/adding_a_method.md": "tests/test_adding_a_method.py",
    "docs/other_code.md": "tests/test_exchange.py",
    "docs/own_images.md": "tests/test_own_images_page.py",
}
"""Pages whose every block is run by a test of their own; it names the page."""

OF_THE_OWN_IMAGES_PAGE = ("README.md", "docs/start.md")
"""Pages whose calls of ``gradcon``, and Python, ``tests/test_own_images_page.py`` runs too."""

USERS_FILES = {"local.yaml", "mine.yaml", "photos.yaml"}
"""Configurations that a page tells the reader to write."""


def existing(path: str) -> None:
    """A file that is named must be there, unless the reader is to write it."""
    assert path in USERS_FILES or (ROOT / path).exists(), path


def snakemake(words: list[str]) -> None:
    """Trains for minutes to weeks: its options are parsed, its targets and files looked up."""
    if "--workflow-profile" in words:  # it may name an executor that is not installed here
        place = words.index("--workflow-profile")
        existing(f"{words[place + 1]}/profile.yaml")
        words = words[:place] + words[place + 2 :]
    _, chosen = parse_args(words[1:])
    for file in chosen.configfile or ():
        existing(str(file))
    snakefile = (ROOT / "Snakefile").read_text()
    rules = {*re.findall(r"^rule (\w+):", snakefile, re.MULTILINE)}
    rules |= {*re.findall(r"rules/(\w+)\.smk", snakefile)}
    read = configuration.read(ROOT / "config/demo.yaml")
    kinds = {name.rpartition("-")[0] for name in layout.table_names(read)}
    assert {*chosen.targets} <= rules | kinds, chosen.targets


def benchmark(words: list[str]) -> None:
    """Reads or makes results for minutes: its arguments are parsed; each has tests of its own."""
    name, *arguments = words[3:]
    parser = ArgumentParser(exit_on_error=False)
    import_module(COMMANDS[name][0]).add_arguments(parser)
    chosen = vars(parser.parse_args(arguments))
    for file in chosen.get("configfile") or ():
        existing(str(file))


def make(words: list[str]) -> None:
    """Installs, trains or tests: ``make -n`` says what it would do, and does nothing."""
    done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr


def module(words: list[str]) -> None:
    """Takes minutes: the module is there, and its parser has the options."""
    spec = find_spec(words[2])
    assert spec is not None, words
    found = find_spec(f"{words[2]}.__main__") if spec.submodule_search_locations else spec
    assert found is not None and found.origin is not None, words
    text = Path(found.origin).read_text()
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in text, option


def pytest_file(words: list[str]) -> None:
    """Would run tests within a test: the file is there."""
    existing(words[-1])


def whole(words: list[str]) -> None:
    """Takes a second, and is run."""
    command = [sys.executable if word == "python" else word for word in words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def installed(words: list[str]) -> None:
    """Downloads: it names a requirement, or the wheel that ``tests/test_wheel.py`` builds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version, extras = project["version"], project["optional-dependencies"]
    for word in words[2:]:
        if word in ("-c", "-e"):
            continue
        if word == "constraints.txt":
            existing(word)
        elif word.startswith(".["):
            assert {*word[2:-1].split(",")} <= {*extras}, word
        elif word.endswith(".whl"):
            assert word == f"dist/gradcon_reproducibility-{version}-py3-none-any.whl"
        else:
            Requirement(word)


def built(words: list[str]) -> None:
    """Downloads: the builder, whose work ``tests/test_wheel.py`` does, or every requirement."""
    assert words[2] == "build" or words[2:4] == ["pip", "wheel"]


def in_a_container(words: list[str]) -> None:
    """Needs a builder of images and an image to begin with: what it builds from is there."""
    existing("Containerfile")


def of_the_environment(words: list[str]) -> None:
    """Changes the shell or the checkout; what it names is of every installation of ``make``."""
    assert words[-1] in (".venv/bin/activate", "install")


def inspection(words: list[str]) -> None:
    """``tests/test_own_images_page.py`` runs it."""


READ_BY: Mapping[str, Callable[[list[str]], None]] = {
    r"snakemake ": snakemake,
    r"python -m benchmark provenance ": whole,
    r"python -m benchmark ": benchmark,
    r"python -m (build$|pip wheel )": built,
    r"buildah |container=": in_a_container,
    r"\S*python -m pytest ": pytest_file,
    r"python -m ": module,
    r"python -c ": whole,
    r"make ": make,
    r"pip install ": installed,
    r"gradcon ": inspection,
    r"\. \.venv/bin/activate|\.venv/bin/pre-commit install": of_the_environment,
}
"""What reads a line of a shell block, by how the line begins, and in its docstring why."""


def name(page: Path) -> str:
    """A page as the repository has it."""
    return page.relative_to(ROOT).as_posix()


BLOCKS = [(name(page), *block) for page in PAGES for block in fenced(name(page))]
LINES = [
    (page, line)
    for page, language, text in BLOCKS
    if language == "sh" and page not in FOLLOWED
    for line in text.splitlines()
]


@pytest.mark.parametrize(("page", "line"), LINES)
def test_every_command_is_run_or_read(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    while re.match("[A-Z_]+=", words[0]):  # a variable of the environment
        words.pop(0)
    command = " ".join(words)
    readers = [read for start, read in READ_BY.items() if re.match(start, command)]
    assert readers, f"{page}: nothing runs or reads this command: {line}"
    if readers[0] is inspection:
        assert page in OF_THE_OWN_IMAGES_PAGE, f"{page}: add it to OF_THE_OWN_IMAGES_PAGE"
    readers[0](words)


def test_every_block_is_of_a_kind_that_is_run_or_read() -> None:
    """Text without a language is a picture in letters; the flow chart has a test of its layers."""
    for page, language, text in BLOCKS:
        if page in FOLLOWED or language in ("", "sh", "yaml"):
            continue
        ran = language == "python" and page in OF_THE_OWN_IMAGES_PAGE
        drawn = language == "mermaid" and page == "docs/stages.md"
        assert ran or drawn, f"{page}: nothing runs this block of {language}:\n{text}"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (page, text)
        for page, language, text in BLOCKS
        if language == "yaml" and page not in FOLLOWED
    ],
)
def test_every_configuration_agrees_with_the_schema(page: str, text: str) -> None:
    """Fragments override the paper's configuration, as a second file does."""
    schema = json.loads((ROOT / "config/schema.json").read_text())
    given: dict[str, Any] = yaml.safe_load(text)
    base = configuration.merged(ROOT / "config/paper.yaml")
    jsonschema.validate(configuration.merged(base, given), schema)


@pytest.mark.parametrize(("page", "test"), FOLLOWED.items())
def test_pages_are_followed_by_their_tests(page: str, test: str) -> None:
    assert page in (ROOT / test).read_text()


def test_what_nothing_runs_is_an_error() -> None:
    with pytest.raises(AssertionError, match="nothing runs or reads this command: rm -rf"):
        test_every_command_is_run_or_read("docs/new.md", "rm -rf results")
    for line in (
        "snakemake --cores 2 al",
        "snakemake --cores 2 all --configfile config/gone.yaml",
        "python -m benchmark provenance results/gone.md",
        "make testt",
        "python -m performance.determinism --sourc cifar10",
        "python -m performance.gone",
    ):
        with pytest.raises((AssertionError, subprocess.CalledProcessError)):
            test_every_command_is_run_or_read("docs/new.md", line)
    with pytest.raises(BaseException, match=r"no-such-option|2"):
        benchmark(["python", "-m", "benchmark", "train", "--no-such-option"])
