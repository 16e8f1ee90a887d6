"""Check that new runs match the published ones: settings, images, splits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark import config as configuration
from benchmark import layout
from benchmark.errors import InputError
from benchmark.scores import Run, read_key

_ELSE = "or publish to another folder"


def require_settings(published: Path, new: Mapping[str, Any]) -> None:
    """Refuse other settings than the published configuration's; data sets and methods may be added.

    Args:
        published: the published ``config.yaml``.
        new: the settings that would replace it.

    Raises:
        InputError: the first setting that differs, or no such file, or no YAML mapping in it.
    """
    if not published.is_file():
        raise InputError(
            f"{published}: missing, the settings of the runs there; put it back, {_ELSE}"
        )
    old = configuration.merged(published) | {"results": new["results"]}
    for key, *values in _differences(old, new):
        before, now = ("not set" if value is None else repr(value) for value in values)
        raise InputError(f"{published}: {key} is {before}, now {now}; make them the same, {_ELSE}")


def require_images(published: Path, new: Path, datasets: Iterable[str]) -> None:
    """Refuse other images than those of the published runs.

    Args:
        published: folder of the published results.
        new: folder of the new ones.
        datasets: the data sets that both have runs of.

    Raises:
        InputError: a description of images is missing, damaged or another one.
    """
    for dataset in datasets:
        old, now = (layout.data(root, dataset) / "dataset.json" for root in (published, new))
        for path in (old, now):
            if not path.is_file():
                raise InputError(
                    f"{path}: missing, so nothing tells which images the runs there had; put it "
                    f"back, {_ELSE}"
                )
        if read_key(old, "sha256") != read_key(now, "sha256"):
            raise InputError(f"{now}: other images than those of {old}; use the same, {_ELSE}")


def require_splits(published: Sequence[Run], new: Sequence[Run]) -> None:
    """Refuse runs that were scored on another split than the published runs of their fold.

    Raises:
        InputError: the first such run.
    """
    by_fold = {run.dataset_fold: run for run in published if run.usable}
    for run in new:
        other = by_fold.get(run.dataset_fold, run)
        if run.usable and run.split_sha256 != other.split_sha256:
            raise InputError(
                f"{run.directory}: scored on another split than {other.directory}; run it again "
                f"with the split_seed of that, {_ELSE}"
            )


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """The keys whose values differ, with both values; added data sets and methods are none."""
    for key in sorted({*old, *new}):
        before, now = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now, f"{prefix}{key}.")
        elif before != now and not (before is None and prefix in ("datasets.", "methods.")):
            yield f"{prefix}{key}", before, now
