"""The table of outcomes in README.md."""

import re
from collections.abc import Iterable
from pathlib import Path

from tests.faults.project import Outcome

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
HEAD = "| Fault | Where | Times | Finished | Same numbers | Nothing left | What was said (once) |"
PROBLEMS = ("ended with|script failed|did not fail|traceback", "differs|is missing", "left over")
"""What is wrong, by the columns that it counts in."""


def markdown(outcomes: Iterable[Outcome]) -> str:
    """A row for each fault and phase, with how often all was well."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.fault, outcome.phase), []).append(outcome)
    rows = [HEAD, "| --- | --- | ---: | ---: | ---: | ---: | --- |"]
    for (fault, phase), group in sorted(groups.items()):
        well = [
            sum(not re.search(problem, "\n".join(outcome.wrong)) for outcome in group)
            for problem in PROBLEMS
        ]
        said = next((outcome.said for outcome in group if outcome.said), "nothing")
        shown = said.replace("|", r"\|")[:200]
        rows.append(
            f"| {fault} | {phase} | {len(group)} | {' | '.join(map(str, well))} | {shown} |"
        )
    return "\n".join(rows) + "\n"


def write(outcomes: Iterable[Outcome]) -> None:
    """Put the table into README.md, in the place of the one there."""
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + markdown(outcomes) + END + after)
