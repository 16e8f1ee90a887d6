"""Splits for other programs, and scores from them (``docs/other_code.md``)."""
