"""The script ``make faults``: one of its faults, the phases that it sees, what it would notice."""

import base64
import random
import re

import numpy as np
import pytest

from benchmark.utils.tensors import write_tensors
from tests import calls
from tests.faults import files, phases, project, table
from tests.faults.project import Call, Outcome, Project
from tests.mutants.__main__ import chosen, misfits
from tests.tree import ROOT


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project where a small part of the configuration has run."""
    folder = tmp_path_factory.mktemp("faults")
    digits = {"source": "digits", "protocol": "folds", "inliers": [0]}
    small = {"datasets": {"digits": digits}, "methods": {"kde": {}}}
    with pytest.MonkeyPatch.context() as patched:
        for key, value in small.items():
            patched.setitem(project.CONFIG, key, value)
        copy = Project(folder / "lane")
    # As ``finish`` does, by forks.
    done = calls.python(copy.tree, *copy.command[2:], environment=copy.environment())
    assert done.returncode == 0, done.stderr
    copy.keep(folder / "kept")
    return copy, folder / "kept", copy.state()


def test_a_damaged_report_is_made_again(finished):
    copy, kept, undisturbed = finished
    damage = dict(files.faults(10))["flipped, report"]
    outcome = damage(copy, kept, undisturbed, random.Random(0))
    assert outcome.wrong == [] and "report/index.html: changed" in outcome.said


def test_what_is_wrong_is_noticed(finished):
    copy, kept, undisturbed = finished
    copy.restore(kept)
    assert copy.wrong(undisturbed, Call(0, "")) == []
    scores = next(copy.root.glob("runs/**/scores.parquet"))
    scores.write_bytes(scores.read_bytes()[:-1])
    (copy.root / "report/index.html").unlink()
    stray = [copy.root / "tables/.a.0.partial.csv", copy.temporary / "x"]
    stray += [copy.tree / ".snakemake/locks/0.input.lock"]
    for path in stray:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    problems = copy.wrong(undisturbed, Call(1, "no\n"))
    assert problems[0] == "it ended with 1: no"
    assert f"{scores.relative_to(copy.root)} differs" in problems
    assert "report/index.html is missing" in problems
    for path in stray:
        assert f"{path.relative_to(copy.folder)} is left over" in problems
    copy.restore(kept)


@pytest.mark.parametrize(
    ("output", "left", "phase"),
    [
        ("report/index.html", [], "report"),
        ("tables/auroc-digits.csv", [], "aggregation"),
        ("RUN/run.json", [], "before the first checkpoint"),
        ("RUN/run.json", [1], phases.TRAINING),
        ("RUN/run.json", [30], phases.SCORING),
        ("RUN/run.json", [30, "reconstructions.npz"], "files of a run"),
    ],
)
def test_a_phase_is_seen_in_what_a_kill_leaves(tmp_path, output, left, phase):
    run = "runs/digits/gradcon/fold-0/inlier-0/seed-0"
    path = str(project.RESULTS / output.replace("RUN", run))
    marker = tmp_path / ".snakemake/incomplete" / base64.b64encode(path.encode()).decode()
    marker.parent.mkdir(parents=True)
    marker.touch()
    folder = tmp_path / project.RESULTS / run
    folder.mkdir(parents=True)
    for each in left:
        if isinstance(each, int):
            tensors = {"x": np.zeros(1)}
            write_tensors(folder / "training-0.safetensors", tensors, {}, {"epoch": each})
        else:
            (folder / each).touch()
    assert phases.present(tmp_path) == {phase}
    (folder / ".run.0123456789abcdef.partial.json").touch()
    assert phases.present(tmp_path) == {phase, phases.WRITING}


def test_the_table_counts_what_was_well():
    fine = Outcome("SIGKILL", "report", "killed | so")
    wrong = Outcome("SIGKILL", "report", "", ["x differs", "y is left over", "z is left over"])
    *_, row = table.markdown([wrong, fine]).splitlines()
    assert row == r"| SIGKILL | report | 2 | 2 | 1 | 1 | killed \| so |"


@pytest.mark.parametrize("module", ["tests.faults", "tests.mutants"])
def test_what_is_not_there_is_refused_before_anything_runs(module):
    done = calls.python(ROOT, module, "nonsense")
    assert done.returncode != 0
    assert re.search(r"no such (part|mutants): nonsense; name \w+", done.stderr)


def test_every_mutant_fits_the_code() -> None:
    assert list(misfits(ROOT, chosen([]))) == []
