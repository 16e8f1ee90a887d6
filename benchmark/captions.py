"""What every table and figure says about the runs behind it."""

from collections.abc import Collection, Iterator

import pandas as pd

from benchmark.config import Config, DatasetConfig
from benchmark.layout import main_ratio
from benchmark.metrics.conditions import otherwise
from benchmark.statistics import LEVEL, Sample
from benchmark.utils.text import counted, listed, span


def dataset(config: Config, key: str) -> str:
    """A data set's title and note: ``CIFAR-10, rebuilt copy (93 images from JPEG)``."""
    settings = config.datasets[key]
    return f"{settings.title}, {settings.note}" if settings.note else settings.title


def with_images(config: Config, numbers: pd.DataFrame, key: str = "") -> pd.DataFrame:
    """Numbers with a column ``images``: the title and note of the data set that they are of.

    It is the data set ``key`` or that of each row, of which there may be several (``mnist
    cifar10``). Nothing stays nothing.
    """
    if numbers.empty:
        return numbers
    known = {name: dataset(config, name) for name in config.datasets}
    if key:
        return numbers.assign(images=known[key])
    named = (str(keys).split() for keys in numbers["dataset"].fillna(""))
    return numbers.assign(
        images=["; ".join(known[k] for k in keys if k in known) for keys in named]
    )


def split(settings: DatasetConfig) -> str:
    """For instance ``official split`` or ``folds 0 to 4 of 5``."""
    if settings.protocol == "official":
        return "official split"
    return f"fold{'s' * (len(settings.folds) > 1)} {listed(settings.folds)} of 5"


def seeds(config: Config, runs: pd.DataFrame) -> str:
    """Seeds of the complete runs, per method where they differ, and how many are wanted.

    For instance ``5 seeds (0 to 4)`` or ``1 of 5 seeds (0)``.
    """
    wanted = len(config.seeds)
    found = {title: sorted(set(group["seed"])) for title, group in _complete(config, runs)}
    known = {
        title: (f"{len(done)} of {wanted}" if len(done) < wanted else f"{wanted}", listed(done))
        for title, done in found.items()
    }
    if not known:
        return "seeds: none"
    if len(set(known.values())) == 1:
        ((number, which),) = set(known.values())
        return f"{number} seed{'s' * (wanted != 1)} ({which})"
    parts = (f"{title} {number} ({which})" for title, (number, which) in known.items())
    return "seeds: " + ", ".join(parts)


def covered(config: Config, runs: pd.DataFrame, key: str, method: str) -> str:
    """A method's title, with the classes that ran where some did not: ``CAE (1 of 10 classes)``."""
    mine = runs[(runs["dataset"] == key) & (runs["method"] == method)]
    done = mine.loc[mine["status"] == "complete", "inlier"].nunique()
    wanted, title = mine["inlier"].nunique(), config.methods[method].title
    return title if done == wanted else f"{title} ({done} of {wanted} classes)"


def classes(config: Config, runs: pd.DataFrame) -> str:
    """Says which inlier classes ran, by method where they differ, if some did not; else empty.

    For instance ``Inlier classes: 1 of 10 (plane).``
    """
    names = dict(zip(runs["inlier"], runs["class_name"], strict=True))
    found = {}
    for title, group in _complete(config, runs):
        there = [name for inlier, name in sorted(names.items()) if inlier in set(group["inlier"])]
        which = f" of {len(names)} ({', '.join(there)})" * (len(there) < len(names))
        found[title] = f"{len(there)}{which}"
    if set(found.values()) <= {str(len(names))}:
        return ""
    if len(set(found.values())) == 1:
        return f"Inlier classes: {next(iter(found.values()))}."
    return f"Inlier classes: {', '.join(f'{title} {text}' for title, text in found.items())}."


def epochs(config: Config, runs: pd.DataFrame) -> str:
    """Epochs that the complete runs were trained for, per method where they differ.

    A method that is fitted in one go has none and is left out.
    """
    spans = {title: span(group["epochs"]) for title, group in _complete(config, runs)}
    known = {title: text for title, text in spans.items() if text}
    if not known:
        return "epochs: none"
    if len(set(known.values())) == 1:
        (text,) = set(known.values())
        return counted(int(text), "epoch") if text.isdigit() else f"{text} epochs"
    return "epochs: " + ", ".join(f"{title} {text}" for title, text in known.items())


def several(runs: pd.DataFrame, key: str, *names: str) -> bool:
    """Whether a data set has complete runs of more than one ``seed``, or ``fold``, as named."""
    done = runs[(runs["dataset"] == key) & (runs["status"] == "complete")]
    return any(done[name].nunique() > 1 for name in names)


def spread(found: Sample) -> str:
    """Says where the spread over runs is from if some classes, not all, have runs that show it."""
    if not 0 < found.replicated < found.counts.size:
        return ""
    return f"spread over runs: that of {found.replicated} of {found.counts.size} classes"


def _complete(config: Config, runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for method, group in runs[runs["status"] == "complete"].groupby("method", sort=False):
        yield config.methods[str(method)].title, group


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

    Then, where it is so, which classes are missing and which settings are not the papers'.
    ``methods`` are those whose numbers are told of, by default all.
    """
    mine = runs[runs["dataset"] == key]
    if methods is not None:
        mine = mine[mine["method"].isin(methods)]
    parts = [
        epochs(config, mine),
        seeds(config, mine),
        split(config.datasets[key]),
        model,
        *([f"{main_ratio(config):.0%} outliers in the test sets"] if ratio else []),
    ]
    differ = {
        config.methods[str(method)].title: otherwise(config, group)
        for method, group in mine.groupby("method", sort=False)
    }
    others = "; ".join(f"{title} {text}" for title, text in differ.items() if text)
    notes = [classes(config, mine), f"Other settings than the papers': {others}." * bool(others)]
    return " ".join([f"{'; '.join(parts)}.", *filter(None, notes)])


def intervals(config: Config, frame: pd.DataFrame) -> str:
    """What the intervals of a study are over."""
    if frame.empty:
        return "interval: no run has scores."
    several = "and training seeds (Student's t, Satterthwaite's degrees of freedom)"
    seeds = several if frame["seeds"].max() > 1 else "only, not over training seeds"
    clustered = bool(frame["clustered"].all())
    kept = (
        "the images of one sign taken together"
        if clustered
        else "each image taken as independent, as the signs they show are no longer known"
    )
    clean, most = int(frame["inliers"].max()), int(frame["outliers"].max())
    return (
        f"{LEVEL:.0%} interval over test images {seeds}, {kept}; paired for "
        f"differences. {clean:,} clean images against up to {most:,} of each condition."
    )
