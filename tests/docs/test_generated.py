"""The generated parts of the reference pages are up to date; mistakes in a page are reported."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import generate_reference
import pytest
from generate_reference import PAGES, ROOT, GenerationError, fill, main, markdown, reasons

from wampush.reasons import CloseReason, Refusal

REASONS = ROOT / "docs" / "reference" / "reasons.md"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert PAGES[name](text) == text, "run make reference"


def test_the_page_of_reasons_has_each_code_once() -> None:
    codes = re.findall(r"^\| `([a-z0-9-]+)` \|", REASONS.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(codes) == sorted(each.code for each in (*Refusal, *CloseReason))


def test_only_what_is_between_markers_is_replaced() -> None:
    text = "before\n<!-- generated: a b c -->\nold\n<!-- end of generated -->\nafter\n"
    filled = fill(text, {"a": lambda arguments: [f"new {arguments}", "lines"]})
    assert filled == text.replace("old", "new b c\nlines")
    assert fill(filled, {"a": lambda _: ["old"]}) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- generated: b -->\n<!-- end of generated -->\n", "names no table; known: a"),
        ("<!-- generated: a -->\nold\n", "<!-- generated: a --> has no <!-- end"),
        ("<!-- generated: a -->\n<!-- generated: a -->\n", "<!-- generated: a --> has no <!-- end"),
    ],
)
def test_wrong_markers(text: str, message: str) -> None:
    with pytest.raises(GenerationError, match=re.escape(message)):
        fill(text, {"a": lambda _: []})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("empty..id-reused", "empty..bad", "empty..bad is not a range"),
        ("no-access..stopping", "bad-options..stopping", "'bad-options'"),
        (
            "backend-address..backend-limit",
            "backend-address..backend-handshake",
            "has backend-limit",
        ),
        ("peer-closed..", "peer-lost..", "has peer-closed"),
    ],
)
def test_ranges_have_each_row_once(old: str, new: str, message: str) -> None:
    text = REASONS.read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(GenerationError, match=re.escape(message)):
        reasons(text.replace(old, new))


def test_a_bar_does_not_end_a_cell() -> None:
    assert markdown(("A", "B"), [("x|y", "z")]) == ["| A | B |", "|---|---|", r"| x\|y | z |"]


def test_the_command_writes_pages_that_are_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("old\n", encoding="utf-8")
    monkeypatch.setattr(generate_reference, "ROOT", tmp_path)
    monkeypatch.setattr(generate_reference, "PAGES", {"page.md": lambda _: "new\n"})
    for arguments, status, said, text in (
        (["--check"], 1, "page.md is out of date\n", "old\n"),
        ([], 0, "page.md is written anew\n", "new\n"),
        (["--check"], 0, "", "new\n"),
    ):
        monkeypatch.setattr(sys, "argv", ["generate_reference.py", *arguments])
        assert main() == status
        assert capsys.readouterr().out == said
        assert page.read_text(encoding="utf-8") == text
