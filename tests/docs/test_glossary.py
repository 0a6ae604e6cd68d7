"""The glossary is in order, has each word once, and has the words of architecture.md."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE)[1:]
WORDS = [word for word, _ in ROWS]


def test_the_words_are_in_order_and_there_once() -> None:
    assert sorted(set(WORDS), key=str.casefold) == WORDS


def test_the_words_of_the_architecture_are_there() -> None:
    text = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    section = text.partition("## Words")[2].partition("## ")[0]
    words = set(re.findall(r"\*\*([^*]+)\*\*", section))
    assert len(words) > 10
    assert words - set(WORDS) == set()


def test_each_meaning_is_a_short_sentence() -> None:
    for word, meaning in ROWS:
        shown = re.sub(r"\]\([^)]*\)", "", meaning)
        assert len(shown) <= 160, word
        assert meaning.endswith("."), word
