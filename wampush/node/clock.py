"""The clock of the reactor.

Owns: that timers do not depend on the time of day.
Must not import: the parts of a node, which install a reactor.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from twisted.internet.base import DelayedCall, ReactorBase


def use_monotonic_clock(reactor: Any) -> None:
    """Make the timers of a reactor follow the monotonic clock.

    By default Twisted's follow the time of day: when that is set back by an hour, every timer
    fires an hour late. Timers that exist keep their remaining time. What tells the time of day,
    such as the expiry of identities and the times in the log, does not ask the reactor.

    :param reactor: the real one; the clock of any other, such as one in memory, is left alone.
    """
    if not isinstance(reactor, ReactorBase):
        return
    shift = monotonic() - reactor.seconds()
    for call in reactor.getDelayedCalls():
        if isinstance(call, DelayedCall):
            call.time += shift
            call.seconds = monotonic
    # The class has a static method; an attribute of the instance comes before it.
    vars(reactor)["seconds"] = monotonic
