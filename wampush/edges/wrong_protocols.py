"""Clients that speak another protocol than a port for HTTP and WebSocket.

Owns: recognising their first bytes, and what to say about them. Pure.
Must not import: anything of wampush.

Without this, such a client and the server would wait for each other until a time limit.
"""

from __future__ import annotations

from typing import Final

#: How a TLS client begins: a handshake record (RFC 8446 section 5.1).
_TLS_RECORD: Final = b"\x16\x03"
#: How a ZeroMQ peer begins: the signature of ZMTP, of which the last bytes may vary (ZMTP 3.0).
_ZMTP_SIGNATURE: Final = b"\xff\0\0\0\0\0\0\0"
_TLS: Final = (
    "The client speaks TLS (wss://, https://) on a port without TLS; connect with ws:// or "
    "http://, or listen on an ssl: endpoint."
)
_ZEROMQ: Final = "The client speaks ZeroMQ; connect PUSH sockets to an address of zmq.pull."
_KINDS: Final = ((_TLS_RECORD, _TLS), (_ZMTP_SIGNATURE, _ZEROMQ))


def wrong_protocol(data: bytes) -> str | None:
    """Return which other protocol a client speaks and what would be right, or None.

    :param data: everything received so far.
    """
    for beginning, sentence in _KINDS:
        if data.startswith(beginning):
            return sentence
    return None
