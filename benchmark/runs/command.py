"""The shell command that makes some runs."""

from collections.abc import Sequence

from benchmark.config import Config
from benchmark.layout import RUN
from benchmark.utils.text import consecutive


def command(config: Config, dataset: str, methods: Sequence[str], inliers: Sequence[int]) -> str:
    """The command that makes the runs of some methods and classes, then tables and figures.

    Scores of an external method are imported, one method at a time.
    """
    if all(config.methods[method].external for method in methods):
        imported = f"python -m benchmark import-scores FILE --method {methods[0]}"
        return f"{imported} --configfile config/{config.name}.yaml"
    runs = RUN.format(
        dataset=dataset,
        method=_braced(methods),
        fold=_braced(config.datasets[dataset].folds),
        inlier=_braced(inliers),
        seed=_braced(config.seeds_of(*methods)),
    )
    snakemake = f"snakemake --configfile config/{config.name}.yaml --cores"
    target = config.for_new_runs.root / "runs" / runs / "run.json"
    return f"{snakemake} 8 {target} && {snakemake} 1 reanalyse"


def _braced(values: Sequence[str] | Sequence[int]) -> str:
    """Several values as a shell expands them: ``3``, ``{0..9}`` or ``{0,2,5}``."""
    if len(values) == 1:
        return str(values[0])
    if consecutive(values):
        return f"{{{values[0]}..{values[-1]}}}"
    return f"{{{','.join(str(value) for value in values)}}}"
