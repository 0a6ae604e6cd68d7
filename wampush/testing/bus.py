"""What joins servers in memory, as Redis joins real ones.

Owns: their common clock. Must not import: Twisted's reactor, the edges.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Final

from wampush.broker.backplane.memory_bus import MemoryBus, MemoryLink
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.history.rule import HistoryRules
from wampush.broker.mirrors.contract import SharedStore
from wampush.broker.mirrors.memory_store import MemoryStore
from wampush.node.backplane import Joint, new_node_id
from wampush.testing.clock import ThreadedClock


class InMemoryBus(MemoryBus):
    """Joins servers in memory: they share it, and its clock.

    :param delay: seconds that a message takes to the bus, and as many from there on.
    """

    def __init__(self, delay: float = 0.0) -> None:
        #: The clock of all servers that share the bus.
        self.clock: Final = ThreadedClock()
        super().__init__(self.clock.callLater, delay)
        self._store: MemoryStore | None = None
        self._numbers = count(1)

    def join(self, fanout: Fanout, backpressure: Backpressure) -> Joint:  # noqa: ARG002 - nothing waits here
        """Return what joins one more server."""
        link = self.link()
        return Joint(node=new_node_id(), bus=link, open_store=partial(self.open_store, link))

    def open_store(self, link: MemoryLink, rules: HistoryRules) -> SharedStore:
        """Return what keeps topics with history for all servers, as one of them uses it.

        :param link: of the server.
        :param rules: what is kept of which topics, the same for all servers.
        """
        if self._store is None:
            self._store = MemoryStore(self, rules, self.clock.now, self.clock.callLater)
        return self._store.link(f"memory{next(self._numbers)}", link)
