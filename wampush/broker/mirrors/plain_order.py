"""The order of what comes to topics without history while it is in doubt what comes before.

Owns: what waits, for which publications, and for how long. Must not import: Twisted, the edges.

A publication of this node whose message may have been sent when this node did not get it has a
place in the order of its topic: after everything that has come before the loss, before everything
that comes after it. So it is put in a queue, and what comes behind it waits until its fate is
known. When the link is lost twice, it may also have been sent in between; then it may come early.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from wampush.broker.backplane.node_message import NodeMessage

#: Bytes of messages to one topic that wait; beyond that, the order gives way.
HELD_BYTES: Final = 1024 * 1024
#: What each of them counts besides its payload.
OVERHEAD_BYTES: Final = 500
#: Looks after which the order gives way: an event that is late is better than none.
MOST_LOOKS: Final = 2

Deliver = Callable[[str, NodeMessage], object]
"""Takes a message to a topic."""


@unique
class Fate(Enum):
    """What is to be done when it is the turn of a publication."""

    OPEN = "nobody knows yet; what comes after it waits"
    DUE = "it has not come, and is delivered"
    SETTLED = "nothing: it has come, or was not published"


@dataclass(slots=True)
class Turn:
    """The place of one publication.

    :ivar deliver: delivers it.
    :ivar fate: what is to be done.
    """

    deliver: Callable[[], object]
    fate: Fate = Fate.OPEN


class _Queue:
    """What waits of one topic."""

    __slots__ = ("items", "looks", "size")

    def __init__(self) -> None:
        self.items: deque[Turn | tuple[NodeMessage, Deliver]] = deque()
        self.size = 0
        self.looks = 0


class PlainOrder:
    """Keeps messages waiting, by topic."""

    def __init__(self) -> None:
        #: By topic; what is not here need not wait.
        self.queues: Final[dict[str, _Queue]] = {}
        #: Messages that have not waited any longer for what may come before them.
        self.unordered = 0

    def __len__(self) -> int:
        """Return how many topics wait."""
        return len(self.queues)

    def add(self, topic: str, turn: Turn) -> None:
        """Put a publication behind everything that has come until now."""
        queue = self.queues.get(topic)
        if queue is None:
            queue = self.queues[topic] = _Queue()
        queue.items.append(turn)
        self.go_on(topic)

    def hold(self, topic: str, message: NodeMessage, deliver: Deliver) -> bool:
        """Keep a message waiting if something before it is open.

        :param deliver: takes it when it is its turn.
        :returns: whether it is taken; False if nothing is open.
        """
        queue = self.queues.get(topic)
        if queue is None:
            return False
        queue.items.append((message, deliver))
        queue.size += len(message.payload) + OVERHEAD_BYTES
        if queue.size > HELD_BYTES:
            self._give_way(topic, queue)
        return True

    def go_on(self, topic: str) -> None:
        """Deliver what has waited for what is settled now."""
        queue = self.queues.get(topic)
        if queue is None:
            return
        items = queue.items
        while items:
            first = items[0]
            if isinstance(first, Turn):
                if first.fate is Fate.OPEN:
                    return
                items.popleft()
                if first.fate is Fate.DUE:
                    first.deliver()
            else:
                items.popleft()
                queue.size -= len(first[0].payload) + OVERHEAD_BYTES
                first[1](topic, first[0])
        # What is delivered may publish in turn, and that may have ended the queue.
        if self.queues.get(topic) is queue:
            del self.queues[topic]

    def give_way(self) -> None:
        """Let no message wait that has come until now."""
        for topic, queue in list(self.queues.items()):
            if queue.size:
                self._give_way(topic, queue)

    def look(self) -> None:
        """Let nothing wait for long; call it every few seconds."""
        for topic, queue in list(self.queues.items()):
            # What is open while the link is lost keeps nothing waiting.
            queue.looks = queue.looks + 1 if queue.size else 0
            if queue.looks > MOST_LOOKS:
                self._give_way(topic, queue)

    def _give_way(self, topic: str, queue: _Queue) -> None:
        """Deliver all messages; what is open comes when it is settled."""
        items, queue.items = queue.items, deque()
        queue.size = queue.looks = 0
        for each in items:
            if not isinstance(each, Turn):
                self.unordered += 1
                each[1](topic, each[0])
            elif each.fate is Fate.DUE:
                each.deliver()
            elif each.fate is Fate.OPEN:
                queue.items.append(each)
        self.go_on(topic)
