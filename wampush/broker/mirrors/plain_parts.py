"""Publications that the store sends to topics without history, until they have come back.

Owns: which of them this node has to deliver by itself, because they do not come back, and what has
to wait for that. Must not import: Twisted, the edges.

Pushes with an id go through the store whatever their topics are, because the store knows the ids of
all nodes. What it sends to a topic without history is kept nowhere, so that nothing reads it later.
The clients of this node get it nevertheless, once, and in its place: see :class:`PartState`.

Whether a publication comes back may be in doubt: the link was lost before the store had answered,
or its topic was not followed yet. When this node has joined again, it first asks what the store has
carried out, and sends nothing until it knows. What was not carried out has not come yet, and what
was is either among what arrives, or was sent before everything that comes over this link; then it
is delivered, even if its publisher has not waited. Until that is known, what else comes to its
topic waits (:mod:`~.plain_order`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from functools import partial
from types import MappingProxyType
from typing import Final

from wampush.broker.backplane.interest import Interest
from wampush.broker.backplane.node_message import NodeMessage
from wampush.broker.mirrors.contract import Entry, NotCarriedOut, OnStored, SendsEntries, Stored
from wampush.broker.mirrors.plain_order import Deliver, Fate, PlainOrder, Turn
from wampush.broker.publication import Publication
from wampush.broker.router import Router
from wampush.errors import PublicationRefused
from wampush.state_machine import moved

#: Looks after which what has not come back is forgotten: its topic was left meanwhile, or its
#: publisher got an answer that says its fate is unknown. Looks are counted instead of seconds,
#: because what has arrived while the process was frozen is not read yet.
KEPT_LOOKS: Final = 4

_Key = tuple[int, str]


@unique
class PartState(Enum):
    """What is known of a publication to one topic."""

    SENT = "the store has not answered; it will come back if the store carries it out"
    STORED = "the store has carried it out; it will come back"
    COME = "it has come; the store has not answered"
    AGAIN = "it has come, and the store, which had forgotten it, has carried it out once more"
    IN_DOUBT = "the store has not answered; it may have been sent when this node did not get it"
    ARRIVING = "the store has carried it out, and it may be among what arrives"
    ABSENT = "the store had not carried it out when it was asked, or does not say"


_MOVES: Final[Mapping[PartState, frozenset[PartState]]] = MappingProxyType(
    {
        PartState.SENT: frozenset(
            {
                PartState.STORED,
                PartState.COME,
                PartState.IN_DOUBT,
                PartState.ARRIVING,
                PartState.ABSENT,
            }
        ),
        PartState.STORED: frozenset(),
        PartState.COME: frozenset({PartState.AGAIN}),
        PartState.AGAIN: frozenset(),
        PartState.IN_DOUBT: frozenset({PartState.COME, PartState.ARRIVING, PartState.ABSENT}),
        PartState.ARRIVING: frozenset({PartState.STORED}),
        PartState.ABSENT: frozenset({PartState.SENT, PartState.IN_DOUBT}),
    }
)
_FORGOTTEN: Final = frozenset({PartState.STORED, PartState.COME, PartState.AGAIN, PartState.ABSENT})


@dataclass(slots=True)
class _Part:
    """A publication to one topic.

    :ivar publication: to this topic only.
    :ivar entry: what was sent to the store.
    :ivar following: the time of following the topic in which it comes back.
    :ivar link: the number of the link over which it was sent the last time.
    :ivar come_over: the number of the link over which it has come.
    :ivar looks: how often it was looked at since.
    :ivar turn: its place among what waits; None for one that is in its place without that.
    """

    publication: Publication
    entry: Entry
    following: int
    state: PartState
    link: int
    come_over: int = 0
    looks: int = 0
    turn: Turn | None = None


class PlainParts:
    """Takes publications to the store, and sees to their topics without history.

    :param store: keeps topics for all nodes.
    :param takes: returns whether a topic has a history.
    :param interest: which topics this node follows.
    :param router: delivers.
    """

    def __init__(
        self,
        store: SendsEntries,
        takes: Callable[[str], bool],
        *,
        interest: Interest,
        router: Router,
    ) -> None:
        self._store = store
        self._takes = takes
        self._interest = interest
        self._router = router
        #: Counts the links.
        self._link = 0
        #: The newest number that was sent; numbers only grow, so others are sent again.
        self._newest = 0
        # By number and topic, in the order in which they were sent the last time.
        self._parts: dict[_Key, _Part] = {}
        self._order: Final = PlainOrder()
        #: Topics whose messages wait for what comes before them.
        self.waiting: Final[Container[str]] = self._order.queues
        self._is_asking = False
        #: Publications that the store has carried out when this node was not joined, as far as is
        #: known, so that other nodes may have missed them as well.
        self.not_propagated = 0

    def __len__(self) -> int:
        """Return of how many not everything is known."""
        return len(self._parts)

    @property
    def is_joined(self) -> bool:
        """See :class:`~.contract.TakesEntries`.

        What is sent now must not come before the answer about what was sent earlier.
        """
        return self._store.is_joined and not self._is_asking

    @property
    def problem(self) -> str:
        """See :class:`~.contract.TakesEntries`."""
        return self._store.problem

    @property
    def unordered(self) -> int:
        """How many messages have not waited any longer for what may come before them."""
        return self._order.unordered

    def publish(self, entry: Entry, on_stored: OnStored) -> None:
        """Take a publication to the store; see :class:`~.contract.TakesEntries`."""
        keys = []
        is_new = entry.number > self._newest
        self._newest = max(self._newest, entry.number)
        for publication in entry.publication.by_topic():
            topic = publication.topic
            if self._takes(topic):
                continue
            key = (entry.number, topic)
            part = self._parts.pop(key, None)
            if is_new:
                part = self._new_part(entry, publication)
            if part is not None:
                part.link, part.looks = self._link, 0
                if part.state is PartState.ABSENT:
                    self._move(part, PartState.SENT)
                self._parts[key] = part
            keys.append(key)
        if keys:
            on_stored = partial(self._on_stored, keys, on_stored)
        self._store.publish(entry, on_stored)

    def on_message(self, topic: str, message: NodeMessage, deliver: Deliver) -> bool:
        """Take note of a message to a topic without history.

        :param deliver: takes it later, if it has to wait.
        :returns: whether it is to be delivered now.
        """
        part = None
        if message.node == self._store.node:
            key = (message.number, topic)
            part = self._parts.get(key)
        if part is None:
            return topic not in self.waiting or not self._order.hold(topic, message, deliver)
        if part.state in (PartState.COME, PartState.AGAIN):
            self._on_come_again(key, part)
            return False
        # It waits before it frees what comes after it.
        is_taken = self._order.hold(topic, message, deliver)
        self._on_come(key, part)
        return not is_taken

    def give_way(self) -> None:
        """Let no message wait that has come until now."""
        self._order.give_way()

    def on_joined(self, send: Callable[[], None]) -> None:
        """Find out what has become of what is in doubt.

        :param send: sends everything that is sent again; called at once if nothing is in doubt, and
            never if the link is lost before that is known.
        """
        keys = [key for key, part in self._parts.items() if part.state is PartState.IN_DOUBT]
        entries = {key[0]: self._parts[key].entry for key in keys}
        if not keys:
            send()
            return
        self._is_asking = True
        self._store.ask(
            list(entries.values()), partial(self._on_answer, self._link, keys, list(entries), send)
        )

    def on_left(self) -> None:
        """Deliver what the store has sent, and what cannot come back any more."""
        for key, part in list(self._parts.items()):
            if part.state is PartState.ARRIVING:
                self._end_late(key, part)
        self._link += 1
        self._is_asking = False
        for key, part in list(self._parts.items()):
            if part.state is PartState.STORED:
                self._doubt(part)
                self._end(key, part, Fate.DUE)
            elif part.state is PartState.ABSENT and not part.entry.push_id:
                # Only its number would tell, and later ones may have been carried out.
                self._end(key, part)
            elif part.state in (PartState.SENT, PartState.ABSENT):
                self._move(part, PartState.IN_DOUBT)
                self._doubt(part)

    def look(self) -> None:
        """Forget what will not come back; call it every few seconds."""
        for key, part in list(self._parts.items()):
            part.looks += 1
            if part.looks > KEPT_LOOKS and part.state in _FORGOTTEN:
                self._end(key, part)
        self._order.look()

    # Parts.

    def _new_part(self, entry: Entry, publication: Publication) -> _Part | None:
        topic = publication.topic
        wanted = self._interest.wanted(topic)
        if not wanted:
            return None
        part = _Part(publication, entry, wanted, PartState.SENT, self._link)
        if self._interest.is_awaited(topic):
            self._move(part, PartState.IN_DOUBT)
            self._doubt(part)
        return part

    def _on_come(self, key: _Key, part: _Part) -> None:
        part.come_over = self._link
        if part.state in (PartState.SENT, PartState.IN_DOUBT):
            self._move(part, PartState.COME)
            self._settle(part, Fate.SETTLED)
        else:
            self._end(key, part)

    def _on_come_again(self, key: _Key, part: _Part) -> None:
        """Leave out what the store has forgotten and carried out once more."""
        if part.state is PartState.AGAIN:
            self._end(key, part)

    def _on_answer(
        self,
        link: int,
        keys: list[_Key],
        numbers: list[int],
        send: Callable[[], None],
        answer: Sequence[bool] | None,
    ) -> None:
        if link != self._link or not self._store.is_joined:
            # It is asked again over the next link.
            return
        self._is_asking = False
        done = {} if answer is None else dict(zip(numbers, answer, strict=True))
        for key in keys:
            part = self._parts.get(key)
            if part is None or part.state is not PartState.IN_DOUBT:
                continue
            if done.get(key[0]):
                self._await_arrival(key, part)
            elif answer is not None:
                self._set_aside(part)
        send()
        for key in keys:
            # Only if nobody can say: what is sent again learns it from its outcome.
            part = self._parts.get(key)
            if part is not None and part.state is PartState.IN_DOUBT and part.link != link:
                self._set_aside(part)

    def _set_aside(self, part: _Part) -> None:
        """Let nothing wait for a part that comes as any other one, if it comes."""
        self._move(part, PartState.ABSENT)
        part.looks = 0
        self._settle(part, Fate.SETTLED)

    def _on_stored(
        self,
        keys: list[_Key],
        on_stored: OnStored,
        outcome: Stored | PublicationRefused | NotCarriedOut | None,
    ) -> None:
        # Without an outcome, it is sent again or given up.
        if isinstance(outcome, NotCarriedOut):
            self._on_not_carried_out(keys)
        elif outcome is not None:
            is_late = isinstance(outcome, Stored) and outcome.is_late
            for key in keys:
                part = self._parts.get(key)
                if is_late and (part is None or part.state is not PartState.COME):
                    self.not_propagated += 1
                if part is not None:
                    self._on_outcome(key, part, outcome)
        on_stored(outcome)

    def _on_not_carried_out(self, keys: list[_Key]) -> None:
        """Take note that the store could not carry out a publication this time."""
        for key in keys:
            part = self._parts.get(key)
            # In another state, an earlier sending decides.
            if part is not None and part.state is PartState.SENT:
                self._set_aside(part)

    def _on_outcome(self, key: _Key, part: _Part, outcome: Stored | PublicationRefused) -> None:
        is_new = isinstance(outcome, Stored) and not (outcome.is_late or outcome.is_repeated)
        if part.state is PartState.ARRIVING:
            if is_new:
                # The store has forgotten it meanwhile, and has carried it out once more.
                self._move(part, PartState.STORED)
                self._settle(part, Fate.SETTLED)
        elif not isinstance(outcome, Stored) or outcome.is_repeated:
            self._end(key, part)
        elif part.state is PartState.SENT and is_new:
            self._move(part, PartState.STORED)
        elif part.state is PartState.SENT:
            # It may come; but it was sent long ago if the store has forgotten its id.
            self._doubt(part)
            self._await_arrival(key, part)
        elif part.state is PartState.IN_DOUBT:
            self._await_arrival(key, part)
        elif part.state is PartState.COME and part.come_over != part.link and is_new:
            self._move(part, PartState.AGAIN)
        else:
            self._end(key, part)

    def _await_arrival(self, key: _Key, part: _Part) -> None:
        self._move(part, PartState.ARRIVING)
        self._interest.arrivals.call_when_complete(partial(self._on_arrived, key))

    def _on_arrived(self, key: _Key) -> None:
        """Deliver what has not come although everything has that was sent before."""
        part = self._parts.get(key)
        if part is not None and part.state is PartState.ARRIVING:
            self._end_late(key, part)

    def _end_late(self, key: _Key, part: _Part) -> None:
        """Deliver what the store has sent when this node did not get it."""
        if part.link != self._link:
            # The answer to its publisher said that its fate is unknown, so no outcome counts it.
            self.not_propagated += 1
        self._end(key, part, Fate.DUE)

    def _deliver(self, part: _Part) -> None:
        # Whoever has come since is not to get it after what was published later.
        if self._interest.still_follows(part.publication.topic, part.following):
            self._router.deliver(part.publication)

    def _move(self, part: _Part, state: PartState) -> None:
        part.state = moved(_MOVES, part.state, state)

    def _end(self, key: _Key, part: _Part, fate: Fate = Fate.SETTLED) -> None:
        del self._parts[key]
        self._settle(part, fate)

    def _doubt(self, part: _Part) -> None:
        """Have what comes to a topic from now on wait for a part."""
        part.turn = Turn(partial(self._deliver, part))
        self._order.add(part.publication.topic, part.turn)

    def _settle(self, part: _Part, fate: Fate) -> None:
        turn, part.turn = part.turn, None
        if turn is not None:
            turn.fate = fate
            self._order.go_on(part.publication.topic)
