"""Where endpoint strings and ZeroMQ addresses listen."""

from __future__ import annotations

import socket

import pytest

from wampush.parent.sockets.targets import (
    BACKLOG,
    PULL,
    PULL_BACKLOG,
    WEBSOCKET,
    Listening,
    Target,
    of_address,
)

V4, V6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp:8080", Listening(Target(V4, "", 8080), BACKLOG)),
        ("tcp:8080:interface=127.0.0.1", Listening(Target(V4, "127.0.0.1", 8080), BACKLOG)),
        ("tcp:8080:127.0.0.1:7", Listening(Target(V4, "127.0.0.1", 8080), 7)),
        (r"tcp:8080:interface=\:\:1", Listening(Target(V6, "::1", 8080), BACKLOG)),
        ("tcp6:8080", Listening(Target(V6, "::", 8080), BACKLOG)),
        ("ssl:8443:interface=10.0.0.1", Listening(Target(V4, "10.0.0.1", 8443), BACKLOG)),
        ("haproxy:tcp:8080", Listening(Target(V4, "", 8080), BACKLOG)),
        ("unix:/run/a:mode=660", Listening(Target(UNIX, "/run/a"), BACKLOG, 0o660)),
        ("unix:/run/a", Listening(Target(UNIX, "/run/a"), BACKLOG, 0o666)),
        (
            "tcp:0:interface=localhost",
            Listening(Target(V4, "localhost", 0, "websocket 2"), BACKLOG),
        ),
        ("onion:80", None),
    ],
)
def test_endpoints(endpoint: str, expected: Listening | None) -> None:
    assert of_address(WEBSOCKET, endpoint, 2) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("tcp://127.0.0.1:5555", Listening(Target(V4, "127.0.0.1", 5555), PULL_BACKLOG)),
        ("tcp://*:5555", Listening(Target(V4, "0.0.0.0", 5555), PULL_BACKLOG)),
        ("tcp://lo:5555", Listening(Target(V4, "127.0.0.1", 5555), PULL_BACKLOG)),
        ("tcp://127.0.0.1:*", Listening(Target(V4, "127.0.0.1", 0, "pull 1"), PULL_BACKLOG)),
        ("tcp://[::1]:*", Listening(Target(V6, "::1", 0, "pull 1"), PULL_BACKLOG)),
        ("tcp://[::1]:5555", Listening(Target(V6, "::1", 5555), PULL_BACKLOG)),
        ("ipc:///run/a", Listening(Target(UNIX, "/run/a"), PULL_BACKLOG, 0o600)),
        ("ipc://@a", Listening(Target(UNIX, "\0a"), PULL_BACKLOG, 0o600)),
        ("ipc://*", None),
        ("connect:tcp://127.0.0.1:5555", None),
        ("tcp://no-such-interface:5555", None),
        ("tcp://nic0:5555", None),
    ],
)
def test_pull_addresses(address: str, expected: Listening | None) -> None:
    assert of_address(PULL, address, 1) == expected


def test_sockets_of_a_service_manager_have_numbers_or_names() -> None:
    by_number = of_address(WEBSOCKET, "systemd:domain=INET:index=1")
    by_name = of_address(WEBSOCKET, "haproxy:systemd:INET:name=web")
    assert by_number is not None
    assert by_name is not None
    assert (by_number.passed, by_name.passed) == (1, "web")
    assert by_number.target != by_name.target
