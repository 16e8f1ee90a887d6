"""Descriptions of the environment and of the checks agree with each other."""

import re
import tomllib
from itertools import chain

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = [
    Requirement(text)
    for text in [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
]
PINS = {
    canonicalize_name(line.split("==")[0]): line.split("==")[1]
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
}
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


def test_every_requirement_is_pinned_to_a_version_that_it_allows():
    extras = PROJECT["optional-dependencies"].values()
    optional = [Requirement(text) for extra in extras for text in extra]
    for requirement in (*REQUIRED, *optional):
        pin = PINS[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), f"{requirement} but constraints.txt has {pin}"


def test_conda_has_the_same_versions_of_the_same_packages():
    (pip,) = [entry["pip"] for entry in CONDA if isinstance(entry, dict)]
    listed = dict(text.split("==") for text in pip)
    assert listed == {
        name: PINS[name] for name in (canonicalize_name(entry.name) for entry in REQUIRED)
    }


def test_conda_has_a_python_that_the_project_allows():
    (python,) = [entry for entry in CONDA if str(entry).startswith("python=")]
    version = python.split("=")[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)


def test_snakemake_is_as_new_as_the_workflow_needs():
    needed = re.search(r'min_version\("(.+)"\)', (ROOT / "Snakefile").read_text())
    (snakemake,) = [entry for entry in REQUIRED if entry.name == "snakemake"]
    assert needed is not None
    assert str(snakemake.specifier) == f">={needed[1]}"


def test_constraints_name_no_place():
    text = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"^-|://|@|^/", text, re.MULTILINE)
    assert all(re.fullmatch(r"[0-9][0-9A-Za-z.+!-]*", pin) for pin in PINS.values())


def test_a_commit_runs_the_checks_of_make_check():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    assert [hook["entry"] for hook in hooks] == commands
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in hooks)
