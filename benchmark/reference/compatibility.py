"""Whether runs may stand beside those that are published already: what they have to share."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark import config as configuration
from benchmark import layout
from benchmark.errors import InputError
from benchmark.scores import Run, read_key

_ELSE = "or publish to another folder"


def require_settings(kept: Path, new: Mapping[str, Any]) -> None:
    """Refuse other settings than the published configuration's; data sets and methods may be added.

    Args:
        kept: the published ``config.yaml``.
        new: the settings that would take its place.

    Raises:
        InputError: the first setting that differs, or no such file, or no YAML mapping in it.
    """
    if not kept.is_file():
        raise InputError(f"{kept}: missing, the settings of the runs there; put it back, {_ELSE}")
    published = configuration.merged(kept) | {"results": new["results"]}
    for place, old, now in _differences(published, new):
        there, here = ("not set" if value is None else repr(value) for value in (old, now))
        raise InputError(f"{kept}: {place} is {there}, now {here}; make them the same, {_ELSE}")


def require_images(kept: Path, new: Path, datasets: Iterable[str]) -> None:
    """Refuse other images than those that the published runs were made with.

    Args:
        kept: folder of the published results.
        new: folder of the new ones.
        datasets: of which both have runs.

    Raises:
        InputError: a description of images is missing, damaged or another one.
    """
    for dataset in datasets:
        pair = [layout.data(root, dataset) / "dataset.json" for root in (kept, new)]
        for path in pair:
            if not path.is_file():
                raise InputError(
                    f"{path}: missing, so nothing tells which images the runs there had; put it "
                    f"back, {_ELSE}"
                )
        old, now = (read_key(path, "sha256") for path in pair)
        if old != now:
            raise InputError(
                f"{pair[1]}: other images than those of {pair[0]}; use the same, {_ELSE}"
            )


def require_splits(kept: Sequence[Run], new: Sequence[Run]) -> None:
    """Refuse runs that were scored on another split than the published ones of their fold.

    Raises:
        InputError: the first such run.
    """
    known = {_fold(run): run for run in kept if run.usable}
    for run in new:
        other = known.get(_fold(run), run)
        if run.usable and _split(run) != _split(other):
            raise InputError(
                f"{run.directory}: scored on another split than {other.directory}; run it again "
                f"with the split_seed of that, {_ELSE}"
            )


def _differences(
    kept: Mapping[str, Any], new: Mapping[str, Any], place: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted({*kept, *new}):
        old, now = kept.get(key), new.get(key)
        if isinstance(old, Mapping) and isinstance(now, Mapping):
            yield from _differences(old, now, f"{place}{key}.")
        elif old != now and not (old is None and place in ("datasets.", "methods.")):
            yield f"{place}{key}", old, now


def _fold(run: Run) -> tuple[str, int]:
    return run.key.dataset, run.key.fold


def _split(run: Run) -> Any:
    return run.manifest.get("split_sha256")
