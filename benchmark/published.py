"""The published numbers, as data: ``results/published/*.csv``, and what others report beside them.

Each row says where in the paper it stands, where it was read (``source``), whether it could be
verified there (``confidence``), whether the paper copied it from an earlier one, and which of our
runs reproduces it: ``data_source`` (a configuration's ``source``), ``run_method``,
``run_component``, ``inlier`` (class index, empty for the average) and ``outlier_ratio`` (empty but
in the table by share of outliers).

Where the same number was looked up in another source, ``checked_in`` names that and
``checked_value`` is what it has. ``settings`` is of what others report: how their run differs from
the published settings, or its code from the authors'; empty if neither is known to.
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.utils import shipped

DIRECTORY = shipped.folder("results/published")

REPORTED = DIRECTORY / "reported"
"""What others report of their own runs of the official code, in the same form but that ``method``
names the run. Tables show it beside ours; the verdicts on our runs do not use it, as its scores
are not known, and those on all known runs do.
"""

EARLIER = DIRECTORY / "earlier"
"""What the authors stated in an earlier submission, in the same form."""

GAIN = "AUROC gain"
"""The metric of a difference of two average AUROCs."""

EPOCHS = 1000
"""Epochs of the published GradCon numbers (official code)."""

SOURCES = ("mnist", "fashion_mnist", "cifar10")
"""The ``data_source`` of some published row."""

AVERAGE = -1
"""The ``inlier`` of an average over the inlier classes."""

IMAGE_SIZE, BETA = 28, 0.12
"""The paper's image size and its weight of the gradient loss in the anomaly score."""

FAMILIES = (("cae", "cae_grad"), ("vae", "vae_grad"))
"""Methods of the paper itself, by their autoencoder, that of most published numbers first."""

GRADCON = tuple(method for family in FAMILIES for method in family)
"""Methods of the paper itself; the others were compared with it, mostly by copied numbers."""


@dataclass(frozen=True)
class Published:
    """One published number; the fields are the columns of the files, in their order."""

    place: str
    dataset: str
    method: str
    loss: str
    inlier_class: str
    metric: str
    value: float
    confidence: str
    source: str
    copied: bool
    copied_from: str
    data_source: str
    inlier: int
    outlier_ratio: float | None
    run_method: str
    run_component: str
    checked_value: float | None
    checked_in: str
    settings: str

    @property
    def seen_in(self) -> str:
        """The source that it was seen in; empty if in none.

        Another source that has it up to the last of three digits counts, as numbers are rounded or
        cut there.
        """
        if self.confidence != "recalled":
            return self.source
        checked = self.checked_value
        seen = checked is not None and abs(checked - self.value) < 0.001 + 1e-9
        return self.checked_in if seen else ""

    @property
    def recalled(self) -> bool:
        """Whether it was not seen in any source."""
        return not self.seen_in


COLUMNS = tuple(field.name for field in fields(Published))


def load(directory: Path = DIRECTORY) -> tuple[Published, ...]:
    """All published rows.

    Raises:
        InputError: no files, a file without the columns, a row without a source, a value that is
            no number or out of its metric's range.
    """
    rows = []
    for path in sorted(directory.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path}: the columns must be {', '.join(COLUMNS)}")
            rows += [_row(row, f"{path}, line {reader.line_num}") for row in reader]
    if not rows:
        raise InputError(f"{directory}: no CSV files of published numbers; restore them from git")
    return tuple(rows)


def data_source(config: Config, key: str) -> str:
    """The ``data_source`` of published rows about one of our data sets.

    Its source, or its key where the images come from files of the user's own. Nothing is published
    about test sets with every outlier (protocol ``whole``): of these it is empty.
    """
    settings = config.datasets[key]
    if settings.whole:
        return ""
    return key if settings.source in ("npz", "folder") else settings.source


def find(
    published: Iterable[Published],
    source: str,
    method: str,
    component: str,
    metric: str,
    outlier_ratio: float | None = None,
) -> dict[int, Published]:
    """Published values for one of our rows, by inlier class (or ``AVERAGE``).

    Where the paper prints a number twice, the verified one is taken. ``component`` is empty for
    numbers of a whole model.
    """
    series = (source, method, component, metric, outlier_ratio)
    chosen = [
        row
        for row in published
        if (row.data_source, row.run_method, row.run_component, row.metric, row.outlier_ratio)
        == series
    ]
    return {row.inlier: row for row in sorted(chosen, key=lambda row: not row.recalled)}


def by_run(
    reported: Iterable[Published], source: str, method: str, component: str, metric: str
) -> dict[tuple[str, str], dict[int, Published]]:
    """What others report for one of our rows: by place and run, the values by inlier class."""
    rows = list(reported)
    runs = {
        (place, run): find(
            [row for row in rows if (row.place, row.method) == (place, run)],
            *(source, method, component, metric),
        )
        for place, run in dict.fromkeys((row.place, row.method) for row in rows)
    }
    return {run: values for run, values in runs.items() if values}


Series = tuple[str, str, str, str]
"""Place, method, loss and data set of the numbers of a published row."""


def equal_series(published: Iterable[Published]) -> dict[Series, Series]:
    """Series of AUROCs that are printed twice: the same for every class, in another place.

    Two trainings do not give the same number for every class, so that one of the two series is the
    other, reused or put there by mistake.
    """
    values: dict[Series, dict[int, float]] = {}
    for row in published:
        if row.metric == "AUROC" and row.outlier_ratio is None:
            values.setdefault(series(row), {})[row.inlier] = row.value
    whole = {key: by_inlier for key, by_inlier in values.items() if len(by_inlier) > 2}
    return {
        one: other
        for one, numbers in whole.items()
        for other, others in whole.items()
        if one != other and one[3] == other[3] and numbers == others
    }


def series(row: Published) -> Series:
    """The series that a published number belongs to."""
    return row.place, row.method, row.loss, row.dataset


def comparable(
    values: dict[int, Published], config: Config, key: str, *, lacking: bool = False
) -> dict[int, Published]:
    """Published values by class, without the average where ours is over some classes only.

    That is where a data set is run on some of them, or where one is ``lacking``.
    """
    whole = config.datasets[key].inliers is None and not lacking
    return {inlier: value for inlier, value in values.items() if whole or inlier != AVERAGE}


def _row(row: dict[str, str], where: str) -> Published:
    try:
        value = float(row["value"])
        inlier = int(row["inlier"] or AVERAGE)
        ratio, checked = (
            float(row[name]) if row[name] else None for name in ("outlier_ratio", "checked_value")
        )
    except ValueError as error:
        raise InputError(f"{where}: {error}; correct the number") from None
    if not (row["source"] or "").strip():
        raise InputError(f"{where}: no source; say where the number was read")
    high = 1.0 if row["metric"] in ("AUROC", "F1") else math.inf
    if not 0 <= value <= high:
        raise InputError(f"{where}: {row['metric']} is {value}, not in 0..{high}; correct it")
    kept = {name: row[name] for name in COLUMNS}
    return Published(
        **kept  # type: ignore[arg-type]
        | {
            "value": value,
            "inlier": inlier,
            "outlier_ratio": ratio,
            "checked_value": checked,
            "copied": row["copied"] == "yes",
        }
    )
