"""The report: one page with everything."""

from benchmark.report.page import outputs, write

__all__ = ["outputs", "write"]
