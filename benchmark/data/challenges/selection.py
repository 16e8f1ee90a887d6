"""Which part of the challenges a study is made on; the keys under ``challenges`` of a data set."""

from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from benchmark.data.challenges import file_names

CLEAN = "clean"
"""The class of the images without a challenge, the inliers."""

Type = Literal[
    "Decolorization",
    "LensBlur",
    "CodecError",
    "Darkening",
    "DirtyLens",
    "Exposure",
    "GaussianBlur",
    "Noise",
    "Rain",
    "Shadow",
    "Snow",
    "Haze",
]
PAPER: tuple[Type, ...] = (
    "Decolorization",
    "CodecError",
    "DirtyLens",
    "Exposure",
    "GaussianBlur",
    "Noise",
    "Rain",
    "Haze",
)
"""Eight of the twelve types. Which eight the paper took could not be checked: Fig. 8 probably lacks
darkening, shadow, snow and one more, here lens blur, which is the nearest to another type."""


def _distinct(values: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"{list(values)} repeats a value; give each once")
    return values


class Selection(BaseModel):
    """Challenge types, levels and signs, and what to do about files that are missing or bad."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    types: Annotated[tuple[Type, ...], MinLen(1), AfterValidator(_distinct)] = Field(
        default=PAPER, description="The challenge types."
    )
    levels: Annotated[
        tuple[Annotated[int, Ge(1), Le(5)], ...], MinLen(1), AfterValidator(_distinct)
    ] = Field(default=file_names.LEVELS, description="The levels, 1 (mildest) to 5.")
    signs: Annotated[tuple[str, ...], MinLen(1), AfterValidator(_distinct)] | None = Field(
        default=None, description="The sign types, such as `stop`; all by default."
    )
    on_problem: Literal["stop", "go"] = Field(
        default="stop",
        description="Whether a missing folder or a bad file stops the run, or is counted and "
        "left out.",
    )

    @property
    def conditions(self) -> tuple[tuple[str, int], ...]:
        """(type, level), in the order of the labels 1, 2, 3, ..."""
        return tuple((name, level) for name in self.types for level in self.levels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """``clean``, then the conditions, such as ``CodecError 2``."""
        return (CLEAN, *(f"{name} {level}" for name, level in self.conditions))

    def known_signs(self, known: tuple[str, ...], where: str) -> tuple[str, ...]:
        """The chosen signs among those of a data set.

        Raises:
            ValueError: a sign that is not among them.
        """
        for sign in self.signs or ():
            if sign not in known:
                raise ValueError(f"no sign {sign!r} in {where}; choose from {', '.join(known)}")
        return self.signs or known
