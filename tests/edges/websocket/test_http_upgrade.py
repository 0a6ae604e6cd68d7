"""The opening handshake: what opens, what is refused and why, in whatever pieces it arrives."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.edges.websocket.in_memory import KEY, MemoryNode, frames, masked, request
from tests.support.built_extension import build_extension
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.websocket import http_upgrade
from wampush.edges.websocket.http_upgrade import HandshakeRefused, PageRequest, UpgradeRequest
from wampush.edges.websocket.server import SERVER
from wampush.errors import CloseReason


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build_extension(tmp_path_factory.mktemp("extension"))


@pytest.fixture(autouse=True, params=["C", "Python"])
def code(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with the extension and without it."""
    extension = None if request.param == "Python" else request.getfixturevalue("extension")
    monkeypatch.setattr(http_upgrade, "EXTENSION", extension)


def without(name: str) -> bytes:
    """A request that lacks one header."""
    lines = request().split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(name.lower().encode() + b":")]
    assert len(kept) == len(lines) - 1
    return b"\r\n".join(kept)


def changed(old: str, new: str) -> bytes:
    """A request with one piece of text replaced."""
    text = request().decode("latin-1")
    assert old in text
    return text.replace(old, new).encode("latin-1")


def answer_to(data: bytes, settings: WebSocketSettings | None = None) -> bytes:
    node = MemoryNode(settings or WebSocketSettings())
    peer = node.connect()
    peer.send(data)
    return peer.take()


def head_of(answer: bytes) -> tuple[str, dict[str, str], bytes]:
    head, separator, body = answer.partition(b"\r\n\r\n")
    assert separator
    status, *lines = head.decode("latin-1").split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


ACCEPTED = {
    "as a browser sends it": request("Origin: http://127.0.0.1", "Cookie: a=b; c=d"),
    "names in lower case": changed("Sec-WebSocket-Version", "sec-websocket-version"),
    "Upgrade in capitals": changed("Upgrade: websocket", "Upgrade: WebSocket"),
    "Connection with more": changed("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
    "Connection twice": request("Connection: keep-alive"),
    "no space after the colon": changed("Host: 127", "Host:127"),
    "path and query": request(target="/push?token=abc%20d&x=1"),
    "header bytes beyond ASCII": request("X-Name: J\xfcrgen"),
    "Upgrade on two lines": request("Upgrade: websocket"),
    "an empty line before the request": b"\r\n" + request(),
    "an absolute target": request(target="ws://127.0.0.1/"),
    "an absolute target of HTTP": request(target="http://127.0.0.1:8080/push?a=b"),
    "an absolute target without a path": request(target="HTTP://127.0.0.1?a=b"),
    "origin with a slash": request("Origin: http://127.0.0.1/"),
    "origin with a path": request("Origin: http://127.0.0.1/chat/index.html"),
    "origin without a scheme": request("Origin: 127.0.0.1"),
    "empty origin": request("Origin:"),
    "cookies in two headers": request("Cookie: a=b", "Cookie: c=d"),
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_valid_requests_open(data: bytes) -> None:
    answer = answer_to(data)
    status, headers, rest = head_of(answer)
    assert status == "HTTP/1.1 101 Switching Protocols"
    proof = hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    assert headers == {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(proof).decode(),
        "Sec-WebSocket-Protocol": "wamp",
    }
    (welcome,) = frames(rest)
    assert welcome.first == 0x81
    assert welcome.payload.startswith(b"[0,")


def test_accept_is_the_value_of_the_rfc() -> None:
    parsed = http_upgrade.parse(request().removesuffix(b"\r\n\r\n"))
    assert isinstance(parsed, UpgradeRequest)
    assert http_upgrade.accept(KEY, None, cookie="a=b").endswith(b"Set-Cookie: a=b\r\n\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in http_upgrade.accept(
        parsed.key, None
    )


REFUSED = {
    "post": (changed("GET /", "POST /"), "The method is 'POST'"),
    "head": (changed("GET /", "HEAD /"), "The method is 'HEAD'"),
    "options": (changed("GET /", "OPTIONS /"), "The method is 'OPTIONS'"),
    "http/1.0": (changed("HTTP/1.1", "HTTP/1.0"), "The request is HTTP/1.0, not HTTP/1.1"),
    "http/1.0 of nginx": (
        without("Upgrade").replace(b"HTTP/1.1", b"HTTP/1.0").replace(b": Upgrade", b": close"),
        "nginx needs proxy_http_version 1.1 and the Upgrade headers",
    ),
    "no upgrade": (
        without("Upgrade"),
        "nginx needs proxy_http_version 1.1 and the Upgrade headers",
    ),
    "PROXY protocol": (
        b"PROXY TCP4 192.0.2.7 192.0.2.1 5 80\r\n" + request(),
        "put haproxy: before",
    ),
    "binary PROXY protocol": (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + request(),
        "put haproxy: before the endpoint in websocket.listen",
    ),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "The request line is"),
    "no target": (changed("GET / ", "GET "), "The request line is"),
    "two spaces": (changed("GET / ", "GET  / "), "The request line is"),
    "asterisk": (changed("GET / ", "GET * "), "The target of the request is '*'"),
    "absolute target of another scheme": (request(target="ftp://x/"), "The request line is"),
    "absolute target with a user": (request(target="http://u@x/"), "The request line is"),
    "absolute target without a host": (request(target="http:///"), "The request line is"),
    "two empty lines": (b"\r\n\r\n" + request(), "The request line is '', not"),
    "empty lines alone": (b"\r\n\r\n\r\n", "The request line is '', not 'GET /path HTTP/1.1'."),
    "no host": (without("Host"), "The header 'host' is missing."),
    "two hosts": (request("Host: b"), "The header 'host' appears more than once."),
    "no connection": (without("Connection"), "Connection does not contain 'Upgrade'"),
    "connection close": (changed("Connection: Upgrade", "Connection: close"), "Connection does"),
    "upgrade to h2c": (changed("Upgrade: websocket", "Upgrade: h2c"), "Upgrade is 'h2c'"),
    "no version": (
        without("Sec-WebSocket-Version"),
        "The header 'sec-websocket-version' is missing.",
    ),
    "version 8": (changed("Version: 13", "Version: 8"), "Sec-WebSocket-Version is '8'"),
    "two versions": (request("Sec-WebSocket-Version: 13"), "appears more than once"),
    "no key": (without("Sec-WebSocket-Key"), "The header 'sec-websocket-key' is missing."),
    "short key": (changed(KEY, "YWJj"), "Sec-WebSocket-Key 'YWJj' is not"),
    "long key": (changed(KEY, base64.b64encode(b"x" * 17).decode()), "Sec-WebSocket-Key"),
    "key is not base64": (changed(KEY, "!" * 24), "Sec-WebSocket-Key '!!"),
    "key is not ASCII": (changed(KEY, "\xe9" * 24), "Sec-WebSocket-Key"),
    "two keys": (request(f"Sec-WebSocket-Key: {KEY}"), "appears more than once"),
    "bare line feed": (request("Cookie: a=b\nX: c"), "a CR, LF or NUL"),
    "bare carriage return": (request("Cookie: a=b\rX: c"), "a CR, LF or NUL"),
    "carriage return at the end": (request("Cookie: a=b\r"), "a CR, LF or NUL"),
    "NUL": (request("Cookie: a=\0"), "a CR, LF or NUL"),
    "header without colon": (request("nonsense"), "Header line 6 is malformed."),
    "header without name": (request(": x"), "Header line 6 is malformed."),
    "folded header": (request("X: 1", "  2: folded"), "Header line 7 is malformed."),
    "space before the colon": (request("Host : b"), "Header line 6 is malformed."),
    "bare line feeds": (request().replace(b"\r\n", b"\n") + b"\r\n\r\n", "The request line is"),
}


@pytest.mark.parametrize(("data", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_the_response_to_an_invalid_request_says_why(data: bytes, text: str) -> None:
    node = MemoryNode()
    peer = node.connect()
    peer.send(data)
    status, headers, body = head_of(peer.take())
    assert status == "HTTP/1.1 400 Bad Request"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Sec-WebSocket-Version"] == "13"
    assert headers["Connection"] == "close"
    assert int(headers["Content-Length"]) == len(body)
    assert text in body.decode()
    assert CloseReason.BAD_HANDSHAKE.sentence in body.decode()
    assert peer.transport.disconnecting
    assert not peer.transport.disconnected
    assert node.ledger.ended == {CloseReason.BAD_HANDSHAKE: 1}
    assert len(node.broker.sessions) == 0
    (line,) = node.lines
    assert line.isprintable(), "a peer must not write control characters into the log"


@pytest.mark.parametrize(
    "offered",
    ["wamp", "wamp, soap", "soap, wamp", "soap,wamp,wamp.2.json", "a, b, wamp", " wamp "],
)
def test_wamp_is_echoed_whenever_it_is_offered(offered: str) -> None:
    for required in (True, False):
        settings = WebSocketSettings(require_subprotocol=required)
        _, headers, _ = head_of(answer_to(request(subprotocol=offered), settings))
        assert headers["Sec-WebSocket-Protocol"] == "wamp"


def test_wamp_is_echoed_when_the_offers_come_in_several_headers() -> None:
    data = request("Sec-WebSocket-Protocol: soap", subprotocol="wamp")
    assert head_of(answer_to(data))[1]["Sec-WebSocket-Protocol"] == "wamp"


@pytest.mark.parametrize(
    ("offered", "shown"),
    [
        (None, "Offered: nothing."),
        ("", "Offered: nothing."),
        ("soap", "soap"),
        ("WAMP", "WAMP"),
        ("wampx, xwamp", "wampx, xwamp"),
        ("x" * 500, "x" * 70),
    ],
)
def test_without_wamp_the_answer_says_what_to_offer(offered: str | None, shown: str) -> None:
    node = MemoryNode()
    peer = node.connect()
    peer.send(request(subprotocol=offered))
    status, _, body = head_of(peer.take())
    assert status == "HTTP/1.1 400 Bad Request"
    text = body.decode()
    assert 'subprotocol "wamp" was not offered' in text
    assert "websocket.require_subprotocol = false" in text
    assert shown in text
    assert len(text) < 400
    assert node.ledger.ended == {CloseReason.SUBPROTOCOL_REQUIRED: 1}


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "offered", ["wamp.2.json", "wamp.2.msgpack, wamp.2.json", "x, wamp.2.cbor"]
)
def test_a_client_of_wamp_v2_is_told_that_this_is_v1(offered: str, required: bool) -> None:
    node = MemoryNode(WebSocketSettings(require_subprotocol=required))
    peer = node.connect()
    peer.send(request(subprotocol=offered))
    status, _, body = head_of(peer.take())
    assert status == "HTTP/1.1 400 Bad Request"
    assert b"speaks WAMP v2, and wampush speaks WAMP v1" in body
    assert offered.encode() in body
    assert b"require_subprotocol" not in body
    assert node.ledger.ended == {CloseReason.WAMP_V2: 1}
    assert "wampush speaks WAMP v1" in node.lines[0]


def test_an_absolute_target_names_the_host_instead_of_the_header() -> None:
    for target, expected in (
        ("ws://Push.example:8080/chat?a=b", "/chat?a=b"),
        ("http://Push.example:8080?a=b", "/?a=b"),
        ("https://Push.example:8080", "/"),
    ):
        parsed = http_upgrade.parse(request(target=target).removesuffix(b"\r\n\r\n"))
        assert isinstance(parsed, UpgradeRequest)
        assert (parsed.target, parsed.headers["host"]) == (expected, "Push.example:8080")


@pytest.mark.parametrize(
    "data",
    [
        b"OPTIONS / HTTP/1.0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD / HTTP/1.0\r\n\r\n",
        b"HEAD /ws HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_health_checks_of_proxies_find_the_port_up(data: bytes) -> None:
    node = MemoryNode()
    peer = node.connect()
    peer.send(data)
    status, headers, body = head_of(peer.take())
    assert status == "HTTP/1.1 200 OK"
    assert headers["Connection"] == "close"
    assert bool(body) is data.startswith(b"GET")
    if not data.startswith(b"OPTIONS"):
        assert int(headers["Content-Length"]) == len(head_of(http_upgrade.page(SERVER))[2])
    else:
        assert headers["Allow"] == "GET, HEAD, OPTIONS"
    assert node.ledger.ended == {CloseReason.PLAIN_REQUEST: 1}
    assert node.lines == []


@pytest.mark.parametrize("offered", [None, "soap"])
def test_without_the_requirement_none_is_echoed(offered: str | None) -> None:
    settings = WebSocketSettings(require_subprotocol=False)
    status, headers, _ = head_of(answer_to(request(subprotocol=offered), settings))
    assert " 101 " in status
    assert "Sec-WebSocket-Protocol" not in headers


@pytest.mark.parametrize("control", ["\x1b[2Jgone", "a\nforged line", "a\rb", "\x00", "\x85"])
@pytest.mark.parametrize("where", ["Sec-WebSocket-Protocol", "X\x1bY", "Upgrade"])
def test_control_characters_of_a_peer_do_not_reach_the_log(where: str, control: str) -> None:
    node = MemoryNode()
    peer = node.connect()
    if where == "Upgrade":
        data = changed("Upgrade: websocket", f"Upgrade: x{control}x")
    elif where == "Sec-WebSocket-Protocol":
        data = request(subprotocol=f"x{control}x")
    else:
        data = request(f"{where}{control}")
    peer.send(data)
    assert peer.take().startswith(b"HTTP/1.1 400 ")
    assert all(line.isprintable() for line in node.lines), node.lines


def test_a_handshake_may_come_byte_by_byte() -> None:
    whole = answer_to(request())
    node = MemoryNode()
    peer = node.connect()
    data = request()
    for index in range(len(data) - 1):
        peer.send(data[index : index + 1])
        assert peer.transport.value() == b""
    peer.send(data[-1:])
    assert peer.take().partition(b"\r\n\r\n")[0] == whole.partition(b"\r\n\r\n")[0]


def test_frames_may_come_in_the_same_read_as_the_handshake() -> None:
    node = MemoryNode()
    peer = node.connect()
    peer.send(request() + masked(b'[5,"t"]') + masked(b'[2,"c","p"]'))
    _, _, rest = head_of(peer.take())
    welcome, error = frames(rest)
    assert welcome.payload.startswith(b"[0,")
    assert error.payload.startswith(b'[4,"c",')
    assert node.broker.subscriptions.topic_count == 1


def test_a_frame_may_be_cut_between_the_reads_of_the_handshake() -> None:
    text = masked(b'[5,"topic"]')
    for index in range(len(text)):
        node = MemoryNode()
        peer = node.connect()
        peer.send(request() + text[:index])
        peer.send(text[index:])
        assert node.broker.subscriptions.topic_count == 1


LIMIT = 512


def padded(size: int) -> bytes:
    """A valid request whose header has ``size`` bytes without the empty line."""
    base = len(request("X: ")) - len(http_upgrade.END_OF_HEAD)
    return request("X: " + "x" * (size - base))


def test_a_header_of_exactly_the_limit_opens() -> None:
    settings = WebSocketSettings(max_header_bytes=LIMIT)
    assert b" 101 " in answer_to(padded(LIMIT), settings)[:20]


BOMBS = {
    "one byte too long": padded(LIMIT + 1),
    "a long line": b"GET /" + b"x" * 100_000,
    "many headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
    "complete but long": request(*(f"X-{n}: y" for n in range(1000))),
    "carriage returns": b"\r" * 5000,
    "line feeds": b"\n" * 5000,
    "zeros": b"\0" * 5000,
}


@pytest.mark.parametrize("pieces", [1, 7, 4096])
@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS.keys())
def test_header_bombs_are_refused_and_not_kept(data: bytes, pieces: int) -> None:
    node = MemoryNode(WebSocketSettings(max_header_bytes=LIMIT))
    peer = node.connect()
    size = len(data) if pieces == 4096 else pieces
    most = 0
    for start in range(0, len(data), size):
        if peer.transport.disconnecting:
            break
        peer.connection.dataReceived(data[start : start + size])
        if size < 4096:
            most = max(most, len(peer.connection.data))
    assert most <= LIMIT + len(http_upgrade.END_OF_HEAD) + size
    status, headers, body = head_of(peer.take())
    assert status == "HTTP/1.1 431 Request Header Fields Too Large"
    assert "Sec-WebSocket-Version" not in headers
    assert "websocket.max_header_bytes" in body.decode()
    assert f"{LIMIT} bytes are allowed" in body.decode()
    assert node.ledger.ended == {CloseReason.HEADER_TOO_LARGE: 1}
    assert peer.transport.disconnecting


def test_a_browser_that_opens_the_port_gets_a_page() -> None:
    node = MemoryNode()
    peer = node.connect()
    peer.send(b"GET /anything HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n")
    status, headers, body = head_of(peer.take())
    assert status == "HTTP/1.1 200 OK"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert int(headers["Content-Length"]) == len(body)
    assert SERVER.encode() in body
    assert node.ledger.ended == {CloseReason.PLAIN_REQUEST: 1}
    assert node.lines == [], "a plain request is not worth a line"
    assert peer.transport.disconnecting


def test_too_many_and_stopping_answer_503() -> None:
    for reason in (CloseReason.TOO_MANY_CONNECTIONS, CloseReason.SHUTTING_DOWN):
        status, headers, body = head_of(http_upgrade.refusal(HandshakeRefused(reason)))
        assert status == "HTTP/1.1 503 Service Unavailable"
        assert "Sec-WebSocket-Version" not in headers
        assert body.decode() == f"{reason.sentence}\n"


def test_the_refusal_of_an_ordinary_request_is_a_problem() -> None:
    refused = HandshakeRefused(CloseReason.ORIGIN_FORBIDDEN, "It is 'a'.")
    status, headers, body = head_of(http_upgrade.refusal(refused, is_plain=True))
    assert status == "HTTP/1.1 403 Forbidden"
    assert headers["Content-Type"] == "application/problem+json"
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "It is 'a'.",
        "code": "origin-forbidden",
        "sentence": CloseReason.ORIGIN_FORBIDDEN.sentence,
    }
    bad = HandshakeRefused(CloseReason.BAD_HANDSHAKE)
    assert "Sec-WebSocket-Version" not in head_of(http_upgrade.refusal(bad, is_plain=True))[1]


def test_tls_on_a_plain_port_is_answered_at_once() -> None:
    with pytest.raises(HandshakeRefused) as refused:
        http_upgrade.complete_head(b"\x16\x03\x01\x02\x00\x01", 8192)
    assert refused.value.reason is CloseReason.WRONG_PROTOCOL
    assert "ws://" in str(refused.value)


def test_401_says_how_to_get_in_and_nothing_else_does() -> None:
    challenges = {
        reason: head_of(http_upgrade.refusal(HandshakeRefused(reason)))[1].get("WWW-Authenticate")
        for reason in CloseReason
    }
    assert {reason: text for reason, text in challenges.items() if text is not None} == {
        CloseReason.AUTHENTICATION_REQUIRED: 'Bearer realm="wampush"',
        CloseReason.TOKEN_REFUSED: 'Bearer realm="wampush", error="invalid_token"',
    }


def test_every_refusal_has_a_status_that_http_knows() -> None:
    for reason in CloseReason:
        if reason.value.http_status is not None:
            assert http_upgrade.refusal(HandshakeRefused(reason)).startswith(
                f"HTTP/1.1 {reason.value.http_status} ".encode()
            )


@given(st.binary(max_size=300))
def test_arbitrary_headers_are_parsed_or_refused(head: bytes) -> None:
    refused: HandshakeRefused | None = None
    try:
        http_upgrade.parse(head)
    except HandshakeRefused as error:
        refused = error
    if refused is not None:
        assert http_upgrade.refusal(refused).startswith(b"HTTP/1.1 400 ")


@given(
    st.lists(
        st.sampled_from(request().removesuffix(b"\r\n\r\n").split(b"\r\n")[1:])
        | st.binary(max_size=20)
    )
)
def test_arbitrary_mixtures_of_header_lines_are_parsed_or_refused(lines: list[bytes]) -> None:
    head = b"\r\n".join([b"GET / HTTP/1.1", *lines])
    reason = CloseReason.BAD_HANDSHAKE
    parsed: UpgradeRequest | PageRequest = PageRequest("GET", "/", {})
    try:
        parsed = http_upgrade.parse(head)
    except HandshakeRefused as error:
        reason = error.reason
    assert reason is CloseReason.BAD_HANDSHAKE
    assert isinstance(parsed, PageRequest) or parsed.key == KEY


def test_a_header_is_complete_as_soon_as_its_empty_line_is_there() -> None:
    data = request() + b"more"
    end = len(request())
    for size in range(end):
        assert http_upgrade.complete_head(data[:size], 8192) is None
    assert http_upgrade.complete_head(data[:end], 8192) == request()[:-4]
    assert http_upgrade.complete_head(data, 8192) == request()[:-4]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"The client speaks TLS"),
        (b"\xff\0\0\0\0\0\0\0\x01\x7f", b"connect PUSH sockets to an address of zmq.pull"),
    ],
)
def test_clients_of_other_protocols_are_counted_apart(data: bytes, said: bytes) -> None:
    node = MemoryNode()
    peer = node.connect()
    peer.send(data)
    status, _, body = head_of(peer.take())
    assert status == "HTTP/1.1 400 Bad Request"
    assert said in body
    assert node.ledger.ended == {CloseReason.WRONG_PROTOCOL: 1}
    assert said.decode() in node.lines[0]


def test_an_ordinary_request_keeps_its_target_and_headers() -> None:
    head = b"GET http://a.example:80/events?x=1 HTTP/1.1\r\nHost: b\r\nLast-Event-ID: e:1"
    assert http_upgrade.parse(head) == PageRequest(
        "GET", "/events?x=1", {"host": "a.example:80", "last-event-id": "e:1"}
    )


def test_only_a_page_with_an_origin_is_told_that_it_may_read() -> None:
    assert http_upgrade.shared_with({}) == "Vary: Origin\r\n"
    assert http_upgrade.shared_with({"origin": ""}) == "Vary: Origin\r\n"
    plain = http_upgrade.preflight(http_upgrade.shared_with({}))
    assert b"Allow: GET, HEAD, OPTIONS\r\n" in plain
    assert b"Access-Control" not in plain
