"""Ports that stay reserved until a server listens."""

from __future__ import annotations

import socket

from wampush.testing.ports import reserved_ports


def test_a_server_can_listen_on_a_reserved_port() -> None:
    with reserved_ports(2) as (first, second):
        assert first != second
        with socket.create_server(("127.0.0.1", first)), socket.socket() as stranger:
            stranger.bind(("127.0.0.1", 0))
            assert stranger.getsockname()[1] not in (first, second)
