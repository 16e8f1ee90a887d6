"""What tables, figures and the report say about the data and the runs behind their numbers."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from benchmark.config import Config, DatasetConfig
from benchmark.data.challenges.gtsrb import NAME as STAND_IN
from benchmark.data.challenges.simulation import UNEVEN
from benchmark.layout import main_ratio
from benchmark.metrics import challenge_study
from benchmark.metrics.conditions import differing_settings
from benchmark.statistics.intervals import LEVEL
from benchmark.utils.text import counted, listed, shortened, span

CHOICES = {
    "best validation loss": "best validation loss, our rule",
    "last model": "last epoch",
    "epoch, on the test": "epoch chosen on the test set",
    "seed, on the test": "best of our runs per class",
    "beta, on the test": "beta chosen on the test set",
    "known run, on the test": "best known run per class",
    "another reference": "another reference gradient",
}
"""The choices of ``verdicts.explanations`` in words; others are as ``best of 5 seeds``."""

CHOICES_ARE = (
    "What is chosen on the test set is no result; it shows how far a choice would go, not that it "
    "was made. The epoch is chosen of each run whose models on the way have scores, beta of each "
    "run. The best of N seeds is what N runs of a class would give on average if they had the mean "
    "and spread of all known ones and were normal; others report GradCon's numbers only."
)


def choice(explanation: str) -> str:
    """A choice that might give the published numbers: ``best of 5 seeds per class, expected``."""
    return CHOICES.get(explanation, f"{explanation} per class, expected")


def dataset(config: Config, key: str) -> str:
    """A data set's title and note: ``CIFAR-10, rebuilt copy (93 images from JPEG)``."""
    settings = config.datasets[key]
    return f"{settings.title}, {settings.note}" if settings.note else settings.title


def with_images(config: Config, numbers: pd.DataFrame, key: str = "") -> pd.DataFrame:
    """Numbers with a column ``images``: the title and note of the data set that they are of.

    It is the data set ``key`` or that of each row, of which there may be several (``mnist
    cifar10``). An empty frame stays as it is.
    """
    titles = {name: dataset(config, name) for name in config.datasets}

    def named(keys: str) -> str:
        return "; ".join(titles[name] for name in keys.split() if name in titles)

    if numbers.empty:
        return numbers
    return numbers.assign(images=titles[key] if key else numbers["dataset"].fillna("").map(named))


def split(settings: DatasetConfig) -> str:
    """For instance ``official split`` or ``folds 0 to 4 of 5``."""
    if settings.own_parts:
        whole = ", all images of its test part" * settings.whole
        return f"official split{whole}"
    return f"fold{'s' * (len(settings.folds) > 1)} {listed(settings.folds)} of 5"


def seeds(config: Config, runs: pd.DataFrame) -> str:
    """Seeds of the complete runs, per method where they differ, and how many are configured.

    For instance ``5 seeds (0 to 4)`` or ``1 of 5 seeds (0)``. Methods that one seed is enough for
    are left out.
    """
    every = len(config.seeds)
    texts = {}
    for title, group in _complete(config, runs).items():
        if len(config.seeds_of(*group["method"].unique())) < every:
            continue
        done = sorted(set(group["seed"]))
        number = f"{len(done)} of {every}" if len(done) < every else f"{every}"
        texts[title] = number, listed(done)
    if shared := _shared(texts):
        number, which = shared
        return f"{number} seed{'s' * (every != 1)} ({which})"
    return f"seeds: {_by_title({title: f'{n} ({which})' for title, (n, which) in texts.items()})}"


def epochs(config: Config, runs: pd.DataFrame) -> str:
    """Epochs that the complete runs were trained for, per method where they differ.

    A method that is fitted in one go has none and is left out.
    """
    spans = {title: span(group["epochs"]) for title, group in _complete(config, runs).items()}
    texts = {title: text for title, text in spans.items() if text}
    shared = _shared(texts)
    return epoch_count(shared) if shared else f"epochs: {_by_title(texts)}"


def epoch_count(span: str) -> str:
    """``20 epochs``, ``5 to 20 epochs``; empty without any."""
    return counted(int(span), "epoch") if span.isdigit() else span and f"{span} epochs"


def classes(config: Config, runs: pd.DataFrame) -> str:
    """Which inlier classes ran, by method where they differ, if some did not; else empty.

    For instance ``Inlier classes: 1 of 10 (plane).``
    """
    names = dict(sorted(zip(runs["inlier"], runs["class_name"], strict=True)))
    texts = {}
    for title, group in _complete(config, runs).items():
        inliers = set(group["inlier"])
        ran = [name for inlier, name in names.items() if inlier in inliers]
        which = f" of {len(names)} ({', '.join(ran)})" * (len(ran) < len(names))
        texts[title] = f"{len(ran)}{which}"
    shared = _shared(texts)
    if not texts or shared == str(len(names)):
        return ""
    return f"Inlier classes: {shared or _by_title(texts)}."


def title_and_classes(config: Config, runs: pd.DataFrame, key: str, method: str) -> str:
    """A method's title, with the classes that ran where some did not: ``CAE (1 of 10 classes)``.

    A title of more letters than have room in a legend is shortened.
    """
    runs = runs[(runs["dataset"] == key) & (runs["method"] == method)]
    done = runs.loc[runs["status"] == "complete", "inlier"].nunique()
    every, title = runs["inlier"].nunique(), shortened(config.methods[method].title, 28)
    return title if done == every else f"{title} ({done} of {every} classes)"


def several(runs: pd.DataFrame, key: str, *names: str) -> bool:
    """Whether a data set has complete runs of more than one ``seed``, or ``fold``, as named."""
    done = runs[(runs["dataset"] == key) & (runs["status"] == "complete")]
    return any(done[name].nunique() > 1 for name in names)


def conditions(
    config: Config,
    runs: pd.DataFrame,
    key: str,
    *,
    methods: Collection[str] | None = None,
    ratio: bool = True,
    model: str = "the model of the best validation loss",
) -> str:
    """Epochs, seeds, folds, model and test sets behind the numbers of a data set.

    Then, where it is so, which classes are missing and which hyperparameters differ from the
    published ones. ``methods`` are those whose numbers are shown, by default all.
    """
    runs = runs[runs["dataset"] == key]
    if methods is not None:
        runs = runs[runs["method"].isin(methods)]
    shared = ratio and not config.datasets[key].whole
    parts = [
        epochs(config, runs),
        seeds(config, runs),
        split(config.datasets[key]),
        model,
        *([f"{main_ratio(config):.0%} outliers in the test sets"] if shared else []),
    ]
    differ = {
        config.methods[str(method)].title: differing_settings(config, group)
        for method, group in runs[runs["status"] == "complete"].groupby("method", sort=False)
    }
    others = "; ".join(f"{title} {text}" for title, text in differ.items() if text)
    notes = [classes(config, runs), f"Other settings than the papers': {others}." * bool(others)]
    return " ".join([f"{'; '.join(parts)}.", *filter(None, notes)])


def intervals(study: pd.DataFrame) -> str:
    """What the intervals of a challenge study are over."""
    if study.empty:
        return "interval: no run has scores."
    several = "and training seeds (Student's t, Satterthwaite's degrees of freedom)"
    over = several if study["seeds"].max() > 1 else "only, not over training seeds"
    clustered = bool(study["clustered"].all())
    images = (
        "the images of one sign taken together"
        if clustered
        else "each image taken as independent, as the signs they show are no longer known"
    )
    clean, most = int(study["inliers"].max()), int(study["outliers"].max())
    return (
        f"{LEVEL:.0%} interval over test images {over}, {images}; paired for "
        f"differences. {clean:,} clean images against up to {most:,} of each condition."
    )


def uneven_conditions(config: Config, key: str) -> dict[tuple[str, int], str]:
    """Challenges and levels of a data set that are out of line with the others, and how."""
    stands_in = config.datasets[key].source == challenge_study.STAND_IN
    return UNEVEN if stands_in else {}


def challenge_claim(config: Config, key: str, outcomes: pd.DataFrame) -> str:
    """The claim of A.4 on one data set of challenges, and what became of it.

    ``outcomes`` are the rows of ``verdicts.challenge_claim``; of other data sets there are none,
    and nothing is said.
    """
    rows = outcomes[outcomes["dataset"] == key]
    if rows.empty:
        return ""
    claim = (
        "Claim of A.4, that the gradient loss of CAE + Grad is better than the reconstruction "
        "error of CAE at level 1 of every challenge"
    )
    stands_in = config.datasets[key].source == challenge_study.STAND_IN
    aside = f" These are {STAND_IN}, not CURE-TSR: no verdict on the paper." if stands_in else ""
    decision = rows["decision"].iloc[0]
    if decision == "not run":
        return f"{claim}: not decided, as no run has these losses at level 1.{aside}"
    better, worse, unsure, missing = (
        rows[rows["outcome"] == outcome]
        for outcome in ("better", "worse", "within the interval", "missing")
    )
    compared = rows.drop(missing.index)
    seeds = compared["missing_seeds"].iloc[0].split()
    lacking = [f"no {', '.join(missing['challenge'])}"] * bool(len(missing))
    # A run has scores of all challenges, so a seed is missing from all or none.
    lacking += [f"no seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"] * bool(seeds)
    verdict = f"not decided: {'; '.join(lacking)}" if lacking else f"{decision} here"
    weak = [
        f"{row.challenge} {row.gradient:.3f} against {row.reconstruction:.3f}"
        for row in better[better["gradient"] < 0.5].itertuples()
    ]
    under = f" ({len(weak)} of them with an AUROC under 0.5: {', '.join(weak)})" if weak else ""
    counts = [
        f"better in {len(better)} of {len(compared)}{under}",
        f"worse in {len(worse)}{_names(worse)}",
        *([f"{len(unsure)} within the interval{_names(unsure)}"] if len(unsure) else []),
    ]
    uneven = [
        f" {challenge} of level {level} is {text}."
        for (challenge, level), text in uneven_conditions(config, key).items()
        if level == 1 and challenge in set(compared["challenge"])
    ]
    return f"{claim}: {verdict}; {', '.join(counts)}.{''.join(uneven)}{aside}"


def _names(rows: pd.DataFrame) -> str:
    return f" ({', '.join(rows['challenge'])})" if len(rows) else ""


def _shared(texts: Mapping[str, Any]) -> Any:
    """What is the same for all methods; None if it differs, or there is none."""
    different = set(texts.values())
    return different.pop() if len(different) == 1 else None


def _by_title(texts: Mapping[str, str]) -> str:
    return ", ".join(f"{title} {text}" for title, text in texts.items()) or "none"


def _complete(config: Config, runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The complete runs by the title of their method."""
    groups = runs[runs["status"] == "complete"].groupby("method", sort=False)
    return {config.methods[str(method)].title: group for method, group in groups}
