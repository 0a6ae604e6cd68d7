"""The listening sockets of a node: their URLs, their TLS, and their end."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from tests.node.local_reactor import LocalReactor
from tests.support.certificates import Certificate, make_certificate
from tests.support.tls_pair import TlsPair
from wampush.config.tables.network import TlsSettings
from wampush.errors import ListenError, OperatorError
from wampush.net import listeners
from wampush.node.listening import ListeningSockets

installed_reactor: Any = twisted_reactor
FACTORY = Factory.forProtocol(Protocol)
NO_TLS = TlsSettings()


@pytest.fixture
def reactor() -> Any:
    return LocalReactor()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


def sockets(reactor: Any, certificate: Certificate | None = None) -> ListeningSockets:
    if certificate is None:
        return ListeningSockets(reactor, NO_TLS)
    settings = TlsSettings(certificate=str(certificate.certificate), key=str(certificate.key))
    return ListeningSockets(reactor, settings)


def test_urls_of_websocket_listeners(reactor: Any) -> None:
    opened = sockets(reactor)
    assert opened.websocket_urls == []
    assert opened.websocket_url("push.example") is None
    opened.open_websocket("unix:/run/a", FACTORY)
    assert opened.websocket_url("push.example") is None
    opened.open_websocket("tcp:8080:interface=127.0.0.1", FACTORY)
    opened.open_websocket("tcp:8081:interface=127.0.0.1", FACTORY)
    assert opened.websocket_urls[1:] == ["ws://127.0.0.1:8080/", "ws://127.0.0.1:8081/"]
    assert opened.websocket_urls[0] == "ws://unix:/run/a:/"
    assert opened.websocket_url("push.example") == "ws://push.example:8080/"


def test_http_is_apart(reactor: Any) -> None:
    opened = sockets(reactor)
    opened.open_http("tcp:8082:interface=127.0.0.1", FACTORY)
    assert opened.http_urls == ["http://127.0.0.1:8082"]
    assert opened.websocket_urls == []
    assert opened.only_loopback


@pytest.mark.parametrize(
    ("endpoints", "only_loopback"),
    [
        ([], True),
        (["tcp:1:interface=127.0.0.1", "unix:/run/a"], True),
        (["tcp:1:interface=127.0.0.1", "tcp:2:interface=192.0.2.1"], False),
    ],
)
def test_loopback(reactor: Any, endpoints: list[str], only_loopback: bool) -> None:
    opened = sockets(reactor)
    for endpoint in endpoints:
        opened.open_websocket(endpoint, FACTORY)
    assert opened.only_loopback is only_loopback


def test_sockets_that_no_listener_uses(reactor: Any, log: list[str]) -> None:
    opened = sockets(reactor)
    opened.open_websocket("tcp:8080:interface=127.0.0.1", FACTORY)
    opened.warn_of_unused({"LISTEN_FDNAMES": "web"})
    (line,) = log
    assert line.startswith("systemd passes the socket web, but no listener uses it")
    assert line.endswith("listen on systemd:domain=INET:name=web, or disable its .socket unit")
    log.clear()
    opened.warn_of_unused({})
    assert log == []


def test_an_endpoint_that_cannot_be_used(reactor: Any) -> None:
    with pytest.raises(ListenError, match="cannot listen on nonsense:1"):
        sockets(reactor).open_websocket("nonsense:1", FACTORY)


# TLS.


def test_tls_of_the_settings(reactor: Any, certificate: Certificate, log: list[str]) -> None:
    opened = sockets(reactor, certificate)
    opened.open_websocket("ssl:8443:interface=127.0.0.1", FACTORY)
    opened.open_http("ssl:8444:interface=127.0.0.1", FACTORY)
    assert opened.websocket_url("push.example") == "wss://push.example:8443/"
    assert opened.http_urls == ["https://127.0.0.1:8444"]
    ports = [port for port, _, _, _ in reactor.tcpServers]
    assert ports == [8443, 8444], "TLS is on top of TCP, so that its files can be reloaded"
    log.clear()
    opened.reload()
    (line,) = log
    assert line.startswith("TLS: "), "both have one context"


def test_tls_without_files(reactor: Any) -> None:
    with pytest.raises(OperatorError, match=r"tls\.certificate is not set"):
        sockets(reactor).open_websocket("ssl:8443", FACTORY)


def test_keys_of_endpoints_are_not_reloaded(
    reactor: Any, certificate: Certificate, log: list[str]
) -> None:
    opened = sockets(reactor)
    opened.open_websocket(
        f"ssl:8443:privateKey={certificate.key}:certKey={certificate.certificate}", FACTORY
    )
    assert len(reactor.tcpServers) == 1
    opened.reload()
    assert log == ["no listener uses [tls]; keys that endpoints name are not reloaded"]


def test_without_tls_there_is_nothing_to_reload(reactor: Any, log: list[str]) -> None:
    opened = sockets(reactor)
    opened.open_websocket("tcp:8080", FACTORY)
    opened.reload()
    assert log == []


# The account, and the end.


def test_the_files_of_unix_sockets_are_handed_over(
    reactor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[tuple[str, int, int]] = []
    monkeypatch.setattr(listeners, "change_owner", lambda *arguments: handed.append(arguments))
    opened = sockets(reactor)
    opened.open_websocket("tcp:8080", FACTORY)
    opened.open_websocket("unix:/run/a", FACTORY)
    opened.open_http("unix:/run/b", FACTORY)
    opened.hand_over(4, 5)
    assert [(Path(path).name, user, group) for path, user, group in handed] == [
        ("a", 4, 5),
        ("b", 4, 5),
    ]


class SlowPort:
    """A port whose end takes a while."""

    def __init__(self) -> None:
        self.closed: Deferred[None] | None = None

    def stopListening(self) -> Deferred[None]:  # noqa: N802
        self.closed = Deferred()
        return self.closed


def test_requests_over_http_are_reported(reactor: Any) -> None:
    class Site(Factory):
        busy = True

        def has_requests(self) -> bool:
            return self.busy

    opened = sockets(reactor)
    assert not opened.has_requests()
    site = Site()
    opened.open_http("tcp:8082:interface=127.0.0.1", site)
    assert opened.has_requests()
    site.busy = False
    assert not opened.has_requests()


def test_each_kind_is_closed_by_itself(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    websocket: Any = SlowPort()
    http: Any = SlowPort()
    ports = iter((websocket, http))
    monkeypatch.setattr(listeners, "listen", lambda *_: next(ports))
    opened = sockets(reactor)
    opened.open_websocket("tcp:1", FACTORY)
    opened.open_http("tcp:2", FACTORY)
    ended: list[str] = []
    opened.close_websocket().addCallback(lambda _: ended.append("websocket"))
    assert [port.closed is None for port in (websocket, http)] == [False, True]
    assert not ended
    websocket.closed.callback(None)
    assert ended == ["websocket"]
    opened.close_http().addCallback(lambda _: ended.append("http"))
    http.closed.callback(None)
    assert ended == ["websocket", "http"]


@pytest.mark.parametrize(
    ("endpoint", "is_used"), [("tcp:1:interface=127.0.0.1", False), ("ssl:1", True)]
)
def test_a_table_that_no_listener_uses(
    reactor: Any, certificate: Certificate, log: list[str], endpoint: str, is_used: bool
) -> None:
    opened = sockets(reactor, certificate)
    opened.open_websocket(endpoint, FACTORY)
    opened.warn_of_unused({})
    warning = (
        "[tls] is filled in, but no listener uses it; listen on an ssl: endpoint such as ssl:8443"
    )
    assert log == ([] if is_used else [warning])


def test_an_empty_table_needs_no_listener(reactor: Any, log: list[str]) -> None:
    sockets(reactor).warn_of_unused({})
    assert log == []


def test_failed_handshakes_of_all_tls_listeners_are_counted(
    reactor: Any, certificate: Certificate
) -> None:
    opened = sockets(reactor, certificate)
    opened.open_websocket("ssl:1", FACTORY)
    opened.open_http(
        f"ssl:2:privateKey={certificate.key}:certKey={certificate.certificate}", FACTORY
    )
    ports = [port for _, port in (*opened._websocket, *opened._http)]
    for count, port in enumerate(ports):
        assert opened.failed_tls_handshakes == count
        pair = TlsPair(port.transport.contexts, certificate.context())
        pair.client.end.send(b"GET / HTTP/1.1\r\n\r\n")
        pair.reactor.turn()
        pair.close()
    assert opened.failed_tls_handshakes == 2


def test_listeners_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    path = tmp_path / "ws.sock"
    opened = sockets(installed_reactor)
    opened.open_websocket("tcp:0:interface=127.0.0.1", FACTORY)
    opened.open_websocket(f"unix:{path}", FACTORY)
    (tcp, _), (unix, _) = opened.problems()
    assert opened.problems() == [(opened.websocket_urls[0], ""), (f"ws://unix:{path}:/", "")]
    path.unlink()
    assert opened.problems() == [(tcp, ""), (unix, "its file has been removed")]
    # A port removes its file when it is closed.
    path.touch()
    ended: list[None] = []
    opened.close_websocket().addCallback(ended.append)
    while not ended:
        installed_reactor.iterate(0.1)
    assert opened.problems() == [("ws:///", listeners.CLOSED)] * 2


def test_listeners_in_memory_have_no_problem(reactor: Any) -> None:
    opened = sockets(reactor)
    opened.open_websocket("tcp:8080:interface=127.0.0.1", FACTORY)
    assert opened.problems() == [("ws://127.0.0.1:8080/", "")]


class Parent:
    """The link to a parent process that has one socket.

    :param listening: the socket; None if there is only a port in use.
    """

    def __init__(self, listening: socket.socket | None) -> None:
        self._listening = listening
        self.asked: list[tuple[str, str]] = []

    def listening_socket(self, use: str, endpoint: str) -> socket.socket:
        self.asked.append((use, endpoint))
        if self._listening is None:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return self._listening.dup()


def test_connections_over_http_are_left_to_others_on_their_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        parent: Any = Parent(listening)
        opened = ListeningSockets(installed_reactor, NO_TLS, parent)
        opened.open_http("tcp:0:interface=127.0.0.1", FACTORY)
        (port,) = [each for _, each in opened._http]
        opened.accept()
        opened.pause_websocket()
        read = [port in installed_reactor.getReaders()]
        opened.pause_http()
        read.append(port in installed_reactor.getReaders())
        assert read == [True, False]
        ended: list[None] = []
        opened.close_http().addCallback(ended.append)
        while not ended:
            installed_reactor.iterate(0.1)


def test_sockets_of_the_parent_are_read_only_while_this_node_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        parent: Any = Parent(listening)
        opened = ListeningSockets(installed_reactor, NO_TLS, parent)
        opened.open_websocket("tcp:0:interface=127.0.0.1", FACTORY)
        assert parent.asked == [("websocket", "tcp:0:interface=127.0.0.1")]
        assert opened.websocket_urls == [f"ws://127.0.0.1:{listening.getsockname()[1]}/"]
        (port,) = [each for _, each in opened._websocket]
        read = [port in installed_reactor.getReaders()]
        opened.accept()
        read.append(port in installed_reactor.getReaders())
        opened.pause_http()
        read.append(port in installed_reactor.getReaders())
        opened.pause_websocket()
        read.append(port in installed_reactor.getReaders())
        assert read == [False, True, True, False]
        ended: list[None] = []
        opened.close_websocket().addCallback(ended.append)
        while not ended:
            installed_reactor.iterate(0.1)


def test_a_port_that_the_parent_cannot_open() -> None:
    parent: Any = Parent(None)
    opened = ListeningSockets(installed_reactor, NO_TLS, parent)
    with pytest.raises(ListenError, match="already in use"):
        opened.open_http("tcp:80:interface=127.0.0.1", FACTORY)
