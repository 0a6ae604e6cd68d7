"""The opening handshake on the wire (RFC 6455 section 4.2).

Owns: parsing and checking the request header, and the responses. Pure: bytes in, bytes out.
Must not import: Twisted, Autobahn, the broker.

Autobahn's own handshake is not used: it spends three quarters of a connect on formatting messages
for a debug log, redirects to any URL that a query asks for, and sends refusals without a body.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import orjson

from wampush.edges.problems import PROBLEM_TYPE, problem
from wampush.edges.wrong_protocols import wrong_protocol
from wampush.errors import CloseReason, ConnectionRefused
from wampush.speedups import EXTENSION

SUBPROTOCOL: Final = "wamp"
#: How the names of the subprotocols of WAMP v2 begin, such as ``wamp.2.json``.
_WAMP_V2: Final = "wamp.2."
END_OF_HEAD: Final = b"\r\n\r\n"
#: The first bytes of a proxy that sends the binary PROXY protocol (version 2).
_PROXY_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
_LINE_END: Final = b"\r\n"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: "
)
_SINGULAR: Final = frozenset(("host", "sec-websocket-key", "sec-websocket-version", "origin"))
#: The target of a request as proxies get it (RFC 9112 section 3.2.2).
_ABSOLUTE: Final = re.compile(
    r"(?:http|ws)s?://(?P<authority>[^/?#@]+)(?P<target>[/?].*)?", re.IGNORECASE
)
#: Methods of requests for a page; health checks use the latter two.
_PAGE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_ALLOW: Final = f"Allow: {', '.join(_PAGE_METHODS)}\r\n"
_TEXT: Final = "text/plain; charset=utf-8"
_PROXY_HINT: Final = (
    "nginx needs proxy_http_version 1.1 and the Upgrade headers (proxy_set_header Upgrade "
    '$http_upgrade and Connection "upgrade").'
)
_PROXY_PROTOCOL: Final = (
    "The request begins with the PROXY protocol; put haproxy: before the endpoint in "
    "websocket.listen, or turn it off in the proxy."
)


class HandshakeRefused(ConnectionRefused):
    """A request that does not open a WebSocket."""


class PageRequest(NamedTuple):
    """An ordinary request, as a browser or a health check sends it.

    :param method: GET, HEAD or OPTIONS.
    :param target: path and query; or ``*``.
    :param headers: by lower-case name; repeated ones joined by a comma.
    """

    method: str
    target: str
    headers: Mapping[str, str]


class UpgradeRequest(NamedTuple):
    """A well-formed request to open a WebSocket.

    :param target: path and query.
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

    :param ends: how many line ends the header has.
    """
    return head.count(b"\r") == ends == head.count(b"\n") and b"\0" not in head


def _list_items(value: str) -> tuple[str, ...]:
    if "," not in value:
        return (value,) if value else ()
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
    :raises HandshakeRefused: when the header is too long, or the client speaks another
        protocol.
    """
    start = 0 if data.startswith(b"GET ") else _start(data)
    end = data.find(END_OF_HEAD, start)
    if end > limit or (end < 0 and len(data) > limit):
        raise HandshakeRefused(CloseReason.HEADER_TOO_LARGE, f"{limit} bytes are allowed.")
    return None if end < 0 else data[:end]


def _start(data: bytes) -> int:
    """Return where the request begins in data that may not begin with one."""
    mistake = wrong_protocol(data)
    if mistake is not None:
        # Without a response the client would wait for one until its time limit.
        raise HandshakeRefused(CloseReason.WRONG_PROTOCOL, mistake)
    if not data.startswith(_LINE_END):
        return 0
    if data.startswith(_PROXY_V2):
        raise _bad(_PROXY_PROTOCOL)
    # An empty line before the request is ignored (RFC 9112 section 2.2).
    return len(_LINE_END)


def parse(head: bytes) -> UpgradeRequest | PageRequest:
    """Parse and check a request header.

    :param head: request line and headers, without the empty line at the end.
    :raises HandshakeRefused: when the header is neither of a handshake nor of a request for a page.
    """
    head = head.removeprefix(_LINE_END)
    # The extension leaves unusual requests to the code in Python, which says what is wrong.
    if EXTENSION is not None and (handshake := EXTENSION.read_handshake(head)) is not None:
        target, headers = handshake
        offered = _list_items(headers.get("sec-websocket-protocol", ""))
        return UpgradeRequest(target, headers, headers["sec-websocket-key"], offered)
    found = None if EXTENSION is None else EXTENSION.scan_request(head)
    method, target, version, headers = scan_in_python(head) if found is None else found
    upgrade = headers.get("upgrade")
    if upgrade is None and "sec-websocket-key" not in headers:
        if version == "HTTP/1.1":
            _check_present(headers, "host")
        if not target.startswith("/") and target != "*":
            target, headers["host"] = _split_absolute(target)
        return PageRequest(method, target, headers)
    if version != "HTTP/1.1":
        raise _bad(f"The request is {version}, not HTTP/1.1, perhaps from a proxy: {_PROXY_HINT}")
    if method != "GET":
        raise _bad(f"The method is {method!r}, not 'GET'.")
    _check_present(headers, "host")
    if upgrade is None:
        raise _bad(f"The header 'upgrade' is missing; a proxy may have removed it: {_PROXY_HINT}")
    if "websocket" not in upgrade.lower():
        raise _bad(f"Upgrade is {upgrade[:40]!r}, not 'websocket'.")
    if "upgrade" not in headers.get("connection", "").lower():
        raise _bad(
            f"Connection does not contain 'Upgrade'; a proxy may have removed it: {_PROXY_HINT}"
        )
    key = _checked_key(headers)
    if not target.startswith("/"):
        target, headers["host"] = _split_absolute(target)
    offered = _list_items(headers.get("sec-websocket-protocol", ""))
    return UpgradeRequest(target, headers, key, offered)


def scan_in_python(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    """Return method, target, version, and the headers by lower-case name.

    :param head: request line and headers, without an empty line before or after them.
    :raises HandshakeRefused: when one of them is malformed.
    """
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = _read_request_line(request_line)
    if not _is_clean(head, len(lines)):
        raise _bad("The header contains a CR, LF or NUL that does not end a line.")
    return method, target, version, _headers(lines)


def _read_request_line(line: str) -> tuple[str, str, str]:
    """Return method, target and version.

    :raises HandshakeRefused: when it is not a request line, or its method is for neither a
        handshake nor a page.
    """
    if line.startswith("PROXY "):
        raise _bad(_PROXY_PROTOCOL)
    words = line.split(" ")
    if (
        len(words) != 3
        or words[2] not in ("HTTP/1.1", "HTTP/1.0")
        or not (words[1].startswith("/") or _ABSOLUTE.fullmatch(words[1]) or words[1] == "*")
    ):
        # The query is left out because it may hold a token.
        query = "?…" if "?" in line else ""
        shown = line.partition("?")[0][:80] + query
        raise _bad(f"The request line is {shown!r}, not 'GET /path HTTP/1.1'.")
    if words[0] not in _PAGE_METHODS:
        raise _bad(f"The method is {words[0][:20]!r}, not 'GET'.")
    return words[0], words[1], words[2]


def _split_absolute(target: str) -> tuple[str, str]:
    """Return path and query of an absolute target, and its host, which replaces the header's."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise _bad("The target of the request is '*', not a path.")
    path = match["target"] or "/"
    return path if path.startswith("/") else f"/{path}", match["authority"]


def _checked_key(headers: Mapping[str, str]) -> str:
    """Return ``Sec-WebSocket-Key`` of a handshake of version 13."""
    version = headers.get("sec-websocket-version", "")
    if version != "13":
        _check_present(headers, "sec-websocket-version")
        raise _bad(f"Sec-WebSocket-Version is {version[:40]!r}, not '13'.")
    key = headers.get("sec-websocket-key", "")
    if not _is_valid_key(key):
        _check_present(headers, "sec-websocket-key")
        raise _bad(f"Sec-WebSocket-Key {key[:40]!r} is not 16 bytes in Base64.")
    return key


def subprotocol(offered: Sequence[str], required: bool) -> str | None:
    """Choose the subprotocol to answer with: ``wamp`` whenever it is offered.

    :param offered: by the client, in its order of preference.
    :param required: whether a client must offer ``wamp``.
    :raises HandshakeRefused: when it must and did not, or when the client speaks WAMP v2 only.
    """
    if SUBPROTOCOL in offered:
        return SUBPROTOCOL
    if any(each.startswith(_WAMP_V2) for each in offered):
        raise HandshakeRefused(CloseReason.WAMP_V2, f"Offered: {', '.join(offered)[:80]!r}.")
    if required:
        names = ", ".join(offered)[:80]
        # The representation, because this is logged and may hold any character.
        shown = repr(names) if names else "nothing"
        raise HandshakeRefused(CloseReason.SUBPROTOCOL_REQUIRED, f"Offered: {shown}.")
    return None


def _proof(key: str) -> bytes:
    """Return ``Sec-WebSocket-Accept`` for a valid key (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False)


def accept(key: str, chosen: str | None, extension: str = "", cookie: str = "") -> bytes:
    """Return the response that opens the WebSocket.

    :param key: the client's ``Sec-WebSocket-Key``.
    :param chosen: the subprotocol, None for none.
    :param extension: the value of Sec-WebSocket-Extensions, "" for none.
    :param cookie: the value of Set-Cookie, "" for none.
    """
    response = _SWITCHING + _proof(key)
    if chosen is not None:
        response += b"\r\nSec-WebSocket-Protocol: " + chosen.encode()
    if extension:
        response += b"\r\nSec-WebSocket-Extensions: " + extension.encode()
    if cookie:
        response += b"\r\nSet-Cookie: " + cookie.encode()
    return response + END_OF_HEAD


def _response(status: HTTPStatus, content_type: str, body: bytes, extra: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {content_type}\r\n"
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


def shared_with(headers: Mapping[str, str]) -> str:
    """Return the header lines that let the page of a request read the response (Fetch, CORS).

    :param headers: of a request whose origin is permitted, by lower-case name.
    """
    lines = "Vary: Origin\r\n"
    origin = headers.get("origin")
    if origin:
        lines += (
            f"Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n"
        )
    return lines


def preflight(lines: str) -> bytes:
    """Return the response to OPTIONS on a path with a route for ordinary requests.

    :param lines: see :func:`shared_with`.
    """
    if "Access-Control" in lines:
        lines += (
            "Access-Control-Allow-Methods: GET, HEAD\r\n"
            "Access-Control-Allow-Headers: Authorization, Cache-Control, Last-Event-ID\r\n"
            "Access-Control-Max-Age: 600\r\n"
        )
    return _response(HTTPStatus.OK, _TEXT, b"", f"Allow: {', '.join(_PAGE_METHODS)}\r\n{lines}")


def refusal(error: HandshakeRefused, extra: str = "", *, is_plain: bool = False) -> bytes:
    """Return the response to a refused handshake; its body says why.

    :param extra: further header lines.
    :param is_plain: whether an ordinary request is refused, whose response is read by programs.
    """
    status = HTTPStatus(error.reason.value.http_status or HTTPStatus.BAD_REQUEST)
    if status == HTTPStatus.BAD_REQUEST and not is_plain:
        extra += "Sec-WebSocket-Version: 13\r\n"
    elif status == HTTPStatus.UNAUTHORIZED:
        extra += f"WWW-Authenticate: {_challenge(error.reason)}\r\n"
    if is_plain:
        members = {"code": error.reason.code, "sentence": error.reason.sentence}
        body = orjson.dumps(problem(status, error.detail, members)) + b"\n"
        return _response(status, PROBLEM_TYPE, body, extra)
    return _response(status, _TEXT, f"{error}\n".encode(), extra)


def page(server: str, method: str = "GET") -> bytes:
    """Return the response to a browser that opens the WebSocket port as a page.

    A health check that sends HEAD or OPTIONS gets the header alone.

    :param server: name and version of the server.
    :param method: of the request.
    """
    if method == "OPTIONS":
        return _response(HTTPStatus.OK, _TEXT, b"", _ALLOW)
    body = (
        "<!doctype html>\n<html lang=en><meta charset=utf-8><title>wampush</title>\n"
        "<meta name=viewport content='width=device-width'>\n"
        "<style>:root{color-scheme:light dark}"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;"
        "padding:0 1rem}code{background:#8882;padding:.1em .3em;border-radius:.2em}</style>\n"
        f"<h1>{server}</h1>\n"
        "<p>This port serves WebSocket connections. Pages connect to it with WAMP&nbsp;v1 and "
        "subscribe to the topics that backends publish to.\n"
        "<p>To connect from a page that loads <code>/static/wampush.js</code> from this port, or "
        "<code>autobahn.min.js</code>: "
        "<code>new ab.Session('ws://' + location.host, onopen, onclose)</code>\n"
        "<p>The demo page and the health check are on the HTTP port.\n"
    )
    response = _response(HTTPStatus.OK, "text/html; charset=utf-8", body.encode())
    return response.partition(END_OF_HEAD)[0] + END_OF_HEAD if method == "HEAD" else response
