"""The test set of a run, scored with every model that its method has kept."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.detector import Detector, FitFailed, Images
from benchmark.utils.files import atomic

RECONSTRUCTED = 8
"""How many test inliers, and how many outliers, have their reconstructions kept for the figure."""


def no_scores(tests: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The score tables of a run that failed: the columns of the test table, no rows."""
    empty = tests.iloc[:0]
    return {"scores": empty.assign(model=""), "epochs": empty.assign(epoch=np.int32(0))}


def score(
    detector: Detector, tests: pd.DataFrame, images: Images
) -> tuple[dict[str, pd.DataFrame], float]:
    """The scores of test images, (N, H, W, C), by every model of a fitted detector.

    Returns:
        By the name of its file, the table of the best and last model (``scores``) and that of the
        milestones (``epochs``): the rows of ``tests``, (N,), for each model; and the seconds that
        the best model needed.

    Raises:
        FitFailed: the scores of a model are not one finite number for each component and image, or
            the best ones are all the same.
    """
    models, seconds = list(detector.models), 0.0
    if len(set(models)) < len(models) or not {"best", "last"} <= set(models):
        raise FitFailed(f"the models are {', '.join(models)}; there must be one best and one last")
    reserved = (*tests.columns, "model", "epoch")
    for name in detector.components:
        if not isinstance(name, str) or name in reserved:
            problem = f"a component is called {name!r}; its name must be a text and none of"
            raise FitFailed(f"{problem} {', '.join(reserved)}")
    final, milestones = [], []
    for model in models:
        begin = time.perf_counter()
        scores = detector.score(images, model)
        if model == "best":
            seconds = time.perf_counter() - begin
        columns = _columns(scores, detector.components, len(tests), model)
        if model in ("best", "last"):
            final.append(tests.assign(model=model).join(columns))
        else:
            epoch = np.int32(model.removeprefix("epoch-"))
            milestones.append(tests.assign(epoch=epoch).join(columns))
    tables = no_scores(tests) | {
        file: pd.concat(parts, ignore_index=True)
        for file, parts in (("scores", final), ("epochs", milestones))
        if parts
    }
    return tables, seconds


def _columns(
    scores: Mapping[str, Any], components: Sequence[str], number: int, model: str
) -> pd.DataFrame:
    """The scores of a model, one column of finite numbers per component, one row per image."""
    if sorted(scores) != sorted(components):
        given, named = ", ".join(scores) or "nothing", ", ".join(components)
        raise FitFailed(f"the model {model} scores {given}; the components are {named}")
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for name in components:
        array = np.ma.asarray(scores[name])
        if array.dtype.kind not in "biuf":
            raise FitFailed(f"scores of {name} by the model {model} are {array.dtype}, no numbers")
        with np.errstate(over="ignore"):  # infinite in float32, so refused below
            values = columns[name] = np.ma.filled(array.astype(np.float32), np.nan)
        if values.shape != (number,):
            raise FitFailed(
                f"scores of {name} by the model {model} have the shape {values.shape}, "
                f"not one number for each of {number} images"
            )
        if bad := int((~np.isfinite(values)).sum()):
            raise FitFailed(
                f"{bad} of {number} scores of {name} by the model {model} are NaN or infinite"
            )
    if model == "best" and all(np.ptp(values) == 0 for values in columns.values()):
        raise FitFailed(f"the model has collapsed: {', '.join(columns)} constant over all images")
    return pd.DataFrame(columns)


def write_reconstructions(
    detector: Detector, path: Path, tests: pd.DataFrame, images: Images
) -> None:
    """Reconstruct a few test images, if the method reconstructs."""
    reconstruct = getattr(detector, "reconstruct", None)
    if reconstruct is None:
        return
    inlier = tests["inlier"].to_numpy()
    shown = np.r_[_evenly_spaced(np.flatnonzero(inlier)), _evenly_spaced(np.flatnonzero(~inlier))]
    reconstructions = reconstruct(images[shown])
    with atomic(path) as beside:
        np.savez_compressed(
            beside,
            images=images[shown],
            reconstructions=reconstructions,
            inlier=inlier[shown],
            sample_id=tests["sample_id"].to_numpy()[shown],
        )


def _evenly_spaced(positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """An evenly spaced sample of ``RECONSTRUCTED`` positions: neighbours may show the same sign."""
    chosen = np.linspace(0, len(positions) - 1, min(RECONSTRUCTED, len(positions)))
    return positions[chosen.astype(np.intp)]
