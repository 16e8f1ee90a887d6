"""The first screen of the report, in every state of the runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark import layout, metrics, published, verdicts
from benchmark.config import Config
from benchmark.layout import RunKey
from benchmark.report import answer
from benchmark.scheduling import decides
from benchmark.verdicts import numbers
from tests.stages import source
from tests.synthetic import exactly, make_config, make_results

AREAS = {"gradient": 0.62, "reconstruction": 0.57}


def screen(config: Config, root: Path) -> dict[str, Any]:
    """The first screen of what is under ``root``."""
    source(config, root)
    return answer.first_screen(config, metrics.load(config, root), verdicts.load(config, root))


def made(tmp_path: Path, epochs: int = 1000, seeds: int = 1) -> dict[str, Any]:
    """The first screen of runs whose gradient loss is ahead with the constraint only."""

    def auroc(key: RunKey, component: str) -> float:
        if key.method == "cae" and component == "gradient":
            return 0.5
        return AREAS[component] + 0.01 * key.seed

    config = make_config(
        "cifar10", methods=("cae", "cae_grad"), seeds=[*range(seeds)], outlier_ratios=[0.5]
    )
    make_results(config, tmp_path, inliers=500, draw=exactly(auroc), epochs=epochs)
    return screen(config, tmp_path)


def tile(shown: dict[str, Any], title: str) -> dict[str, str]:
    (one,) = (tile for tile in shown["tiles"] if tile["title"] == title)
    return dict(one)


def test_nothing_ran(tmp_path: Path) -> None:
    shown = screen(make_config("cifar10", outlier_ratios=[0.5]), tmp_path)
    assert shown["question"] == "Was GradCon reproduced?"
    assert shown["answer"] == (
        "Headline number: not run; mechanism: not run; best on CIFAR-10: not run."
    )
    assert [each["value"] for each in shown["tiles"]] == ["—", "—", "0 of 340"]
    assert "Of 13 claims 0 decided: 13 not run." in tile(shown, "Numbers decided")["text"]


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    shown = made(tmp_path)
    assert shown["answer"].startswith("Headline number: not decided yet (0.")
    assert "against 0.664); mechanism: in these runs yes, 0.47 times as large" in shown["answer"]
    assert tile(shown, "Headline number")["verdict"] == "inconclusive"
    assert "new runs" not in tile(shown, "Headline number")["text"]
    assert tile(shown, "Does the constraint help?")["value"] == "+0.120"
    assert tile(shown, "Numbers decided")["value"] == f"0 of {len(published.load())}"


def test_several_seeds_decide(tmp_path: Path) -> None:
    shown = made(tmp_path, seeds=3)
    assert "Headline number: no, ours is lower (0." in shown["answer"]
    assert "mechanism: yes, 0.47 times as large" in shown["answer"]
    assert tile(shown, "Does the constraint help?")["verdict"] == "holds"
    assert "95 % of new runs lie in" in tile(shown, "Headline number")["text"]
    assert shown["forest"] == "cifar10"


def test_short_runs_are_told(tmp_path: Path) -> None:
    shown = made(tmp_path, epochs=10, seeds=2)
    assert "Headline number: not tested, as the runs are short" in shown["answer"]
    assert "mechanism: in short runs yes" in shown["answer"]
    assert "best on CIFAR-10: not tested (short run)" in shown["answer"]
    assert tile(shown, "Numbers decided")["value"] == "0 of 340"


def test_images_that_the_paper_has_not(tmp_path: Path) -> None:
    config = make_config("digits", methods=("cae", "cae_grad"), outlier_ratios=[0.5])
    make_results(config, tmp_path, inliers=50)
    shown = screen(config, tmp_path)
    assert shown["tiles"] == [] and shown["forest"] == ""
    assert shown["answer"].startswith("On digits: the ")
    table = metrics.load(config, tmp_path).table.query("metric == 'auroc' and model == 'best'")
    means = table[table["beta_multiple"].isna()].groupby(["method", "component"])["value"].mean()
    assert shown["answer"].endswith(f"average AUROC {means.max():.3f}.")


def test_numbers_count_once_and_only_those_of_the_paper(tmp_path: Path) -> None:
    """The forecast counts as the page does: of data sets that are copies, one verdict a number."""
    config = make_config("cifar10", methods=("cae_grad",), outlier_ratios=[0.5])
    assert decides.decided(config, tmp_path) == 0
    make_results(config, tmp_path, inliers=8, epochs=1000)
    screen(config, tmp_path)
    judged = verdicts.load(config, tmp_path)
    ours = judged.numbers[judged.numbers["dataset"] == "cifar10"].assign(outcome="lower")
    earlier = ours["metric"] == published.GAIN
    assert earlier.any() and len(judged.third_party) > 0
    copies = ours.assign(dataset="copy", outcome="inconclusive")
    both = pd.concat([copies, ours])
    both.to_parquet(layout.verdicts(config, tmp_path)[0])
    number = int((~earlier).sum())
    assert numbers.outcomes(both).tolist() == ["lower"] * number
    assert decides.decided(config, tmp_path) == number
    shown = answer._decided_tile(replace(judged, numbers=both))
    assert shown["value"] == f"{number} of {number}"


@pytest.mark.parametrize("outcome", answer.NUMBER)
def test_every_verdict_has_words(outcome: str) -> None:
    assert outcome in (*numbers.DECIDED, *numbers.OPEN)
    assert answer.NUMBER[outcome].startswith("yes") == (outcome == "reproduced")
