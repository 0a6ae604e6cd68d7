"""The other nodes: which are there, and what each has reported.

Owns: when a node counts as there, as gone, and as forgotten; whether its changes are complete.
Must not import: Twisted, the edges, presence. The clock is handed in.

A node is heard every :data:`~.registry.BEAT_SECONDS`. One that is silent for
:data:`SILENCE_SECONDS` is gone: its sessions count no longer, and its users, who may be on their
way to another node, are forgotten after the grace period. When this process itself has not run for
a while, or has no link, it is not the others that were silent; they get the time again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto, unique
from types import MappingProxyType
from typing import Final, Protocol

from wampush.broker.nodes.node_payloads import Beat, PeoplePayload
from wampush.broker.nodes.notices import Notices
from wampush.broker.nodes.people import NodePeople, PeopleChange
from wampush.clock import Clock
from wampush.errors import PushRefused, Refusal
from wampush.state_machine import state_after

#: Seconds after which a silent node is gone; with :data:`LOOK_SECONDS`, at most 8.
SILENCE_SECONDS: Final = 7.5
#: Seconds between two looks at all nodes.
LOOK_SECONDS: Final = 0.5
#: A look that comes later than that, in seconds, says that this process has not run.
FROZEN_SECONDS: Final = 2.0
#: Seconds between two requests to one node for everything that it has.
ASK_SECONDS: Final = 1.0
#: The most nodes, and the most entries of all together, so that nobody fills the memory: an entry
#: takes about 100 bytes.
MOST_NODES: Final = 256
MOST_ENTRIES: Final = 10_000_000


@unique
class NodeStatus(StrEnum):
    """What is known about a node."""

    #: It is there, and has been asked for everything that it has.
    JOINING = auto()
    #: It is there, and everything that it has is known.
    PRESENT = auto()
    #: It is gone, and its users may come back.
    DEPARTED = auto()


@unique
class NodeEvent(StrEnum):
    """What changes that."""

    HEARD = auto()
    REPORTED = auto()
    LOST = auto()


_MOVES: Final = MappingProxyType(
    {
        (NodeStatus.JOINING, NodeEvent.HEARD): NodeStatus.JOINING,
        (NodeStatus.JOINING, NodeEvent.REPORTED): NodeStatus.PRESENT,
        (NodeStatus.JOINING, NodeEvent.LOST): NodeStatus.DEPARTED,
        (NodeStatus.PRESENT, NodeEvent.HEARD): NodeStatus.PRESENT,
        (NodeStatus.PRESENT, NodeEvent.REPORTED): NodeStatus.PRESENT,
        (NodeStatus.PRESENT, NodeEvent.LOST): NodeStatus.DEPARTED,
        (NodeStatus.DEPARTED, NodeEvent.HEARD): NodeStatus.JOINING,
    }
)


@dataclass(slots=True)
class OtherNode:
    """One of the other nodes.

    :ivar id: distinguishes it from all others.
    :ivar process: the one that speaks for it, and is spoken to.
    :ivar beat: what it has said of itself last; None before its first beat.
    :ivar people: those that it has reported.
    :ivar epoch: names its run of changes; "" before everything is known.
    :ivar sequence: of the newest change that is contained in ``people``.
    :ivar heard_at: when it was heard last, or when it was lost; seconds of the clock.
    """

    id: str
    process: str
    heard_at: float
    beat: Beat | None = None
    status: NodeStatus = NodeStatus.JOINING
    people: NodePeople = field(default_factory=NodePeople)
    epoch: str = ""
    sequence: int = 0
    asked_at: float = float("-inf")
    arriving: _Arriving | None = None

    @property
    def is_there(self) -> bool:
        """Whether it is expected to answer."""
        return self.status is not NodeStatus.DEPARTED

    @property
    def name(self) -> str:
        """Its name, for people."""
        return self.id if self.beat is None else self.beat.name

    def move(self, event: NodeEvent) -> None:
        """Note an event."""
        self.status = state_after(_MOVES, self.status, event)


@dataclass(slots=True)
class _Arriving:
    """Everything that a node has, of which some parts have come."""

    epoch: str
    sequence: int
    parts: int
    next_part: int = 0
    people: NodePeople = field(default_factory=NodePeople)


class NodesListener(Protocol):
    """Learns what other nodes have reported; the nodes have the new values by then."""

    def on_people(self, change: PeopleChange) -> None:
        """Handle new values of one node."""

    def on_departed(self, node: OtherNode) -> None:
        """Handle a node that is gone; its sessions do not count any more."""

    def on_nodes_changed(self) -> None:
        """Handle a node that has come, or is gone."""


class ReportNode(Protocol):
    """Logs what happens to a node."""

    def __call__(self, message: str, **fields: object) -> None:
        """Log a message with the names of fields in braces."""


class OtherNodes:
    """What is known about the other nodes.

    :param grace: seconds for which users of a node that is gone may come back.
    :param clock: for the silence of nodes.
    :param ask: asks a node for everything that it has.
    :param report: logs nodes that come and go.
    """

    def __init__(
        self, *, grace: float, clock: Clock, ask: Callable[[OtherNode], None], report: ReportNode
    ) -> None:
        self._grace = grace
        self._clock = clock
        self._ask = ask
        self._report = report
        self._nodes: dict[str, OtherNode] = {}
        self._listeners: tuple[NodesListener, ...] = ()
        self._notices: Final = Notices(self._notify, clock)
        self._looked_at = clock.seconds()
        self._is_paused = True
        #: Whether those that are there have been heard, as far as anybody can know.
        self.is_settled = False
        #: Nodes that were ignored because there are too many.
        self.ignored = 0

    def __iter__(self) -> Iterator[OtherNode]:
        """Iterate over all nodes that are known, gone ones included."""
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def there(self) -> Mapping[str, OtherNode]:
        """The nodes that are expected to answer, by id."""
        return {each.id: each for each in self if each.is_there}

    @property
    def present(self) -> list[OtherNode]:
        """The nodes that are there and of which everything is known."""
        return [each for each in self if each.status is NodeStatus.PRESENT]

    def watch(self, listener: NodesListener) -> None:
        """Notify a listener from now on."""
        self._listeners = (*self._listeners, listener)

    # What is heard.

    def on_beat(self, process: str, beat: Beat) -> None:
        """Take what a node says of itself.

        :param process: that says it.
        """
        node = self._heard(beat.node, process)
        if node is None:
            return
        is_other = node.beat is None or node.beat.watched != beat.watched
        node.beat = beat
        is_complete = (node.epoch, node.sequence) == (beat.epoch, beat.sequence)
        if node.status is not NodeStatus.PRESENT or not is_complete:
            self._ask_all(node)
        elif is_other:
            self._notify_nodes()

    def on_update(self, process: str, update: PeoplePayload) -> None:
        """Take a change of the people of a node, or a part of all that it has.

        :param process: that reports it.
        :raises PushRefused: NODE_FORM; there is more than this node keeps. Nothing changes then.
        """
        node = self._heard(update.node, process)
        if node is None:
            return
        if update.part is not None:
            self._on_part(node, update, update.part)
        elif node.status is not NodeStatus.PRESENT or node.epoch != update.epoch:
            self._ask_all(node)
        elif update.sequence == node.sequence + 1:
            self._check_room(update.change)
            node.sequence = update.sequence
            node.people.apply(update.change)
            self._notify(update.change)
        elif update.sequence > node.sequence:
            # One was lost. What is known stays until everything has come.
            self._ask_all(node)

    def _on_part(self, node: OtherNode, update: PeoplePayload, part: int) -> None:
        arriving = node.arriving
        if part == 0:
            arriving = node.arriving = _Arriving(update.epoch, update.sequence, update.parts)
        elif arriving is None or (arriving.epoch, arriving.sequence, arriving.next_part) != (
            update.epoch,
            update.sequence,
            part,
        ):
            # The next beat shows that something is missing.
            node.arriving = None
            return
        try:
            self._check_room(update.change)
        except PushRefused:
            node.arriving = None
            raise
        arriving.people.apply(update.change)
        arriving.next_part += 1
        if arriving.next_part == arriving.parts:
            node.arriving = None
            self._complete(node, arriving)

    def _complete(self, node: OtherNode, arriving: _Arriving) -> None:
        is_new = node.status is not NodeStatus.PRESENT
        node.move(NodeEvent.REPORTED)
        node.epoch, node.sequence = arriving.epoch, arriving.sequence
        self._replace(node, arriving.people)
        if is_new:
            self._report(
                "node {node} ({id}) is there, with {sessions} sessions",
                node=node.name,
                id=node.id,
                sessions=node.people.sessions,
            )
            self._notify_nodes()

    def _check_room(self, change: PeopleChange) -> None:
        entries = len(change)
        for node in self:
            entries += node.people.size
            if node.arriving is not None:
                entries += node.arriving.people.size
        if entries > MOST_ENTRIES:
            detail = f"With it, all nodes have {entries} entries, {MOST_ENTRIES} allowed."
            raise PushRefused(Refusal.NODE_FORM, detail)

    def on_bye(self, node_id: str) -> None:
        """Handle a node that ends."""
        node = self._nodes.get(node_id)
        if node is not None and node.is_there:
            self._depart(node, "it ends")

    def _heard(self, node_id: str, process: str) -> OtherNode | None:
        node = self._nodes.get(node_id)
        now = self._clock.seconds()
        if node is None:
            if len(self._nodes) >= MOST_NODES:
                self.ignored += 1
                return None
            node = self._nodes[node_id] = OtherNode(node_id, process, now)
        node.process, node.heard_at = process, now
        node.move(NodeEvent.HEARD)
        return node

    def _ask_all(self, node: OtherNode) -> None:
        now = self._clock.seconds()
        if now - node.asked_at >= ASK_SECONDS:
            node.asked_at = now
            self._ask(node)

    # Time.

    def pause(self) -> None:
        """Keep everything as it is: there is no link, so that nobody can be heard."""
        self._is_paused = True

    def go_on(self) -> None:
        """Expect to hear the nodes from now on."""
        self._is_paused = False
        self._grant()

    def settle(self) -> None:
        """Take it that the nodes that are there have been heard."""
        if not self.is_settled:
            self.is_settled = True
            self._notify_nodes()

    def look(self) -> bool:
        """Look for nodes that are silent; call it every :data:`LOOK_SECONDS`.

        :returns: False if this process has not run for a while.
        """
        now = self._clock.seconds()
        late = now - self._looked_at - LOOK_SECONDS
        self._looked_at = now
        if late > FROZEN_SECONDS:
            self._report(
                "this process has not run for {seconds:.1f} s; other nodes may have counted it as "
                "gone",
                seconds=late,
            )
            self._grant()
            return False
        if not self._is_paused:
            self._expire(now)
        return True

    def _grant(self) -> None:
        now = self._looked_at = self._clock.seconds()
        for node in self:
            node.heard_at = now

    def _expire(self, now: float) -> None:
        for node in list(self):
            silent = now - node.heard_at
            if node.is_there and silent >= SILENCE_SECONDS:
                self._depart(node, f"silent for {silent:.1f} s")
            elif not node.is_there and silent >= self._grace:
                self._forget(node)

    def _depart(self, node: OtherNode, reason: str) -> None:
        node.move(NodeEvent.LOST)
        node.heard_at = self._clock.seconds()
        node.arriving, node.epoch = None, ""
        self._report(
            "node {node} ({id}) is gone: {reason}; it had {sessions} sessions",
            node=node.name,
            id=node.id,
            reason=reason,
            sessions=node.people.sessions,
        )
        self._replace(node, node.people.without_sessions())
        for listener in self._listeners:
            listener.on_departed(node)
        self._notify_nodes()

    def _forget(self, node: OtherNode) -> None:
        self._replace(node, NodePeople())
        del self._nodes[node.id]

    def _replace(self, node: OtherNode, people: NodePeople) -> None:
        before, node.people = node.people, people
        self._notices.replace(before, people)

    def stop(self) -> None:
        """Notify nobody any more."""
        self._notices.stop()

    def _notify(self, change: PeopleChange) -> None:
        for listener in self._listeners:
            listener.on_people(change)

    def _notify_nodes(self) -> None:
        for listener in self._listeners:
            listener.on_nodes_changed()

    # Another process goes on.

    def adopt(self, nodes: list[OtherNode]) -> None:
        """Begin with nodes as another process has known them; nobody is notified."""
        now = self._clock.seconds()
        for node in nodes[:MOST_NODES]:
            node.heard_at = now
            self._nodes[node.id] = node
