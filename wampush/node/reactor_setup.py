"""What wampush changes about Twisted's reactor.

Owns: that timers do not depend on the time of day, and how much happens in one turn.
Must not import: the parts of a node, which install a reactor.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from twisted.internet.base import DelayedCall, ReactorBase

#: Descriptors that are handled in one turn; each may take up to some tenths of a millisecond.
TURN_EVENTS: Final = 32


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


class _BoundedPoller:
    """An epoll object that reports at most :data:`TURN_EVENTS` descriptors at a time.

    The others come first the next time: the kernel keeps them in a queue.

    :param poller: the real one.
    :param on_busy: called when there may be more.
    """

    def __init__(self, poller: select.epoll, on_busy: Callable[[], object]) -> None:
        self._poll = poller.poll
        self._on_busy = on_busy
        self.register = poller.register
        self.modify = poller.modify
        self.unregister = poller.unregister
        self.close = poller.close

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """Wait for descriptors that are ready."""
        events = self._poll(timeout, min(most, TURN_EVENTS))
        if len(events) == TURN_EVENTS:
            self._on_busy()
        return events


def bound_turns(reactor: Any, on_busy: Callable[[], object]) -> None:
    """Make a reactor with epoll handle a bounded number of descriptors per turn.

    By default Twisted handles all that are ready before it looks at timers and pushes again: with
    a thousand clients that take more of what waits for them, that is 40 ms.

    :param reactor: any other kind is left alone.
    :param on_busy: called when a turn has as many descriptors as it may have. It can schedule what
        must not wait until all others are handled.
    """
    epoll = getattr(select, "epoll", None)
    # Twisted has no public way to do this.
    poller = vars(reactor).get("_poller")
    if epoll is not None and isinstance(poller, epoll):
        vars(reactor)["_poller"] = _BoundedPoller(poller, on_busy)
