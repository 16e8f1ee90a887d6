"""The stage of the report: one page with everything."""

from benchmark.report.page import write

__all__ = ["write"]
