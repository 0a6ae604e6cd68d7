"""What nodes need of the store that keeps topics for all of them.

Owns: the protocol of the store, and the forms of its answers. Must not import: Twisted, the edges.

The store gives each publication its position, keeps it, and sends it to all nodes that follow the
topic, all at once or not at all. The variants are :class:`~.memory_store.MemoryStore` and Redis in
``edges/storage``; one contract test runs on each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from wampush.broker.history.journal import StoredRow
from wampush.broker.publication import Position, Publication
from wampush.errors import PublicationRefused


class Run(NamedTuple):
    """A time in which one server has counted the events of a topic.

    A server that takes over from another, or starts again, may lack the newest events; it gives
    their offsets to others.

    :ivar name: of the server in this time.
    :ivar offset: of the newest event when it began.
    """

    name: str
    offset: int


class Entry(NamedTuple):
    """A publication on its way to the store.

    :ivar number: counts those of one node; one that the store has carried out is not carried out
        again, so that it can be sent again when the answer was lost. They may be carried out in
        another order.
    :ivar publication: to one topic or more; the topics without history get it as well.
    :ivar push_id: with which a push is published once, on whatever node; "" for none.
    :ivar digest: of that push, as hexadecimal digits.
    :ivar settled: the number up to which no publication of the node is sent again.
    """

    number: int
    publication: Publication
    push_id: str = ""
    digest: str = ""
    settled: int = 0


class Place(NamedTuple):
    """Where a publication is in a topic.

    :ivar position: there.
    :ivar time: when it was stored, in seconds since 1970.
    :ivar run: in which it was counted; "" where that is not known any longer.
    :ivar nodes: how many followed the topic.
    """

    position: Position
    time: float
    run: str
    nodes: int = 0


class Stored(NamedTuple):
    """A publication is stored, and on its way to all nodes.

    :ivar places: one for each topic; None for one without history. Empty if they are not known,
        because the answer was lost.
    :ivar is_repeated: whether that was done before, on behalf of the same push.
    :ivar is_late: whether it was done before, and the answer got lost with the link.
    """

    places: Sequence[Place | None]
    is_repeated: bool = False
    is_late: bool = False


class NotCarriedOut(NamedTuple):
    """A publication was not carried out this time, but not refused either: it can be sent again.

    It may have been carried out before, when the answer got lost with the link.

    :ivar problem: why.
    """

    problem: str


OnStored = Callable[[Stored | PublicationRefused | NotCarriedOut | None], None]
"""Gets what has become of a publication; None when the link was lost before the answer, so that
nobody knows."""


OnCarriedOut = Callable[[Sequence[bool] | None], None]
"""Gets whether each of several publications was carried out; None when nobody can say now."""


class Cursor(NamedTuple):
    """What is to be read of a topic.

    :ivar values_after: the values that were published after this offset; None for no values.
    :ivar events_after: likewise, the events.
    """

    values_after: int | None
    events_after: int | None


class Slice(NamedTuple):
    """Some of what a topic keeps.

    :ivar position: of the newest event.
    :ivar runs: in which its events were counted, the latest last; the oldest may be left out.
    :ivar previous: the epoch before, which ended because events were lost; "" for none.
    :ivar now: the time at the store, in seconds since 1970.
    :ivar values: by offset.
    :ivar events: by offset.
    :ivar is_whole: whether nothing is left of what was asked for.
    """

    position: Position
    runs: Sequence[Run]
    previous: str
    now: float
    values: Sequence[StoredRow]
    events: Sequence[StoredRow]
    is_whole: bool


class Unreadable(NamedTuple):
    """A topic could not be read.

    :ivar problem: why, for the log.
    """

    problem: str


OnRead = Callable[[Slice | Unreadable | None], None]
"""Gets what was read; None when the link was lost before the answer."""


class Top(NamedTuple):
    """Where a topic is.

    :ivar position: of the newest event.
    :ivar run: in which it was counted.
    """

    position: Position
    run: str


OnTops = Callable[[Sequence[Top | None] | None], None]
"""Gets where topics are, None for one that the store does not know; None when the link was lost."""


class TakesEntries(Protocol):
    """What takes publications to the store."""

    @property
    def is_joined(self) -> bool:
        """Whether it can be reached."""

    @property
    def problem(self) -> str:
        """Why it cannot; "" while it can."""

    def publish(self, entry: Entry, on_stored: OnStored) -> None:
        """Store a publication, and send it to all nodes that follow its topics."""


class SendsEntries(TakesEntries, Protocol):
    """What sends publications to all nodes."""

    @property
    def node(self) -> str:
        """What this node is called in the messages that are sent for it."""

    def ask(self, entries: Sequence[Entry], on_answer: OnCarriedOut) -> None:
        """Ask which publications of this node were carried out, and carry out none of them.

        The answer is about all that was published before this call, over whatever link. One without
        an id that is not sent again counts as carried out once a later one was.

        :param on_answer: called once, after this call.
        """


class SharedStore(SendsEntries, Protocol):
    """The store, as one node uses it. Answers come after the call, in the order of the calls."""

    def read(self, topic: str, cursor: Cursor, on_read: OnRead) -> None:
        """Read a part of what a topic keeps; a topic that is not known begins an epoch."""

    def tops(self, topics: Sequence[str], on_tops: OnTops) -> None:
        """Read where topics are."""

    def keep(self, topics: Sequence[str]) -> None:
        """Keep topics from being forgotten because nobody publishes to them."""

    def renew(self, topic: str, epoch: str, on_renewed: Callable[[], None]) -> None:
        """Begin another epoch of a topic, because events are lost.

        :param epoch: the present one; if it is another one meanwhile, nothing happens.
        :param on_renewed: called afterwards, or when the link was lost.
        """

    def on_left(self) -> None:
        """Take note that the link is lost; the next one may lead to another server."""
