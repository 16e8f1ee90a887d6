"""The commands that need no Snakemake: ``python -m benchmark COMMAND``.

Each is a module with ``add_arguments(parser)`` and ``run(chosen) -> int``, the exit status. It is
imported only when its command is called. An error that the user can correct is printed as one line.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from benchmark.errors import InputError

COMMANDS = {
    "forecast": ("benchmark.scheduling.forecast", "what the missing runs cost, and decide"),
    "train": ("benchmark.scheduling.budget", "train missing runs within some minutes"),
    "pack": ("benchmark.scheduling.pack", "put the scores of runs into small files"),
    "unpack": ("benchmark.scheduling.unpack", "add the scores of packs to the results here"),
    "reanalyse": ("benchmark.reanalyse", "rebuild everything after the scores"),
    "export-splits": ("benchmark.exchange.splits_out", "write the splits as CSV"),
    "import-scores": ("benchmark.exchange.scores_in", "place scores made elsewhere in the tables"),
    "verify": ("benchmark.reference.verify", "check committed tables by recomputing them"),
    "verify-run": ("benchmark.reference.verify_run", "train a committed run again and compare"),
    "publish": ("benchmark.reference.publish", "add runs to the committed results"),
    "provenance": ("benchmark.report.provenance", "name the scores that a file was made from"),
    "conformance": ("benchmark.conformance.command", "check a method of your own"),
    "schema": ("benchmark.config.schema", "write the JSON schema of configuration files"),
    "cure-tsr-index": ("benchmark.data.challenges.cure_tsr_index", "list a CURE-TSR folder"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status.

    >>> main(["provenance", "no.md"])
    1
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:{width}}  {help}" for name, (_, help) in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of these:")
    name = parser.parse_args(words[:1]).command
    module = import_module(COMMANDS[name][0])
    command = argparse.ArgumentParser(
        prog=f"python -m benchmark {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(command)
    try:
        return int(module.run(command.parse_args(words[1:])))
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
