"""The opening handshake on the wire (RFC 6455 section 4.2).

Owns: parsing and checking the request header, and the responses. Pure: bytes in, bytes out.
Must not import: Twisted, Autobahn, the broker.

Autobahn's own handshake is not used: it spends three quarters of a connect on formatting messages
for a debug log, redirects to any URL that a query asks for, and sends refusals without a body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from wampush.errors import CloseReason, ConnectionRefused

SUBPROTOCOL: Final = "wamp"
END_OF_HEAD: Final = b"\r\n\r\n"
#: The first bytes of a TLS client: a handshake record (RFC 8446 section 5.1).
_TLS_RECORD: Final = b"\x16\x03"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SINGULAR: Final = frozenset(
    ("host", "sec-websocket-key", "sec-websocket-version", "origin", "upgrade")
)


class HandshakeRefused(ConnectionRefused):
    """A request that does not open a WebSocket."""


class UpgradeRequest(NamedTuple):
    """A well-formed request to open a WebSocket.

    :param target: path and query as sent.
    :param headers: by lower-case name; repeated ones joined by a comma.
    :param key: ``Sec-WebSocket-Key``.
    :param subprotocols: offered by the client, in its order of preference.
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
            if name in _SINGULAR:
                raise _bad(f"The header {name!r} appears more than once.")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _is_clean(head: bytes, ends: int) -> bool:
    """Whether every CR and LF ends a line and there is no NUL (RFC 9110 section 5.5).

    Applications get the values, and may write them to headers and logs.

    :param ends: how many line ends the header has.
    """
    return head.count(b"\r") == ends == head.count(b"\n") and b"\0" not in head


def _list_items(value: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, value.split(","))))


def _check_present(headers: Mapping[str, str], name: str) -> None:
    if name not in headers:
        raise _bad(f"The header {name!r} is missing.")


def _is_valid_key(key: str) -> bool:
    try:
        return len(key) == 24 and len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except (binascii.Error, ValueError):
        return False


def complete_head(data: bytes, limit: int) -> bytes | None:
    """Return the complete request header at the start of the data.

    :param data: everything received so far.
    :param limit: the longest header, in bytes.
    :returns: request line and headers without the empty line at the end; None while incomplete.
    :raises HandshakeRefused: when the header is too long, or the client speaks TLS.
    """
    if data.startswith(_TLS_RECORD):
        # Without a response the client would wait for one until its time limit.
        raise _bad("The client speaks TLS (wss://) on a port without TLS; connect with ws://.")
    end = data.find(END_OF_HEAD)
    if end > limit or (end < 0 and len(data) > limit):
        raise HandshakeRefused(CloseReason.HEADER_TOO_LARGE, f"{limit} bytes are allowed.")
    return None if end < 0 else data[:end]


def parse(head: bytes) -> UpgradeRequest | None:
    """Parse and check a request header.

    :param head: request line and headers, without the empty line at the end.
    :returns: None for an ordinary GET, as a browser sends for a page.
    :raises HandshakeRefused: when the header is neither.
    """
    request_line, *lines = head.decode("latin-1").split("\r\n")
    words = request_line.split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1" or not words[1].startswith("/"):
        # The query is left out because it may hold a token.
        query = "?…" if "?" in request_line else ""
        shown = request_line.partition("?")[0][:80] + query
        raise _bad(f"The request line is {shown!r}, not 'GET /path HTTP/1.1'.")
    if words[0] != "GET":
        raise _bad(f"The method is {words[0][:20]!r}, not 'GET'.")
    if not _is_clean(head, len(lines)):
        raise _bad("The header contains a CR, LF or NUL that does not end a line.")
    headers = _headers(lines)
    _check_present(headers, "host")
    upgrade = headers.get("upgrade")
    if upgrade is None:
        return None
    if "websocket" not in upgrade.lower():
        raise _bad(f"Upgrade is {upgrade[:40]!r}, not 'websocket'.")
    if "upgrade" not in headers.get("connection", "").lower():
        raise _bad("Connection does not contain 'Upgrade'; a proxy may have removed it.")
    version = headers.get("sec-websocket-version", "")
    if version != "13":
        _check_present(headers, "sec-websocket-version")
        raise _bad(f"Sec-WebSocket-Version is {version[:40]!r}, not '13'.")
    key = headers.get("sec-websocket-key", "")
    if not _is_valid_key(key):
        _check_present(headers, "sec-websocket-key")
        raise _bad(f"Sec-WebSocket-Key {key[:40]!r} is not 16 bytes in Base64.")
    offered = _list_items(headers.get("sec-websocket-protocol", ""))
    return UpgradeRequest(words[1], headers, key, offered)


def subprotocol(offered: Sequence[str], required: bool) -> str | None:
    """Choose the subprotocol to answer with: ``wamp`` whenever it is offered.

    :param offered: by the client, in its order of preference.
    :param required: whether a client must offer ``wamp``.
    :raises HandshakeRefused: when it must and did not.
    """
    if SUBPROTOCOL in offered:
        return SUBPROTOCOL
    if required:
        names = ", ".join(offered)[:80]
        # The representation, because this is logged and may hold any character.
        shown = repr(names) if names else "nothing"
        raise HandshakeRefused(CloseReason.SUBPROTOCOL_REQUIRED, f"Offered: {shown}.")
    return None


def accept(key: str, chosen: str | None, extension: str = "") -> bytes:
    """Return the response that opens the WebSocket.

    :param key: the client's ``Sec-WebSocket-Key``.
    :param chosen: the subprotocol, None for none.
    :param extension: the value of Sec-WebSocket-Extensions, "" for none.
    """
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
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
    """Return the value of WWW-Authenticate (RFC 6750 section 3).

    A request without a token gets no error code (section 3.1).
    """
    challenge = 'Bearer realm="wampush"'
    if reason is CloseReason.TOKEN_REFUSED:
        challenge += ', error="invalid_token"'
    return challenge


def refusal(error: HandshakeRefused) -> bytes:
    """Return the response to a refused handshake; its body says why."""
    status = HTTPStatus(error.reason.value.http_status or HTTPStatus.BAD_REQUEST)
    extra = ""
    if status == HTTPStatus.BAD_REQUEST:
        extra = "Sec-WebSocket-Version: 13\r\n"
    elif status == HTTPStatus.UNAUTHORIZED:
        extra = f"WWW-Authenticate: {_challenge(error.reason)}\r\n"
    return _response(status, "text/plain", f"{error}\n".encode(), extra)


def page(server: str) -> bytes:
    """Return the response to a browser that opens the WebSocket port as a page.

    :param server: name and version of the server.
    """
    body = (
        "<!doctype html>\n<html lang=en><meta charset=utf-8><title>wampush</title>\n"
        "<meta name=viewport content='width=device-width'>\n"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;"
        "padding:0 1rem}code{background:#8882;padding:.1em .3em;border-radius:.2em}</style>\n"
        f"<h1>{server}</h1>\n"
        "<p>This port serves WebSocket connections. Pages connect to it with WAMP&nbsp;v1 and "
        "subscribe to the topics that backends publish to.\n"
        "<p>To connect from a page that loads <code>autobahn.min.js</code>: "
        "<code>new ab.Session('ws://' + location.host, onopen, onclose)</code>\n"
        "<p>The demo page and the health check are on the HTTP port.\n"
    )
    return _response(HTTPStatus.OK, "text/html", body.encode())
