"""A load on an installation: readers, publishers, and what they have noted in the end.

Owns: their beginning and end. Must not import: wampush.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

from bench.faults.checker import breaches
from bench.faults.installation import PATIENCE, Installation, Node, until
from bench.faults.publishers import HttpPublisher, Publisher, ZmqPublisher
from bench.faults.reader import Reader
from bench.faults.records import Allowed, Count, Course, Phase, Records, Segment, Stamp
from bench.faults.witness import Witness
from bench.native import BenchError
from bench.peer import frame, open_session, receive

_PAGE: Final = 1000
#: Events of a reader that are searched for one that is published only now.
_NEWEST: Final = 1000
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Size:
    """How much load there is.

    :ivar readers: for each node.
    :ivar pause: seconds between two events of a publisher; there are three for each node.
    :ivar calm: events of each publisher before and after a fault.
    :ivar patience: seconds after which a publisher over HTTP asks another node.
    """

    readers: int = 1
    pause: float = 0.02
    calm: int = 10
    patience: float = 15.0


class Load:
    """Readers and publishers on topics of their own, from the begin of a block to its end.

    :param installation: the nodes.
    :param size: how much.
    """

    def __init__(self, installation: Installation, size: Size) -> None:
        self._installation = installation
        self._size = size
        self._course = Course()
        number = next(_numbers)
        self.kept, self.pushed, self.plain = (
            f"kept.{number}",
            f"kept.push{number}",
            f"plain{number}",
        )
        nodes = installation.nodes
        ports = [each.server.port for each in nodes]
        http = [each.server.http for each in nodes]
        self.readers = [
            Reader(f"r{node}.{index}", ports, node, (self.kept, self.pushed), (self.plain,))
            for node in range(len(nodes))
            for index in range(size.readers)
        ]
        self.http = [
            HttpPublisher(
                f"{topic}-{node}",
                topic,
                size.pause,
                ports=http,
                node=node,
                course=self._course,
                patience=size.patience,
            )
            for node in range(len(nodes))
            for topic in (self.kept, self.plain)
        ]
        self.zmq = [
            ZmqPublisher(
                f"{self.pushed}-{node}", self.pushed, size.pause, port=each.server.feed, node=node
            )
            for node, each in enumerate(nodes)
        ]
        self.witness = Witness(installation.redis.port, self.plain)
        self._reading: list[asyncio.Task[None]] = []
        self._publishing: list[asyncio.Task[None]] = []
        #: Nodes that have lost what they had received, or their counters.
        self.killed: set[int] = set()
        self._before: list[dict[str, dict[str, int]]] = []
        #: How often each node had lost its link when all was well again.
        self._losses: list[int] = []

    @property
    def publishers(self) -> Sequence[Publisher]:
        """All publishers."""
        return [*self.http, *self.zmq]

    async def __aenter__(self) -> Self:
        self._before = [await _inputs(each) for each in self._installation.nodes]
        self._reading = [asyncio.create_task(each.run()) for each in self.readers]
        self._reading.append(asyncio.create_task(self.witness.run()))
        await self.settled()
        await asyncio.wait_for(self.witness.is_there.wait(), PATIENCE)
        self._publishing = [asyncio.create_task(each.run()) for each in self.publishers]
        await self.some()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in (*self._reading, *self._publishing):
            task.cancel()
        await asyncio.gather(*self._reading, *self._publishing, return_exceptions=True)
        for each in self.zmq:
            each.close()

    async def settled(self) -> None:
        """Wait until nodes are joined, readers are subscribed, and nodes follow their topics."""
        await self._installation.joined()
        await until(
            lambda: all(each.is_ready for each in self.readers), "all readers are subscribed"
        )
        for topic in (self.kept, self.pushed, self.plain):
            await self._installation.followed(topic, len({each.node for each in self.readers}))

    async def some(self, events: int = 0) -> None:
        """Wait until each publisher has sent some events.

        :param events: how many; 0 for those of a calm phase.
        """
        targets = [(each, each.done + (events or self._size.calm)) for each in self.publishers]
        await until(
            lambda: all(each.done >= target or self._is_cut_off(each) for each, target in targets),
            "all publishers have sent some events",
        )

    def begin_fault(self) -> None:
        """Take note that from now on events may be lost where that is allowed."""
        self._course.begin(Phase.FAULT)

    async def end_fault(self) -> None:
        """Wait until all is well again, and for some events after that."""
        await self.settled()
        await self._caught_up()
        self._losses = await self._lost_links()
        self._course.begin(Phase.CALM)
        await self.some()

    async def _caught_up(self) -> None:
        """Wait until each reader has an event that is published only now.

        A node that has been frozen is joined at once, although it has yet to read what Redis has
        sent meanwhile, and may lose its link before it has.
        """
        known = len(self.witness.stamps)

        def has_news(reader: Reader) -> bool:
            news = set(self.witness.stamps[known:])
            return not news.isdisjoint(reader.plain[self.plain].stamps[-_NEWEST:])

        await until(lambda: all(map(has_news, self.readers)), "all readers get what is published")

    async def judged(self, allowed: Allowed) -> list[str]:
        """End the publishers, wait until everything has come to rest, and return the breaches."""
        for each in self.publishers:
            each.end()
        await asyncio.wait_for(asyncio.gather(*self._publishing), PATIENCE)
        stored = await self._stored(allowed)
        with contextlib.suppress(BenchError):
            # What is missing then is named by the checker.
            await until(lambda: self._is_complete(stored), "readers have everything", PATIENCE / 3)
        records = Records(
            acknowledged=[one for each in self.http for one in each.acknowledged],
            kept=[view.record for each in self.readers for view in each.views.values()],
            plain=[one for each in self.readers for one in each.plain.values()],
            stored=stored,
            unacknowledged={self.pushed: self._owed_pushes()},
            counts=await self._counts(),
            sent={self.plain: self.witness.stamps},
        )
        losses = await self._lost_links()
        found = breaches(records, allowed)
        if found:
            found += self._explanations(losses)
        found += [problem for each in self.http for problem in each.problems]
        return found + self._installation.complaints()

    async def _lost_links(self) -> list[int]:
        return [await asyncio.to_thread(each.losses) for each in self._installation.nodes]

    def _explanations(self, losses: list[int]) -> list[str]:
        """Return which nodes have lost their link when nothing was wrong, as on a busy machine."""
        return [
            f"{node.name} has lost its link {now - before} times after the fault"
            for node, before, now in zip(
                self._installation.nodes, self._losses, losses, strict=True
            )
            if now > before
        ]

    def _is_cut_off(self, publisher: Publisher) -> bool:
        return isinstance(publisher, ZmqPublisher) and publisher.node in self.killed

    def _owed_pushes(self) -> list[Stamp]:
        return [one for each in self.zmq if each.node not in self.killed for one in each.sent]

    async def _stored(self, allowed: Allowed) -> dict[str, Segment]:
        """Return what is stored once every push is."""
        owed = set() if allowed.loses_kept else set(self._owed_pushes())
        deadline = asyncio.get_running_loop().time() + PATIENCE / 3
        before: dict[str, Segment] = {}
        while True:
            late = asyncio.get_running_loop().time() > deadline
            node = self._installation.nodes[0]
            try:
                stored = {
                    topic: await asyncio.to_thread(_history, node, topic)
                    for topic in (self.kept, self.pushed)
                }
                # What waited for a node that was killed may still come.
                if late or (stored == before and owed <= set(stored[self.pushed].stamps)):
                    return stored
                before = stored
            except BenchError:
                # A node that has just lost its link answers that the topic is unavailable.
                if late:
                    raise
            await asyncio.sleep(0.05)

    def _is_complete(self, stored: dict[str, Segment]) -> bool:
        return all(
            (known := reader.views[topic].known) is not None
            and known.offset >= segment.end
            and known.epoch == segment.epoch
            for reader in self.readers
            for topic, segment in stored.items()
        ) and all(self._has_plain(each) for each in self.readers)

    def _has_plain(self, reader: Reader) -> bool:
        """Return whether a reader has the newest event of each publisher."""
        got = set(reader.plain[self.plain].stamps)
        return all(
            each.acknowledged[-1].stamp in got
            for each in self.http
            if each.topic == self.plain and each.acknowledged
        )

    async def _counts(self) -> list[Count]:
        found = []
        for number, node in enumerate(self._installation.nodes):
            if number in self.killed:
                continue
            now = await _inputs(node)
            answered = {
                "http": sum(each.answered[number] for each in self.http),
                "zeromq": sum(len(each.sent) for each in self.zmq if each.node == number),
            }
            unsure = {"http": sum(each.unanswered[number] for each in self.http), "zeromq": 0}
            for source, counts in now.items():
                before = self._before[number][source]
                more = {name: value - before[name] for name, value in counts.items()}
                what = f"{node.name}: {source}"
                found.append(Count(what, answered[source], unsure[source], **more))
        return found


async def _inputs(node: Node) -> dict[str, dict[str, int]]:
    return {each: await asyncio.to_thread(node.inputs, each) for each in ("http", "zeromq")}


def _history(node: Node, topic: str) -> Segment:
    """Read all that a topic keeps."""
    found = Segment("", 0)
    with closing(open_session(node.server.port)) as session:
        options: dict[str, Any] = {"limit": _PAGE}
        while True:
            if found.epoch:
                options["since"] = {"epoch": found.epoch, "offset": found.end}
            text = json.dumps([2, "1", "wampush.history", topic, options]).encode()
            session.sendall(frame(text))
            kind, _, answer = json.loads(receive(session))[:3]
            if kind != 3:
                raise BenchError(f"the history of {topic} cannot be read: {answer}")
            if not found.epoch:
                # The first answer has the newest events; only the epoch matters.
                found.epoch = answer["epoch"]
                if answer["offset"]:
                    continue
            for event in answer["events"]:
                if event["offset"] != found.end + 1:
                    raise BenchError(f"{topic} keeps {event['offset']} after {found.end}")
                found.stamps.append(Stamp(event["data"]["p"], event["data"]["n"]))
            if answer["complete"]:
                return found
