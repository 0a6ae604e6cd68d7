"""twistd that prints the number of its timers on SIGUSR1.

The line is ``timers: {"calls": …, "wheel": …}``: delayed calls of the reactor, and timers on wheels
that such a call turns. Only the churn scenario starts the daemon this way.

Owns: nothing. Must not import: wampush; it recognises wheels by their attributes.
"""

from __future__ import annotations

import json
import signal
import sys
from types import FrameType
from typing import Any

from twisted.scripts.twistd import run


def _count_timers(_number: int, _frame: FrameType | None) -> None:
    from twisted.internet import reactor

    untyped: Any = reactor
    calls = untyped.getDelayedCalls()
    wheel = 0
    for call in calls:
        turned = getattr(getattr(call.func, "f", None), "__self__", None)
        wheel += getattr(turned, "waiting", 0)
    line = json.dumps({"calls": len(calls), "wheel": wheel})
    sys.__stderr__.write(f"timers: {line}\n")  # type: ignore[union-attr]
    sys.__stderr__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _count_timers)
    run()
