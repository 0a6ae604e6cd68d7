"""The targets: functions that may raise one kind of error and nothing else.

Owns: the targets. Must not import: the daemon's reactor.
"""

from __future__ import annotations

import errno
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from wampush.apps.webhooks import responses
from wampush.broker.ingest import Ingest
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.config.load import load
from wampush.config.tables.identity import TokenSettings
from wampush.edges.auth.tokens import Tokens
from wampush.edges.websocket import compression, framing, http_upgrade
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.errors import AuthenticationRefused, ConfigErrors, MessageRefused, PushRefused
from wampush.net import origins, trusted_proxies
from wampush.net.http_post import HttpResponse, UnusableResponse
from wampush.net.redis.replies import BrokenReply, NeedData, ReplyReader
from wampush.speedups import EXTENSION
from wampush.wamp.codec import decode_client, decode_server, encode
from wampush.wamp.session import PrefixLimits, WampSession
from wampush.wamp.uris import RATCHET, WAMP1

_INGEST = Ingest("category", 65_536, 1024)


def codec(data: bytes) -> None:
    """A message that decodes must encode, and decode to the same message."""
    for decode in (decode_client, decode_server):
        try:
            message = decode(data)
        except MessageRefused:
            continue
        assert decode(encode(message)) == message


def session(data: bytes) -> None:
    """Several messages of one client, in both dialects."""
    for dialect in (WAMP1, RATCHET):
        client = WampSession(dialect, "fuzz", PrefixLimits(100, 1024))
        for line in data.split(b"\n"):
            try:
                client.receive(line)
            except MessageRefused:
                continue


def ingest(data: bytes) -> None:
    """One push in one, two and three parts."""
    for parts in ([data], data.split(b"\n", 1), data.split(b"\n", 2)):
        try:
            publication = _INGEST.publication(parts)
        except PushRefused:
            continue
        assert publication.payload in parts


def opening(data: bytes) -> None:
    """A request header, its origin, its compression offers and its proxies."""
    try:
        head = http_upgrade.complete_head(data, 8192)
        request = None if head is None else http_upgrade.parse(head)
        if isinstance(request, http_upgrade.UpgradeRequest):
            http_upgrade.subprotocol(request.subprotocols, required=True)
    except HandshakeRefused as error:
        assert http_upgrade.refusal(error).startswith(b"HTTP/1.1 4")
    text = data.decode("latin-1")
    headers = {"origin": text, "host": text, "x-forwarded-for": text, "forwarded": text}
    permitted = origins.Origins(("same-host", "https://*.example.com"), null=False)
    if not permitted.permits(headers):
        assert permitted.objection(headers).isprintable()
    for header in ("x-forwarded-for", "forwarded"):
        trusted = trusted_proxies.Proxies.of(("127.0.0.0/8",), header)
        trusted.client_address("127.0.0.1", headers)
        trusted.scheme("127.0.0.1", headers, secure=False)
    compression.agree(text)


def token(data: bytes) -> None:
    """A token in the query, in a cookie and in a header."""
    text = data.decode("latin-1")
    requests = (
        ConnectRequest(f"/?token={text}", {}, "192.0.2.1"),
        ConnectRequest("/", {"cookie": f"token={text}"}, "192.0.2.1"),
        ConnectRequest("/", {"authorization": f"Bearer {text}"}, "192.0.2.1"),
    )
    for request in requests:
        try:
            found = _tokens().find(request)
            if found:
                _tokens().identify(found)
        except AuthenticationRefused:
            continue


def redis(data: bytes) -> None:
    """Replies of Redis, as a whole and byte by byte, must be the same."""
    whole, bytewise = ([data], [data[at : at + 1] for at in range(len(data))])
    assert _replies(whole) == _replies(bytewise)


def _replies(pieces: list[bytes]) -> list[object]:
    reader = ReplyReader(16)
    found: list[object] = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (reply := reader.next_reply()) is not NeedData.NEED_DATA:
                found.append(reply)
        except BrokenReply:
            break
    return found


def webhook(data: bytes) -> None:
    """The response of an application, alone and as values in a response; these stay JSON."""
    wrapped = b'{"allow":true,"payload":%b,"publish":[{"topic":"t","data":%b,"to":%b}]}'
    result = b'{"result":%b,"error":%b}'
    bodies = (data, wrapped % (data, data, data), result % (data, data), b'{"error":%b}' % data)
    for answer in (HttpResponse(status, body) for status in (200, 403) for body in bodies):
        values: list[bytes] = []
        with suppress(UnusableResponse):
            found = responses.decision(answer, rewrites=True)
            values.extend(part for push in found.pushes for part in push[1:])
            values.append(found.payload or b"0")
        with suppress(UnusableResponse):
            values.append(responses.call_response(answer).result)
        for value in values:
            orjson.loads(value)


def unmasking(data: bytes) -> None:
    """A key and a payload; the extension, where it is active, does what Python does."""
    key, payload = data[:4].ljust(4, b"k"), data[4:]
    plain = framing.unmask(key, payload)
    assert plain == framing.unmask_in_python(key, payload)
    assert framing.unmask(key, plain) == payload


def scanning(data: bytes) -> None:
    """What the extension reads of a request, where it is active, is what Python reads."""
    if EXTENSION is None:
        return
    for head in (data, b"GET / HTTP/1.1\r\n" + data):
        found = EXTENSION.scan_request(head)
        if found is not None:
            assert found == http_upgrade.scan_in_python(head)


def sending(data: bytes) -> None:
    """Chunks for several sockets, some of them closed; what is reported as sent has arrived.

    They are sent by one thread or by several.
    """
    if EXTENSION is None:
        return
    chunks = data.split(b"\n")[:20]
    pairs = [socket.socketpair() for _ in chunks]
    try:
        for number, (near, _) in enumerate(pairs):
            near.setblocking(False)
            if data[number : number + 1] < b"\x20":
                near.close()
        send_each = EXTENSION.send_each if len(data) % 2 else _send_threads().send_each
        unsent = dict(send_each([near for near, _ in pairs], chunks))
        for number, (near, far) in enumerate(pairs):
            if near.fileno() < 0:
                assert unsent[number] == -errno.EBADF
                continue
            near.close()
            sent = unsent.get(number, len(chunks[number]))
            assert far.recv(len(data) + 1) == chunks[number][:sent]
    finally:
        for near, far in pairs:
            near.close()
            far.close()


_made_threads: list[Any] = []


def _send_threads() -> Any:
    """Several threads that send; they are started once."""
    if not _made_threads:
        _made_threads.append(EXTENSION.SendThreads(3))
    return _made_threads[0]


def configuration(data: bytes) -> None:
    """A TOML file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wampush.toml"
        path.write_bytes(data)
        try:
            load(path, {}, {})
        except ConfigErrors as errors:
            assert len(str(errors).splitlines()) == len(errors.errors)


_made: list[Tokens] = []


def _tokens() -> Tokens:
    if not _made:
        with tempfile.TemporaryDirectory() as folder:
            key = Path(folder) / "key"
            key.write_bytes(b"0123456789abcdef0123456789abcdef")
            key.chmod(0o600)
            _made.append(Tokens(TokenSettings(key_file=str(key), cookie="token")))
    return _made[0]


TARGETS: Mapping[str, Callable[[bytes], None]] = MappingProxyType(
    {
        "codec": codec,
        "session": session,
        "ingest": ingest,
        "opening": opening,
        "token": token,
        "redis": redis,
        "webhook": webhook,
        "unmasking": unmasking,
        "scanning": scanning,
        "sending": sending,
        "configuration": configuration,
    }
)
