"""Every code block of docs/own_images.md, run in order on a folder of photographs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from gradcon.inspection.command import main
from tests.pages import fenced
from tests.test_docs import OF_THE_OWN_IMAGES_PAGE

PAGE = (Path(__file__).parents[1] / "docs/own_images.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folders that the page names, of cuts from two photographs."""
    rng = np.random.default_rng(0)
    temple, flower = load_sample_images().images
    parts = {
        "parts/good": (temple, 96),
        "new": (flower, 9),
        "mvtec/train/good": (temple, 40),
        "mvtec/test/good": (temple, 12),
        "mvtec/test/dent": (flower, 5),
    }
    for name, (photograph, number) in parts.items():
        (tmp_path / name).mkdir(parents=True)
        for k in range(number):
            top, left, height, width = rng.integers((0, 0, 40, 40), (60, 60, 99, 99))
            cut = photograph[top : top + height, left : left + width]
            Image.fromarray(cut).save(tmp_path / name / f"{k}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_of_the_page_runs(folder):
    assert {language for language, _ in BLOCKS} == {"sh", "python"} and len(BLOCKS) == 8
    names = {}
    for language, block in BLOCKS:
        block = block.replace("epochs=20", "epochs=1")  # as the page does, in less time
        if language == "python":
            exec(block, names)
        else:
            for line in block.splitlines():
                program, *words = shlex.split(line)
                assert program == "gradcon" and main(words) == 0, line
    assert len((folder / "scores.csv").read_text().splitlines()) == 10
    assert (folder / "why.png").stat().st_size > 10_000


@pytest.mark.parametrize("page", OF_THE_OWN_IMAGES_PAGE)
def test_what_other_pages_say_of_it_runs_too(folder, page):
    """Their calls of ``gradcon``, with one epoch, and their Python."""
    ran = 0
    for language, block in fenced(page):
        if language == "python":
            exec(block.replace("epochs=100", "epochs=1"), {})
            ran += 1
        for line in block.splitlines() if language == "sh" else ():
            program, *words = shlex.split(line, comments=True)
            if program == "gradcon":
                few = ["--set", "epochs=1"] if words[0] == "fit" else []
                assert main([*words, *few]) == 0, line
                ran += 1
    assert ran >= 2


def test_the_numbers_of_the_page_are_those_of_the_threshold():
    from gradcon.inspection.threshold import fewest_images, threshold

    assert fewest_images(0.05) == 19  # a fifth of 95
    limit = threshold(np.arange(80), 0.05)
    assert f"{100 * limit.low:.1f} % to\n{100 * limit.high:.1f} % for 80 images" in PAGE
