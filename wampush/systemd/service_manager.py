"""The service manager of a process, from the start of the process to its end.

Owns: which notification is sent when, and the interval of the watchdog.
Must not import: Twisted; the clock is handed in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Final, Protocol, Self

from wampush.systemd.notifications import Notifier

_INTERVAL: Final = "WATCHDOG_USEC"
_PROCESS: Final = "WATCHDOG_PID"


class Clock(Protocol):
    """What calls a function later; a reactor is one."""

    def callLater(self, delay: float, function: Callable[[], object]) -> Any:  # noqa: N802
        """Call a function after some seconds; the result has a method ``cancel``."""


class ServiceManager:
    """Notifies systemd, or a program with the same protocol, about the state of this process.

    :param notifier: sends the notifications.
    :param clock: feeds the watchdog. If it is a reactor, the service manager notices when the
        reactor no longer turns.
    :param watchdog: seconds after which the service manager takes a silent process for dead; None
        for never.
    """

    def __init__(self, notifier: Notifier, clock: Clock, watchdog: float | None) -> None:
        self._notifier = notifier
        self._clock = clock
        self._watchdog = watchdog if notifier.is_connected else None
        self._next_feeding: Any = None

    @classmethod
    def of(
        cls,
        environment: MutableMapping[str, str],
        process: int,
        clock: Clock,
        report: Callable[[str], object],
    ) -> Self:
        """Return the service manager of a process; one that ignores everything if there is none.

        :param environment: of the process. What is about the service manager is removed from it.
        :param process: its id.
        :param clock: see the class.
        :param report: gets a sentence about what goes wrong.
        """
        interval = watchdog_interval(environment, process, report)
        for name in (_INTERVAL, _PROCESS):
            environment.pop(name, None)
        return cls(Notifier.of(environment, report), clock, interval)

    def ready(self, status: str) -> None:
        """Report that the service has started, and begin to feed the watchdog.

        :param status: what ``systemctl status`` shows, in one line.
        """
        self._notifier.ready(status)
        if self._watchdog is not None and self._next_feeding is None:
            self._feed()

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Report a reload for as long as the block takes."""
        self._notifier.reloading()
        try:
            yield
        finally:
            self._notifier.ready()

    def stopping(self, status: str) -> None:
        """Report that the service is stopping; the watchdog is fed until :meth:`close`.

        :param status: as of :meth:`ready`.
        """
        self._notifier.stopping(status)

    def close(self) -> None:
        """Send no more notifications."""
        if self._next_feeding is not None:
            self._next_feeding.cancel()
            self._next_feeding = None
        self._watchdog = None
        self._notifier.close()

    def _feed(self) -> None:
        self._notifier.feed_watchdog()
        if self._watchdog is not None:
            # sd_watchdog_enabled(3) recommends half of the interval.
            self._next_feeding = self._clock.callLater(self._watchdog / 2, self._feed)


def watchdog_interval(
    environment: Mapping[str, str], process: int, report: Callable[[str], object]
) -> float | None:
    """Return after how many seconds without a sign the service manager ends a process.

    :param environment: of the process.
    :param process: its id.
    :param report: gets a sentence about a value that cannot be understood.
    :returns: None if there is no watchdog, or if it watches another process.
    """
    text = environment.get(_INTERVAL, "")
    if not text or environment.get(_PROCESS, str(process)) != str(process):
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        report(f"{_INTERVAL} is {text!r}; it must be a number of microseconds, and counts as none")
        return None
    return int(text) / 1_000_000
