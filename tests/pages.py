"""The code blocks of the documentation, for the tests that run them."""

import re

from tests.tree import ROOT


def fenced(page: str) -> list[tuple[str, str]]:
    """All code blocks of a page, each with its language, which is empty if none is said."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a language on a page, in their order."""
    return [text for kind, text in fenced(page) if kind == language]
