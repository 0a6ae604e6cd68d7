"""Endpoint strings to ports, and errors for operators."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import endpoints
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.python.systemd import ListenFDs

from wampush.errors import ListenError
from wampush.net import listeners
from wampush.net.rejected_connection import RejectedConnection

reactor: Any = installed


@pytest.fixture
def opened() -> Iterator[list[Any]]:
    """Ports to close at the end."""
    ports: list[Any] = []
    yield ports
    for port in ports:
        port.stopListening()
    reactor.iterate(0)


def listen(opened: list[Any], text: str) -> Any:
    port = listeners.listen(reactor, text, Factory())
    opened.append(port)
    return port


def test_a_tcp_endpoint(opened: list[Any]) -> None:
    port = listen(opened, "tcp:0:interface=127.0.0.1")
    number = port.getHost().port
    assert listeners.describe(port) == f"127.0.0.1:{number}"
    assert listeners.is_loopback(port)
    with socket.create_connection(("127.0.0.1", number), 5):
        pass
    # Accepted sockets inherit it.
    assert port.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_ipv6_endpoint(opened: list[Any]) -> None:
    port = listen(opened, "tcp6:0:interface=\\:\\:1")
    assert listeners.describe(port) == f"[::1]:{port.getHost().port}"
    assert listeners.is_loopback(port)


def test_a_unix_endpoint_is_as_near_as_loopback(opened: list[Any], tmp_path: Path) -> None:
    port = listen(opened, f"unix:{tmp_path}/socket")
    assert listeners.is_loopback(port)
    assert listeners.describe(port) == f"unix:{tmp_path}/socket:"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.7", False),
        ("", False),
    ],
)
def test_what_counts_as_loopback(host: str, loopback: bool) -> None:
    class Host:
        port = 1

    class Port:
        def getHost(self) -> Host:  # noqa: N802
            return self.host

        host = Host()

    Port.host.host = host  # type: ignore[attr-defined]
    assert listeners.is_loopback(Port()) is loopback
    if host:
        assert ipaddress.ip_address(host).is_loopback is loopback


UNUSABLE = {
    "": "unknown endpoint type ''",
    "8080": "unknown endpoint type '8080'",
    "tcp:": "are not valid",
    "tcp:http-no-such": "are not valid",
    "tcp:8080x:interface=127.0.0.1": "are not valid",
    "tcp:0:interface=127.0.0.1:backlog=x": "are not valid",
    "tcp:0:bogus=1": "are not valid",
    "nonsense:0": "unknown endpoint type 'nonsense'",
    "systemd:domain=INET:index=99": "systemd has passed no socket to this process",
    "systemd:domain=NOWHERE:index=0": "systemd has passed no socket",
    "ssl:0:privateKey=/nowhere/key.pem": "No such file",
    "tcp:70000:interface=127.0.0.1": "0-65535",
    "tcp:-1:interface=127.0.0.1": "",
    "tcp:0:interface=192.0.2.1": "assign requested address",
    "tcp:0:interface=300.1.1.1": "neither an IP address nor a known host name",
    "tcp:0:interface=\\": "are not valid",
    "unix:/nowhere/at/all": "No such file",
}


@pytest.mark.parametrize(("text", "problem"), UNUSABLE.items())
def test_unusable_endpoints_say_so(text: str, problem: str) -> None:
    with pytest.raises(ListenError) as caught:
        listeners.listen(reactor, text, Factory())
    error = caught.value
    assert error.address == text
    assert problem in error.problem
    assert error.remedy
    assert "\n" not in str(error)


REMEDIES = {
    "ssl:0:privateKey=/nowhere/key.pem": "may read",
    "tcp:0:interface=192.0.2.1": "an address of this machine",
    "unix:/nowhere/at/all": "an existing folder",
}


@pytest.mark.parametrize(("text", "remedy"), REMEDIES.items())
def test_the_remedy_is_that_of_the_problem(text: str, remedy: str) -> None:
    with pytest.raises(ListenError) as caught:
        listeners.listen(reactor, text, Factory())
    assert remedy in caught.value.remedy
    assert "Errno" not in str(caught.value)


def test_a_port_that_needs_root() -> None:
    error = CannotListenError("127.0.0.1", 80, PermissionError(errno.EACCES, "Permission denied"))
    said = str(listeners.listen_error("tcp:80", error))
    assert said.endswith(
        "Permission denied; choose a port from 1024 on, or start as root with --uid and --gid"
    )


def test_a_port_in_use(opened: list[Any]) -> None:
    number = listen(opened, "tcp:0:interface=127.0.0.1").getHost().port
    with pytest.raises(ListenError, match="Address already in use; stop the other program"):
        listen(opened, f"tcp:{number}:interface=127.0.0.1")


@pytest.mark.parametrize("key", ["nonsense", "-----BEGIN PRIVATE KEY-----\nAA==\n"])
def test_files_that_hold_no_key(key: str, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(key)
    with pytest.raises(ListenError, match="its key or certificate cannot be used"):
        listeners.listen(
            reactor, f"ssl:0:interface=127.0.0.1:privateKey={file}:certKey={file}", Factory()
        )


def test_a_file_that_is_not_ours_cannot_be_given_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("wampush.net.listeners.os.chown", refuse)
    with pytest.raises(ListenError, match="cannot change its owner to user 1, group 2"):
        listeners.change_owner(str(tmp_path), 1, 2)


def test_an_owner_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr("wampush.net.listeners.os.chown", lambda *each: calls.append(each))
    listeners.change_owner("/run/x", 1, 2)
    assert calls == [("/run/x", 1, 2)]


def test_files_are_those_of_unix_sockets(opened: list[Any], tmp_path: Path) -> None:
    tcp = listen(opened, "tcp:0:interface=127.0.0.1")
    unix = listen(opened, f"unix:{tmp_path}/socket")
    assert listeners.socket_files([tcp, unix]) == [f"{tmp_path}/socket"]


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Callable[[socket.socket], None]:
    """Passes a socket to this process as systemd does, under the name "web"."""

    def pass_on(listening: socket.socket) -> None:
        # What adopts a descriptor closes it.
        found = ListenFDs([os.dup(listening.fileno())], ["web"])
        monkeypatch.setattr(endpoints._SystemdParser, "_sddaemon", found)
        monkeypatch.setenv("LISTEN_FDNAMES", "web")

    return pass_on


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [("127.0.0.1", "systemd:domain=INET:name=web"), ("::1", "systemd:INET6:0")],
)
def test_a_socket_of_systemd(
    opened: list[Any], passed: Callable[[socket.socket], None], address: str, endpoint: str
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listening:
        number = listening.getsockname()[1]
        passed(listening)
        port = listen(opened, endpoint)
    assert port.getHost().port == number
    assert listeners.is_loopback(port)
    assert listeners.describe(port) in (f"127.0.0.1:{number}", f"[::1]:{number}")
    with socket.create_connection((address, number), 5):
        port.doRead()


def sends_at_once(protocol: Any) -> bool:
    """Whether the connection of a protocol does not wait for acknowledgements."""
    connection: socket.socket = protocol.transport.socket
    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@pytest.mark.parametrize("kind", ["systemd:INET:name=web", "haproxy:systemd:INET:name=web"])
def test_whoever_connects_before_a_passed_socket_is_used_has_the_options_of_the_others(
    opened: list[Any], passed: Callable[[socket.socket], None], kind: str
) -> None:
    made: list[Any] = []
    factory = Factory.forProtocol(Protocol)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        passed(listening)
        early = socket.create_connection(listening.getsockname(), 5)
        port = listeners.listen(reactor, kind, factory)
        opened.append(port)
        late = socket.create_connection(listening.getsockname(), 5)
    # A wrapper has the transport that a port has made as its own.
    build = port.factory.buildProtocol

    def keep(address: object) -> Any:
        protocol = build(address)
        made.append(protocol)
        return protocol

    port.factory.buildProtocol = keep
    with early, late:
        deadline = time.monotonic() + 20
        while len(made) < 2 or not all(each.transport for each in made):
            assert time.monotonic() < deadline
            reactor.iterate(0.01)
        assert all(map(sends_at_once, made))
        for each in made:
            each.transport.abortConnection()


def test_a_socket_of_systemd_that_is_not_there(passed: Callable[[socket.socket], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        passed(listening)
        with pytest.raises(ListenError, match="systemd has passed only 'web'; start wampush"):
            listeners.listen(reactor, "haproxy:systemd:INET:name=other", Factory())


def test_a_socket_of_another_domain(
    passed: Callable[[socket.socket], None], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        passed(listening)
        with pytest.raises(ListenError, match=r"is of domain INET; write domain=INET$"):
            listeners.listen(reactor, "systemd:INET6:name=web", Factory())
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        passed(listening)
        with pytest.raises(ListenError, match="is of domain UNIX; write ListenStream="):
            listeners.listen(reactor, "systemd:INET:name=web", Factory())
    reactor.iterate(0)
    assert path.is_socket()


class Endpoint:
    """An endpoint that listens some time, or never."""

    def __init__(self, outcome: Exception | None) -> None:
        self._outcome = outcome

    def listen(self, _: object) -> Deferred[Any]:
        if self._outcome is not None:
            raise self._outcome
        return Deferred()


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [(None, "it does not listen at once"), (OverflowError("too much"), "too much")],
)
def test_an_endpoint_must_listen_at_once(
    monkeypatch: pytest.MonkeyPatch, outcome: Exception | None, problem: str
) -> None:
    monkeypatch.setattr(listeners, "serverFromString", lambda *_: Endpoint(outcome))
    with pytest.raises(ListenError, match=problem):
        listeners.listen(reactor, "other:1", Factory())


@pytest.mark.parametrize(
    ("cause", "problem"),
    [
        (OSError(errno.EPERM, "Operation not permitted"), "choose a port from 1024 on"),
        (RuntimeError("unknown"), "unknown; an endpoint is like tcp:8080"),
    ],
)
def test_any_failure_has_a_remedy(cause: Exception, problem: str) -> None:
    assert problem in str(listeners.listen_error("tcp:80", cause))


def test_a_crowd_is_accepted_over_several_turns(opened: list[Any]) -> None:
    made: list[Any] = []

    class Counting(Factory):
        def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
            made.append(addr)
            return RejectedConnection()

    port = listeners.listen(reactor, "tcp:0:interface=127.0.0.1", Counting())
    opened.append(port)
    crowd = 3 * listeners.ACCEPTS_PER_TURN
    with contextlib.ExitStack() as stack:
        for _ in range(crowd):
            address = ("127.0.0.1", port.getHost().port)
            stack.enter_context(socket.create_connection(address, 5))
        counts = []
        while len(made) < crowd:
            before = len(made)
            port.doRead()
            counts.append(len(made) - before)
    assert counts == [listeners.ACCEPTS_PER_TURN] * 3


def test_a_port_says_why_it_takes_no_connections(opened: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    ports = [listen(opened, text) for text in ("tcp:0:interface=127.0.0.1", f"unix:{path}")]
    assert list(map(listeners.listening_problem, ports)) == ["", ""]
    path.unlink()
    assert listeners.listening_problem(ports[1]) == "its file has been removed"
    # A port removes its file when it is closed.
    path.touch()
    ports[0].stopListening()
    reactor.iterate(0)
    opened.remove(ports[0])
    assert listeners.listening_problem(ports[0]) == listeners.CLOSED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says whether a socket listens")
def test_a_socket_that_does_not_listen_is_noticed() -> None:
    class Port:
        connected = True

        def __init__(self, held: socket.socket) -> None:
            self.socket = held

    with socket.socket() as held:
        assert listeners.listening_problem(Port(held)) == "it does not listen"
    assert listeners.listening_problem(Port(held)) == listeners.CLOSED
