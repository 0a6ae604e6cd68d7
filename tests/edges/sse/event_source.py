"""A reader of event streams that follows the specification, and streams in memory."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.edges.websocket.in_memory import MemoryNode, Peer


@dataclass
class EventSource:
    """What a browser keeps of one stream, over all connections.

    :ivar last_id: sent when it reconnects; "" before the first id.
    :ivar events: name and data of each event; the name is "message" where there is none.
    """

    last_id: str = ""
    retry: int = 0
    events: list[tuple[str, Any]] = field(default_factory=list)
    comments: int = 0
    _rest: str = ""

    def feed(self, data: bytes) -> None:
        """Read a part of the stream; what is not complete waits."""
        *blocks, self._rest = (self._rest + data.decode()).split("\n\n")
        for block in blocks:
            self._read(block)

    def cut(self) -> None:
        """The connection is lost: what is not complete is not dispatched."""
        self._rest = ""

    def _read(self, block: str) -> None:
        name, lines = "", []
        for line in re.split(r"\r\n|\r|\n", block):
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not key:
                self.comments += 1
            elif key == "id":
                self.last_id = value
            elif key == "event":
                name = value
            elif key == "data":
                lines.append(value)
            else:
                assert key == "retry", block
                self.retry = int(value)
        if lines:
            self.events.append((name or "message", json.loads("\n".join(lines))))

    def take(self) -> list[tuple[str, Any]]:
        """The events since the last look, without the id of the session."""
        events, self.events = self.events, []
        return [each for each in events if each[0] != "wampush.session"]


def get(target: str, *lines: str) -> bytes:
    """A request for a stream; ``lines`` are further header lines."""
    head = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1:8080", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


@dataclass
class Stream:
    """One client of a stream in memory, which reconnects."""

    node: MemoryNode
    target: str
    source: EventSource = field(default_factory=EventSource)

    def __post_init__(self) -> None:
        self.connect()

    def connect(self, *, read: bool = True) -> None:
        """Open a connection, as a browser does again after a loss.

        :param read: whether what comes with the response is read at once.
        """
        self.peer: Peer = self.node.connect()
        lines = [f"Last-Event-ID: {self.source.last_id}"] if self.source.last_id else []
        self.peer.send(get(self.target, *lines))
        self.head, _, self.rest = self.peer.take().partition(b"\r\n\r\n")
        if read:
            self._read_rest()

    def lose(self) -> None:
        """Lose the connection."""
        self.peer.lose()
        self.source.cut()

    def take(self) -> list[tuple[str, Any]]:
        """The events since the last look."""
        self._read_rest()
        self.source.feed(self.peer.take())
        return self.source.take()

    def _read_rest(self) -> None:
        self.source.feed(self.rest)
        self.rest = b""
