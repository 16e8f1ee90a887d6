"""Which challenges a study covers: the keys under ``challenges`` of a data set."""

from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from benchmark.data.challenges.file_names import LEVELS, ChallengeType
from benchmark.errors import InputError

CLEAN = "clean"
"""The class of the images without a challenge, the inliers."""

PAPER: tuple[ChallengeType, ...] = (
    "Decolorization", "CodecError", "DirtyLens", "Exposure", "GaussianBlur", "Noise", "Rain", "Haze"
)  # fmt: skip
"""Eight of the twelve types. Which eight the paper used could not be checked: its Fig. 8 probably
lacks darkening, shadow, snow and one more. Here that one is lens blur, the most like another type.
"""


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"{list(values)} repeats a value; give each once")
    return values


def _non_empty(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("is empty; give at least one")
    return values


Value = TypeVar("Value")
Distinct = Annotated[tuple[Value, ...], AfterValidator(_distinct)]
"""Values, none of them twice."""

NonEmpty = Annotated[
    Distinct[Value], AfterValidator(_non_empty), Field(json_schema_extra={"minItems": 1})
]
"""One or more values, none of them twice."""


class Selection(BaseModel):
    """Challenge types, levels and signs, and what to do about files that are missing or bad."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    types: NonEmpty[ChallengeType] = Field(default=PAPER, description="The challenge types.")
    levels: NonEmpty[Annotated[int, Ge(1), Le(5)]] = Field(
        default=LEVELS, description="The levels, 1 (mildest) to 5."
    )
    signs: NonEmpty[str] | None = Field(
        default=None, description="The sign types, such as `stop`; all by default."
    )
    on_problem: Literal["stop", "go"] = Field(
        default="stop",
        description="`stop`: a missing folder or a bad file ends the run. `go`: it is reported "
        "and left out.",
    )

    @property
    def conditions(self) -> tuple[tuple[str, int], ...]:
        """(type, level), in the order of the labels 1, 2, 3, ..."""
        return tuple((name, level) for name in self.types for level in self.levels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """``clean``, then the conditions.

        >>> Selection(types=("CodecError", "Rain"), levels=(1, 5)).class_names
        ('clean', 'CodecError 1', 'CodecError 5', 'Rain 1', 'Rain 5')
        """
        return (CLEAN, *(f"{name} {level}" for name, level in self.conditions))

    def signs_among(self, available: tuple[str, ...], dataset: str) -> tuple[str, ...]:
        """The chosen signs, by default all; ``InputError`` for one that is not available."""
        for sign in self.signs or ():
            if sign not in available:
                choices = ", ".join(available)
                raise InputError(f"no sign {sign!r} in {dataset}; choose from {choices}")
        return self.signs or available
