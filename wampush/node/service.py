"""The composition root: ``twistd wampush``.

Owns: the options of the daemon, the order of starting and stopping.
May import everything; nothing but ``cli`` and the plugin may import it.
"""

from __future__ import annotations

import gc
import os
import pwd
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python import usage

from wampush import __version__
from wampush.broker.access.policy import Publishing
from wampush.config.load import LoadedSettings, load
from wampush.config.settings import Settings
from wampush.edges.http.access import HttpAccess
from wampush.edges.http.routes import HttpEdge, HttpView
from wampush.edges.http.site import HttpLimits
from wampush.errors import CloseReason, OperatorError
from wampush.net import listeners, secret_files, tls

if TYPE_CHECKING:
    from wampush.node.build import Node

_log = Logger(namespace="wampush")

#: Seconds that clients get to read what was published before the daemon was asked to stop.
STOP_PATIENCE: Final = 5.0
#: What is left of it at least for telling an application which sessions have ended.
LEAST_PATIENCE: Final = 1.0


class Options(usage.Options):
    """The options of ``twistd wampush``."""

    synopsis = "[options]"
    longdesc = (
        "Serves WAMP v1 on ws://127.0.0.1:8080, pulls pushes from tcp://127.0.0.1:5555 and shows "
        "health and a demo page on http://127.0.0.1:8081. Options override WAMPUSH_… environment "
        "variables, which override the file, which overrides the defaults. "
        "Example: twistd -n wampush --listen tcp:8080 --pull ipc:///run/wampush.sock --http off"
    )
    optParameters = [
        ["config", "c", None, "TOML file with settings; see wampush.example.toml."],
        ["http", None, None, 'Endpoint of health, demo and static files, or "off".'],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["listen"] = []
        self["pull"] = []

    def opt_listen(self, endpoint: str) -> None:
        """Twisted endpoint for WebSocket clients, e.g. tcp:8080:interface=127.0.0.1; repeatable."""
        self["listen"].append(endpoint)

    def opt_pull(self, address: str) -> None:
        """ZeroMQ address to pull from, e.g. tcp://127.0.0.1:5555, ipc:///run/wampush.sock or
        connect:tcp://10.0.0.5:5555; repeatable."""
        self["pull"].append(address)

    def parseArgs(self, *rest: str) -> None:
        """There is nothing but options.

        :raises UsageError: there is something else.
        """
        if rest:
            raise usage.UsageError(f"{rest[0]!r} is no option; addresses go behind --listen")

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line; a mistake ends the start with one line instead of the usage."""
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            raise SystemExit(f"wampush: {error}; see twistd wampush --help") from None

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"wampush {__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Read the settings; a mistake ends the start with one line."""
        overrides = {
            "websocket.listen": self["listen"] or None,
            "zmq.pull": self["pull"] or None,
            "http.listen": self["http"],
        }
        path = Path(self["config"]) if self["config"] else None
        try:
            self["loaded"] = load(path, os.environ, overrides)
        except OperatorError as error:
            raise SystemExit(f"wampush: {error}") from None


def makeService(options: Options) -> WampushService:
    """The service that twistd runs."""
    sys.excepthook = _one_line_for_operators
    return WampushService(options["loaded"], _account(options))


def _account(options: Options) -> tuple[int, int] | None:
    """The user and group that twistd will change to, as it works them out itself."""
    twistd: Mapping[str, Any] = getattr(options, "parent", None) or {}
    user: int | None = twistd.get("uid")
    group: int | None = twistd.get("gid")
    if user is not None and group is None:
        try:
            group = pwd.getpwuid(user).pw_gid
        except KeyError:
            raise OperatorError(f"user {user} is not known here; give its --gid too") from None
    if group is None:
        return None
    return (-1 if user is None else user), group


def _one_line_for_operators(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Show what an operator can mend as one line; twistd itself would print a traceback."""
    if isinstance(error, OperatorError):
        print(f"wampush: {error}", file=sys.__stderr__)
    else:
        sys.__excepthook__(kind, error, traceback)


class WampushService(Service):
    """A node that listens, until it is stopped.

    :param loaded: the settings and where they came from.
    :param account: the user and group that twistd changes to after the sockets are bound, by
        number; -1 keeps the one there is. None: it does not change.
    """

    name = "wampush"

    def __init__(self, loaded: LoadedSettings, account: tuple[int, int] | None = None) -> None:
        self._loaded = loaded
        self._account = account
        self._websocket_ports: list[listeners.ListeningPort] = []
        self._schemes: list[str] = []
        self._tls: tls.ServerContext | None = None
        self._hangup_before: Any = None
        self._http_ports: list[listeners.ListeningPort] = []
        self._node: Node | None = None
        self._stopping = False
        self._patience_ends = 0.0

    def privilegedStartService(self) -> None:
        """Bind every address; before twistd gives up its privileges.

        :raises ListenError: for the first one that can not be used.
        """
        # Importing these installs the reactor, which twistd must have chosen before.
        from twisted.internet import reactor

        from wampush.node.build import build

        self._hangup_before = signal.signal(signal.SIGHUP, self._hangup)
        settings = self._loaded.settings
        before, allowed = listeners.raise_descriptor_limit()
        reserved = listeners.RESERVED_DESCRIPTORS
        if settings.http.listen != "off":
            reserved += settings.http.max_connections
        room = max(1, allowed - reserved)
        most = min(settings.websocket.max_connections, room)
        node = build(settings, reactor, most, self._loaded.folder)
        self._node = node
        for endpoint in settings.websocket.listen:
            self._websocket_ports.append(self._listen(reactor, endpoint, node.websocket))
            self._schemes.append("wss" if tls.is_tls(endpoint) else "ws")
        pulled = node.pull.start()
        for scheme, port in zip(self._schemes, self._websocket_ports, strict=True):
            _log.info("WAMP v1 on {scheme}://{at}/", scheme=scheme, at=listeners.describe(port))
        for address in pulled:
            _log.info("pulling pushes from {address}", address=address)
        if settings.http.listen != "off":
            self._listen_http(reactor, settings.http.listen, node)
        _log.info(
            "open descriptors: the limit is {allowed}, it was {before}; at most {most} clients",
            allowed=allowed,
            before=before,
            most=node.websocket.admission.most,
        )
        self._decide_publishing(settings, node)
        self._hand_over(node)

    def startService(self) -> None:
        """The reactor is about to run."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._node is None:
            self.privilegedStartService()
        if self._node is not None:
            self._node.websocket.start()
            self._node.redis.start()
        # What is loaded by now stays: the collector need not walk it again for every generation of
        # sessions.
        gc.collect()
        gc.freeze()

    def stopService(self) -> Deferred[None]:
        """Stop listening and pulling, deliver what was pulled, then end the connections."""
        super().stopService()  # type: ignore[no-untyped-call]
        node: Node | None = self._node
        if node is None:
            return succeed(None)
        self._stopping = True
        self._patience_ends = monotonic() + STOP_PATIENCE
        node.pull.drain()
        node.acknowledged_pushes.stop()
        node.presence.stop()
        ended: list[Deferred[Any]] = [
            maybeDeferred(port.stopListening) for port in self._websocket_ports
        ]
        ended.append(node.redis.stop().addCallback(lambda _: node.websocket.stop(STOP_PATIENCE)))
        return gatherResults(ended).addCallback(self._clients_gone, node)

    def _clients_gone(self, results: object, node: Node) -> Deferred[None]:
        node.pull.stop()
        node.authenticator.close()
        node.pressure.stop()
        signal.signal(signal.SIGHUP, self._hangup_before or signal.SIG_DFL)
        ended = [maybeDeferred(port.stopListening) for port in self._http_ports]
        ended.append(node.components.stop())
        left = max(self._patience_ends - monotonic(), LEAST_PATIENCE)
        ended.append(node.apps.stop(left))
        if node.webhooks is not None:
            ended.append(node.webhooks.stop(left))
        return gatherResults(ended).addCallback(lambda _: None)

    def _status(self, node: Node) -> Mapping[str, object]:
        return {"status": "stopping" if self._stopping else "ok", **node.status()}

    def _hangup(self, number: int, frame: FrameType | None) -> None:
        """SIGHUP, which Twisted leaves to its default: the end of the process."""
        from twisted.internet import reactor

        # A signal comes between any two instructions; what it asks for waits for the reactor.
        reactor.callFromThread(self._reload)

    def _reload(self) -> None:
        """Read again what may be; each part says in the log what came of it."""
        _log.info("SIGHUP: keys and certificates are read again")
        if self._node is not None:
            self._node.pull.security.reload()
            self._node.redis.reload()
            self._node.authenticator.reload()
            if self._node.webhooks is not None:
                self._node.webhooks.reload()
        if self._tls is not None:
            self._tls.reload()
        elif "wss" in self._schemes:
            _log.info("no listener uses [tls]; endpoints keep the key that they name themselves")

    def _hand_over(self, node: Node) -> None:
        if self._account is not None:
            for path in (*node.pull.socket_files(), *listeners.files(self._ports())):
                listeners.hand_over(path, *self._account)

    def _ports(self) -> list[listeners.ListeningPort]:
        return [*self._websocket_ports, *self._http_ports]

    def _listen(self, reactor: Any, endpoint: str, factory: Any) -> listeners.ListeningPort:
        if not tls.uses_settings(endpoint):
            return listeners.listen(reactor, endpoint, factory)
        if self._tls is None:
            self._tls = tls.ServerContext(self._loaded.settings.tls)
        secured = self._tls.factory(factory)
        return listeners.listen(reactor, endpoint, secured, tls.below(endpoint))

    def _listen_http(self, reactor: Any, endpoint: str, node: Node) -> None:
        settings = self._loaded.settings
        access = HttpAccess(secret_files.http_token(settings.http.token_file))
        metrics = node.metrics(settings.limits.queued_bytes, lambda: len(site.channels))
        view = HttpView(
            lambda: self._status(node),
            node.refusals,
            node.session,
            self._websocket_url,
            node.pull.local_address,
            metrics.text,
        )
        limits = HttpLimits(settings.http.max_connections, settings.zmq.max_message_bytes)
        edge = HttpEdge(view, node.acknowledged_pushes, access, limits)
        turned_away = partial(node.broker.ledger.end, CloseReason.TOO_MANY_HTTP_CONNECTIONS)
        site = edge.site(reactor, turned_away)
        port = self._listen(reactor, endpoint, site)
        self._http_ports.append(port)
        at = f"{'https' if tls.is_tls(endpoint) else 'http'}://{listeners.describe(port)}"
        _log.info("health on {at}/healthz, demo on {at}/demo/", at=at)

    def _websocket_url(self, host: str) -> str | None:
        for scheme, port in zip(self._schemes, self._websocket_ports, strict=True):
            number = getattr(port.getHost(), "port", None)
            if number is not None:
                return f"{scheme}://{host}:{number}/"
        return None

    def _decide_publishing(self, settings: Settings, node: Node) -> None:
        loopback = all(map(listeners.is_loopback, self._websocket_ports))
        choice = settings.clients.publish
        may = "clients may not publish"
        if choice == "always":
            node.set_publishing(Publishing.EVERYBODY)
            may = "clients may publish"
        elif choice == "auto" and loopback:
            node.set_publishing(Publishing.LOCAL)
            may = "clients of this machine may publish"
        if settings.permissions:
            may = f"where no permission decides, {may}"
        reason = {
            "always": 'clients.publish = "always"',
            "never": 'clients.publish = "never"',
            "auto": "every WebSocket listener is on loopback"
            if loopback
            else 'a WebSocket listener is not on loopback; clients.publish = "always" allows it',
        }[choice]
        _log.info("{may}: {reason}", may=may, reason=reason)
