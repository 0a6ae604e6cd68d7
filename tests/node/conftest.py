"""What tests of the node share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The lines that wampush logs."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_namespace"].startswith("wampush"):
            lines.append(formatEvent(event))

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)


@pytest.fixture(scope="module")
def frozen_again() -> Iterator[None]:
    """A node that stops has the collector look at everything again, also at all the tests."""
    yield
    gc.collect()
    gc.freeze()
