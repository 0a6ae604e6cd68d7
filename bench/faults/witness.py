"""A witness: what Redis sends to those that follow a topic, in its order.

Owns: its connection, which leads to Redis without a proxy. Must not import: wampush.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Final

import hiredis

from bench.faults.records import Stamp

_AGAIN_SECONDS: Final = 0.02
_READ_BYTES: Final = 65_536


class Witness:
    """Notes the stamps of all events of a topic, and connects again after every loss.

    What Redis sends while it is not connected is not noted; so its list may have holes, but what it
    has is in the right order.

    :param port: of Redis.
    :param topic: the topic.
    """

    def __init__(self, port: int, topic: str) -> None:
        self._port = port
        # As a pattern, so that it does not count as a node that follows the topic.
        self._pattern = f"wampush{{main}}:t:{topic}"
        self.stamps: list[Stamp] = []
        #: Set while it gets what is published.
        self.is_there = asyncio.Event()

    async def run(self) -> None:
        """Note until the task is cancelled."""
        while True:
            with contextlib.suppress(OSError):
                await self._visit()
            self.is_there.clear()
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _visit(self) -> None:
        stream, writer = await asyncio.open_connection("127.0.0.1", self._port)
        reader = hiredis.Reader()
        try:
            writer.write(f"PSUBSCRIBE {self._pattern}\r\n".encode())
            while data := await stream.read(_READ_BYTES):
                reader.feed(data)
                while (reply := reader.gets()) is not False:
                    self._on_reply(reply)
        finally:
            writer.transport.abort()

    def _on_reply(self, reply: Any) -> None:
        if not isinstance(reply, list):
            # It is loading what it has on disk, and answers with an error; then it closes.
            raise ConnectionResetError(str(reply))
        if reply[0] == b"psubscribe":
            self.is_there.set()
        elif reply[0] == b"pmessage":
            with contextlib.suppress(ValueError, KeyError, TypeError):
                # Anything but an event of a publisher is garbage that a fault has sent.
                event = json.loads(reply[3].partition(b"\n")[2])
                self.stamps.append(Stamp(event["p"], event["n"]))
