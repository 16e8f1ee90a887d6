"""The command that makes runs of the pipeline."""

from collections.abc import Sequence
from typing import Any

from benchmark.config import Config
from benchmark.layout import RUN


def command(config: Config, dataset: str, methods: Sequence[str], inliers: Sequence[int]) -> str:
    """The command that makes runs of some methods and classes and everything after them."""
    settings = config.datasets[dataset]
    runs = RUN.format(
        dataset=dataset,
        method=_braced(methods),
        fold=_braced(settings.folds),
        inlier=_braced(inliers),
        seed=_braced(config.seeds),
    )
    call = f"snakemake --configfile config/{config.name}.yaml --cores"
    return f"{call} 8 {config.for_new_runs.root}/runs/{runs}/run.json && {call} 1 reanalyse"


def _braced(values: Sequence[str] | Sequence[int]) -> str:
    """``3``, ``{0..9}`` or ``{0,2,5}``, as shells expand it."""
    if len(values) == 1:
        return str(values[0])
    if len(values) > 2 and _consecutive(values):
        return f"{{{values[0]}..{values[-1]}}}"
    return f"{{{','.join(str(value) for value in values)}}}"


def _consecutive(values: Sequence[Any]) -> bool:
    whole = all(isinstance(value, int) for value in values)
    return whole and list(values) == list(range(values[0], values[-1] + 1))
