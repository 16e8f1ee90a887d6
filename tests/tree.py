"""Copies of the project's tree in which a test can run the workflow, or edit code."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The project's own tree."""

RUNS = ("Snakefile", "environment.yml", "baselines", "benchmark", "config", "gradcon", "profiles")
RUNS = (*RUNS, "results/published", "workflow")
"""What a run of the workflow needs."""


def copy_tree(target: Path, *more: str) -> None:
    """Copy what a run of the workflow needs, without results.

    Args:
        target: the folder of the copy; made where it does not exist.
        more: further files and folders, by their path in the tree.
    """
    ignore = shutil.ignore_patterns("__pycache__")
    for name in (*RUNS, *more):
        source, copy = ROOT / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=ignore)
        else:
            shutil.copy2(source, copy)
