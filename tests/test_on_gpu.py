"""What goes along to a borrowed GPU: data in small files, and the script that uses its minutes."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from benchmark import data as datasets
from benchmark import jobs, layout
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.scheduling import state
from performance import travel
from tests import calls
from tests.synthetic import make_config
from tests.tree import ROOT


def script(*arguments, **variables):
    """Call the script, with more environment variables."""
    command, environment = ["performance/on_gpu.sh", *arguments], os.environ | variables
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("encoding", travel.ENCODERS)
@settings(max_examples=20)
@given(
    st.tuples(
        st.integers(1, 10), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3])
    ).flatmap(lambda shape: arrays.arrays(np.uint8, shape))
)
def test_every_encoding_gives_the_images_back(encoding, images):
    content = travel.ENCODERS[encoding](images)
    assert np.array_equal(travel.DECODERS[encoding](content, images.shape), images)


@pytest.fixture(scope="module")
def packed(prepared, tmp_path_factory):
    """The digits, packed into several files."""
    folder = tmp_path_factory.mktemp("packed") / "digits"
    travel.pack(prepared[0], folder, block=700)
    return folder


def test_a_data_set_travels(prepared, packed, tmp_path):
    data, _ = prepared
    assert travel.main(["unpack", str(packed), str(tmp_path / "there")]) == 0
    for file in data.iterdir():
        assert (tmp_path / "there" / file.name).read_bytes() == file.read_bytes(), file.name
    size = sum(file.stat().st_size for file in packed.glob("images-*"))
    assert 0 < size < 0.6 * (data / "images.npy").stat().st_size


def test_what_travelled_is_used_where_the_files_it_was_made_from_are_not(tmp_path, monkeypatch):
    """The copy stays here; there the configuration has the place of a download."""
    x, y = np.zeros((20, 32, 32, 3), np.uint8), np.arange(20) % 10
    copy = tmp_path / "copy.npz"
    np.savez(copy, x_train=x, y_train=y, x_test=x, y_test=y)
    here, config = tmp_path / "here", make_config("cifar10", methods=("cae",))
    parameters = jobs.data_parameters(config, "cifar10") | {"path": copy}
    jobs.make_data(here, parameters)
    travel.pack(here, tmp_path / "packed")
    travel.unpack(tmp_path / "packed", layout.data(tmp_path / "there", "cifar10"))
    monkeypatch.setattr(datasets, "read", lambda **_: pytest.fail("read again"))
    assert not [*state.data_differs(config, tmp_path / "there", "cifar10")]


def test_no_picture_is_larger_than_webp_can_be(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(travel, "LARGEST", 300)
    travel.pack(prepared[0], tmp_path / "packed")
    travel.unpack(tmp_path / "packed", tmp_path / "there")
    sizes = []
    for file in (tmp_path / "packed").glob("images-*.webp"):
        with Image.open(file) as picture:
            sizes += picture.size
    assert sizes and max(sizes) <= 300
    assert np.array_equal(
        datasets.load(tmp_path / "there").images, datasets.load(prepared[0]).images
    )


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_damaged_pack_is_one_line_and_no_data_set(packed, tmp_path, damage, capsys):
    packed = shutil.copytree(packed, tmp_path / "packed")
    first, second, *_ = sorted(packed.glob("images-*"))
    if damage == "missing":
        first.unlink()
    elif damage == "cut":
        first.write_bytes(first.read_bytes()[:100])
    else:
        first.unlink()
        first.with_suffix(second.suffix).write_bytes(second.read_bytes())
    assert travel.main(["unpack", str(packed), str(tmp_path / "there")]) == 1
    line = capsys.readouterr().err
    assert line.startswith(f"{packed}: ") and line.endswith("; pack it again\n")
    assert line.count("\n") == 1
    with pytest.raises(InputError):
        datasets.load(tmp_path / "there")


def test_a_pack_overwrites_nothing(prepared, tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match="not empty; name a new folder"):
        travel.pack(prepared[0], tmp_path)


def test_the_script_of_a_borrowed_gpu_runs_through(packed, tmp_path):
    """On the CPU, with an epoch of one class; every file is under its folder."""
    folder = tmp_path / "out"
    config = {
        "name": "tiny",
        "seeds": [0],
        "beta_multiples": [0, 1],
        "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0]}},
        "methods": {"cae": {"epochs": 1}},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    before = changed()
    done = script(
        folder,
        "60",
        tmp_path / "tiny.yaml",
        packed,
        PYTHON=calls.interpreter(),
        DEVICE="cpu",
        CUDA_VISIBLE_DEVICES="",
        TABLE="--models 1 --batch 4",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIPPED" in (folder / "equality.txt").read_text()
    assert "no GPU here: times are not measured" in (folder / "speed.txt").read_text()
    run = layout.run(folder / "results/tiny", RunKey("digits", "cae", 0, 0, 0))
    assert json.loads((run / "run.json").read_text())["status"] == "complete"
    assert list((folder / "packs").iterdir())
    assert changed() == before


def only_reading(folder, commands):
    """A Python that does these lines of the shell, but for what it is given to read by ``-c``."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} "$@"\n{commands}\n')
    python.chmod(0o755)
    return python


def test_the_script_trains_nothing_on_a_gpu_that_computes_something_else(tmp_path):
    python = only_reading(tmp_path, "echo 1 failed\nexit 1")
    done = script(tmp_path / "out", "60", "config/demo.yaml", PYTHON=str(python))
    assert done.returncode == 1 and done.stdout == "1 failed\n"
    assert done.stderr.startswith("equality tests: failed, so nothing is trained; see ")


def test_the_script_packs_nothing_before_a_run_is_complete(tmp_path):
    """The commands do nothing here; what a former call has packed is made again."""
    python = only_reading(tmp_path, "exit 0")
    folder = tmp_path / "out"
    (folder / "packs").mkdir(parents=True)
    (folder / "packs/demo-001.zip").touch()
    (folder / "results/demo/runs").mkdir(parents=True)
    done = script(folder, "60", "config/demo.yaml", PYTHON=str(python))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("no run is complete yet; call again")
    assert not list((folder / "packs").iterdir())


def test_the_script_packs_what_was_trained_before_a_trouble(tmp_path):
    """Training fails here, as by a lost GPU, after a run was completed; packing makes a file."""
    folder = tmp_path / "out"
    python = only_reading(
        tmp_path,
        f"""case "$*" in
*--help*) exit 0 ;;
*"benchmark train"*) exit 1 ;;
*"benchmark pack"*) mkdir -p {folder}/packs && touch {folder}/packs/demo-001.zip ;;
esac""",
    )
    run = layout.run(folder / "results/demo", RunKey("digits", "cae", 0, 0, 0))
    run.mkdir(parents=True)
    (run / "run.json").touch()
    done = script(folder, "60", "config/demo.yaml", PYTHON=str(python))
    assert done.returncode == 1, done.stderr
    assert list((folder / "packs").iterdir())


def test_the_script_trains_without_the_table_of_speeds(tmp_path):
    """Nothing else fails here, or does anything."""
    python = only_reading(
        tmp_path,
        """case "$*" in
*performance.accelerator*) echo out of memory >&2 && exit 1 ;;
*"benchmark train --configfile"*) echo trained ;;
esac""",
    )
    folder = tmp_path / "out"
    (folder / "results/demo").mkdir(parents=True)
    done = script(folder, "60", "config/demo.yaml", PYTHON=str(python))
    assert done.returncode == 0, done.stderr
    assert (folder / "speed.txt").read_text() == "out of memory\n"
    assert done.stderr.startswith("table of speeds: not finished, see ")
    assert (folder / "training.txt").read_text() == "trained\n"


@pytest.mark.parametrize(
    ("seconds", "config", "line"),
    [
        ("60", "config/none.yaml", "config/none.yaml: No such file or directory; name a"),
        ("60", "README.md", "README.md: "),
        ("soon", "config/demo.yaml", "soon: no seconds; give a number, such as 540"),
    ],
)
def test_the_script_tells_a_mistake_before_it_takes_minutes(tmp_path, seconds, config, line):
    done = script(tmp_path / "out", seconds, config, PYTHON=calls.interpreter())
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(line) and done.stderr.count("\n") == 1
    assert not (tmp_path / "out/equality.txt").exists()


def test_the_script_says_how_it_is_called():
    done = script()
    assert done.returncode == 2 and "on_gpu.sh FOLDER SECONDS CONFIGFILE" in done.stderr


def changed():
    """Files of the working tree, with their times, that Git would see."""
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
