"""A reader: one page that is subscribed to all topics, and comes back after every loss.

Owns: its connections. Must not import: wampush.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from bench.faults.kept_view import KeptView
from bench.faults.records import Kept, Plain, Stamp, Visit
from bench.peer import frame, upgrade

#: Seconds until a call is sent again whose answer gave no position, and between two connections.
_AGAIN_SECONDS: Final = 0.2
#: Seconds that a connection may take to be open; a node that is frozen accepts and is silent.
_OPEN_SECONDS: Final = 3.0
_EVENT: Final = 8
_CALL_RESULT: Final = 3
_CALL_ERROR: Final = 4


class Reader:
    """Subscribes, records, and goes to the next node when a connection is lost.

    :param name: for the records.
    :param ports: of the WebSocket listeners of all nodes.
    :param node: the number of the node that it begins with.
    :param kept: topics that keep events.
    :param plain: topics that keep nothing.
    """

    def __init__(
        self, name: str, ports: Sequence[int], node: int, kept: Sequence[str], plain: Sequence[str]
    ) -> None:
        self.name = name
        self.node = node
        self._ports = ports
        self.views = {topic: KeptView(Kept(name, topic)) for topic in kept}
        self.plain = {topic: Plain(name, topic) for topic in plain}
        #: Errors that the server answered calls with; "unavailable" is asked again.
        self.problems: list[str] = []
        self.connections = 0
        self._writer: asyncio.StreamWriter | None = None
        self._calls: dict[str, str] = {}
        self._numbers = count(1)
        self._visited: set[str] = set()

    @property
    def is_ready(self) -> bool:
        """Whether it is subscribed to everything, and knows of nothing that is missing."""
        return (
            self._writer is not None
            and len(self._visited) == len(self.plain)
            and all(each.is_live for each in self.views.values())
        )

    def leave(self) -> None:
        """Go to the next node, as a page does whose connection is silent for too long."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def run(self) -> None:
        """Read until the task is cancelled."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                await self._visit()
            self.node = (self.node + 1) % len(self._ports)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _visit(self) -> None:
        async with asyncio.timeout(_OPEN_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._ports[self.node])
        try:
            writer.write(upgrade())
            async with asyncio.timeout(_OPEN_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
                # WELCOME
                await _message(reader, writer)
            self.connections += 1
            self._writer = writer
            self._call(writer, "positions")
            for topic in (*self.views, *self.plain):
                self._subscribe(topic)
            while True:
                self._on_message(await _message(reader, writer))
        finally:
            self._end()
            writer.transport.abort()

    def _end(self) -> None:
        self._writer = None
        self._calls.clear()
        self._visited.clear()
        for view in self.views.values():
            view.ask()
        for plain in self.plain.values():
            for visit in plain.visits:
                visit.is_open = False

    def _call(self, writer: asyncio.StreamWriter, procedure: str, *arguments: object) -> str:
        call = f"{procedure}-{next(self._numbers)}"
        message = [2, call, f"wampush.{procedure}", *arguments]
        writer.write(frame(json.dumps(message).encode()))
        return call

    def _subscribe(self, topic: str) -> None:
        if self._writer is None or topic in self._calls.values():
            return
        view = self.views.get(topic)
        options = {} if view is None else view.ask()
        self._calls[self._call(self._writer, "subscribe", topic, options)] = topic

    def _subscribe_later(self, topic: str) -> None:
        asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._subscribe, topic)

    def _on_message(self, message: list[Any]) -> None:
        if message[0] == _EVENT:
            self._on_event(*message[1:])
        elif message[0] in (_CALL_RESULT, _CALL_ERROR) and message[1] in self._calls:
            topic = self._calls.pop(message[1])
            if message[0] == _CALL_RESULT:
                self._on_answer(topic, message[2])
            else:
                self.problems.append(f"{topic}: {message[2:]}")
                self._subscribe_later(topic)

    def _on_event(self, topic: str, event: dict[str, Any], offset: int | None = None) -> None:
        stamp = Stamp(event["p"], event["n"])
        view = self.views.get(topic)
        if view is None:
            self.plain[topic].stamps.append(stamp)
        elif offset is None:
            view.record.breaches.append(f"{stamp} has no offset")
        elif view.on_event(offset, stamp):
            self._subscribe(topic)

    def _on_answer(self, topic: str, answer: dict[str, Any]) -> None:
        view = self.views.get(topic)
        if view is None:
            now = asyncio.get_running_loop().time()
            self.plain[topic].visits.append(Visit(self.node, now))
            self._visited.add(topic)
        elif view.on_answer(answer):
            self._subscribe_later(topic)


async def _message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[Any]:
    """Read the next text; answer pings that come before it.

    :raises ConnectionResetError: the server closes.
    """
    while True:
        first, size = await reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2))
        elif size == 127:
            size = int.from_bytes(await reader.readexactly(8))
        payload = await reader.readexactly(size)
        if first & 0x0F == 9:
            writer.write(bytes((0x8A, 0x80 | len(payload))) + bytes(4) + payload)
        elif first & 0x0F == 8:
            raise ConnectionResetError(payload[2:].decode(errors="replace"))
        else:
            message: list[Any] = json.loads(payload)
            return message
