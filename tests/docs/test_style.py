"""Texts for readers avoid phrases that are not plain technical English.

Only what can be recognised without understanding the sentence is listed here: each pattern has the
words to use instead, and an example that it has to find.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Folders and files whose texts are checked.
FOLDERS = (
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs",
    "static",
    "examples",
)
SUFFIXES = {".md", ".html", ".js", ".py", ".php", ".toml"}
#: Files in these folders that are not checked yet.
LATER = frozenset(
    {
        "docs/explanation/architecture.md",
    }
)


@dataclass(frozen=True)
class Phrase:
    """A phrase to avoid.

    :param pattern: a regular expression, matched without regard to case, over line ends.
    :param instead: what to write.
    :param example: a text that the pattern finds.
    """

    pattern: str
    instead: str
    example: str


#: The start of a sentence: of a paragraph, a list item or a table cell, or after a full stop.
START = r"(?:^|(?<=[.!?:] )|(?<=^- )|(?<=\| )|(?<=\"\"\"))"

PHRASES = (
    Phrase(r"\bcan not\b", "cannot", "A token can not be read."),
    Phrase(r"\b(?:is|are|was|were|be|been) told\b", "reports, is logged", "It is told to nobody."),
    Phrase(r"\btells? (?:of|for|who|whether|how)\b", "reports, says", "The log tells of it."),
    Phrase(r"\bhears? (?:of|who|from it)\b", "is notified of", "The application hears of ends."),
    Phrase(r"\bha(?:s|ve) (?:a|no) line\b", "is logged", "The log has a line."),
    Phrase(r"\bis none (?:that|of|which)\b", "is not", "The type is none that a client sends."),
    Phrase(
        r"(?<!there )\b(?:is|are) no (?!longer\b|more than\b|matter\b)",
        "is not",
        "The origin is no password.",
    ),
    Phrase(
        r"\bstands? (?:in|at|on|as|there|beside|behind|next|before|last|first|twice)\b",
        "is, comes",
        "The number stands in the log.",
    ),
    Phrase(r"\blies (?:in|beside|there)\b", "is", "A chat lies in a folder."),
    Phrase(r"\bbesides?\b", "also, next to", "A keys file besides."),
    Phrase(
        rf"{START}(?-i:Who) (?:\w+s|has|may|can|could|had|took|asks?)\b(?![^.|\n]*\?)",
        "clients that, anyone who",
        "Who reads slowly is dropped.",
    ),
    Phrase(rf"{START}(?-i:Whoever)\b", "anyone who", "Whoever finds the URL can use it."),
    Phrase(
        r"\bone (?:\w+ )?an? (?:publication|receiver|client|event|push|turn)\b",
        "per publication, per receiver",
        "It costs one append a publication.",
    ),
    Phrase(r"\bwants? in\b", "connects, requests a connection", "A client wants in."),
    Phrase(r"\bthe way out\b", "outbound path", "The way out is a queue."),
    Phrase(r"\bwho a client is\b", "identity", "It finds out who a client is."),
    Phrase(r"\breads? along\b", "capture the traffic", "Whoever reads along sees it."),
    Phrase(r"\bfor ever\b", "never expires, forever", "It would be good for ever."),
    Phrase(r"\bmore like it\b", "similar", "3 more like it."),
    Phrase(r"\bnobody is known\b", "nobody is logged in", "null if nobody is known"),
)


def checked() -> Iterator[Path]:
    """The files that are checked."""
    for name in FOLDERS:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix in SUFFIXES and file.relative_to(ROOT).as_posix() not in LATER:
                yield file


def prose(file: Path) -> str:
    """The text of a file; of a Markdown page without its headings and inline code."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".md":
        return text
    return re.sub(r"`[^`\n]*`|^#.*$", "", text, flags=re.MULTILINE)


def found(phrase: Phrase, text: str) -> Iterator[int]:
    """The lines on which a phrase begins."""
    pattern = phrase.pattern.replace(" ", r"\s")
    for match in re.finditer(pattern, text, re.MULTILINE | re.IGNORECASE):
        yield text.count("\n", 0, match.start()) + 1


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.example)
def test_each_pattern_finds_its_example(phrase: Phrase) -> None:
    assert list(found(phrase, phrase.example)) == [1]
    assert list(found(phrase, phrase.example.replace(" ", "\n"))) != []


def test_the_exceptions_exist() -> None:
    assert {name for name in LATER if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize(
    "file", list(checked()), ids=lambda file: file.relative_to(ROOT).as_posix()
)
def test_texts_are_plain_technical_english(file: Path) -> None:
    text = prose(file)
    problems = [
        f"{file.relative_to(ROOT)}:{line}: {phrase.pattern} (write: {phrase.instead})"
        for phrase in PHRASES
        for line in found(phrase, text)
    ]
    assert problems == []
