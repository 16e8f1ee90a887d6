"""What can be asked of Snakemake by one word: stages, and tables and figures by their kinds."""

import sys
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from snakemake.cli import get_argument_parser

from benchmark.errors import InputError


def on_command_line() -> list[str]:
    """The targets that Snakemake was called with, which it tells a Snakefile only too late."""
    program, *words = sys.argv
    if Path(program).name not in ("snakemake", "__main__.py"):
        return []
    known, _ = get_argument_parser().parse_known_args(words)
    return [str(target) for target in known.targets]


def check(targets: Iterable[str], rules: Mapping[str, bool], files: Collection[str] = ()) -> None:
    """Refuse a target that is none.

    Args:
        targets: what Snakemake was asked for.
        rules: by the name of a rule, whether it makes the same files whatever it is asked for.
        files: those of tables and figures.

    Raises:
        InputError: names the possible ones.
    """
    possible = sorted(name for name, alone in rules.items() if alone)
    folders = {Path(file).parent for file in files}
    for target in targets:
        path = Path(target)
        if path.parent in folders and target not in files:
            nearest = get_close_matches(target, files, n=1, cutoff=0) or ["none"]
            raise InputError(f"no table or figure {target}; did you mean {nearest[0]}?")
        if len(path.parts) > 1 or target in possible or path.exists():
            continue
        if target in rules:
            raise InputError(
                f"{target!r} makes a file at a time; name the file, or one of the targets "
                f"{', '.join(possible)}"
            )
        near = get_close_matches(target, possible, n=1)
        hint = f"did you mean {near[0]!r}? The" if near else "the"
        raise InputError(f"no target {target!r}; {hint} targets are {', '.join(possible)}")
