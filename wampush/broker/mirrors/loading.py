"""Reading topics from the store: as a whole, or what lies between.

Owns: the steps of a read, and what follows from what the store has. Must not import: Twisted, the
edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from wampush.broker.history.journal import StoredRow, StoredTopic
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.mirrors.contract import Cursor, SharedStore, Slice, Unreadable
from wampush.broker.mirrors.loss import Known, compare
from wampush.broker.mirrors.mirror import Arrival, Mirror, MirrorState, Reload
from wampush.broker.publication import Position, Publication


class Loading:
    """Reads topics for their mirrors.

    :param store: has the topics.
    :param history: takes topics that are read as a whole.
    :param deliver: takes an event that lay between.
    :param on_loaded: called when a mirror is up to date, as far as was read.
    :param on_unreadable: called when the store cannot read a topic.
    """

    def __init__(
        self,
        store: SharedStore,
        history: MemoryHistory,
        deliver: Callable[[Mirror, Arrival], object],
        on_loaded: Callable[[Mirror], None],
        on_unreadable: Callable[[Mirror, Unreadable], None],
    ) -> None:
        self._store = store
        self._history = history
        self._deliver = deliver
        self._on_loaded = on_loaded
        self._on_unreadable = on_unreadable
        #: Epochs that have ended because this node knew events that are lost.
        self.renewed = 0

    def load(
        self, mirror: Mirror, new_after: int | None = None, *, is_lossless: bool = True
    ) -> None:
        """Read a topic as a whole.

        :param new_after: the offset after which events are new to the present subscribers; None
            where that is not known, or there are none.
        :param is_lossless: whether these have missed nothing but what is new.
        """
        mirror.move(MirrorState.LOADING)
        mirror.reload = Reload({}, None, new_after, is_lossless)
        events_after = 0 if mirror.rule.events else None
        self._read(mirror, Cursor(0 if _has_values(mirror) else None, events_after), self._on_part)

    def fill(self, mirror: Mirror) -> None:
        """Read what has come after the newest event that is known."""
        known = mirror.known
        if known is None:
            self.load(mirror)
            return
        mirror.move(MirrorState.FILLING)
        self._read(mirror, Cursor(None, known.position.offset), self._on_gap_part)

    def again(self, mirror: Mirror) -> None:
        """Read once more what could not be read."""
        reload = mirror.reload
        if reload is None:
            self.fill(mirror)
        else:
            self.load(mirror, reload.new_after, is_lossless=reload.is_lossless)

    def _read(
        self, mirror: Mirror, cursor: Cursor, on_slice: Callable[[Mirror, Cursor, Slice], None]
    ) -> None:
        mirror.reading += 1
        self._store.read(
            mirror.topic, cursor, partial(self._on_read, mirror, mirror.reading, cursor, on_slice)
        )

    def _on_read(
        self,
        mirror: Mirror,
        reading: int,
        cursor: Cursor,
        on_slice: Callable[[Mirror, Cursor, Slice], None],
        found: Slice | Unreadable | None,
    ) -> None:
        if reading != mirror.reading:
            # Live events have ceased to arrive meanwhile, or nobody needs the topic any more.
            return
        if found is None:
            found = Unreadable("the link was lost")
        if isinstance(found, Unreadable):
            self._on_unreadable(mirror, found)
        else:
            on_slice(mirror, cursor, found)

    # What lies between.

    def _on_gap_part(self, mirror: Mirror, _: Cursor, found: Slice) -> None:
        known = mirror.known
        if known is None:
            self.load(mirror)
            return
        result = compare(known, found)
        if result.must_renew:
            self.renewed += 1
            renewed = partial(self._on_renewed, mirror, mirror.reading, result.new_after)
            self._store.renew(mirror.topic, known.position.epoch, renewed)
            return
        if not result.goes_on:
            self.load(mirror, result.new_after, is_lossless=result.is_lossless)
            return
        run = found.runs[-1].name if found.runs else known.run
        if not self._deliver_all(mirror, found, run):
            self.load(mirror, mirror.known.position.offset if mirror.known else None)
            return
        if found.is_whole:
            mirror.known = Known(mirror.known.position if mirror.known else known.position, run)
            self._on_loaded(mirror)
        else:
            self.fill(mirror)

    def _deliver_all(self, mirror: Mirror, found: Slice, run: str) -> bool:
        """Deliver what was read; return whether nothing is missing."""
        epoch = found.position.epoch
        for row in found.events:
            if mirror.known is None or row.offset != mirror.known.position.offset + 1:
                return False
            self._deliver(mirror, _arrival(mirror.topic, epoch, row, run))
        newest = found.events[-1].offset if found.events else None
        if not found.is_whole:
            return True
        if mirror.known is None:
            return False
        return (newest or mirror.known.position.offset) >= found.position.offset

    def _on_renewed(self, mirror: Mirror, reading: int, new_after: int | None) -> None:
        if reading == mirror.reading:
            self.load(mirror, new_after, is_lossless=False)

    # The whole topic.

    def _on_part(self, mirror: Mirror, cursor: Cursor, found: Slice) -> None:
        reload = mirror.reload
        if reload is None:
            return
        if reload.position is None:
            reload.position = found.position
        elif reload.position.epoch != found.position.epoch:
            self.load(mirror, reload.new_after, is_lossless=reload.is_lossless)
            return
        for row in (*found.values, *found.events):
            reload.rows[row.offset] = row
        if not found.is_whole:
            self._read(mirror, _next_cursor(cursor, found), self._on_part)
            return
        newest = found.events[-1].offset if found.events else 0
        self._take(mirror, reload, reload.position, newest, found)

    def _take(
        self, mirror: Mirror, reload: Reload, position: Position, newest: int, found: Slice
    ) -> None:
        """Put what was read into the history."""
        offset = max(position.offset, newest)
        # Values after that are those of live events, which wait.
        rows = [reload.rows[each] for each in sorted(reload.rows) if each <= offset]
        position = Position(position.epoch, offset)
        self._history.load(StoredTopic(mirror.topic, position, rows), found.now)
        mirror.known = Known(position, found.runs[-1].name if found.runs else "")
        reload.rows.clear()
        self._on_loaded(mirror)


def _has_values(mirror: Mirror) -> bool:
    return mirror.rule.last or bool(mirror.rule.last_by)


def _next_cursor(cursor: Cursor, found: Slice) -> Cursor:
    """Return where a read goes on; the values come before the events."""
    values, events = cursor
    if found.events:
        return Cursor(None, found.events[-1].offset)
    return Cursor(_last(found.values, values), events)


def _last(rows: Sequence[StoredRow], before: int | None) -> int | None:
    return rows[-1].offset if rows else before


def _arrival(topic: str, epoch: str, row: StoredRow, run: str) -> Arrival:
    position = Position(epoch, row.offset)
    publication = Publication(topic, row.payload, row.audience, position)
    return Arrival(publication, position, row.time, run)
