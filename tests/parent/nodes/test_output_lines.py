"""Reading what a node writes."""

from __future__ import annotations

import os

import pytest

from wampush.parent.nodes import output_lines
from wampush.parent.nodes.output_lines import OutputLines, reason_in


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


def test_a_node_that_never_pauses_does_not_hold_up_the_parent() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    rounds = 0

    def write_more(_: str) -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 1000:
            os.write(write_end, b"a line\n")

    output = OutputLines(read_end, write_more)
    os.write(write_end, b"a line\n")
    assert output.read()
    assert rounds == 1
    os.close(write_end)
    output.close()


def test_the_rest_of_a_node_that_has_ended_is_read() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    seen: list[str] = []
    output = OutputLines(read_end, seen.append)
    os.write(write_end, b"x" * 40_000 + b"\n" + b"y" * 20_000)
    output.read_rest()
    assert "".join(seen) == "x" * 40_000 + "\n"
    os.close(write_end)
    output.read_rest()
    assert "".join(seen) == "x" * 40_000 + "\n" + "y" * 20_000 + "\n"
    output.close()
    output.read_rest()


def test_what_is_kept_of_long_lines_is_short() -> None:
    read_end, write_end = os.pipe()
    output = OutputLines(read_end, lambda _: None)
    os.write(write_end, b"x" * 50_000 + b"\n")
    output.read()
    assert [len(line) for line in output.last] == [output_lines.KEPT_CHARACTERS]
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
