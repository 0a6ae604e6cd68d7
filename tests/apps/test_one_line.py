"""An application's words become one line of bounded length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wampush.apps.one_line import MAX_CHARACTERS, one_line


def test_control_characters_become_spaces() -> None:
    assert one_line("a\nb\x1b[31m\u2028ä") == "a b [31m ä"


def test_long_texts_are_cut() -> None:
    assert one_line("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS
    assert one_line("x" * (MAX_CHARACTERS + 1)) == "x" * MAX_CHARACTERS + "…"


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= MAX_CHARACTERS + 1
