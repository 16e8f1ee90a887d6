"""The stages up to the verdicts, run on results that a test has made."""

from pathlib import Path

from benchmark import metrics, verdicts
from benchmark.config import Config
from benchmark.tables.source import Source


def source(config: Config, root: Path) -> Source:
    """What the tables are made from."""
    metrics.write(config, root)
    verdicts.write(config, root)
    return Source.read(config, root)
