"""A client of the stress run, and the invariant of what it sees.

Owns: the invariant, a small WebSocket client for asyncio. Must not import: wampush, scenarios.

The invariant: from a confirmed SUBSCRIBE to the UNSUBSCRIBE, a client sees every event of a stream
once, in order; after a confirmed UNSUBSCRIBE it sees none; and it sees the pushes of one backend in
order across all topics. WAMP v1 confirms neither message, so a CALL is sent after each: the server
handles the messages of a client in order, so that the reply, an error, confirms the one before.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections import Counter
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from enum import Enum, unique
from typing import Any

import orjson

#: A stream is numbered by one sender: the backend's pushes on a topic, or one client's PUBLISHes.
Stream = tuple[str, str]
_STRAW_BYTES = 16_384


@unique
class Phase(Enum):
    """The state of a subscription."""

    OFF = "off"
    JOINING = "joining"
    ON = "on"
    LEAVING = "leaving"


class Watch:
    """What one session has seen, checked for each event.

    :param name: of the client, for reports.
    :param sent: the number of events sent to each stream, counted by the senders.
    :param report: called with a sentence about each breach.
    """

    def __init__(self, name: str, sent: Counter[Stream], report: Callable[[str], None]) -> None:
        self._name = name
        self._sent = sent
        self._report = report
        self._phases: dict[str, Phase] = {}
        self._next: dict[Stream, int] = {}
        #: The position of a stream when the subscription was confirmed; the first event seen is
        #: not after it.
        self._owed: dict[Stream, int] = {}
        self._pushed = -1
        self.seen = 0

    def phase(self, topic: str) -> Phase:
        """Return the state of the subscription to a topic."""
        return self._phases.get(topic, Phase.OFF)

    def joining(self, topic: str) -> None:
        """Record that SUBSCRIBE was sent."""
        self._phases[topic] = Phase.JOINING

    def leaving(self, topic: str) -> None:
        """Record that UNSUBSCRIBE was sent."""
        self._phases[topic] = Phase.LEAVING

    def confirmed(self, topic: str) -> None:
        """Record that the CALL after the last SUBSCRIBE or UNSUBSCRIBE was answered."""
        if self.phase(topic) is Phase.JOINING:
            self._phases[topic] = Phase.ON
            for stream, count in self._sent.items():
                if stream[0] == topic:
                    self._owed[stream] = count
        else:
            self._phases[topic] = Phase.OFF
            for kept in (self._next, self._owed):
                for stream in [each for each in kept if each[0] == topic]:
                    del kept[stream]

    def event(self, topic: str, event: dict[str, Any]) -> None:
        """Check an EVENT that was received."""
        self.seen += 1
        stream = (topic, event["from"])
        number = event["n"]
        phase = self.phase(topic)
        if phase is Phase.OFF:
            self._breach(f"{stream} {number} after it has unsubscribed")
        expected = self._next.get(stream)
        if expected is not None and number != expected:
            self._breach(f"{stream} {number} where {expected} was due")
        elif expected is None and phase is Phase.ON and number > self._owed.get(stream, 0):
            self._breach(f"{stream} begins with {number}, not with {self._owed.get(stream, 0)}")
        self._next[stream] = number + 1
        if "g" in event:
            if event["g"] <= self._pushed:
                self._breach(f"push {event['g']} after push {self._pushed}")
            self._pushed = event["g"]

    def behind(self, ended: AbstractSet[str]) -> list[str]:
        """Return what it has not seen of the streams that it is subscribed to.

        :param ended: senders that are gone; the last events they sent may be lost.
        """
        lacking = []
        for stream, count in self._sent.items():
            if self.phase(stream[0]) is not Phase.ON or stream[1] in ended:
                continue
            position = self._next.get(stream, self._owed.get(stream, 0))
            if position < count:
                lacking.append(f"{stream} {position} to {count - 1}")
        return lacking

    def _breach(self, what: str) -> None:
        self._report(f"client {self._name}: {what}")


def masked(text: bytes) -> bytes:
    """Return a client's text frame with a mask of zeros (RFC 6455 section 5)."""
    size = len(text)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + b"\0\0\0\0" + text


class StressClient(asyncio.Protocol):
    """One session, until it ends or is dropped.

    :param name: for reports, and as the sender of what it publishes.
    :param sent: see :class:`Watch`.
    :param report: see :class:`Watch`.
    :param could_read: says whether this process had a chance to read in the last moments.
    """

    def __init__(
        self,
        name: str,
        sent: Counter[Stream],
        report: Callable[[str], None],
        could_read: Callable[[], bool],
    ) -> None:
        self.name = name
        self.watch = Watch(name, sent, report)
        self._sent = sent
        self._report = report
        self._could_read = could_read
        self._data = bytearray()
        self._calls: dict[str, str] = {}
        self._answered = False
        self._transport: asyncio.Transport | None = None
        self.welcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.dying = False
        self.lost = False
        #: Whether it may be dropped as slow: it has stopped reading, or has a tiny buffer.
        self.may_be_slow = False

    async def open(self, port: int, receive_bytes: int) -> None:
        """Connect, and wait for WELCOME.

        :param receive_bytes: the socket's receive buffer; a small one makes the server's sends
            partial.
        """
        loop = asyncio.get_running_loop()
        handle = socket.socket()
        handle.setblocking(False)
        if receive_bytes:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self.may_be_slow = receive_bytes < _STRAW_BYTES
        await loop.sock_connect(handle, ("127.0.0.1", port))
        await loop.create_connection(lambda: self, sock=handle)
        self._write(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: wamp\r\n\r\n".encode()
        )
        await asyncio.wait_for(asyncio.shield(self.welcome), 20)

    # What it may do.

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic."""
        self.watch.joining(topic)
        self._say([5, topic])
        self._confirm(topic)

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from a topic."""
        self.watch.leaving(topic)
        self._say([6, topic])
        self._confirm(topic)

    def publish(self, topic: str, filler: str) -> None:
        """Publish the next event of this client's stream to a topic."""
        stream = (topic, self.name)
        event = {"from": self.name, "n": self._sent[stream], "p": filler}
        self._sent[stream] += 1
        # Not excluding itself: it sees its own stream as others do.
        self._say([7, topic, event, False])

    async def stall(self, seconds: float) -> None:
        """Stop reading for a while."""
        transport = self._transport
        if transport is None or self.lost:
            return
        self.may_be_slow = True
        transport.pause_reading()
        await asyncio.sleep(seconds)
        if not self.lost:
            with contextlib.suppress(RuntimeError):
                transport.resume_reading()

    def die(self, way: random.Random) -> None:
        """End without a Close frame: between frames, within one, or by closing the socket."""
        self.dying = True
        if self._transport is None or self.lost:
            return
        chosen = way.randrange(3)
        if chosen == 0:
            self._write(masked(orjson.dumps([5, "never"]))[:7])
        if chosen == 1:
            self._transport.close()
        else:
            self._transport.abort()

    # What comes in.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if not self.welcome.done():
            self.welcome.set_exception(ConnectionError(f"no WELCOME: {error}"))
            self.welcome.exception()
        if not self.dying and not self.may_be_slow and self._could_read():
            self._report(f"client {self.name}: dropped although it always read ({error})")

    def data_received(self, data: bytes) -> None:
        if self.dying:
            return
        self._data += data
        if not self._answered:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in self._data[:end]:
                self._report(f"client {self.name}: refused: {bytes(self._data[:80])!r}")
            self._answered = True
            del self._data[: end + 4]
        taken = self._take_frames()
        if taken:
            del self._data[:taken]

    def _take_frames(self) -> int:
        data, at = self._data, 0
        while len(data) - at >= 2:
            opcode, size, header = data[at] & 15, data[at + 1] & 0x7F, 2
            if size >= 126:
                header = 4 if size == 126 else 10
                if len(data) - at < header:
                    break
                size = int.from_bytes(data[at + 2 : at + header], "big")
            end = at + header + size
            if len(data) < end:
                break
            if opcode == 1:
                self._message(orjson.loads(data[at + header : end]))
            elif opcode == 9:
                self._write(b"\x8a\x80\0\0\0\0")
            at = end
        return at

    def _message(self, message: list[Any]) -> None:
        if message[0] == 8:
            self.watch.event(message[1], message[2])
        elif message[0] == 4:
            self.watch.confirmed(self._calls.pop(message[1]))
        elif message[0] == 0 and not self.welcome.done():
            self.welcome.set_result(None)
        else:
            self._report(f"client {self.name}: unexpected {message!r}")

    # What goes out.

    def _confirm(self, topic: str) -> None:
        call = f"{len(self._calls)}-{topic}"
        self._calls[call] = topic
        self._say([2, call, "bench:confirm"])

    def _say(self, message: list[Any]) -> None:
        self._write(masked(orjson.dumps(message)))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self.lost:
            self._transport.write(data)
