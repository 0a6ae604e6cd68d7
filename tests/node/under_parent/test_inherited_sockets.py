"""Listening on sockets that are open already."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from wampush.node.under_parent.inherited_sockets import AdoptingReactor, carrier_of_passed

FACTORY = Factory.forProtocol(Protocol)


def closed(port: Any) -> None:
    """Close a port as the reactor does, without waiting for a turn."""
    port.stopReading()
    port.connectionLost(None)


def test_a_tcp_port_stays_open_for_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        adopting = AdoptingReactor(reactor, listening)
        for port in (
            adopting.listenTCP(8080, FACTORY, interface="ignored"),
            adopting.adoptStreamPort(-1, socket.AF_INET, FACTORY),
        ):
            assert port.getHost().port == listening.getsockname()[1]
            closed(port)
        with socket.create_connection(listening.getsockname(), timeout=10):
            listening.setblocking(True)
            listening.accept()[0].close()


def test_a_unix_port_stays_open_and_keeps_its_file(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o640)
        listening.listen()
        listening.setblocking(False)
        port = AdoptingReactor(reactor, listening).listenUNIX("ignored", FACTORY)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert port.getHost().name == os.fsencode(path)
        closed(port)
        assert path.exists()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            listening.setblocking(True)
            listening.accept()[0].close()


def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0wampush-test-adopt-{os.getpid()}")
        listening.listen()
        listening.setblocking(False)
        closed(AdoptingReactor(reactor, listening).listenUNIX("ignored", FACTORY))


def test_everything_else_is_the_reactor_s() -> None:
    with socket.socket() as listening:
        adopting = AdoptingReactor(reactor, listening)
        assert adopting.callLater == reactor.callLater


def test_a_socket_of_the_service_manager_has_another_carrier() -> None:
    assert carrier_of_passed("systemd:INET:name=web") == "tcp:0"
    assert carrier_of_passed("haproxy:systemd:INET:index=0") == "haproxy:tcp:0"
    assert carrier_of_passed("tcp:8080") is None
