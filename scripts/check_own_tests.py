#!/usr/bin/env python3
"""List the modules whose own test does not cover them.

The own test of ``wampush/X/Y.py`` is ``tests/X/test_Y.py``. It should cover the module by itself,
so that whoever changes the module finds what it promises in one place. The test run records which
test file ran which line (``own_test_coverage.py``); this script reads the record. Only lines inside
functions count: the rest runs on import.

Usage: check_own_tests.py [--least PERCENT] [COVERAGE_DATA]
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData
from coverage.parser import PythonParser

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "wampush"
LEAST = 80


@dataclass(frozen=True)
class Finding:
    """A module that its own test does not cover.

    :param module: its path, relative to the checkout.
    :param test: the path of its own test.
    :param missed: the line numbers that the own test does not run; None where there is no own test.
    :param lines: how many lines inside functions the module has.
    """

    module: Path
    test: Path
    missed: tuple[int, ...] | None
    lines: int

    def __str__(self) -> str:
        if self.missed is None:
            return f"{self.module}: {self.test} does not exist"
        covered = 100 - 100 * len(self.missed) // self.lines
        return f"{self.module}: {self.test} covers {covered} %; lines {ranges(self.missed)}"


def ranges(numbers: tuple[int, ...]) -> str:
    """Write sorted line numbers the short way: ``3-5, 9``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def own_test(module: Path) -> Path:
    """Return where the own test of a module is, relative to the checkout."""
    inside = module.relative_to(PACKAGE)
    return Path("tests", *inside.parts[:-1], f"test_{inside.name}")


def function_lines(source: str) -> set[int]:
    """Return the numbers of the executable lines inside functions.

    Docstrings and bodies that are only ``...``, such as those of overloads, are left out.
    """
    # The parser refuses an empty text.
    parser = PythonParser(text=source or "\n")
    parser.parse_source()
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            if body and not _is_ellipsis(body[0]):
                inside.update(range(body[0].lineno, (node.end_lineno or node.lineno) + 1))
    return inside & parser.statements


def _is_ellipsis(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and value.value is ...


def findings(root: Path, data: CoverageData, least: int) -> Iterator[Finding]:
    """Compare each module with what its own test has run.

    :param root: the checkout.
    :param data: the record, with a context for each test file.
    :param least: how much of a module its own test has to cover, in percent.
    """
    measured = {Path(name).resolve(): name for name in data.measured_files()}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        lines = function_lines(path.read_text("utf-8"))
        if not lines:
            continue
        module = path.relative_to(root)
        test = own_test(module)
        if not (root / test).is_file():
            yield Finding(module, test, None, len(lines))
            continue
        contexts = data.contexts_by_lineno(measured.get(path.resolve(), str(path)))
        by_own_test = {number for number, names in contexts.items() if test.as_posix() in names}
        missed = tuple(sorted(lines - by_own_test))
        if (len(lines) - len(missed)) * 100 < least * len(lines):
            yield Finding(module, test, missed, len(lines))


def main() -> int:
    """Print the list; the status is 1 where it is not empty."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--least", type=int, default=LEAST, help="percent of a module's lines")
    parser.add_argument("data", nargs="?", type=Path, default=ROOT / ".cache" / "coverage" / "data")
    arguments = parser.parse_args()
    data = CoverageData(str(arguments.data))
    data.read()
    found = list(findings(ROOT, data, arguments.least))
    for finding in found:
        print(finding)
    if found:
        print(f"{len(found)} modules are not covered by their own tests ({arguments.least} %).")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
