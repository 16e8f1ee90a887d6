"""The script ``make slurm`` without a Slurm: what it refuses, what it says. And the profile."""

import subprocess

import pytest
import yaml

from benchmark.errors import InputError
from tests.slurm import packages, table
from tests.slurm.packages import Programs, programs
from tests.slurm.table import Row
from tests.tree import ROOT
from workflow.resources import GROUP

PROFILE = yaml.safe_load((ROOT / "profiles/slurm/profile.yaml").read_text())


def test_a_machine_without_packages_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "WITHOUT_ROOT", ())
    with pytest.raises(
        InputError, match=r"^no program apt-get, as this is no Debian; install Slurm"
    ):
        programs(tmp_path / "unpacked", accounting=False)
    assert not any(tmp_path.iterdir())


def test_unpacked_programs_come_first_and_find_their_libraries(tmp_path):
    for folder in ("usr/sbin", "usr/lib/x86_64-linux-gnu/slurm-wlm"):
        (tmp_path / folder).mkdir(parents=True)
    program = tmp_path / "usr/sbin/slurmctld"
    program.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH"\n')
    program.chmod(0o755)
    place = Programs(tmp_path)
    found = place.find("slurmctld")
    assert found == str(program)
    done = subprocess.run([found], env=place.environment, capture_output=True, text=True)
    assert done.stdout.strip().split(":")[:2] == [
        f"{tmp_path}/usr/lib/x86_64-linux-gnu",
        f"{tmp_path}/usr/lib/x86_64-linux-gnu/slurm-wlm",
    ]


def test_the_table_says_what_was_not_well():
    rows = [
        Row("a|b", "with", "the call ended with 0", 3, 61.4, 8, 8),
        Row("scancel", "with", "the call ended with 0", 3, 61.4, 7, 8),
        Row("scancel", "with", "failed: never seen", 3, 61.4, 8, 8),
    ]
    assert [row.well for row in rows] == [True, False, False]
    *_, first, _, _ = table.markdown(rows).splitlines()
    assert first == r"| a\|b | with | the call ended with 0 | 3 | 61 | 8 of 8 |"


def test_the_profile_leaves_time_and_memory_to_the_forecast():
    """What it gives every job would hide the forecast; and it groups the group that there is."""
    assert not {"runtime", "mem", "mem_mb"} & set(PROFILE.get("default-resources") or ())
    assert set(PROFILE["group-components"]) == {GROUP}
    assert PROFILE["slurm-status-command"] == "squeue"


def test_all_profiles_agree_on_what_is_not_of_the_machine():
    kept = ("keep-going", "rerun-incomplete", "rerun-triggers", "benchmark-extended")
    default = yaml.safe_load((ROOT / "profiles/default/profile.yaml").read_text())
    assert {name: PROFILE[name] for name in kept} == {name: default[name] for name in kept}
