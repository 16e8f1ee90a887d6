"""What planning jobs costs (``snakemake all --dry-run``), and how much of it is Snakemake's own.

That is measured with rules that do nothing: as many jobs, once with one file each, and once with
the files of our runs.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from performance.scale import generated
from performance.scale.process import ROOT, Cost, measured

OPTIONS = ("all", "--cores", "8", "--dry-run", "--quiet")

ONE_FILE = """
rule all:
    input: expand("runs/{{number}}", number=range({jobs}))
rule run:
    output: "runs/{{number}}"
    shell: "touch {{output}}"
"""

OUR_FILES = """
FILES = ["run.json", "scores.parquet", "epochs.parquet", "history.csv"]
rule all:
    input: "metrics", expand("runs/{{number}}/run.json", number=range({jobs}))
rule data:
    output: "images", "dataset"
    shell: "touch {{output}}"
rule split:
    output: "split"
    shell: "touch {{output}}"
rule run:
    input: "images", "dataset", "split"
    output: expand("runs/{{{{number}}}}/{{file}}", file=FILES)
    log: "logs/{{number}}"
    benchmark: "benchmarks/{{number}}"
    script: "nothing.py"
rule metrics:
    input: expand("runs/{{number}}/{{file}}", number=range({jobs}), file=FILES[:3])
    output: "metrics"
    shell: "touch {{output}}"
"""


def ours(jobs: int, folder: Path) -> Cost:
    """Of so many generated runs, or for 0 of ``config/paper.yaml``."""
    path = ROOT / "config/paper.yaml"
    if jobs:
        path = generated.write_config(folder, generated.settings({"digits": "digits"}, jobs))
    snakefile = ROOT / "Snakefile"
    return _planned(snakefile, folder, "--configfile", str(path))


def one_file(jobs: int, folder: Path) -> Cost:
    """Of so many jobs with a file each."""
    return _empty(ONE_FILE, jobs, folder)


def our_files(jobs: int, folder: Path) -> Cost:
    """Of so many jobs with the files of a run, and of one that needs them all."""
    return _empty(OUR_FILES, jobs, folder)


CANDIDATES: dict[str, Callable[[int, Path], Cost]] = {
    "planning": ours,
    "planning, empty rules, files of a run": our_files,
    "planning, empty rules, one file": one_file,
}


def rows(numbers: Sequence[int], folder: Path) -> Iterator[tuple[str, int, Cost]]:
    """Name, jobs and cost of each measurement."""
    for jobs in numbers:
        for name, cost in CANDIDATES.items():
            place = folder / f"{cost.__name__}-{jobs}"
            place.mkdir(parents=True)
            if jobs or cost is ours:
                yield name, jobs, cost(jobs, place)


def _empty(rules: str, jobs: int, folder: Path) -> Cost:
    (folder / "nothing.py").touch()
    snakefile = folder / "Snakefile"
    snakefile.write_text(rules.format(jobs=jobs))
    return _planned(snakefile, folder)


def _planned(snakefile: Path, folder: Path, *more: str) -> Cost:
    command = ["-m", "snakemake", "--snakefile", str(snakefile), *OPTIONS, *more]
    return measured(command, folder)
