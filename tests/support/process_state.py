"""What belongs to the whole process, and so to the tests that come later in it."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Put back what the plugin of twistd changes: the collector, and the handler of SIGHUP."""
    was_enabled, handler = gc.isenabled(), signal.getsignal(signal.SIGHUP)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, handler)
        if was_enabled:
            gc.enable()
