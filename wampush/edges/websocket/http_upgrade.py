"""The opening handshake (RFC 6455 section 4.2).

Owns: reading the request header, judging it, and the answers. Pure: bytes in, bytes out.
Must not import: Twisted, Autobahn, the broker.

Autobahn's own handshake is not used: it spends three quarters of a connect on formatting messages
for a debug log, redirects to any URL that a query asks for, and answers refusals without a body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from wampush.errors import CloseReason, WampushError

SUBPROTOCOL: Final = "wamp"
END_OF_HEAD: Final = b"\r\n\r\n"
#: How a TLS client begins: a handshake record (RFC 8446 section 5.1).
_TLS_RECORD: Final = b"\x16\x03"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SINGLE: Final = frozenset(
    ("host", "sec-websocket-key", "sec-websocket-version", "origin", "upgrade")
)


class HandshakeRefused(WampushError):
    """The request does not open a WebSocket.

    :param reason: the row of the table; its ``http_status`` is the answer's.
    :param detail: what exactly was found.
    """

    def __init__(self, reason: CloseReason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason.sentence} {detail}".strip())


@dataclass(frozen=True, slots=True)
class Handshake:
    """A request that may open a WebSocket.

    :param target: path and query as sent.
    :param headers: by lower-case name; repeated ones joined by a comma.
    :param key: ``Sec-WebSocket-Key``.
    :param subprotocols: what the client offers, in its order.
    """

    target: str
    headers: Mapping[str, str]
    key: str
    subprotocols: tuple[str, ...]


def _bad(detail: str) -> HandshakeRefused:
    return HandshakeRefused(CloseReason.BAD_HANDSHAKE, detail)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            # Not the line itself: it may be a cookie or a token.
            raise _bad(f"Header line {number} is malformed.")
        name = name.lower()
        value = value.strip()
        if name in headers:
            if name in _SINGLE:
                raise _bad(f"The header {name!r} appears more than once.")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _is_clean(head: bytes) -> bool:
    """Whether line ends are where lines end, and nowhere a NUL (RFC 9110 section 5.5).

    Applications get the values, and might put them into headers and logs.
    """
    ends = head.count(b"\r\n")
    return head.count(b"\r") == ends == head.count(b"\n") and b"\0" not in head


def _list(value: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _check_key(key: str) -> None:
    try:
        valid = len(key) == 24 and len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        raise _bad(f"Sec-WebSocket-Key {key[:40]!r} is not 16 bytes in Base64.")


def complete_head(data: bytes, limit: int) -> bytes | None:
    """The request header at the front of what has come so far.

    :param limit: its longest size in bytes.
    :returns: request line and headers without the empty line at the end; None while it lacks.
    :raises HandshakeRefused: when it is too long already, or can not become one.
    """
    if data.startswith(_TLS_RECORD):
        # Without an answer its sender would wait for it until time is up.
        raise _bad("It speaks TLS (wss://), and this port does not; connect with ws://.")
    end = data.find(END_OF_HEAD)
    if end > limit or (end < 0 and len(data) > limit):
        raise HandshakeRefused(CloseReason.HEADER_TOO_LARGE, f"{limit} bytes are allowed.")
    return None if end < 0 else data[:end]


def parse(head: bytes) -> Handshake | None:
    """The handshake in a request header.

    :param head: request line and headers, without the empty line at the end.
    :returns: None when it is an ordinary GET, as a browser sends for a page.
    :raises HandshakeRefused: when it is neither.
    """
    request_line, *lines = head.decode("latin-1").split("\r\n")
    words = request_line.split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1" or not words[1].startswith("/"):
        # The query is left out, because it may hold a token.
        query = "?…" if "?" in request_line else ""
        raise _bad(f"The request line is {request_line.partition('?')[0][:80] + query!r}.")
    if words[0] != "GET":
        raise _bad(f"The method is {words[0][:20]!r}, not 'GET'.")
    if not _is_clean(head):
        raise _bad("The header holds a CR, LF or NUL that does not end a line.")
    headers = _headers(lines)
    if "host" not in headers:
        raise _bad("The header 'host' is missing.")
    if "upgrade" not in headers:
        return None
    if "websocket" not in headers["upgrade"].lower():
        raise _bad(f"Upgrade is {headers['upgrade'][:40]!r}, not 'websocket'.")
    if "upgrade" not in headers.get("connection", "").lower():
        raise _bad("Connection does not say 'Upgrade'; a proxy may have removed it.")
    if headers.get("sec-websocket-version") != "13":
        raise _bad(f"Sec-WebSocket-Version is {headers.get('sec-websocket-version')!r}, not '13'.")
    key = headers.get("sec-websocket-key", "")
    _check_key(key)
    return Handshake(words[1], headers, key, _list(headers.get("sec-websocket-protocol", "")))


def subprotocol(handshake: Handshake, required: bool) -> str | None:
    """The subprotocol to answer with: ``wamp`` whenever it is offered.

    :param required: whether a client must offer it.
    :raises HandshakeRefused: when it must and did not.
    """
    if SUBPROTOCOL in handshake.subprotocols:
        return SUBPROTOCOL
    if required:
        # The representation, because this goes into the log and may hold any character.
        names = ", ".join(handshake.subprotocols)[:80]
        offered = repr(names) if names else "nothing"
        raise HandshakeRefused(CloseReason.SUBPROTOCOL_REQUIRED, f"Offered: {offered}.")
    return None


def accept(handshake: Handshake, chosen: str | None, extension: str = "") -> bytes:
    """The answer that opens the WebSocket.

    :param chosen: the subprotocol, None for none.
    :param extension: the value of Sec-WebSocket-Extensions, "" for none.
    """
    proof = hashlib.sha1(handshake.key.encode() + _GUID, usedforsecurity=False)
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(proof.digest()),
    ]
    if chosen is not None:
        lines.append(b"Sec-WebSocket-Protocol: " + chosen.encode())
    if extension:
        lines.append(b"Sec-WebSocket-Extensions: " + extension.encode())
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _response(status: HTTPStatus, content_type: str, body: bytes, extra: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {content_type}; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"X-Content-Type-Options: nosniff\r\n{extra}Connection: close\r\n\r\n"
    )
    return head.encode() + body


def _challenge(reason: CloseReason) -> str:
    """How to get in (RFC 6750 section 3); without a token there is no error to tell of (3.1)."""
    challenge = 'Bearer realm="wampush"'
    if reason is CloseReason.TOKEN_REFUSED:
        challenge += ', error="invalid_token"'
    return challenge


def refusal(error: HandshakeRefused) -> bytes:
    """The answer that says why no WebSocket is opened."""
    status = HTTPStatus(error.reason.value.http_status or HTTPStatus.BAD_REQUEST)
    extra = ""
    if status == HTTPStatus.BAD_REQUEST:
        extra = "Sec-WebSocket-Version: 13\r\n"
    elif status == HTTPStatus.UNAUTHORIZED:
        extra = f"WWW-Authenticate: {_challenge(error.reason)}\r\n"
    return _response(status, "text/plain", f"{error}\n".encode(), extra)


def page(server: str) -> bytes:
    """The answer to a browser that opens the WebSocket port as a page.

    :param server: name and version of the server.
    """
    body = (
        "<!doctype html>\n<html lang=en><meta charset=utf-8><title>wampush</title>\n"
        "<meta name=viewport content='width=device-width'>\n"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;"
        "padding:0 1rem}code{background:#8882;padding:.1em .3em;border-radius:.2em}</style>\n"
        f"<h1>{server}</h1>\n"
        "<p>This is a WebSocket port: it speaks WAMP&nbsp;v1, for pages to subscribe to topics and "
        "get what backends push.\n"
        "<p>From a page with <code>autobahn.min.js</code>: "
        "<code>new ab.Session('ws://' + location.host, onopen, onclose)</code>\n"
        "<p>The demo page and the health check are on the HTTP port.\n"
    )
    return _response(HTTPStatus.OK, "text/html", body.encode())
