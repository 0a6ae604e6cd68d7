"""Hostile peers on raw sockets: nothing they send costs others an event, or leaves anything behind.

One daemon stands all attacks. Around each of them a well-behaved subscriber must get the next
pushes, and afterwards the daemon must count what it counted before.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zmq

from tests.edges.websocket.in_memory import masked, request
from tests.support.daemon import Daemon, running_daemon
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually

SETTINGS = """
[websocket]
handshake_timeout = 0.5
# On a busy machine a test of many attacks takes minutes, in which the subscriber says nothing.
silence_timeout = 3600
max_header_bytes = 8192
max_message_bytes = 65536
[limits]
topic_bytes = 1024
"""


@dataclass
class Target:
    """The daemon, its well-behaved subscriber and its backend."""

    daemon: Daemon
    subscriber: RawClient
    push: zmq.Socket[bytes]
    baseline: tuple[int, int, int] = (0, 0, 0)
    pushed: int = 0
    sockets: list[socket.socket] = field(default_factory=list)

    def connect(self) -> socket.socket:
        """A TCP connection."""
        peer = socket.create_connection(("127.0.0.1", self.daemon.websocket_port), PATIENCE)
        self.sockets.append(peer)
        return peer

    def open(self, *headers: str) -> socket.socket:
        """A WebSocket that has got WELCOME."""
        peer = self.connect()
        peer.sendall(request(*headers))
        data = b""
        while b"\r\n\r\n" not in data or b"[0," not in data:
            received = peer.recv(4096)
            assert received, data
            data += received
        return peer

    def event_arrives(self) -> None:
        """The subscriber has missed nothing."""
        for _ in range(3):
            self.push.send_multipart([b"hostile-test", str(self.pushed).encode()])
            assert self.subscriber.receive() == [8, "hostile-test", self.pushed]
            self.pushed += 1

    def quiet(self) -> None:
        """All of this test's peers go, and nothing of them is left."""
        for peer in self.sockets:
            peer.close()
        self.sockets.clear()
        eventually(self.daemon.counts, lambda counts: counts == self.baseline)

    def resident(self) -> int:
        """Bytes of memory that the daemon uses."""
        status = Path(f"/proc/{self.daemon.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "settings.toml").write_text(SETTINGS)
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.set(zmq.LINGER, 0)
    try:
        with (
            # Leaving it checks that there is no traceback in the log.
            running_daemon(folder, extra=["--config", "settings.toml"]) as daemon,
            RawClient(daemon.websocket_port) as subscriber,
        ):
            push.connect(daemon.zmq_address)
            subscriber.subscribe("hostile-test")
            yield Target(daemon, subscriber, push)
    finally:
        push.close()
        context.term()


@pytest.fixture
def target(running: Target) -> Iterator[Target]:
    running.baseline = eventually(running.daemon.counts, lambda counts: counts == (1, 1, 1))
    running.event_arrives()
    yield running
    running.event_arrives()
    running.quiet()
    assert "Traceback" not in running.daemon.log, running.daemon.log
    assert "Unhandled" not in running.daemon.log, running.daemon.log


def send(peer: socket.socket, data: bytes) -> None:
    """Send as much as the server takes; it may end the connection meanwhile."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        peer.sendall(data)


def read_to_the_end(peer: socket.socket) -> bytes:
    """What the server sends until it ends the connection, which it must."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while received := peer.recv(65536):
            data += received
    return data


def still_answers(peer: socket.socket) -> None:
    """The connection goes on."""
    peer.sendall(masked(b'[2,"still","here"]'))
    data = b""
    while b'[4,"still"' not in data:
        received = peer.recv(65536)
        assert received, data
        data += received


def close(code: int, reason: bytes = b"") -> bytes:
    return masked(struct.pack("!H", code) + reason, first=0x88)


# Frames that break RFC 6455: the server says so in a Close frame and ends the connection.

MALFORMED: dict[str, tuple[bytes, int]] = {
    "reserved bit 1": (masked(b"x", first=0xC1), 1002),
    "reserved bit 2": (masked(b"x", first=0xA1), 1002),
    "reserved bit 3": (masked(b"x", first=0x91), 1002),
    "all reserved bits": (masked(b"x", first=0xF1), 1002),
    "unmasked": (masked(b'[5,"x"]', key=None), 1002),
    "length not minimal, 16 bits": (masked(b"x" * 10, form=126), 1002),
    "length not minimal, 64 bits": (masked(b"x" * 200, form=127), 1002),
    "length with the high bit": (masked(b"", length=2**64 - 1, form=127), 1002),
    "length of 4 EiB": (masked(b"", length=2**62, form=127), 1009),
    "over-size": (masked(b"x" * 65_537), 1009),
    "over-size in fragments": (
        masked(b"x" * 40_000, first=0x01) + masked(b"x" * 40_000, first=0x80),
        1009,
    ),
    "bad UTF-8": (masked(b'[5,"\xff"]'), 1007),
    "a cut character": (masked(b'[5,"\xe2\x82'), 1007),
    "bad UTF-8 in fragments": (masked(b"\xf0\x9d", first=0x01) + masked(b"\x41", first=0x80), 1007),
    "continuation of nothing": (masked(b"x", first=0x80), 1002),
    "two starts": (masked(b"x", first=0x01) + masked(b"x", first=0x01), 1002),
    "long ping": (masked(b"x" * 126, first=0x89), 1002),
    "long pong": (masked(b"x" * 126, first=0x8A), 1002),
    "fragmented ping": (masked(b"x", first=0x09), 1002),
    "close of one byte": (masked(b"\x03", first=0x88), 1002),
    "close with bad UTF-8": (close(1000, b"\xff"), 1007),
    **{f"opcode {code}": (masked(b"x", first=0x80 | code), 1002) for code in (3, 7, 11, 15)},
    **{f"close code {code}": (close(code), 1002) for code in (0, 999, 1005, 1006, 1015, 65535)},
    "a second request": (request(), 1002),
}


@pytest.mark.parametrize(("data", "code"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_frames(target: Target, data: bytes, code: int) -> None:
    whole = target.open()
    send(whole, data)
    answer = read_to_the_end(whole)
    assert answer[-126:].find(struct.pack("!H", code)) >= 0
    in_pieces = target.open()
    for index in range(min(len(data), 20)):
        send(in_pieces, data[index : index + 1])
    send(in_pieces, data[20:])
    read_to_the_end(in_pieces)
    within_others = target.open()
    send(within_others, masked(b'[5,"x"]') + data + masked(b'[5,"y"]'))
    read_to_the_end(within_others)


def test_closes_are_answered(target: Target) -> None:
    for data, code in (
        (masked(b"", first=0x88), 1000),
        (close(1000), 1000),
        (close(1001, b"gone"), 1001),
        (close(4999, b"x" * 9), 4999),
    ):
        peer = target.open()
        send(peer, data)
        assert read_to_the_end(peer) == b"\x88\x02" + struct.pack("!H", code)


# Handshakes.


def test_slow_handshakes(target: Target) -> None:
    peers = [target.connect() for _ in range(20)]
    for peer, byte in zip(peers, request(), strict=False):
        send(peer, bytes((byte,)))
    for peer in peers:
        assert read_to_the_end(peer) == b""
    target.event_arrives()


def test_connections_that_say_nothing(target: Target) -> None:
    for peer in [target.connect() for _ in range(200)]:
        assert read_to_the_end(peer) == b""


BOMBS = {
    "one long line": b"GET /" + b"a" * 1_000_000,
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
    "no line end": b"\0" * 1_000_000,
    "a huge cookie": request("Cookie: " + "c" * 1_000_000),
    "a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n" + b"b" * 500_000,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500) + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "nonsense": b"\r\n\r\n",
    "control characters": request("Sec-WebSocket-Protocol: \x1b[2J\nforged", subprotocol=None),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS.keys())
def test_header_bombs(target: Target, data: bytes) -> None:
    for _ in range(3):
        peer = target.connect()
        send(peer, data)
        answer = read_to_the_end(peer)
        assert not answer or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert "\x1b" not in target.daemon.log
    assert "\nforged" not in target.daemon.log


# Messages.

KILLERS: dict[str, bytes] = {
    # What ends the whole process of Ratchet's push server.
    "a call without id": b"[2]",
    "exclude that is no list": b'[7,"t","e",false,"x"]',
    "not JSON": b"{[",
    "a number": b"1",
    "null": b"null",
    "empty list": b"[]",
    "unknown type": b"[99]",
    "type beyond integers": b"[1e400]",
    "a negative type": b"[-1]",
    "a type as text": b'["5","t"]',
    "a type that is true": b'[true,"a","b"]',
    "a topic that is a list": b'[5,["a"]]',
    "a topic that is an object": b'[5,{"a":1}]',
    "a topic that is null": b"[5,null]",
    "an empty topic": b'[5,""]',
    "a topic of 60 KB": b'[5,"' + b"t" * 60_000 + b'"]',
    "a topic to publish of 60 KB": b'[7,"' + b"t" * 60_000 + b'",1]',
    "a prefix of 60 KB": b'[1,"p","' + b"t" * 60_000 + b'"]',
    "a call id of 60 KB": b'[2,"' + b"t" * 60_000 + b'","p"]',
    "a procedure of 60 KB": b'[2,"c","' + b"\\u0001" * 10_000 + b'"]',
    "many elements": b"[2" + b',"a"' * 10_000 + b"]",
    "deep lists": b"[" * 30_000 + b"]" * 30_000,
    "lists that never end": b"[" * 65_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "as deep as is read": b"[5," + b"[" * 1000 + b"]" * 1000 + b"]",
    "as deep as is read, a type": b"[" * 1020 + b"]" * 1020,
    "a deep event": b'[7,"t",' + b"[" * 1000 + b"]" * 1000 + b"]",
    "a deep exclude": b'[7,"t",1,' + b"[" * 1000 + b"]" * 1000 + b"]",
    "a long number": b'[7,"t",' + b"9" * 60_000 + b"]",
    "a long fraction": b'[7,"t",0.' + b"1" * 60_000 + b"]",
    "a large exponent": b'[7,"t",1e999999999]',
    "not a number": b'[7,"t",NaN]',
    "half a surrogate": b'[5,"\\ud800"]',
    "zero bytes": b'[5,"\\u0000"]',
    "raw zero bytes": b"\0" * 1000,
    "control characters": b'[2,"c","\\u001b[2J"]',
    "only spaces": b" " * 60_000,
    "empty text": b"",
    "an event of a server": b'[8,"hostile-test",666]',
    "a second welcome": b'[0,"id",1,"x"]',
    "keys named like members": b'[5,"__proto__"]',
    "a prefix named like members": b'[1,"constructor","http://x/"]',
    "sessions to exclude that are no text": b'[7,"t",1,[1,null,{}],[[]]]',
}


@pytest.mark.parametrize("text", KILLERS.values(), ids=KILLERS.keys())
def test_messages_that_are_none(target: Target, text: bytes) -> None:
    peer = target.open()
    peer.sendall(masked(text) * 2)
    still_answers(peer)
    half = len(text) // 2
    peer.sendall(masked(text[:half], first=0x01) + masked(text[half:], first=0x80))
    peer.sendall(masked(text, first=0x82))
    still_answers(peer)


def test_topics_and_numbers_beyond_a_message(target: Target) -> None:
    for text in (
        b'[5,"' + b"t" * 1_000_000 + b'"]',
        b'[7,"t",' + b"9" * 10_000_000 + b"]",
        b"[" * 100_000 + b"]" * 100_000,
    ):
        peer = target.open()
        send(peer, masked(text[:1000], length=len(text)) + bytes(len(text) - 1000))
        read_to_the_end(peer)


def test_hostile_pushes(target: Target) -> None:
    """The same from a backend; it is trusted, but not to be right."""
    for parts in (
        [b'{"category":["a"]}'],
        [b'{"category":{"a":{}}}'],
        [b'{"category":null}'],
        [b"[" * 100_000],
        [b"[" * 1000 + b"]" * 1000],
        [b'{"category":"t","a":' + b"[" * 1000 + b"]" * 1000 + b"}"],
        [b'{"category":"t","a":' + b"9" * 1_000_000 + b"}"],
        [b"t" * 1_000_000, b"1"],
        [b'{"category":"' + b"t" * 1_000_000 + b'"}'],
        [b"t", b"1", b"[" * 1000],
        [b"t", b"1", b'{"exclude":' + b"[" * 1000 + b"]" * 1000 + b"}"],
        [b"x"] * 1000,
        [b"\xff\xfe"],
        [b""],
        [b"", b""],
        [b"x" * 2_000_000],
    ):
        target.push.send_multipart(parts)
        target.event_arrives()


# Floods: whatever becomes of the flooder, others are served.

FLOODS: dict[str, Callable[[int], bytes]] = {
    "prefixes": lambda n: masked(b'[1,"p%d","http://example.com/%d#"]' % (n, n)),
    "subscriptions": lambda n: masked(b'[5,"topic-%d"]' % n),
    "unsubscriptions": lambda n: masked(b'[6,"topic-%d"]' % n),
    "calls": lambda n: masked(b'[2,"call-%d","http://example.com/none"]' % n),
    "refused messages": lambda n: masked(b"[%d" % n),
    "pings": lambda _: masked(b"p" * 125, first=0x89),
    "pongs": lambda _: masked(b"", first=0x8A),
    "empty texts": lambda _: masked(b""),
    "binaries": lambda _: masked(b"x", first=0x82),
    "publications to itself": lambda n: masked(b'[7,"mine",%d,false]' % n),
}


@pytest.mark.parametrize("make", FLOODS.values(), ids=FLOODS.keys())
def test_floods(target: Target, make: Callable[[int], bytes]) -> None:
    peer = target.open()
    peer.settimeout(0.2)
    send(peer, masked(b'[5,"mine"]'))
    for start in range(0, 6000, 500):
        # The flooder does not read; it may be dropped, or not be read from, at any time.
        with contextlib.suppress(TimeoutError):
            send(peer, b"".join(map(make, range(start, start + 500))))
        target.event_arrives()


def test_endless_fragments(target: Target) -> None:
    peer = target.open()
    send(peer, masked(b"", first=0x01))
    for _ in range(20):
        send(peer, masked(b"", first=0x00) * 1000)
        target.event_arrives()
    with contextlib.suppress(ConnectionResetError):
        assert peer.recv(65536) == b""


# Sockets.


def test_half_closed_sockets(target: Target) -> None:
    for data in (b"", b"GET / HTTP/1.1\r\n", request(), request() + masked(b'[5,"x"]')):
        peer = target.connect()
        send(peer, data)
        peer.shutdown(socket.SHUT_WR)
        read_to_the_end(peer)
    for data in (b"", masked(b'[5,"x"]'), masked(b'[5,"x"]')[:5], masked(b"x", first=0x01)):
        peer = target.open()
        send(peer, data)
        peer.shutdown(socket.SHUT_WR)
        read_to_the_end(peer)


def reset(peer: socket.socket) -> None:
    """End with RST instead of FIN."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def test_resets_in_the_middle(target: Target) -> None:
    handshake = request()
    for data in (b"", handshake[:20], handshake[:-1], handshake):
        peer = target.connect()
        send(peer, data)
        reset(peer)
    frame = masked(b'[5,"hostile-test"]')
    for data in (b"", frame[:1], frame[:7], frame, masked(b"x", first=0x01), close(1000)):
        peer = target.open()
        send(peer, data)
        reset(peer)


def test_subscribers_that_reset_while_events_come(target: Target) -> None:
    for _ in range(5):
        peers = [target.open() for _ in range(10)]
        for peer in peers:
            send(peer, masked(b'[5,"hostile-test"]') + masked(b'[2,"c","p"]'))
        for peer in peers:
            peer.recv(65536)
        for number, peer in enumerate(peers):
            if number % 3 == 0:
                target.event_arrives()
            reset(peer)


def test_subscribers_that_read_nothing(target: Target) -> None:
    peers = []
    for _ in range(5):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(PATIENCE)
        peer.connect(("127.0.0.1", target.daemon.websocket_port))
        target.sockets.append(peer)
        peers.append(peer)
        peer.sendall(request() + masked(b'[5,"big"]'))
    eventually(target.daemon.counts, lambda counts: counts == (6, 2, 6))
    payload = b'"' + b"x" * 500_000 + b'"'
    for _ in range(20):
        target.push.send_multipart([b"big", payload])
        target.event_arrives()
    eventually(target.daemon.counts, lambda counts: counts == (1, 1, 1))
    for peer in peers:
        read_to_the_end(peer)


def test_many_connect_and_vanish_and_nothing_grows(target: Target) -> None:
    def once() -> None:
        for number in range(150):
            peer = target.open()
            send(peer, masked(b'[5,"%d"]' % number) + masked(b'[1,"p","http://x/"]'))
            if number % 2:
                reset(peer)
            else:
                peer.close()
            target.sockets.remove(peer)
        for text in KILLERS.values():
            peer = target.open()
            send(peer, masked(text) + masked(b'[2,"c","p"]'))
            peer.recv(65536)
            peer.close()
        for data, _ in MALFORMED.values():
            peer = target.open()
            send(peer, data)
            read_to_the_end(peer)
            peer.close()
        eventually(target.daemon.counts, lambda counts: counts == target.baseline)

    once()
    descriptors = eventually(
        target.daemon.descriptors, lambda now: now == target.daemon.descriptors()
    )
    before = target.resident()
    for _ in range(3):
        once()
    eventually(target.daemon.descriptors, lambda now: now <= descriptors)
    assert target.resident() - before < 4 * 1024 * 1024


def test_random_bytes(target: Target) -> None:
    for _ in range(30):
        peer = target.open()
        send(peer, os.urandom(1000))
        peer.shutdown(socket.SHUT_WR)
        read_to_the_end(peer)
        peer = target.connect()
        send(peer, os.urandom(1000))
        peer.shutdown(socket.SHUT_WR)
        read_to_the_end(peer)


def test_keys_of_all_kinds_open(target: Target) -> None:
    for _ in range(20):
        peer = target.connect()
        key = base64.b64encode(os.urandom(16))
        send(peer, re.sub(rb"Key: [^\r]+", b"Key: " + key, request()))
        assert peer.recv(65536).startswith(b"HTTP/1.1 101 ")
        still_answers(peer)


def test_refusals_are_counted_by_reason(target: Target) -> None:
    peer = target.open()
    before = target.daemon.health()["refusals"]
    peer.sendall(masked(b"[99]") + masked(b"{") + masked(b"x", first=0x82))
    still_answers(peer)
    after = target.daemon.health()["refusals"]
    for reason in ("unknown-type", "message-not-json", "binary-frame"):
        assert after[reason] == before.get(reason, 0) + 1, json.dumps(after)
