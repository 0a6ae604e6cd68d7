"""Publishers that stamp their events: over HTTP with answers, over ZeroMQ without.

Owns: what they send, and the answers that they get. Must not import: wampush.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Self

import zmq
import zmq.asyncio

from bench.faults.records import Acknowledged, Course, Place, Stamp

#: Seconds that an answer may take: longer than a node holds a push (10 s).
_ANSWER_SECONDS: Final = 15.0
_AGAIN_SECONDS: Final = 0.05
_OK: Final = 200
_UNAVAILABLE: Final = 503


class Publisher(ABC):
    """Sends events, one after the other, until it is asked to end.

    :param name: stamped on events.
    :param topic: of all events.
    :param pause: seconds between two.
    """

    def __init__(self, name: str, topic: str, pause: float) -> None:
        self.name = name
        self.topic = topic
        self._pause = pause
        self._ending = asyncio.Event()
        #: Events of which everything is known.
        self.done = 0

    def end(self) -> None:
        """Have :meth:`run` return once the present event is done."""
        self._ending.set()

    async def run(self) -> None:
        """Publish until :meth:`end`."""
        try:
            while not self._ending.is_set():
                await self._publish(Stamp(self.name, self.done + 1))
                self.done += 1
                await asyncio.sleep(self._pause)
        finally:
            self._close()

    @abstractmethod
    async def _publish(self, stamp: Stamp) -> None:
        """Publish one event."""

    @abstractmethod
    def _close(self) -> None:
        """Close what is open."""


class HttpPublisher(Publisher):
    """Pushes with an id, and sends each again until it is acknowledged, if need be to another node.

    :param ports: of the HTTP listeners of all nodes.
    :param node: the number of the node that it begins with.
    :param course: the phases of the run.
    :param patience: seconds after which it asks another node.
    """

    def __init__(
        self,
        name: str,
        topic: str,
        pause: float,
        *,
        ports: Sequence[int],
        node: int,
        course: Course,
        patience: float = _ANSWER_SECONDS,
    ) -> None:
        super().__init__(name, topic, pause)
        self._ports = ports
        self._node = node
        self._course = course
        self._patience = patience
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.acknowledged: list[Acknowledged] = []
        #: Pushes that were answered, and those without an answer or refused for now, by node.
        self.answered: Counter[int] = Counter()
        self.unanswered: Counter[int] = Counter()
        self.refused = 0
        #: Answers that no push should get.
        self.problems: list[str] = []

    async def _publish(self, stamp: Stamp) -> None:
        mark = self._course.mark
        begun = asyncio.get_running_loop().time()
        lost = 0
        while True:
            node = self._node
            status, answer = await self._send(stamp)
            if status == _OK:
                break
            if status == 0:
                lost += 1
                self._node = (node + 1) % len(self._ports)
            elif status == _UNAVAILABLE:
                self.refused += 1
            else:
                self.problems.append(f"{self.topic}: {stamp} was answered with {status} {answer}")
                return
            await asyncio.sleep(_AGAIN_SECONDS)
        place = Place(answer["epoch"], answer["offset"]) if "epoch" in answer else None
        phase = self._course.phase_since(mark)
        self.acknowledged.append(
            Acknowledged(self.topic, stamp, place, node, lost + 1, phase, begun)
        )

    async def _send(self, stamp: Stamp) -> tuple[int, dict[str, Any]]:
        """Send a push; returns status and answer, or 0 if there is none."""
        node = self._node
        is_sent = False
        try:
            async with asyncio.timeout(self._patience):
                if self._stream is None:
                    self._stream = await asyncio.open_connection("127.0.0.1", self._ports[node])
                is_sent = True
                reader, writer = self._stream
                body = json.dumps({"p": stamp.publisher, "n": stamp.number}).encode()
                writer.write(
                    f"POST /publish/{self.topic}?id={stamp.publisher}-{stamp.number} HTTP/1.1\r\n"
                    f"Host: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                head = await reader.readuntil(b"\r\n\r\n")
                answer = json.loads(await reader.readexactly(_length(head)))
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self.unanswered[node] += is_sent
            self._close()
            return 0, {}
        status = int(head.split(b" ", 2)[1])
        # What a process refuses once its successor has its counters, that does not count.
        (self.unanswered if status == _UNAVAILABLE else self.answered)[node] += 1
        if b"\r\nconnection: close\r\n" in head.lower():
            self._close()
        return status, answer

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream[1].transport.abort()


class ZmqPublisher(Publisher):
    """Pushes to one node, and gets no answer.

    :param port: where the node pulls.
    :param node: its number.
    """

    def __init__(self, name: str, topic: str, pause: float, *, port: int, node: int) -> None:
        super().__init__(name, topic, pause)
        self.node = node
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.connect(f"tcp://127.0.0.1:{port}")
        self.sent: list[Stamp] = []

    async def _publish(self, stamp: Stamp) -> None:
        body = json.dumps({"p": stamp.publisher, "n": stamp.number}).encode()
        sending = asyncio.ensure_future(self._socket.send_multipart([self.topic.encode(), body]))
        ending = asyncio.ensure_future(self._ending.wait())
        # It waits for ever where the node is gone.
        await asyncio.wait((sending, ending), return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if sending.done():
            await sending
            self.sent.append(stamp)
        else:
            sending.cancel()

    def _close(self) -> None:
        """Leave the socket open: what waits in it is not lost by :meth:`end`."""

    def close(self) -> None:
        """Close the socket; what has not been sent is lost."""
        self._socket.close(0)
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    raise ValueError(f"an answer without a length: {head!r}")
