"""The script for a borrowed GPU, rehearsed on the CPU with a tiny configuration."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CONFIG = {
    "name": "tiny",
    "seeds": [0],
    "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0]}},
    "methods": {"ocsvm": {}},
}


def rehearse(folder, seconds):
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    return subprocess.run(
        ["sh", ROOT / "performance/on_gpu.sh", "out", str(seconds), "tiny.yaml"],
        cwd=folder,
        env=os.environ | {"DEVICE": "cpu", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )


def test_runs_are_trained_and_packed_in_one_folder(tmp_path):
    before = {path for path in ROOT.rglob("*") if ".git" not in path.parts}
    done = rehearse(tmp_path, 600)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.yaml", "out"}
    assert [path.name for path in (tmp_path / "out/packs").iterdir()] == ["tiny-001.zip"]
    assert "1 runs trained and scored" in (tmp_path / "out/train.txt").read_text()
    written = {path for path in ROOT.rglob("*") if ".git" not in path.parts} - before
    assert [path for path in written if "__pycache__" not in path.parts] == []


def test_too_short_a_time_is_one_line(tmp_path):
    done = rehearse(tmp_path, 30)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "30 s are too short: nothing is left to train\n"
