"""Options of TCP sockets."""

from __future__ import annotations

import socket

from wampush.tcp_options import TCP_NOTSENT_LOWAT, UNSENT_BYTES, set_tcp_options


def options_of(tcp: socket.socket) -> tuple[bool, int]:
    """Whether data is sent at once, and the limit of unsent bytes."""
    at_once = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    return bool(at_once), tcp.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT)


def test_a_connection_has_the_options_that_its_listening_socket_had_when_it_was_completed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with socket.create_connection(listening.getsockname()):
            set_tcp_options(listening)
            early, _ = listening.accept()
        with socket.create_connection(listening.getsockname()):
            late, _ = listening.accept()
    with early, late:
        assert options_of(late) == (True, UNSENT_BYTES)
        assert options_of(early) == (False, 0)
        set_tcp_options(early)
        assert options_of(early) == options_of(late)
