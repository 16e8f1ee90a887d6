"""What a configuration file may say.

``config/schema.json`` is generated from these models (``python -m benchmark schema``). They open no
file: ``benchmark.config.data_check`` compares a configuration with the data sets' files.
"""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from benchmark import external
from benchmark.config.methods import hyperparameters, image_sizes, is_deterministic
from benchmark.data import CHALLENGED, SOURCES, class_names
from benchmark.data.challenges import gtsrb
from benchmark.data.challenges.selection import CLEAN, Distinct, NonEmpty, Selection
from benchmark.detector import NonNegativeFloat, OpenFraction, PositiveFloat, PositiveInt
from benchmark.utils.files import canonical

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed that every random generator in use takes."""

RESULTS = Path("results")
REFERENCE = RESULTS / "reference"
"""Where the results of configurations are committed."""

PUBLISHED = RESULTS / "published"
"""Where the papers' numbers are committed."""

Slug = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
"""A key that becomes part of paths: lower-case letters, digits and underscores."""


def suggestion(word: str, choices: Sequence[str]) -> str:
    """What to write instead of an unknown word.

    >>> suggestion("digit", ["digits", "mnist"])
    "did you mean 'digits'?"
    >>> suggestion("svhn", ["digits", "mnist"])
    'choose from digits, mnist'
    """
    nearest = get_close_matches(word, choices, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"choose from {', '.join(choices)}"


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
    protocol: Literal["official", "folds", "whole"] = Field(
        description="`official`: the data set's own training and test parts, a tenth of the "
        "training part for validation. `folds`: five equal folds, three to train, one to "
        "validate, one to test. `whole`: as `official`, with every image of the test part "
        "tested, whatever `outlier_ratios` say."
    )
    folds: NonEmpty[Annotated[int, Field(ge=0, le=4)]] = Field(
        default=(0,), description="The folds to test, 0 to 4; only 0 for `official` and `whole`."
    )
    inliers: NonEmpty[int | str] | None = Field(
        default=None, description="The inlier classes, as names or indices; all by default."
    )
    note: str = Field(default="", description="Printed in every caption of the data set.")

    @property
    def own_parts(self) -> bool:
        """Whether the data set itself says which images train and which test."""
        return self.protocol in ("official", "whole")

    @property
    def whole(self) -> bool:
        """Whether every outlier of the test part is tested, whatever the share of outliers."""
        return self.protocol == "whole"

    @property
    def available(self) -> bool:
        """Whether to run it: False for an optional data set whose ``path`` does not exist."""
        return not (self.optional and self.path and not self.path.expanduser().exists())

    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of their labels; errors as ``benchmark.data.class_names``."""
        return class_names(self.source, self.path, self.challenges)

    @field_validator("source", "challenges", "title", "protocol", "folds", "inliers")
    @classmethod
    def _check(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse an unknown source, and what contradicts the keys before it."""
        source = info.data.get("source")
        has_challenges, is_simulated = source in CHALLENGED, source == "gtsrb_challenges"
        match info.field_name:
            case "source" if value not in SOURCES:
                raise ValueError(f"no source {value!r}; {suggestion(value, SOURCES)}")
            case "challenges" if value and not has_challenges:
                raise ValueError(f"only for the sources {', '.join(CHALLENGED)}; remove it")
            case "title" if is_simulated and gtsrb.NAME.lower() not in value.lower():
                raise ValueError(f"must say {gtsrb.NAME!r}, as these are no images of CURE-TSR")
            case "protocol" if has_challenges and value != "official":
                raise ValueError(f"{source!r} has only the protocol official; set it to that")
            case "folds" if info.data.get("protocol") != "folds" and value != (0,):
                raise ValueError(
                    f"the protocol {info.data.get('protocol')} has only fold 0, not {list(value)}; "
                    "set it to [0], or the protocol to folds"
                )
            case "inliers" if has_challenges and value not in ((CLEAN,), (0,)):
                raise ValueError(f"the inliers of challenges are [{CLEAN}]; remove it")
        return value


class MethodConfig(_Model):
    """A method and its hyperparameters, which stand beside ``detector`` in the file."""

    detector: str = Field(
        description="The class, as `package.module:Class`; needed only for a method of your own."
    )
    title: str = Field(description="Name in tables and figures.")
    milestones: Distinct[PositiveInt] | None = Field(
        default=None,
        description="Epochs whose model is scored too; those of the configuration by default.",
    )
    params: dict[str, Any] = Field(description="The keyword arguments of the class.")

    @property
    def external(self) -> bool:
        """Whether its scores are made elsewhere and imported."""
        return self.detector == external.DETECTOR

    @field_validator("params")
    @classmethod
    def _check_params(cls, params: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "detector" not in info.data:
            return params
        model = hyperparameters(info.data["detector"])
        return model.model_validate_json(json.dumps(params)).model_dump()


METHOD_KEYS = tuple(key for key in MethodConfig.model_fields if key != "params")
"""The keys of a method's entry that are no hyperparameters."""


class Config(_Model):
    """A whole configuration."""

    name: str = Field(
        pattern=r"^[a-z0-9_-]+$", description="Everything is written to <results>/<name>."
    )
    results: Path = Field(
        default=RESULTS,
        validate_default=False,
        description="The folder of the results, from the working directory.",
    )
    seeds: NonEmpty[Seed] = Field(
        description="One model per inlier class and seed; a seed fixes initial weights, batch "
        "order and noise."
    )
    split_seed: Seed = Field(
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
    beta_multiples: NonEmpty[NonNegativeFloat] = Field(
        default=(0, 0.33, 0.67, 1, 1.67, 2, 3, 4, 5, 6, 8, 10),
        description="The n of the beta sweep.",
    )
    outlier_ratios: NonEmpty[OpenFraction] = Field(
        default=(0.5,), description="Shares of outliers in the test sets; 0.5 is the main one."
    )
    milestones: Distinct[PositiveInt] = Field(
        default=(), description="Epochs whose model is scored too: AUROC against epoch."
    )
    datasets: dict[Slug, DatasetConfig] = Field(
        min_length=1, description="The data sets by the key that names them in paths."
    )
    methods: dict[Slug, MethodConfig] = Field(
        min_length=1, description="The methods by the key that names them in paths."
    )

    @field_validator("methods")
    @classmethod
    def _check_sizes(
        cls, methods: dict[str, MethodConfig], info: ValidationInfo
    ) -> dict[str, MethodConfig]:
        """Refuse methods whose networks do not take images of ``image_size``."""
        size = info.data.get("image_size")
        for slug, method in methods.items():
            sizes = image_sizes(method.detector)
            if size and sizes and size not in sizes:
                smaller = ", ".join(map(str, sizes[:4])) + ", ..." * (len(sizes) > 4)
                raise ValueError(
                    f"{slug} does not take images of {size}x{size} pixels; set image_size to one "
                    f"of {smaller}, or leave the method out"
                )
        return methods

    @field_validator("datasets", "methods")
    @classmethod
    def _check_titles(
        cls, entries: dict[str, DatasetConfig | MethodConfig]
    ) -> dict[str, DatasetConfig | MethodConfig]:
        """Refuse two of the same name in tables and figures."""
        keys: dict[str, str] = {}
        for key, entry in entries.items():
            title = entry.title or key
            if (other := keys.setdefault(" ".join(title.split()).casefold(), key)) != key:
                raise ValueError(f"{other} and {key} have the title {title!r}; give one another")
        return entries

    def milestones_of(self, method: str) -> tuple[int, ...]:
        """The milestones of a method, by its key: its own, or those of all."""
        own = self.methods[method].milestones
        return tuple(self.milestones if own is None else own)

    def seeds_of(self, *methods: str) -> tuple[int, ...]:
        """The seeds of methods, by their keys: the first where all give the same for every one."""
        same = all(is_deterministic(self.methods[method].detector) for method in methods)
        return tuple(self.seeds[:1] if same else self.seeds)

    @property
    def root(self) -> Path:
        """The folder of everything that this configuration makes, spelled in one way."""
        return canonical(self.results) / self.name

    @property
    def committed(self) -> bool:
        """Whether its runs are committed, and so must not be overwritten."""
        return self.root.resolve().is_relative_to(REFERENCE.resolve())

    @property
    def for_new_runs(self) -> "Config":
        """The same configuration, writing outside of the committed results."""
        return self.model_copy(update={"results": RESULTS}) if self.committed else self

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if RESULTS / name in (PUBLISHED, REFERENCE):
            raise ValueError(f"{RESULTS / name} holds committed results; choose another name")
        return name

    @field_validator("results")
    @classmethod
    def _check_results(cls, results: Path) -> Path:
        if results.expanduser().resolve().is_relative_to(PUBLISHED.resolve()):
            raise ValueError(f"{results} holds published results; choose another folder")
        return results
