"""Snakemake's records, where files were made without it: by ``python -m benchmark train``.

Snakemake reruns a job if its parameters differ from those that it has recorded, or if it has marked
a file as incomplete. Both are out of date for a file that something else has made since, and there
may be no record at all. Then the files themselves tell whether they are what the job would make.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.io import IOFile


def made_without(workflow: Any, files: Iterable[Path]) -> bool:
    """Whether one of the files, which exist, was not made by Snakemake last."""
    for file in files:
        record = workflow.persistence.metadata(IOFile(str(file)))
        if record is None or record.endtime != file.stat().st_mtime:
            return True
    return False


def unknown(workflow: Any, file: Path) -> bool:
    """Whether there is a file that Snakemake has no record of, as in a copy of the results."""
    return file.is_file() and workflow.persistence.metadata(IOFile(str(file))) is None


def accept(workflow: Any, files: Iterable[Path]) -> None:
    """Have Snakemake take files as they are: complete, and of the right parameters."""
    for file in files:
        workflow.persistence.cleanup_metadata(IOFile(str(file)))


def remake(workflow: Any, file: Path) -> None:
    """Have Snakemake make a file again, as of a job whose parameters have changed."""
    workflow.dag.forcefiles.add(str(file))
