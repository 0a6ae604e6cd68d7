"""What a listening port logs when it cannot accept connections.

Owns: the one line per second that stands for all such failures.
Must not import: the broker, the edges.

Twisted logs a line for each connection that it cannot accept, and three for each time it runs out
of descriptors. Both happen in every turn of the reactor for as long as the cause lasts. If another
thread takes the descriptor that it sets aside for this case, it logs a traceback, too.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from twisted.internet import tcp
from twisted.logger import LogEvent, Logger

from wampush.log_limit import LogLimiter

_log = Logger(namespace="wampush.net")

#: Of all ports: they run out of descriptors together.
_limiter: Final = LogLimiter(monotonic)

_BEGINNINGS: Final = (
    "EMFILE",
    "Re-reserving EMFILE",
    "Could not reserve EMFILE",
    "Could not re-reserve EMFILE",
    "Could not accept",
)


class AcceptErrors:
    """A log observer that replaces such lines by one per second and passes on all others.

    :param observer: gets the other events.
    :param limiter: what other observers use too, so that their lines count together; None for
        one of its own.
    """

    def __init__(
        self, observer: Callable[[LogEvent], None], limiter: LogLimiter | None = None
    ) -> None:
        self._observer = observer
        self._limiter = LogLimiter(monotonic) if limiter is None else limiter

    def __call__(self, event: LogEvent) -> None:
        """Handle one log event."""
        if not str(event.get("log_format", "")).startswith(_BEGINNINGS):
            self._observer(event)
            return
        error = str(event.get("acceptError", "EMFILE"))
        suffix = self._limiter.suffix(error)
        if suffix is not None:
            _log.warn("could not accept connections: {error}" + suffix, error=error)


def limit_accept_errors(port: Any) -> None:
    """Let all Twisted ports together log at most one line per second and error about accepting.

    :param port: a ``tcp.Port``, or a port of another kind, which is left alone.
    """
    # Twisted has no public way to set either logger.
    for owner, name in ((port, "_logger"), (getattr(tcp, "_reservedFD", None), "_log")):
        logger = getattr(owner, name, None)
        if isinstance(logger, Logger):
            # ``ILogObserver``; mypy does not accept zope interfaces as types.
            observer: Any = AcceptErrors(logger.observer, _limiter)
            setattr(owner, name, Logger(namespace=logger.namespace, observer=observer))
