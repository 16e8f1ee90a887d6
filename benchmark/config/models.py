"""The configuration: what to run, checked in full before any job starts.

``python -m benchmark schema`` makes ``config/schema.json`` from these models, for editors
that complete and check YAML.
"""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from benchmark.config.methods import hyperparameters
from benchmark.data import CHALLENGED, SOURCES, class_names, has_official_split
from benchmark.data.challenges.gtsrb import NAME as STAND_IN
from benchmark.data.challenges.selection import CLEAN, Selection
from benchmark.detector import (
    NonNegativeFloat,
    NonNegativeInt,
    OpenFraction,
    PositiveFloat,
    PositiveInt,
)

Values = TypeVar("Values", tuple[Any, ...], dict[str, Any])

RESULTS = Path("results")
REFERENCE = RESULTS / "reference"
"""Where the results of configurations are committed."""

COMMITTED = ("published", "reference")
"""Folders of ``results/`` that are no configuration's."""


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"{list(values)} repeats a value; give each once")
    return values


def _some(values: Values) -> Values:
    if not values:
        raise ValueError("is empty; give at least one")
    return values


Distinct = AfterValidator(_distinct)
Some = AfterValidator(_some)
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
"""A key that becomes part of paths: lower-case letters, digits and underscores."""


_Place = tuple[str, Path | None, Selection | None]


def _place(info: ValidationInfo, path: Path | None) -> _Place | None:
    """What to look at a data set's files with; None where that is not asked for or not possible."""
    found = info.data
    if not info.context or not {"source", "challenges", "optional"} <= found.keys():
        return None
    if found["optional"] and path is not None and not path.expanduser().exists():
        return None
    return found["source"], path, found["challenges"]


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )


class DatasetConfig(_Model):
    """A data set and how it is split."""

    source: str = Field(
        description="Where the images come from; `npz` and `folder` take any images.",
        json_schema_extra={"enum": list(SOURCES)},
    )
    challenges: Selection | None = Field(
        default=None,
        description="For `cure_tsr` and `gtsrb_challenges`: which challenges and signs.",
    )
    optional: bool = Field(
        default=False,
        description="Whether the data set is left out, and reported as not run, while its `path` "
        "does not exist.",
    )
    path: Path | None = Field(
        default=None,
        description="The file or folder, from the working directory; for the sources that can be "
        "downloaded, the folder that they are downloaded to. Only `digits` needs none.",
    )
    title: str = Field(
        default="", description="Name in tables and figures; the data set's key by default."
    )
    protocol: Literal["official", "folds"] = Field(
        description="`official`: the data set's own training and test parts, a tenth of the "
        "training part for validation. `folds`: five equal folds, three to train, one to "
        "validate, one to test."
    )
    folds: Annotated[tuple[Annotated[int, Field(ge=0, le=4)], ...], Some, Distinct] = Field(
        default=(0,), description="The folds to test, 0 to 4; only 0 for `official`."
    )
    inliers: Annotated[tuple[int | str, ...], Some, Distinct] | None = Field(
        default=None, description="The inlier classes, as indices or names; all by default."
    )
    note: str = Field(default="", description="Printed in every caption of the data set.")

    @property
    def available(self) -> bool:
        """Whether to run it: an optional data set only where its files are."""
        return not (self.optional and self.path and not self.path.expanduser().exists())

    def class_names(self) -> tuple[str, ...]:
        """The classes of the data set; arguments and errors are those of ``benchmark.data``."""
        return class_names(self.source, self.path, self.challenges)

    @field_validator("source")
    @classmethod
    def _check_source(cls, source: str) -> str:
        if source not in SOURCES:
            raise ValueError(f"no source {source!r}; {_choice(source, SOURCES)}")
        return source

    @field_validator("challenges")
    @classmethod
    def _check_challenges(cls, challenges: Selection | None, info: ValidationInfo) -> object:
        if challenges and info.data.get("source") not in CHALLENGED:
            raise ValueError(f"only for the sources {', '.join(CHALLENGED)}; remove it")
        return challenges

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if place := _place(info, path):
            class_names(*place)
        return path

    @field_validator("title")
    @classmethod
    def _check_title(cls, title: str, info: ValidationInfo) -> str:
        stands_in = info.data.get("source") == "gtsrb_challenges"
        if stands_in and STAND_IN.lower() not in title.lower():
            raise ValueError(f"must say {STAND_IN!r}, as these are no images of CURE-TSR")
        return title

    @field_validator("protocol")
    @classmethod
    def _check_protocol(cls, protocol: str, info: ValidationInfo) -> str:
        found = info.data
        if protocol != "official" and found.get("source") in CHALLENGED:
            raise ValueError(f"{found['source']!r} has only the protocol official; set it to that")
        place = _place(info, found.get("path")) if "path" in found else None
        if place and protocol == "official" and not has_official_split(*place):
            if found["source"] in CHALLENGED:
                raise ValueError(f"{found['path']} has no Real_Train and Real_Test; add them")
            raise ValueError(f"{found['source']!r} has no official split; set it to folds")
        return protocol

    @field_validator("folds")
    @classmethod
    def _check_folds(cls, folds: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if info.data.get("protocol") == "official" and folds != (0,):
            raise ValueError(
                f"the protocol official has only fold 0, not {list(folds)}; set it to [0], or the "
                "protocol to folds"
            )
        return folds

    @field_validator("inliers")
    @classmethod
    def _check_inliers(
        cls, inliers: tuple[int | str, ...] | None, info: ValidationInfo
    ) -> tuple[int | str, ...] | None:
        if info.data.get("source") in CHALLENGED and inliers not in ((CLEAN,), (0,)):
            raise ValueError(f"the inliers of challenges are [{CLEAN}]; remove it")
        place = _place(info, info.data["path"]) if inliers and "path" in info.data else None
        if place and inliers:
            names = class_names(*place)
            for inlier in inliers:
                if inlier not in names and inlier not in range(len(names)):
                    raise ValueError(f"no class {inlier!r}; {_choice(str(inlier), names)}")
        return inliers


class MethodConfig(_Model):
    """A method and its hyperparameters, which stand beside ``detector`` in the file."""

    detector: str = Field(
        description="The class, as `package.module:Class`; needed for a method of one's own only."
    )
    title: str = Field(description="Name in tables and figures.")
    params: dict[str, Any] = Field(description="The keyword arguments of the class.")

    @field_validator("params")
    @classmethod
    def _check_params(cls, params: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "detector" not in info.data:
            return params
        model = hyperparameters(info.data["detector"])
        return model.model_validate_json(json.dumps(params)).model_dump()


class Config(_Model):
    """What a configuration file says."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$")] = Field(
        description="Everything is written to <results>/<name>."
    )
    results: Path = Field(
        default=RESULTS,
        validate_default=False,
        description="The folder of the results, from the working directory.",
    )
    seeds: Annotated[tuple[NonNegativeInt, ...], Some, Distinct] = Field(
        description="One model per inlier class and seed; a seed fixes initial weights, batch "
        "order and noise."
    )
    split_seed: NonNegativeInt = Field(
        default=0, description="Fixes the splits, which are the same for all methods and seeds."
    )
    image_size: PositiveInt = Field(
        default=28, description="Images are resized to this height and width, in pixels."
    )
    alpha: PositiveFloat = Field(
        default=0.03, description="The unit of the beta sweep: beta = n alpha."
    )
    beta: NonNegativeFloat = Field(
        default=0.12, description="The weight of the gradient loss in the anomaly score."
    )
    beta_multiples: Annotated[tuple[NonNegativeFloat, ...], Some, Distinct] = Field(
        default=(0, 0.33, 0.67, 1, 1.67, 2, 3, 4, 5, 6, 8, 10),
        description="The n of the beta sweep.",
    )
    outlier_ratios: Annotated[tuple[OpenFraction, ...], Some, Distinct] = Field(
        default=(0.5,), description="Shares of outliers in the test sets; 0.5 is the main one."
    )
    milestones: Annotated[tuple[PositiveInt, ...], Distinct] = Field(
        default=(), description="Epochs whose model is scored too: AUROC against epoch."
    )
    datasets: Annotated[dict[Slug, DatasetConfig], Some] = Field(
        description="The data sets by the key that names them in paths."
    )
    methods: Annotated[dict[Slug, MethodConfig], Some] = Field(
        description="The methods by the key that names them in paths."
    )

    @property
    def root(self) -> Path:
        """The folder of all results."""
        return self.results.expanduser() / self.name

    @property
    def committed(self) -> bool:
        """Whether the results are committed ones, whose runs are not to be written over."""
        return self.results == REFERENCE

    @property
    def for_new_runs(self) -> "Config":
        """The configuration that makes its runs again, elsewhere if they are committed."""
        return self.model_copy(update={"results": RESULTS}) if self.committed else self

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name in COMMITTED:
            raise ValueError(f"results/{name} holds committed results; choose another name")
        return name

    @field_validator("results")
    @classmethod
    def _check_results(cls, results: Path) -> Path:
        if results == RESULTS / "published":
            raise ValueError(f"{results} holds published results; choose another folder")
        return results


def _choice(word: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word."""
    choices = list(known)
    nearest = get_close_matches(word, choices, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"choose from {', '.join(choices)}"
