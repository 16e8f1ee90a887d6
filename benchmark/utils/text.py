"""Numbers and names in running text, and text that is taken for nothing else."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import pandas as pd


def span(values: Iterable[float]) -> str:
    """Smallest to largest whole number above 0, empty without any."""
    positive = sorted({int(value) for value in values if pd.notna(value) and value > 0})
    return " to ".join(dict.fromkeys(str(end) for end in positive[:1] + positive[-1:]))


def consecutive(values: Sequence[Any]) -> bool:
    """Whether these are three whole numbers or more that follow one another."""
    if len(values) < 3 or not all(isinstance(value, Integral) for value in values):
        return False
    return list(values) == list(range(values[0], values[-1] + 1))


def listed(numbers: Sequence[int]) -> str:
    """``0 to 4`` for consecutive numbers, else ``0, 2, 5``."""
    if consecutive(numbers):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(str(number) for number in numbers)


def counted(number: int, noun: str) -> str:
    """``1 epoch``, ``2 epochs``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def with_verdict(number: int, verdict: str) -> str:
    """``1 holds``, ``3 hold``; ``2 reproduced``.

    >>> with_verdict(3, "holds"), with_verdict(1, "fails"), with_verdict(2, "reproduced")
    ('3 hold', '1 fails', '2 reproduced')
    """
    plural = {"holds": "hold", "fails": "fail"}
    return f"{number} {verdict if number == 1 else plural.get(verdict, verdict)}"


def first(texts: Iterable[str]) -> str:
    """The first text that is not empty; empty if all are."""
    return next(filter(None, texts), "")


def spaced(name: str) -> str:
    """``CodecError`` as ``Codec error``."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.strip().capitalize()


def one_line(text: str) -> str:
    """The text with a space for each run of spaces and line breaks."""
    return " ".join(text.split())


def shortened(text: str, letters: int) -> str:
    """The text on one line, of which the end is left out for ``…`` if it has more letters."""
    line = one_line(text)
    return line if len(line) <= letters else f"{line[: letters - 1]}…"


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, without its index, numbers with six digits.

    What a spreadsheet would take for a formula gets an apostrophe in front, which it hides.
    """

    def plain(value: Any) -> Any:
        formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        return f"'{value}" if formula else value

    return str(frame.map(plain).to_csv(index=False, float_format="%.6g", lineterminator="\n"))
