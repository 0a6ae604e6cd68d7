"""Endpoint strings to ports, and errors for operators."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory

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
    "systemd:domain=INET:index=99": "are not valid",
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
