"""What wampush changes about Twisted's reactor.

Owns: that timers do not depend on the time of day, how much happens in one turn, and how a turn
calls what handles a descriptor.
Must not import: the parts of a node, which install a reactor.

``doIteration`` is Twisted's own seam: each kind of reactor has its own. What its replacement here
uses of a reactor is not public; the tests of this module fail when a new Twisted changes it.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from twisted.internet.base import DelayedCall, ReactorBase
from twisted.logger import Logger
from twisted.python import log

_log = Logger(namespace="wampush.node")

#: Descriptors that are handled in one turn, at most and at least; each may take some tenths of a
#: millisecond.
TURN_EVENTS: Final = 32
LEAST_TURN_EVENTS: Final = 4
#: Seconds that a turn may take before the next ones handle fewer descriptors.
LONG_TURN_SECONDS: Final = 0.004
#: Seconds that epoll can wait at most; Twisted divides longer waits.
_LONGEST_WAIT: Final = 2147483
#: epoll's event of a descriptor that can be read and has not ended (EPOLLIN of <sys/epoll.h>).
_READABLE: Final = 1


def use_monotonic_clock(reactor: Any) -> None:
    """Make the timers of a reactor follow the monotonic clock.

    By default Twisted's follow the time of day: when that is set back by an hour, every timer
    fires an hour late. Timers that exist keep their remaining time. What gives the time of day,
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

    def poll(self, timeout: float, _most: int) -> list[tuple[int, int]]:
        """Wait for descriptors that are ready.

        :param timeout: seconds; -1 for as long as it takes.
        :param _most: what Twisted would have reported; as many as it watches.
        """
        if self._full_since is not None:
            self._adapt(self._seconds() - self._full_since)
        events = self._poll(timeout, self._most)
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


class _Turn:
    """Iterations over the descriptors that are ready, without a context for the log.

    Twisted gives each call a copy of such a context, which holds a prefix for lines of its old log.
    For a push to one client, that takes a sixth of the time.

    Twisted also looks for timers that are due, calls of other threads and the end of the reactor
    after each iteration, in eight calls. While there are none, the next iteration follows at once.
    So nothing may call ``iterate`` with a time while the reactor runs: it would not return.

    A descriptor that is closed in a turn may belong to another connection by the time when its
    event is handled. Then the event is dropped, because it is about the one before: an end of that
    would end this one, too.

    :param reactor: with epoll.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._poll = reactor._poller.poll  # noqa: SLF001
        self._selectables = reactor._selectables  # noqa: SLF001
        self._handle = reactor._doReadOrWrite  # noqa: SLF001
        self._disconnect = reactor._disconnectSelectable  # noqa: SLF001

    def __call__(self, timeout: float | None) -> None:
        """Wait for descriptors and handle them, until the reactor has something else to do.

        :param timeout: seconds; None for as long as it takes. One iteration follows if it is 0, or
            if the reactor does not run.
        """
        reactor, poll, selectables = self._reactor, self._poll, self._selectables
        while True:
            events = poll(-1 if timeout is None else timeout, len(selectables) or 1)
            if len(events) == 1:
                ((descriptor, event),) = events
                selectable = selectables.get(descriptor)
                if selectable is not None:
                    self._handle_one(selectable, descriptor, event)
            else:
                self._handle_all(events)
            if timeout == 0 or not reactor.running or reactor.threadCallQueue:
                return
            if reactor._justStopped or reactor._newTimedCalls:  # noqa: SLF001
                return
            # As its method timeout, which takes as long as reading the message.
            timers = reactor._pendingTimedCalls  # noqa: SLF001
            timeout = timers[0].time - reactor.seconds() if timers else None
            if timeout is not None and not 0 < timeout < _LONGEST_WAIT:
                return

    def _handle_all(self, events: list[tuple[int, int]]) -> None:
        of = self._selectables.get
        ready = [(of(descriptor), descriptor, event) for descriptor, event in events]
        for selectable, descriptor, event in ready:
            if selectable is not None and of(descriptor) is selectable:
                self._handle_one(selectable, descriptor, event)

    def _handle_one(self, selectable: Any, descriptor: int, event: int) -> None:
        try:
            if event != _READABLE:
                self._handle(selectable, descriptor, event)
                return
            # By far the most frequent, and what Twisted does with it.
            try:
                why = selectable.doRead()
            except BaseException as error:  # noqa: BLE001 - as in Twisted
                log.err()
                why = error
            if why:
                self._disconnect(selectable, why, True)
        except Exception:  # noqa: BLE001 - of any code; the reactor must go on
            _log.failure("could not end {what}", what=repr(selectable))


def handle_directly(reactor: Any) -> None:
    """Make a reactor with epoll call what handles a descriptor without a context for the log.

    :param reactor: any other kind, and one that is not bounded by :func:`bound_turns`, is left
        alone.
    """
    if isinstance(vars(reactor).get("_poller"), _BoundedPoller):
        vars(reactor)["doIteration"] = _Turn(reactor)
