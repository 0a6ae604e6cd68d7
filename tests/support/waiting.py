"""Waiting for what another process does where it cannot tell us that it has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

#: Seconds after which something that should have happened counts as not happening. Less than the
#: ``timeout`` of a test, so that a wait ends first and says what it waited for; many times what a
#: busy machine needs.
PATIENCE = 50.0


def eventually(
    observe: Callable[[], Seen], expected: Callable[[Seen], bool], patience: float = PATIENCE
) -> Seen:
    """Observe again and again until ``expected`` holds; return what was seen then.

    :raises AssertionError: it did not hold within ``patience`` seconds; tells what was seen last.
    """
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while True:
        seen = observe()
        if expected(seen):
            return seen
        if time.monotonic() > deadline:
            message = f"still {seen!r} after {patience} s"
            raise AssertionError(message)
        pause.wait(0.02)
