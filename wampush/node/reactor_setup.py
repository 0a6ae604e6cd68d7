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

#: Descriptors that are handled in one turn, at most and at least; each may take some tenths of a
#: millisecond.
TURN_EVENTS: Final = 32
LEAST_TURN_EVENTS: Final = 4
#: Seconds that a turn may take before the next ones handle fewer descriptors.
LONG_TURN_SECONDS: Final = 0.004


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

    The others come first the next time: the kernel keeps them in a queue. It reports fewer, as long
    as turns with as many as it may report take long.

    :param poller: the real one.
    :param on_busy: called when there may be more.
    :param seconds: returns the time in seconds; a clock that never goes back.
    """

    def __init__(
        self, poller: select.epoll, on_busy: Callable[[], object], seconds: Callable[[], float]
    ) -> None:
        self._poll = poller.poll
        self._seconds = seconds
        self._on_busy = on_busy
        self._most = TURN_EVENTS
        #: When the last turn began, if it had as many descriptors as it may have.
        self._full_since: float | None = None
        self.register = poller.register
        self.modify = poller.modify
        self.unregister = poller.unregister
        self.close = poller.close

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """Wait for descriptors that are ready."""
        if self._full_since is not None:
            self._adapt(self._seconds() - self._full_since)
        events = self._poll(timeout, min(most, self._most))
        if len(events) >= self._most:
            self._full_since = self._seconds()
            self._on_busy()
        else:
            self._full_since = None
        return events

    def _adapt(self, seconds: float) -> None:
        """Choose how many descriptors the next turn may have, after a full one."""
        if seconds > LONG_TURN_SECONDS:
            self._most = max(LEAST_TURN_EVENTS, self._most // 2)
        elif seconds < LONG_TURN_SECONDS / 2:
            self._most = min(TURN_EVENTS, self._most * 2)


def bound_turns(
    reactor: Any, on_busy: Callable[[], object], seconds: Callable[[], float] = monotonic
) -> None:
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
        vars(reactor)["_poller"] = _BoundedPoller(poller, on_busy, seconds)
