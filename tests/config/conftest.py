"""A TOML file for the tests of the configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a TOML file and give its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "wampush.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
