"""Reading what a node writes."""

from __future__ import annotations

import os

import pytest

from wampush.parent import output_lines
from wampush.parent.output_lines import OutputLines, reason_in


def test_whole_lines_are_handed_on() -> None:
    read_end, write_end = os.pipe()
    seen: list[str] = []
    output = OutputLines(read_end, seen.append)
    os.write(write_end, b"first\nsec")
    assert output.read()
    assert seen == ["first\n"]
    os.write(write_end, b"ond\n\xffrest")
    assert output.read()
    assert seen == ["first\n", "second\n"]
    os.close(write_end)
    assert not output.read()
    assert seen[2:] == ["\\xffrest\n"]
    assert list(output.last) == ["first", "second", "\\xffrest"]
    output.close()
    output.close()
    assert not output.read()


def test_an_endless_line_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_lines, "_MAX_LINE", 10)
    read_end, write_end = os.pipe()
    seen: list[str] = []
    output = OutputLines(read_end, seen.append)
    os.write(write_end, b"x" * 20)
    assert output.read()
    assert seen == ["x" * 20 + "\n"]
    os.close(write_end)
    output.close()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], ""),
        (["", "  "], ""),
        (["note", "wampush: a.toml:1: wrong", "wampush: and more"], "a.toml:1: wrong"),
        (["Traceback (most recent call last):", "ImportError: no x"], "ImportError: no x"),
    ],
)
def test_the_line_that_says_why(lines: list[str], reason: str) -> None:
    assert reason_in(lines) == reason
