"""What would give the published numbers of GradCon: its runs under choices other than ours.

It shows how far each choice would go, never that it was made. Where a choice needs the test labels
its number is no result.

=====================  ===========================================================================
best validation loss   the rule of all other numbers
last model             that of the last epoch
epoch, on the test     of each run whose models on the way have scores, the model with the highest
                       AUROC of the anomaly score
seed, on the test      of each class the run with the highest
known run, on the      of each class the best run of ours and of those that others report
test
best of N seeds        what that would give with N runs of a class, of the mean and spread of all
                       known ones, if they were normal
beta, on the test      of each run the weight of the gradient loss with the highest AUROC
another reference      a method of the configuration that differs from GradCon in its reference
                       gradient
=====================  ===========================================================================

A choice that explains the published average should also give its pattern over the classes, and
leave the reconstruction errors, which are published too, as near to theirs as they are. So each
choice is made for CAE as well, by its own anomaly score.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import integrate, special

from benchmark import published as papers
from benchmark.config.methods import METHODS, defaults
from benchmark.layout import MAIN_RATIO
from benchmark.metrics.averages import of_every_model
from benchmark.published import AVERAGE, Published, data_source
from benchmark.verdicts.reproduced import Reproduced
from benchmark.verdicts.selection import distinct

OURS = "best validation loss"
METHOD, PLAIN = "cae_grad", "cae"
SEEDS = (3, 5, 8, 10)
"""Of how many seeds the expected best is told."""

COLUMNS = (
    *("dataset", "explanation", "method", "component", "average", "choices", "published"),
    *("distance", "classes"),
)
"""``average`` over the inlier classes by the choice among ``choices`` (the most of a run or class);
``published`` is that of the paper, ``distance`` the root mean square difference over the
``classes`` that the paper has."""

Chosen = tuple[pd.DataFrame, int]
"""Rows of ``metrics`` that are chosen, and among how many."""

_RUN = ["fold", "inlier", "seed"]


def frame(
    reproduced: Reproduced, published: Sequence[Published], reported: Sequence[Published]
) -> pd.DataFrame:
    """A row per data set, choice, method and published component, where every class has a run."""
    rows = [
        (dataset, *row)
        for dataset in reproduced.config.datasets
        if not reproduced.missing_runs(dataset, METHOD)
        for row in _rows(reproduced, dataset, published, reported)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def expected_best(number: int) -> float:
    """Expected highest of so many draws of a standard normal."""

    def weighted(x: float) -> float:
        density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
        return float(x * number * density * special.ndtr(x) ** (number - 1))

    return float(integrate.quad(weighted, -10, 10)[0])


def _rows(
    reproduced: Reproduced,
    dataset: str,
    published: Sequence[Published],
    reported: Sequence[Published],
) -> Iterator[tuple[object, ...]]:
    source = data_source(reproduced.config, dataset)
    for name, choose in _CHOICES.items():
        for method in (METHOD, PLAIN):
            # The anomaly score of CAE has no weight to choose.
            if reproduced.missing_runs(dataset, method) or (method, choose) == (PLAIN, _beta):
                continue
            chosen, choices = choose(_scored(reproduced, dataset, method))
            every_class = set(chosen["inlier"]) == set(reproduced.classes(dataset))
            if every_class and (choices > 1 or choose in (_validation, _last)):
                yield from _compared(chosen, published, source, name, method, choices)
    known = _known(reproduced, dataset, source, reported)
    bests = {"known run, on the test": {k: max(v) for k, v in known.items()}} if known else {}
    most = max(map(len, known.values()), default=0)
    for number in SEEDS if known else ():
        bests[f"best of {number} seeds"] = {
            k: float(np.mean(v) + expected_best(number) * np.std(v, ddof=1))
            for k, v in known.items()
        }
    for (name, best), number in zip(bests.items(), (most, *SEEDS), strict=False):
        rows = pd.DataFrame({"inlier": best.keys(), "value": best.values(), "component": "score"})
        yield from _compared(rows, published, source, name, METHOD, number)
    for method in _other_references(reproduced):
        if not reproduced.missing_runs(dataset, method):
            chosen, _ = _validation(_scored(reproduced, dataset, method))
            yield from _compared(chosen, published, source, "another reference", METHOD, 1)


def _compared(
    chosen: pd.DataFrame,
    published: Sequence[Published],
    source: str,
    name: str,
    method: str,
    choices: int,
) -> Iterator[tuple[object, ...]]:
    for component, rows in chosen.groupby("component", sort=False):
        ours = rows.groupby("inlier")["value"].mean()
        printed = papers.find(published, source, method, str(component), "AUROC")
        classes = [inlier for inlier in printed if inlier != AVERAGE]
        if printed:
            apart = ours[classes] - [printed[inlier].value for inlier in classes]
            average = printed[AVERAGE].value if AVERAGE in printed else np.nan
            distance = float(np.sqrt((apart**2).mean())) if classes else np.nan
            yield name, method, component, ours.mean(), choices, average, distance, len(classes)


def _scored(reproduced: Reproduced, dataset: str, method: str) -> pd.DataFrame:
    """The AUROCs of all models of a method's runs, each model once."""
    table = reproduced.metrics.table
    of = (table["dataset"] == dataset) & (table["method"] == method)
    main = (table["metric"] == "auroc") & (table["outlier_ratio"] == MAIN_RATIO)
    rows = table[of & main & table["value"].notna()]
    return distinct(rows, reproduced.metrics.runs, keep="last")


def _plain(scored: pd.DataFrame) -> pd.DataFrame:
    """Without the beta sweep."""
    return scored[scored["beta_multiple"].isna()]


def _validation(scored: pd.DataFrame) -> Chosen:
    plain = _plain(scored)
    return plain[plain["model"] == "best"], 1


def _last(scored: pd.DataFrame) -> Chosen:
    plain = _plain(scored)
    return plain[plain["model"] == "last"], 1


def _epoch(scored: pd.DataFrame) -> Chosen:
    best, choices = _best_by(of_every_model(_plain(scored)), _RUN, "model")
    # Of the best and the last model alone none is on the way.
    return best, choices if choices > 2 else 1


def _seed(scored: pd.DataFrame) -> Chosen:
    return _best_by(_validation(scored)[0], ["fold", "inlier"], "seed")


def _beta(scored: pd.DataFrame) -> Chosen:
    plain, _ = _validation(scored)
    swept = scored[scored["beta_multiple"].notna() & (scored["model"] == "best")]
    if swept.empty:
        return plain, 1
    best, choices = _best_by(swept, _RUN, "beta_multiple")
    return pd.concat([best, plain[plain["component"] != "score"]]), choices


def _best_by(rows: pd.DataFrame, of: list[str], choice: str) -> Chosen:
    """Of each ``of`` the rows of the ``choice`` whose anomaly score has the highest AUROC."""
    scores = rows[rows["component"] == "score"].sort_values("value")
    best = scores.drop_duplicates(of, keep="last")[[*of, choice]]
    return rows.merge(best, on=[*of, choice]), int(scores.groupby(of)[choice].nunique().max())


_CHOICES: Mapping[str, Callable[[pd.DataFrame], Chosen]] = {
    OURS: _validation,
    "last model": _last,
    "epoch, on the test": _epoch,
    "seed, on the test": _seed,
    "beta, on the test": _beta,
}


def _known(
    reproduced: Reproduced, dataset: str, source: str, reported: Sequence[Published]
) -> dict[int, list[float]]:
    """AUROCs of all known runs by class; empty unless every class has two."""
    rows, _ = _validation(_scored(reproduced, dataset, METHOD))
    ours = rows[rows["component"] == "score"].groupby("inlier")["value"].apply(list)
    same = [row for row in reported if not row.settings]
    runs = papers.by_run(same, source, METHOD, "score", "AUROC").values()
    known = {
        inlier: ours[inlier] + [run[inlier].value for run in runs if inlier in run]
        for inlier in reproduced.classes(dataset)
    }
    return known if all(len(values) > 1 for values in known.values()) else {}


def _other_references(reproduced: Reproduced) -> Iterator[str]:
    """Methods that are GradCon's with another reference gradient."""
    path = METHODS[METHOD].path
    for name, settings in reproduced.config.methods.items():
        default = defaults(path)["reference"] if settings.detector == path else None
        if settings.detector == path and settings.params.get("reference", default) != default:
            yield name
