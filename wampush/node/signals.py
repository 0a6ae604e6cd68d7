"""The signals that a daemon reacts to.

Owns: the handlers of SIGHUP, SIGTERM and SIGINT, and that the process ends once.
Must not import: the parts of a node, which install a reactor.

A signal arrives between any two instructions, so its work waits for the reactor. Twisted refuses to
be stopped twice, so a node that ends by itself asks here, too.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

_END: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The handlers of a service's signals.

    :param reactor: in whose thread the functions are called; it is stopped at the end.
    :param on_hangup: is called for each SIGHUP; its default would be the end of the process.
    :param is_stopping: returns whether the end has begun, for whatever reason.
    :param on_impatience: is called for SIGTERM and SIGINT after the end has begun, for which
        Twisted's own handlers would log a traceback.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        on_hangup: Callable[[], object],
        is_stopping: Callable[[], bool],
        on_impatience: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._on_hangup = on_hangup
        self._is_stopping = is_stopping
        self._on_impatience = on_impatience
        # Taking the next number is one step, between whose halves no signal can come.
        self._wishes_to_end = itertools.count()

    def handle_hangup(self) -> None:
        """Handle SIGHUP from now until the process has ended."""
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._on_hangup))

    def handle_ends(self) -> None:
        """Pass on the first SIGTERM or SIGINT only; Twisted must have installed its handlers."""
        for number in _END:
            previous = signal.getsignal(number)
            if callable(previous):
                signal.signal(number, self._once(previous))

    def end(self) -> None:
        """End the process in order, unless it is ending, or a signal has just asked for it."""
        if self._is_first_wish():
            self._reactor.stop()

    def _is_first_wish(self) -> bool:
        return next(self._wishes_to_end) == 0

    def _once(
        self, previous: Callable[[int, FrameType | None], object]
    ) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            if self._is_first_wish() and not self._is_stopping():
                previous(number, frame)
            else:
                self._reactor.callFromThread(self._on_impatience)

        return handle
