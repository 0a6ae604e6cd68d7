"""The plugin that registers ``twistd wampush`` with Twisted.

Owns: the one ServiceMaker. Must not import: wampush, which twistd imports when the service is
started.
"""

import gc
import signal
from typing import Any

from twisted.application.service import ServiceMaker


class _Maker(ServiceMaker):
    """Makes the service, once twistd has read that it is the one to run."""

    @property
    def options(self) -> Any:
        """The class that parses the command line.

        From here on SIGHUP does not end the process; the service handles it when it starts, which
        is after many imports. Until then no garbage is collected, either: imports make hardly any,
        and the collector would take a twelfth of the time.
        """
        gc.disable()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return super().options


wampush = _Maker(
    "wampush",
    "wampush.twistd_service",
    "A push server: WAMP v1 over WebSocket for pages, ZeroMQ for backends.",
    "wampush",
)
