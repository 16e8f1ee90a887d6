"""Numbers and names in running text."""

from collections.abc import Iterable, Sequence

import pandas as pd


def span(values: Iterable[float]) -> str:
    """Smallest to largest whole number above 0, empty without any."""
    known = sorted({int(value) for value in values if pd.notna(value) and value > 0})
    if not known:
        return ""
    return str(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"


def listed(numbers: Sequence[int]) -> str:
    """``0 to 4`` for consecutive numbers, else ``0, 2, 5``."""
    ordered = list(numbers)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(str(number) for number in ordered)


def counted(number: int, noun: str) -> str:
    """``1 epoch``, ``2 epochs``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def first(texts: Iterable[str]) -> str:
    """The first that says something, else nothing."""
    return next(filter(None, texts), "")


def spaced(name: str) -> str:
    """``CodecError`` as ``Codec error``."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.strip().capitalize()
