"""The listening sockets of a node for WebSocket and HTTP.

Owns: which endpoints are open, their TLS, and their URLs.
Must not import: the broker, the edges; what answers on a socket is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.logger import Logger

from wampush.config.tables.network import TlsSettings
from wampush.net import listeners, tls
from wampush.net.tls_handshakes import FailedHandshakes
from wampush.node.under_parent.inherited_sockets import AdoptingReactor, carrier_of_passed
from wampush.node.under_parent.link import ParentLink
from wampush.systemd.passed_sockets import unused_names

_log = Logger(namespace="wampush.node")


class HttpSite(Protocol):
    """What answers on an HTTP port (``IProtocolFactory``)."""

    def has_requests(self) -> bool:
        """Return whether requests are on their way, or being answered."""


class ListeningSockets:
    """The listening sockets of a node, from opening to closing.

    :param reactor: that accepts their connections.
    :param tls_settings: for ``ssl:`` endpoints that name no key of their own.
    :param link: to the parent that keeps the sockets open; None without one. Nothing is accepted
        then before :meth:`accept`.
    """

    def __init__(
        self, reactor: Any, tls_settings: TlsSettings, link: ParentLink | None = None
    ) -> None:
        self._reactor = reactor
        self._tls_settings = tls_settings
        self._link = link
        self._failed_handshakes = FailedHandshakes()
        self._tls: tls.ServerContext | None = None
        #: Each with its URL scheme.
        self._websocket: list[tuple[str, listeners.ListeningPort]] = []
        self._http: list[tuple[str, listeners.ListeningPort]] = []
        self._sites: list[HttpSite] = []
        self._endpoints: list[str] = []

    def open_websocket(self, endpoint: str, factory: Any) -> None:
        """Listen for WebSocket clients.

        :param endpoint: a Twisted endpoint string, as configured.
        :param factory: makes the connections (``IProtocolFactory``).
        :raises ListenError: the endpoint cannot be used.
        :raises OperatorError: the files of ``[tls]`` cannot be used.
        """
        scheme = "wss" if tls.is_tls(endpoint) else "ws"
        self._websocket.append((scheme, self._open("websocket", endpoint, factory)))

    def open_http(self, endpoint: str, factory: Any) -> None:
        """Listen for HTTP requests; otherwise like :meth:`open_websocket`.

        :param factory: an :class:`HttpSite`.
        """
        scheme = "https" if tls.is_tls(endpoint) else "http"
        self._sites.append(factory)
        self._http.append((scheme, self._open("http", endpoint, factory)))

    def pause_websocket(self) -> None:
        """Leave clients to others that listen on the same sockets, until :meth:`accept`."""
        for _, port in self._websocket:
            port.stopReading()

    def pause_http(self) -> None:
        """Likewise leave connections over HTTP to others."""
        for _, port in self._http:
            port.stopReading()

    def has_requests(self) -> bool:
        """Return whether requests over HTTP are on their way, or being answered."""
        return any(each.has_requests() for each in self._sites)

    def accept(self) -> None:
        """Accept connections from now on."""
        for _, port in (*self._websocket, *self._http):
            port.startReading()

    def warn_of_unused(self, environment: Mapping[str, str]) -> None:
        """Log what no listener uses: ``[tls]``, sockets from systemd; call it after opening.

        :param environment: of the process.
        """
        for name in unused_names(environment, self._endpoints):
            _log.warn(
                "systemd passes the socket {name}, but no listener uses it, so its clients wait "
                "forever; listen on systemd:domain=INET:name={name}, or disable its .socket unit",
                name=name,
            )
        settings = self._tls_settings
        if self._tls is None and (settings.certificate or settings.key):
            _log.warn(
                "[tls] is filled in, but no listener uses it; listen on an ssl: endpoint such as "
                "ssl:8443"
            )

    def _open(self, use: str, endpoint: str, factory: Any) -> listeners.ListeningPort:
        self._endpoints.append(endpoint)
        if self._link is None:
            return self._listen(self._reactor, endpoint, factory)
        try:
            inherited = self._link.listening_socket(use, endpoint)
        except OSError as error:
            raise listeners.listen_error(endpoint, error) from error
        if inherited is None:
            port = self._listen(self._reactor, endpoint, factory)
        else:
            with inherited:
                adopting = AdoptingReactor(self._reactor, inherited)
                port = self._listen(adopting, endpoint, factory, carrier_of_passed(endpoint))
        # Another node may be accepting still.
        port.stopReading()
        return port

    def _listen(
        self, reactor: Any, endpoint: str, factory: Any, carrier: str | None = None
    ) -> listeners.ListeningPort:
        if not tls.uses_tls_table(endpoint):
            keyed: Any = tls.KeyedReactor(reactor, self._failed_handshakes)
            return listeners.listen(keyed, endpoint, factory, carrier)
        if self._tls is None:
            self._tls = tls.ServerContext(self._tls_settings, self._failed_handshakes)
        secured: Any = tls.TlsReactor(reactor, self._tls)
        return listeners.listen(secured, endpoint, factory, tls.carrier_endpoint(endpoint))

    @property
    def failed_tls_handshakes(self) -> int:
        """How many handshakes with listeners for TLS have failed."""
        return self._failed_handshakes.count

    @property
    def websocket_urls(self) -> list[str]:
        """Where WebSocket clients can connect, for the log; of UNIX sockets the path."""
        return [f"{scheme}://{listeners.describe(port)}/" for scheme, port in self._websocket]

    def problems(self) -> list[tuple[str, str]]:
        """Return each WebSocket listener, with why it takes no connections or ""."""
        found = []
        for scheme, port in self._websocket:
            problem = listeners.listening_problem(port)
            # A closed port does not know its address any longer.
            where = "" if problem == listeners.CLOSED else listeners.describe(port)
            found.append((f"{scheme}://{where}/", problem))
        return found

    @property
    def http_urls(self) -> list[str]:
        """Where HTTP is served, for the log, without a last slash."""
        return [f"{scheme}://{listeners.describe(port)}" for scheme, port in self._http]

    @property
    def only_loopback(self) -> bool:
        """Whether every WebSocket listener can be reached from this machine only."""
        return all(listeners.is_loopback(port) for _, port in self._websocket)

    def websocket_url(self, host: str) -> str | None:
        """Return the URL that pages of a host connect to; None while no TCP listener is open.

        :param host: a name or address, IPv6 in brackets.
        """
        for scheme, port in self._websocket:
            number = getattr(port.getHost(), "port", None)
            if number is not None:
                return f"{scheme}://{host}:{number}/"
        return None

    def hand_over(self, user: int, group: int) -> None:
        """Give the files of UNIX sockets to an account, which could not remove them otherwise.

        :param user: its number; -1 keeps the owner.
        :param group: its number.
        :raises ListenError: the system does not allow it.
        """
        for path in listeners.socket_files(port for _, port in (*self._websocket, *self._http)):
            listeners.change_owner(path, user, group)

    def reload(self) -> None:
        """Read the files of ``[tls]`` again and log the outcome."""
        if self._tls is not None:
            self._tls.reload()
        elif any(scheme == "wss" for scheme, _ in self._websocket):
            _log.info("no listener uses [tls]; keys that endpoints name are not reloaded")

    def close_websocket(self) -> Deferred[None]:
        """Stop accepting WebSocket clients; the result comes when the sockets are closed."""
        return _close(self._websocket)

    def close_http(self) -> Deferred[None]:
        """Stop accepting HTTP connections; the result comes when the sockets are closed."""
        return _close(self._http)


def _close(sockets: list[tuple[str, listeners.ListeningPort]]) -> Deferred[None]:
    closed = [maybeDeferred(port.stopListening) for _, port in sockets]
    return gatherResults(closed).addCallback(lambda _: None)
