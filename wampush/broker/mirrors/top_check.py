"""A look at where topics are, every now and then.

Owns: when it is done, and for which topics at once. Must not import: Twisted, the edges. Timers and
chance are handed in.

A link can be silent without being broken: a message is lost, and nobody notices until the next one
of its topic. So the newest position of each followed topic is read every :data:`INTERVAL` seconds,
at other times on each node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from wampush.broker.delivery.backlog import Timer
from wampush.broker.mirrors.contract import SharedStore, Top
from wampush.broker.mirrors.mirrors import Mirrors

#: Seconds between two looks, on average.
INTERVAL: Final = 25.0
#: By how much of that an interval may be shorter or longer.
JITTER: Final = 0.2
#: Looks after which topics are kept from being forgotten: about 20 minutes.
KEEP_EVERY: Final = 50
#: Topics that are asked about in one go.
BATCH: Final = 512


class TopCheck:
    """Looks at where the followed topics of a node are.

    :param store: knows.
    :param mirrors: follow topics.
    :param call_later: calls a function after a number of seconds.
    :param chance: returns a number from 0 to 1.
    """

    def __init__(
        self,
        store: SharedStore,
        mirrors: Mirrors,
        call_later: Callable[[float, Callable[[], None]], Timer],
        chance: Callable[[], float],
    ) -> None:
        self._store = store
        self._mirrors = mirrors
        self._call_later = call_later
        self._chance = chance
        self._timer: Timer | None = None
        self._looks = 0
        #: Topics that had lagged behind without anyone noticing.
        self.found = 0

    def start(self) -> None:
        """Look from now on."""
        if self._timer is None:
            seconds = INTERVAL * (1 + JITTER * (2 * self._chance() - 1))
            self._timer = self._call_later(seconds, self._look)

    def stop(self) -> None:
        """Look no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self.start()
        if not self._store.is_joined:
            return
        topics = self._mirrors.topics
        self._looks += 1
        if self._looks % KEEP_EVERY == 1:
            self._store.keep(topics)
        for begin in range(0, len(topics), BATCH):
            batch = topics[begin : begin + BATCH]
            self._store.tops(batch, partial(self._on_tops, batch))

    def _on_tops(self, topics: Sequence[str], tops: Sequence[Top | None] | None) -> None:
        if tops is not None:
            self.found += self._mirrors.check(list(zip(topics, tops, strict=True)))
