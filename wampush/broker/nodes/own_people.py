"""What this node reports to the others about its people.

Owns: what it has reported, what it has yet to report, and the sequence of its changes.
Must not import: Twisted, the edges, presence. The clock is handed in.

Changes are collected for :data:`COLLECT_SECONDS`, so that a flood of users makes few messages. A
user who comes and goes within this time is not mentioned. Each message has a number; whoever has
missed one asks for everything (:meth:`OwnPeople.everything`). While that is sent, which may take
several turns, changes are collected further: a node that has not received all of it would leave
them out, and ask again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

from wampush.broker.nodes.node_payloads import PeoplePayload
from wampush.broker.nodes.people import NodePeople, PeopleChange
from wampush.clock import Clock, TimerHandle

#: Seconds for which changes are collected.
COLLECT_SECONDS: Final = 0.05
#: Characters of the names in one message. As JSON each may take six bytes, which stays below the
#: limit of messages between nodes.
CHARACTERS: Final = 16_384


class OwnPeople:
    """The users, sessions and topics of this node, as the others know them.

    :param node: the id of this node.
    :param epoch: names the run of numbers, which begins at 0.
    :param clock: for collecting.
    :param send: sends a change to all other nodes.
    """

    def __init__(
        self, node: str, epoch: str, clock: Clock, send: Callable[[PeoplePayload], None]
    ) -> None:
        self.node = node
        self.epoch: Final = epoch
        self.people: Final = NodePeople()
        #: How many changes have been sent.
        self.sequence = 0
        #: Names that cannot be sent, because they are not valid text.
        self.unsendable = 0
        self._clock = clock
        self._send = send
        self._pending = PeopleChange()
        self._timer: TimerHandle | None = None
        self._is_stopped = False
        #: How many nodes are being sent everything.
        self._num_snapshots = 0

    def set_sessions(self, count: int) -> None:
        """Note how many sessions there are."""
        if count != self.people.sessions:
            self.people.sessions = self._pending.sessions = count
            self._schedule()

    def set_user(self, user: str, is_here: bool) -> None:
        """Note whether a user is present."""
        self._set(self.people.users, self._pending.users, user, is_here)

    def set_member(self, topic: str, user: str, connections: int | None) -> None:
        """Note the subscriptions of a user to a topic with presence.

        :param connections: None for a user who is not on the topic any more.
        """
        if connections == self.people.connections(topic, user):
            return
        if not self._can_send(topic, user):
            return
        self.people.apply(PeopleChange(members={topic: {user: connections}}))
        self._pending.members.setdefault(topic, {})[user] = connections
        self._schedule()

    def set_anonymous(self, topic: str, count: int) -> None:
        """Note how many subscribers of a topic with presence have no user."""
        if count == self.people.anonymous.get(topic, 0) or not self._can_send(topic):
            return
        self.people.apply(PeopleChange(anonymous={topic: count}))
        self._pending.anonymous[topic] = count
        self._schedule()

    def set_occupied(self, topic: str, is_occupied: bool) -> None:
        """Note whether a topic counts as occupied."""
        self._set(self.people.occupied, self._pending.occupied, topic, is_occupied)

    def set_reported(self, topic: str, is_reported: bool) -> None:
        """Note whether the occupation of a topic is reported to the applications here."""
        self._set(self.people.reported, self._pending.reported, topic, is_reported)

    def everything(self) -> Generator[PeoplePayload | None, None, None]:
        """Yield all that this node has now, in parts that may be sent in several turns.

        What has been collected is sent as a change first, so that the number is right. Changes are
        sent again when the iterator has ended, or is closed.

        :returns: yields None while it takes a copy and counts the parts, once for each of these.
        """
        self.flush()
        sequence = self.sequence
        self._num_snapshots += 1
        try:
            parts: list[PeopleChange] = []
            everything = self.people.everything()
            yield None
            for part in everything.parts(CHARACTERS):
                parts.append(part)
                yield None
            for number, part in enumerate(parts):
                yield PeoplePayload(
                    node=self.node,
                    epoch=self.epoch,
                    sequence=sequence,
                    change=part,
                    part=number,
                    parts=len(parts),
                )
        finally:
            self._num_snapshots -= 1
            if self._pending:
                self._schedule()

    def flush(self) -> None:
        """Send what has been collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        change, self._pending = self._pending, PeopleChange()
        for part in change.parts(CHARACTERS) if change else ():
            self.sequence += 1
            self._send(
                PeoplePayload(node=self.node, epoch=self.epoch, sequence=self.sequence, change=part)
            )

    def stop(self) -> None:
        """Report nothing more."""
        self._is_stopped = True
        self._pending = PeopleChange()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, names: set[str], pending: dict[str, bool], name: str, is_in: bool) -> None:
        if is_in == (name in names) or not self._can_send(name):
            return
        (names.add if is_in else names.discard)(name)
        pending[name] = is_in
        self._schedule()

    def _can_send(self, *names: str) -> bool:
        for name in names:
            if not name.isascii() and any("\ud800" <= each <= "\udfff" for each in name):
                # Half a surrogate pair, as is left of an emoji that was cut; no JSON can hold it.
                self.unsendable += 1
                return False
        return True

    def _schedule(self) -> None:
        if self._timer is None and not self._is_stopped:
            self._timer = self._clock.call_later(COLLECT_SECONDS, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._num_snapshots:
            self.flush()
