"""The table that a run prints.

Owns: its columns and the format of figures. Must not import: anything of the benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

COLUMNS = ("scenario", "measured", "wampush", "floor", "ratio", "remark")
_WIDTHS = (16, 42, 16, 16, 6, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    :param scenario: its name.
    :param measured: what was measured, with its unit.
    :param values: of wampush, one per round.
    :param floors: of the floor; empty if there is none.
    :param remark: anything else to know, such as lost events.
    :param digits: decimal places.
    """

    scenario: str
    measured: str
    values: list[float]
    floors: list[float]
    remark: str = ""
    digits: int = 2

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the columns, with medians of the rounds."""
        value = median(self.values)
        ratio = floor_text = "-"
        if self.floors:
            floor = median(self.floors)
            floor_text = f"{floor:,.{self.digits}f}"
            ratio = f"{value / floor:.2f}" if floor else "-"
        cells = (self.scenario, self.measured, f"{value:,.{self.digits}f}", floor_text, ratio)
        return (*cells, self.remark)


def line(cells: tuple[str, ...]) -> str:
    """Return a line of a Markdown table, with figures aligned to the right."""
    texts = []
    for index, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True)):
        texts.append(cell.rjust(width) if 2 <= index <= 4 else cell.ljust(width))
    return f"| {' | '.join(texts)} |"


def head() -> str:
    """Return the first two lines of the table."""
    rule = ["-" * max(width, 3) for width in _WIDTHS]
    for index in (2, 3, 4):
        rule[index] = rule[index][:-1] + ":"
    return f"{line(COLUMNS)}\n| {' | '.join(rule)} |"
