"""The wire vectors that the Python client and wampush.js share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FILE = Path(__file__).resolve().parents[2] / "client-js" / "test" / "wire-vectors.json"


def wire_vectors(kind: str) -> list[dict[str, Any]]:
    """The vectors of one kind, such as what clients have ``sent`` or ``received``."""
    found: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))[kind]
    assert found, f"{_FILE} has no vectors of the kind {kind!r}"
    return found


def ignored_texts() -> list[str]:
    """Texts that a client ignores without ending its session."""
    found: list[str] = json.loads(_FILE.read_text(encoding="utf-8"))["ignored"]
    return found
