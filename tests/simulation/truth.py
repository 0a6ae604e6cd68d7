"""What the store of a simulation has taken, and what each session must get of it.

Owns: the plain model that the nodes are compared with. Must not import: Twisted, the node.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final

from wampush.broker.publication import Audience, Position


@dataclass(slots=True)
class Taken:
    """An event that the store has taken.

    :ivar position: where it is in its topic.
    :ivar number: what it carries.
    :ivar audience: who may get it.
    """

    position: Position
    number: int
    audience: Audience


@dataclass(slots=True)
class Viewer:
    """Who a session is, as the model sees it.

    :ivar session: its id.
    :ivar user: its user; "" for none.
    """

    session: str
    user: str

    def may_see(self, audience: Audience) -> bool:
        """Return whether an audience contains it."""
        if self.session in audience.exclude:
            return False
        if audience.eligible is not None and self.session not in audience.eligible:
            return False
        to = audience.to
        if to is None:
            return True
        named = to.users is not None and self.user in to.users
        return named and bool(self.user)


class Truth:
    """The events of all topics with a history, as the store has them now."""

    def __init__(self) -> None:
        self._events: dict[str, dict[int, Taken]] = {}
        #: Also those that the store has lost; a slow client may still read them.
        self._ever: dict[tuple[str, int], list[Taken]] = {}
        self._numbers: set[int] = set()
        #: Pushes with an id, and those of them that the store may carry out again, because it has
        #: lost their ids.
        self._with_id: set[int] = set()
        self._forgotten: set[int] = set()
        #: Events that the store could not carry out at least once, so that later ones may be first.
        self._refused: set[int] = set()
        #: Where such pushes are in the order of their topic without history.
        self._places: dict[tuple[str, int], int] = {}

    def add_push(self, number: int) -> None:
        """Note a push with an id."""
        self._with_id.add(number)

    def add_refused(self, number: int) -> None:
        """Note that the store could not carry out an event this time."""
        self._refused.add(number)

    def was_refused(self, number: int) -> bool:
        """Return whether the store could not carry out an event at least once."""
        return number in self._refused

    def has_id(self, number: int) -> bool:
        """Return whether an event came with a push with an id."""
        return number in self._with_id

    def add_plain(self, topic: str, number: int) -> None:
        """Note that the store has sent an event to those that follow a topic without history."""
        if number in self._with_id:
            self._places[topic, number] = len(self._places)

    def forget_pushes(self) -> None:
        """Note that the store has lost the ids of pushes."""
        self._forgotten |= self._with_id

    def may_come_again(self, number: int) -> bool:
        """Return whether the store may have carried out a push twice."""
        return number in self._forgotten

    def place(self, topic: str, number: int) -> int | None:
        """Return where a push with an id is in the order of its topic; None if that is unclear.

        One that the store has refused at first may be carried out after later ones. The node that
        has published it does not learn that if it loses the store before the event comes back.
        """
        is_unclear = number in self._forgotten or number in self._refused
        return None if is_unclear else self._places.get((topic, number))

    def add(self, topic: str, taken: Taken) -> None:
        """Note an event; the store has given up what it had at this offset and after it.

        :raises Breach: the store has it twice.
        """
        events = self._events.setdefault(topic, {})
        self.cut(topic, taken.position.offset - 1)
        if taken.number in self._numbers and any(
            each.number == taken.number for each in events.values()
        ):
            raise Breach(f"{topic}: event {taken.number} is stored twice")
        events[taken.position.offset] = taken
        self._ever.setdefault((topic, taken.position.offset), []).append(taken)
        self._numbers.add(taken.number)

    def cut(self, topic: str, offset: int) -> None:
        """Note that the store has lost what came after an offset."""
        events = self._events.get(topic, {})
        for each in [each for each in reversed(events) if each > offset]:
            del events[each]

    def forget_all(self) -> None:
        """Note that the store has lost everything."""
        self._events.clear()

    def has_taken(self, number: int) -> bool:
        """Return whether the store has ever had an event."""
        return number in self._numbers

    @property
    def offsets(self) -> dict[str, int]:
        """The newest offset by topic."""
        return {topic: max(events) for topic, events in self._events.items() if events}

    def missing(
        self, topic: str, viewer: Viewer, after: int, up_to: int, found: Container[int] = ()
    ) -> Taken | None:
        """Return an event that a session must have got; None if there is none.

        :param after: the offset of the last event that it has.
        :param up_to: the offset before that of the next one.
        :param found: offsets of events that it has.
        """
        for each in self.between(topic, after, up_to):
            offset = each.position.offset
            if offset not in found and all(
                viewer.may_see(one.audience) for one in self._ever[topic, offset]
            ):
                return each
        return None

    def between(self, topic: str, after: int, up_to: int) -> list[Taken]:
        """Return the events after an offset, up to and including another one."""
        events = self._events.get(topic, {})
        return [events[each] for each in range(after + 1, up_to + 1) if each in events]


class Breach(AssertionError):
    """A node has not kept its word."""


@dataclass(slots=True)
class Watch:
    """What one session knows of a topic with a history.

    :ivar topic: its name.
    :ivar viewer: the session.
    :ivar since: what it knew when it subscribed; None for nothing.
    :ivar known: the position of the newest event that it has, or may not see.
    :ivar is_answered: whether its subscription has been answered.
    :ivar is_told: whether it was told that events are missing; it must subscribe again.
    """

    topic: Final[str]
    viewer: Final[Viewer]
    since: Final[Position | None]
    known: Position | None = None
    is_answered: bool = False
    is_told: bool = False
    _numbers: dict[int, int] = field(default_factory=dict)

    def on_event(self, truth: Truth, position: Position, number: int) -> None:
        """Check an event.

        :raises Breach: it comes twice, out of order, after a silent hole or to the wrong session.
        """
        if self.is_told:
            return
        if not self.is_answered:
            self._numbers[position.offset] = number
            if self.since is None or self.known is None or position.offset > self.known.offset:
                self.known = position
            return
        before = self.known
        if before is None:
            raise Breach(f"{self.topic}: an event although nobody knows where the topic is")
        if position.offset <= before.offset:
            raise Breach(f"{self.topic}: {position} comes after {before}")
        self._check_hole(truth, before.offset, position.offset - 1)
        self.known = position

    def on_answer(self, truth: Truth, position: Position | None, *, is_recovered: bool) -> None:
        """Check what has come before the answer to the subscription.

        :param position: up to which everything was sent before; None for nothing yet.
        :raises Breach: it says that nothing is missing, and something is.
        """
        if self.since is not None and is_recovered:
            if position is None:
                raise Breach(f"{self.topic}: recovered from {self.since} to nowhere")
            missing = truth.missing(
                self.topic, self.viewer, self.since.offset, position.offset, self._numbers
            )
            if missing is not None:
                raise Breach(
                    f"{self.topic}: recovered from {self.since} to {position} without "
                    f"{missing.position}"
                )
        self._numbers.clear()
        self.is_answered = True
        self.known = position

    def check_end(self, truth: Truth) -> None:
        """Check that nothing is missing once everything has come to rest.

        :raises Breach: something is.
        """
        if self.is_told:
            return
        if not self.is_answered:
            raise Breach(f"{self.topic}: the subscription was never answered")
        if self.known is None:
            raise Breach(f"{self.topic}: nothing says where the topic is")
        self._check_hole(truth, self.known.offset, truth.offsets.get(self.topic, 0))

    def _check_hole(self, truth: Truth, after: int, up_to: int) -> None:
        missing = truth.missing(self.topic, self.viewer, after, up_to)
        if missing is not None:
            raise Breach(f"{self.topic}: {missing.position} is missing silently after {after}")


@dataclass(slots=True)
class PlainWatch:
    """What one session has got of a topic without history.

    :ivar topic: its name.
    :ivar viewer: the session.
    :ivar begun: when it subscribed, in seconds.
    :ivar followed: when its node began to follow the topic, in seconds.
    """

    topic: Final[str]
    viewer: Final[Viewer]
    begun: Final[float]
    followed: Final[float]
    numbers: set[int] = field(default_factory=set)
    _newest: dict[str, int] = field(default_factory=dict)
    _place: int = -1

    def on_event(self, truth: Truth, publisher: str, number: int, judges_order: bool) -> None:
        """Check an event.

        :param publisher: who has published it; the node, or "" for what was sent to several.
        :param judges_order: whether the order of pushes with an id is judged.
        :raises Breach: it comes twice, or out of the order in which the node has published, or in
            another order than at Redis.
        """
        if number in self.numbers:
            if truth.may_come_again(number):
                return
            raise Breach(f"{self.topic}: event {number} comes twice")
        newest, place = self._newest.get(publisher, 0), truth.place(self.topic, number)
        judges_publisher = not truth.was_refused(number) and (
            judges_order or not truth.has_id(number)
        )
        if publisher and judges_publisher and number < newest:
            raise Breach(f"{self.topic}: event {number} comes late")
        self.numbers.add(number)
        self._newest[publisher] = max(number, newest)
        if place is not None:
            if judges_order and place < self._place:
                raise Breach(f"{self.topic}: event {number} comes after what came later at Redis")
            self._place = max(place, self._place)
