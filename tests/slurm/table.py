"""The table of events in ``docs/cluster.md``."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
BEGIN, END = "<!-- make slurm -->\n", "<!-- end of make slurm -->\n"
HEAD = ("Event", "Accounting", "What was seen", "Jobs", "Seconds", "Scores equal")


@dataclass(frozen=True)
class Row:
    """What was seen of an event: jobs of Slurm, seconds, and files of scores that are as local."""

    event: str
    accounting: str
    seen: str
    jobs: int
    seconds: float
    equal: int
    scores: int

    @property
    def cells(self) -> list[str]:
        """The row as text."""
        numbers = [str(self.jobs), f"{self.seconds:.0f}", f"{self.equal} of {self.scores}"]
        return [self.event, self.accounting, self.seen, *numbers]

    @property
    def well(self) -> bool:
        """Whether the call ended well, with the scores of this machine."""
        return self.equal == self.scores and "ended with 0" in self.seen


def markdown(rows: Iterable[Row]) -> str:
    """The table."""
    lines = [HEAD, ("---", "---", "---", "---:", "---:", "---:")]
    cells = [[cell.replace("|", r"\|") for cell in row.cells] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in [*lines, *cells])


def write(rows: Iterable[Row]) -> None:
    """Put the table into the page, in the place of the one there."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + markdown(rows) + END + rest.partition(END)[2])
