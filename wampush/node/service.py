"""The service that twistd runs: a node from its start to its end.

Owns: the order of starting and stopping, and signals. ``makeService`` and ``Options`` are what the
plugin of twistd names.
May import everything; nothing but the plugin may import it.
"""

from __future__ import annotations

import gc
import signal
import sys
from dataclasses import dataclass
from time import monotonic
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger

from wampush.config.load import LoadedSettings
from wampush.config.settings import Settings
from wampush.errors import OperatorError
from wampush.net import descriptors, listeners
from wampush.node.listening import ListeningSockets
from wampush.node.options import Account, Options, account, message_of
from wampush.node.publish_policy import decide_publishing

if TYPE_CHECKING:
    from wampush.node.build import Node

__all__ = ["Options", "WampushService", "makeService"]

_log = Logger(namespace="wampush.node")

#: Seconds that clients have to read what was published before the daemon was asked to stop.
STOP_PATIENCE: Final = 5.0
#: The least of these seconds that an application has for requests about sessions that have ended.
MIN_PATIENCE: Final = 1.0


def makeService(options: Options) -> WampushService:
    """Return the service that twistd runs."""
    sys.excepthook = _show_error
    return WampushService(options["loaded"], account(options))


def _show_error(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Print an error, without a traceback if the operator can fix it; twistd would print one."""
    if isinstance(error, OperatorError):
        print(message_of(error), file=sys.__stderr__)
    else:
        sys.__excepthook__(kind, error, traceback)


@dataclass(frozen=True, slots=True)
class _Running:
    """What was started.

    :param node: the parts of the node.
    :param sockets: what it listens on.
    """

    node: Node
    sockets: ListeningSockets


class WampushService(Service):
    """A node that listens until it is stopped.

    :param loaded: the settings and their origins.
    :param account: that twistd changes to after the sockets are bound; None where it does not.
    """

    name = "wampush"

    def __init__(self, loaded: LoadedSettings, account: Account | None = None) -> None:
        self._loaded = loaded
        self._account = account
        self._running_node: _Running | None = None
        self._previous_hangup_handler: Any = None
        self._stopping = False

    def privilegedStartService(self) -> None:
        """Bind every address, before twistd gives up its privileges.

        :raises ListenError: for the first one that cannot be used.
        :raises OperatorError: application code or a file of keys cannot be used.
        """
        # Importing these installs the reactor, which twistd must have chosen before.
        from twisted.internet import reactor

        from wampush.node.build import build

        self._previous_hangup_handler = signal.signal(signal.SIGHUP, self._on_hangup)
        settings = self._loaded.settings
        max_connections = _limit_connections(settings)
        node = build(settings, reactor, max_connections, self._loaded.folder)
        sockets = ListeningSockets(reactor, settings.tls)
        self._running_node = _Running(node, sockets)
        for endpoint in settings.websocket.listen:
            sockets.open_websocket(endpoint, node.websocket)
        pulled = node.pull.start()
        for url in sockets.websocket_urls:
            _log.info("WAMP v1 on {url}", url=url)
        for address in pulled:
            _log.info("pulling pushes from {address}", address=address)
        if settings.http.listen != "off":
            self._open_http(reactor, node, sockets)
        decision = decide_publishing(settings.clients.publish, sockets.only_loopback)
        node.set_publishing(decision.publishing)
        _log.info(
            "{scope}{decision}: {reason}",
            scope="where no permission decides, " if settings.permissions else "",
            decision=decision.summary,
            reason=decision.reason,
        )
        if self._account is not None:
            sockets.hand_over(self._account.user, self._account.group)
            for path in node.pull.socket_files():
                listeners.change_owner(path, self._account.user, self._account.group)

    def _open_http(self, reactor: Any, node: Node, sockets: ListeningSockets) -> None:
        from wampush.node.http_site import make_site

        site = make_site(
            self._loaded.settings,
            node,
            reactor,
            websocket_url=sockets.websocket_url,
            is_stopping=lambda: self._stopping,
        )
        sockets.open_http(self._loaded.settings.http.listen, site)
        for url in sockets.http_urls:
            _log.info("health on {url}/healthz, demo on {url}/demo/", url=url)

    def startService(self) -> None:
        """Start what needs a running reactor."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._running_node is None:
            self.privilegedStartService()
        if self._running_node is not None:
            self._running_node.node.websocket.start()
            self._running_node.node.redis.start()
        # What is loaded by now stays: the collector need not walk it again for every generation of
        # sessions.
        gc.collect()
        gc.freeze()

    def stopService(self) -> Deferred[None]:
        """Stop listening and pulling, deliver what was pulled, then end the connections."""
        super().stopService()  # type: ignore[no-untyped-call]
        running: _Running | None = self._running_node
        if running is None:
            return succeed(None)
        node = running.node
        self._stopping = True
        deadline = monotonic() + STOP_PATIENCE
        node.pull.drain()
        node.acknowledged_pushes.stop()
        node.presence.stop()
        ended: list[Deferred[Any]] = [
            running.sockets.close_websocket(),
            node.redis.stop().addCallback(lambda _: node.websocket.stop(STOP_PATIENCE)),
        ]
        return gatherResults(ended).addCallback(
            lambda _: self._on_clients_gone(running, max(deadline - monotonic(), MIN_PATIENCE))
        )

    def _on_clients_gone(self, running: _Running, patience: float) -> Deferred[None]:
        """Stop the rest.

        :param patience: seconds for requests to applications.
        """
        node = running.node
        node.pull.stop()
        node.authenticator.close()
        node.backpressure.stop()
        signal.signal(signal.SIGHUP, self._previous_hangup_handler or signal.SIG_DFL)
        ended = [running.sockets.close_http(), node.components.stop(), node.apps.stop(patience)]
        if node.webhooks is not None:
            ended.append(node.webhooks.stop(patience))
        return gatherResults(ended).addCallback(lambda _: None)

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGHUP, which Twisted leaves to its default: the end of the process."""
        from twisted.internet import reactor

        # A signal arrives between any two instructions, so its work waits for the reactor.
        reactor.callFromThread(self._reload)

    def _reload(self) -> None:
        """Reload the files that may change while the daemon runs; each part logs its outcome."""
        _log.info("SIGHUP: reloading keys and certificates")
        if self._running_node is None:
            return
        node = self._running_node.node
        node.pull.security.reload()
        node.redis.reload()
        node.authenticator.reload()
        if node.webhooks is not None:
            node.webhooks.reload()
        self._running_node.sockets.reload()


def _limit_connections(settings: Settings) -> int:
    """Raise the limit of open files, and return how many clients it leaves room for."""
    before, allowed = descriptors.raise_descriptor_limit()
    reserved = descriptors.RESERVED_DESCRIPTORS
    if settings.http.listen != "off":
        reserved += settings.http.max_connections
    max_connections = min(settings.websocket.max_connections, max(1, allowed - reserved))
    _log.info(
        "open descriptors: the limit is {allowed}, it was {before}; at most {max_connections} "
        "clients",
        allowed=allowed,
        before=before,
        max_connections=max_connections,
    )
    return max_connections
