"""Place scores that another program has made in the tables, marked as external.

>>> python -m benchmark import-scores scores.csv --method ganomaly \
...     --configfile config/demo.yaml mine.yaml  # doctest: +SKIP

FILE is CSV or Parquet: a row per test image with ``sample_id`` and ``score``, higher is more
anomalous, and the columns ``dataset``, ``fold``, ``inlier`` (or ``class_name``), ``seed`` and
``split_sha256``; an option gives the value of a column that the file lacks. The rows of
``export-splits`` with a column ``score`` are such a file. Everything is checked before the first
file is written. docs/other_code.md has an example.
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmark import config as configuration
from benchmark import data as datasets
from benchmark import layout, splits
from benchmark.config import Config
from benchmark.config.models import suggestion
from benchmark.errors import InputError
from benchmark.external import DETECTOR
from benchmark.layout import RunKey
from benchmark.runs.scoring import no_scores
from benchmark.scheduling.units import prepare
from benchmark.scores import SAMPLE_COLUMNS
from benchmark.statistics.roc import placements
from benchmark.utils import running
from benchmark.utils.files import atomic, sha256
from benchmark.utils.parquet import write_parquet

KEYS = ("dataset", "fold", "inlier", "seed", "split_sha256")
"""What says of which run a row is, and of which split."""

HASH_DIGITS = 12
"""At least so many of the first digits of a split's hash must be given."""


@dataclass(frozen=True)
class Imported:
    """The scores of one run, checked: ``tests`` has the rows of its test set and the scores."""

    key: RunKey
    class_name: str
    tests: pd.DataFrame
    components: tuple[str, ...]
    split_sha256: str

    @property
    def auroc(self) -> dict[str, float]:
        """The AUROC of each component over the whole test set."""
        inlier = self.tests["inlier"].to_numpy()
        by_name = ((name, self.tests[name].to_numpy(np.float64)[None]) for name in self.components)
        return {name: float(placements(v[:, inlier], v[:, ~inlier]).mean()) for name, v in by_name}


def read(
    config: Config,
    root: Path,
    file: Path,
    method: str,
    components: Sequence[str] = ("score",),
    given: Mapping[str, Any] | None = None,
) -> list[Imported]:
    """The runs whose scores a file has.

    Args:
        config: the configuration, which has ``method`` as an external one.
        root: the folder of its results; images and splits are prepared there if they are absent.
        file: CSV or Parquet.
        method: the key of the method.
        components: the columns of scores.
        given: values of the ``KEYS`` that are no columns of the file.

    Raises:
        InputError: one line on the first thing that is wrong.
    """
    _require_method(config, method)
    rows = _with_keys(config, file, _rows(file, components), given or {})
    runs = []
    for (dataset, fold, seed), group in rows.groupby(["dataset", "fold", "seed"], sort=False):
        of = _Fold(config, root, file, str(dataset), _whole(file, "fold", fold))
        run_seed = of.seed(method, _whole(file, "seed", seed))
        for inlier, part in group.groupby("inlier", sort=False):
            index, name = of.inlier(inlier)
            key = RunKey(of.dataset, method, of.fold, index, run_seed)
            of.require_split(part["split_sha256"])
            runs.append(
                Imported(key, name, of.tests(index, part, components), *of.made(components))
            )
    return runs


def write(config: Config, root: Path, file: Path, runs: Sequence[Imported]) -> list[RunKey]:
    """Write those runs that are not there yet, each as a whole or not at all; which they are.

    Raises:
        InputError: other scores of one of the runs are there; nothing was written.
    """
    content, new = sha256(file), []
    for run in runs:
        record = layout.run(root, run.key) / "run.json"
        if not record.is_file():
            new.append(run)
        elif (json.loads(record.read_text()).get("external") or {}).get("sha256") != content:
            raise InputError(
                f"{record.parent}: other scores are there; delete the folder to import these"
            )
    for run in new:
        _write_run(config, layout.run(root, run.key), run, {"file": file.name, "sha256": content})
    return [run.key for run in new]


def _write_run(config: Config, directory: Path, run: Imported, external: Mapping[str, str]) -> None:
    """The files of a run as ``benchmark.runs`` leaves them, ``run.json`` last."""
    scored = [run.tests.assign(model=model) for model in ("best", "last")]
    columns = [*run.tests.columns[: -len(run.components)], "model", *run.components]
    tables = no_scores(run.tests) | {"scores": pd.concat(scored, ignore_index=True)[columns]}
    hashes = {}
    for name, table in tables.items():
        path = directory / f"{name}.parquet"
        with atomic(path) as beside:
            table = table.astype({"model": "category"} if "model" in table else {})
            write_parquet(table, beside)
        hashes[f"{name}_sha256"] = sha256(path)
    with atomic(directory / "history.csv") as beside:
        beside.write_text("\n")
    record = {
        **run.key._asdict(),
        "detector": DETECTOR,
        "class_name": run.class_name,
        "config": config.methods[run.key.method].params,
        "split_sha256": run.split_sha256,
        "milestones": [],
        "status": "complete",
        "reason": None,
        "external": external,
        "facts": {},
        "seconds": {},
        "n_scored": len(run.tests),
        **hashes,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with atomic(directory / "run.json") as beside:
        beside.write_text(json.dumps(record, indent=1) + "\n")


def _require_method(config: Config, method: str) -> None:
    entry = config.methods.get(method)
    if entry is None or not entry.external:
        problem = "is trained here" if entry else f"is not in the configuration {config.name}"
        name = f"{method}_external" if entry else method
        raise InputError(
            f"method {method!r} {problem}; add this line to `methods:` of a configuration, and "
            f'give its key: {name}: {{detector: "{DETECTOR}", title: {method}}}'
        )


def _rows(file: Path, components: Sequence[str]) -> pd.DataFrame:
    """The rows of a file that are to test, with sample ids and finite scores."""
    suffix = file.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InputError(f"{file}: give a file of scores as .csv or .parquet")
    try:
        if suffix == ".csv":
            rows = pd.read_csv(file, dtype={"class_name": str, "split_sha256": str})
        else:
            rows = pd.read_parquet(file)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{file}: cannot be read ({reason}); name a table of scores") from None
    if "part" in rows:
        rows = rows[rows["part"].astype(str) == "test"]
    for name in ("sample_id", *components):
        if name not in rows:
            present = ", ".join(map(str, rows.columns))
            advice = "" if name == "sample_id" else ", or say which with --components"
            raise InputError(f"{file}: no column {name!r} among {present}; add it{advice}")
    if rows.empty:
        raise InputError(f"{file}: no rows to test in it; give a row for each test image")
    for name in components:
        if name in SAMPLE_COLUMNS or not str(name).isidentifier():
            raise InputError(f"{file}: a component cannot be called {name!r}; rename the column")
        values = pd.to_numeric(rows[name], errors="coerce").astype(np.float64)
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(values.to_numpy().astype(np.float32))
        if bad.any():
            row = rows[bad].iloc[0]
            raise InputError(
                f"{file}: {int(bad.sum())} of {len(rows)} values of {name!r} are no finite "
                f"number, the first {row[name]!r} of sample {row['sample_id']}; score every image"
            )
        rows = rows.assign(**{name: values})
    return rows


def _with_keys(
    config: Config, file: Path, rows: pd.DataFrame, given: Mapping[str, Any]
) -> pd.DataFrame:
    """The rows with all ``KEYS``: from the file, from options, or what can only be meant."""
    if "class_name" in rows:  # beside the index, which it says in words
        rows = rows.drop(columns="inlier", errors="ignore").rename(columns={"class_name": "inlier"})
    only: dict[str, Any] = {"seed": config.seeds[0]}
    if len(config.datasets) == 1:
        (only["dataset"],) = config.datasets
        folds = config.datasets[only["dataset"]].folds
        only |= {"fold": folds[0]} if len(folds) == 1 else {}
    for key in KEYS:
        value = given.get(key)
        if key in rows and value is not None:
            raise InputError(f"{file}: has a column for --{_option(key)}; leave one of them out")
        if key not in rows:
            value = only.get(key) if value is None else value
            if value is None:
                raise InputError(
                    f"{file}: does not say its {key}; add this column, or --{_option(key)}"
                )
            rows = rows.assign(**{key: value})
        if rows[key].isna().any():
            raise InputError(f"{file}: the column {key!r} has empty cells; fill them")
    return rows


def _option(key: str) -> str:
    return "split" if key == "split_sha256" else key


def _whole(file: Path, name: str, value: Any) -> int:
    """A whole number from a cell."""
    try:
        if float(value) == int(value):
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{file}: {name} is {value!r}; give a whole number")


class _Fold:
    """A data set and fold that scores are of, prepared."""

    def __init__(self, config: Config, root: Path, file: Path, dataset: str, fold: int) -> None:
        self.config, self.file, self.dataset, self.fold = config, file, dataset, fold
        if dataset not in config.datasets:
            self._refuse(f"no data set {dataset!r}; {suggestion(dataset, [*config.datasets])}")
        if fold not in config.datasets[dataset].folds:
            self._refuse(f"fold {fold} is not among `folds` of {dataset}; add it there")
        prepare(config, root, dataset)
        self.prepared = datasets.load(layout.data(root, dataset))
        self.path = layout.split(root, dataset, fold)
        self.split = splits.read_split(self.path)
        self.sha256 = splits.split_hash(self.split)

    def _refuse(self, problem: str) -> NoReturn:
        raise InputError(f"{self.file}: {problem}")

    def seed(self, method: str, seed: int) -> int:
        """The seed of a run; it must be one of the configuration's."""
        seeds = self.config.seeds_of(method)
        if seed not in seeds:
            listed = ", ".join(map(str, seeds))
            self._refuse(
                f"seed {seed} is not among `seeds` of the configuration ({listed}); add it"
            )
        return seed

    def inlier(self, given: Any) -> tuple[int, str]:
        """Index and name of an inlier class, given as either."""
        names = [*self.prepared.class_names]
        text = str(given)
        index = names.index(text) if text in names else int(text) if text.isdecimal() else -1
        classes = layout.configured_inliers(
            self.config.datasets[self.dataset], dict(enumerate(names))
        )
        if index not in classes:
            what = suggestion(text, [*classes.values()])
            self._refuse(f"{text!r} is no inlier class of {self.dataset} here; {what}")
        return index, classes[index]

    def require_split(self, stated: "pd.Series[Any]") -> None:
        """Refuse scores of another split."""
        for given in map(str, stated.unique()):
            if len(given) < HASH_DIGITS:
                self._refuse(f"split {given!r}: give at least {HASH_DIGITS} digits of its sha256")
            if not self.sha256.startswith(given):
                self._refuse(
                    f"made on the split {given[:HASH_DIGITS]}, but {self.path} is "
                    f"{self.sha256[:HASH_DIGITS]}; score the images that `python -m benchmark "
                    "export-splits` names"
                )

    def tests(self, inlier: int, rows: pd.DataFrame, components: Sequence[str]) -> pd.DataFrame:
        """The test set of a class with its scores, which must be of exactly these images."""
        tests = splits.test_table(self.split, self.prepared.labels, inlier)
        ids = pd.Index([_whole(self.file, "sample_id", each) for each in rows["sample_id"]])
        where = f"{self.dataset}, fold {self.fold}, inlier class {inlier}"
        if len(twice := ids[ids.duplicated()]):
            self._refuse(f"{where}: sample {twice[0]} is there twice; give each image one score")
        expected = pd.Index(tests["sample_id"])
        for problem, wrong in (
            ("has no score", expected.difference(ids)),
            ("is not in the test set", ids.difference(expected)),
        ):
            if len(wrong):
                more = f" and {len(wrong) - 1} more" * (len(wrong) > 1)
                self._refuse(
                    f"{where}: sample {wrong[0]}{more} {problem}; give exactly its "
                    f"{len(expected)} test images"
                )
        scores = rows[[*components]].set_index(ids).loc[expected].astype(np.float32)
        return tests.join(scores.reset_index(drop=True))

    def made(self, components: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """The components, and the split that they are of."""
        return tuple(components), self.sha256


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command ``import-scores``."""
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--method", required=True, metavar="NAME", help="its key in `methods`")
    parser.add_argument("--configfile", nargs="+", type=Path, required=True)
    parser.add_argument("--dataset", metavar="NAME", help="its key in `datasets`")
    parser.add_argument("--fold", type=int, metavar="N")
    parser.add_argument("--inlier", metavar="CLASS", help="name of the inlier class")
    parser.add_argument("--seed", type=int, metavar="N", help="default: the configuration's first")
    parser.add_argument("--split", metavar="SHA256", help="of the split, its first 12 digits do")
    parser.add_argument(
        "--components",
        nargs="+",
        default=["score"],
        metavar="COLUMN",
        help="columns of scores (score); docs/adding_a_method.md has what their names mean",
    )


def run(chosen: Namespace) -> int:
    """Import a file of scores; the exit status."""
    files = " ".join(map(str, chosen.configfile))
    config = configuration.read(*chosen.configfile, data=False)
    if config.committed:
        raise InputError(f"{files}: its runs are committed; add a file with `results: results`")
    configuration.check_data(config, files)
    given = {key: getattr(chosen, _option(key)) for key in KEYS}
    with running.alone():
        runs = read(config, config.root, chosen.file, chosen.method, chosen.components, given)
        new = write(config, config.root, chosen.file, runs)
    for line in _summary(runs, new):
        print(line)
    print(f"Tables and report: python -m benchmark reanalyse --configfile {files}")
    return 0


def _summary(runs: Sequence[Imported], new: Sequence[RunKey]) -> Iterator[str]:
    for run in runs:
        values = ", ".join(f"{name} {value:.3f}" for name, value in run.auroc.items())
        there = "" if run.key in new else " (was there)"
        low = "; below 0.5: is higher more anomalous?" if min(run.auroc.values()) < 0.5 else ""
        yield f"{run.key.path}, {run.class_name}: AUROC {values}{there}{low}"
