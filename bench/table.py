"""The table that a run prints.

Owns: its columns and how figures are written. Must not import: anything of the benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

COLUMNS = ("scenario", "measured", "wampush", "floor", "ratio", "remark")
_WIDTHS = (9, 42, 16, 16, 6, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    :param scenario: whose.
    :param measured: what, with its unit.
    :param values: of wampush, one each round.
    :param floors: of the floor; empty where there is none.
    :param remark: what else must be known, for example that events were lost.
    :param digits: behind the point.
    """

    scenario: str
    measured: str
    values: list[float]
    floors: list[float]
    remark: str = ""
    digits: int = 2

    def cells(self) -> tuple[str, ...]:
        """The texts of the columns; medians of the rounds."""
        value = median(self.values)
        ratio = floor_text = "-"
        if self.floors:
            floor = median(self.floors)
            floor_text = f"{floor:,.{self.digits}f}"
            ratio = f"{value / floor:.2f}" if floor else "-"
        cells = (self.scenario, self.measured, f"{value:,.{self.digits}f}", floor_text, ratio)
        return (*cells, self.remark)


def line(cells: tuple[str, ...]) -> str:
    """One line of a Markdown table; figures to the right."""
    texts = []
    for index, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True)):
        texts.append(cell.rjust(width) if 2 <= index <= 4 else cell.ljust(width))
    return f"| {' | '.join(texts)} |"


def head() -> str:
    """The first two lines."""
    rule = ["-" * max(width, 3) for width in _WIDTHS]
    for index in (2, 3, 4):
        rule[index] = rule[index][:-1] + ":"
    return f"{line(COLUMNS)}\n| {' | '.join(rule)} |"
