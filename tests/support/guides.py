"""The fenced blocks of the documents, for tests that run them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemon import Daemon

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block of a document."""

    document: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT).as_posix()}:{self.line}"


def blocks_of(document: Path) -> Iterator[Block]:
    """All fenced blocks of a document."""
    text = document.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        indent = found[1]
        code = "".join(line.removeprefix(indent) for line in found[3].splitlines(keepends=True))
        yield Block(document, text.count("\n", 0, found.start()) + 1, found[2], code)


def blocks_in(name: str, language: str) -> list[str]:
    """The code of the blocks in a language, by the name of their document."""
    return [block.code for block in blocks_of(ROOT / name) if block.language == language]


def on(daemon: Daemon, code: str) -> str:
    """An example with the usual ports replaced by those of a test's daemon."""
    ports = {"8080": daemon.websocket_port, "5555": daemon.zmq_port, "8081": daemon.http_port}
    changed = re.sub(
        r"(?<=127\.0\.0\.1:)(8080|5555|8081)\b", lambda found: str(ports[found[0]]), code
    )
    assert changed != code
    return changed
