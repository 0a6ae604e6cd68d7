"""How a careful client follows a topic that keeps events.

Owns: when it believes an event, and when it subscribes again. Pure.
Must not import: I/O.

It accepts an event whose offset follows the last one. Any other offset shows that events are
missing, or come again: then it subscribes with its position, and until the answer accepts only what
follows. The answer says whether these events are the missing ones.
"""

from __future__ import annotations

from typing import Any

from bench.faults.records import Kept, Place, Segment, Stamp


class KeptView:
    """The view of one reader on one topic.

    :param record: notes what it accepts.
    """

    def __init__(self, record: Kept) -> None:
        self.record = record
        self._known: Place | None = None
        #: Accepted since the last subscription; they count once it is answered.
        self._since_asked: list[Stamp] = []
        self._is_asking = True

    @property
    def is_live(self) -> bool:
        """Whether it is subscribed, and nothing is known to be missing."""
        return not self._is_asking

    @property
    def known(self) -> Place | None:
        """The position of the newest event that it has; None before the first answer."""
        return self._known

    def ask(self) -> dict[str, Any]:
        """Return the options of the call that subscribes; until the answer, little is believed."""
        self._is_asking = True
        self._since_asked.clear()
        if self._known is None:
            return {}
        return {"since": {"epoch": self._known.epoch, "offset": self._known.offset}}

    def on_event(self, offset: int, stamp: Stamp) -> bool:
        """Take an event; returns whether it has to subscribe again."""
        known = self._known
        if known is None:
            return False
        if self._is_asking:
            if offset == known.offset + len(self._since_asked) + 1:
                self._since_asked.append(stamp)
            return False
        if offset == known.offset + 1:
            self._accept(stamp)
            return False
        self.record.losses.append(f"offset {offset} after {known.offset}")
        return True

    def on_answer(self, answer: dict[str, Any]) -> bool:
        """Take the answer to the call; returns whether it has to be sent again later."""
        if answer["epoch"] is None:
            # The server does not know yet where the topic is, and said that events are missing.
            return True
        place = Place(str(answer["epoch"]), int(answer["offset"]))
        known = self._known
        if known is not None and answer["recovered"]:
            self._is_asking = False
            if place.epoch != known.epoch:
                self.record.breaches.append(f"recovered from {known} in another epoch, {place}")
            for each in self._since_asked:
                self._accept(each)
            reached = known.offset + len(self._since_asked)
            if reached < place.offset:
                self.record.breaches.append(f"recovered to {place}, and got up to {reached} only")
        else:
            if known is not None:
                self.record.losses.append(f"not recovered from {known}")
            self._known = place
            self._is_asking = False
            self.record.segments.append(Segment(place.epoch, place.offset))
        self._since_asked.clear()
        return False

    def _accept(self, stamp: Stamp) -> None:
        known = self._known
        assert known is not None
        self._known = Place(known.epoch, known.offset + 1)
        self.record.segments[-1].stamps.append(stamp)
