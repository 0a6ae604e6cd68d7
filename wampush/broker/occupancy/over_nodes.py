"""The occupation of topics where several nodes have subscribers.

Owns: which node notifies its applications of a topic. Must not import: Twisted, the edges.

A topic is occupied while any node counts it as occupied. Exactly one node notifies its
applications: the one that did it first, as long as it is there. A topic that no node reports is
taken by the node that a hash of topic and node chooses, so that nodes need not agree on anything.
If two nodes take a topic because each had not heard of the other, the one whose id is greater gives
it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

from wampush.broker.nodes.other_nodes import OtherNode
from wampush.broker.nodes.people import PeopleChange
from wampush.broker.nodes.registry import Nodes
from wampush.broker.occupancy.occupancy import Listener, Occupancy
from wampush.clock import Clock
from wampush.topics import is_reserved, matches


class OccupancyOverNodes(Occupancy):
    """Notifies listeners of topics that are occupied at any node, if it is up to this node.

    :param grace: see :class:`Occupancy`.
    :param clock: likewise.
    :param nodes: the others, and what this one reports to them.
    """

    def __init__(self, grace: float, clock: Clock, nodes: Nodes) -> None:
        super().__init__(grace, clock)
        self._nodes: Final = nodes
        self._own = nodes.own
        self._others = nodes.others
        self._is_stopping = False
        nodes.others.watch(self)

    def watch(
        self, patterns: Sequence[str], listener: Listener, *, is_of_node: bool = True
    ) -> None:
        """Notify a listener from now on; see :meth:`Occupancy.watch`."""
        super().watch(patterns, listener, is_of_node=is_of_node)
        watched = dict.fromkeys(each for watch in self._watches for each in watch.patterns)
        self._nodes.set_watched(tuple(watched))

    def stop(self) -> None:
        """End all grace periods, and leave topics that are occupied elsewhere to other nodes."""
        self._is_stopping = True
        if self._nodes.is_handed_over:
            # Another process goes on with them.
            self._watches = ()
        self._end_waiting()
        for topic in list(self._own.people.reported):
            self._give_up(topic)
        self._watches = ()

    # Notifications by other nodes.

    def on_people(self, change: PeopleChange) -> None:
        """Handle new values of one node."""
        for topic in change.occupied.keys() | change.reported.keys():
            self._decide(topic)

    def on_departed(self, node: OtherNode) -> None:
        """Begin the grace period of topics that a node had which is gone."""
        for topic in node.people.occupied:
            own = self._own.people
            if topic in own.reported and topic not in own.occupied and not self._is_stopping:
                self._own.set_occupied(topic, True)
                self.on_last(topic)

    def on_nodes_changed(self) -> None:
        """Decide about all topics again."""
        topics = set(self._own.people.occupied)
        for node in self._others:
            topics |= node.people.occupied
        for topic in topics:
            self._decide(topic)

    # Decisions.

    def _is_watched(self, topic: str) -> bool:
        if super()._is_watched(topic):
            return True
        return not is_reserved(topic) and any(
            _watches(node, topic) for node in self._others if node.is_there
        )

    def _on_changed(self, topic: str, is_occupied: bool) -> None:
        self._own.set_occupied(topic, is_occupied)
        self._decide(topic)

    def _decide(self, topic: str) -> None:
        reporting = [each.id for each in self._others.present if topic in each.people.reported]
        if topic in self._own.people.reported:
            if not self._is_occupied(topic):
                self._own.set_reported(topic, False)
                self._notify(topic, False)
            elif any(each < self._nodes.id for each in reporting):
                self._give_up(topic)
        elif not reporting and self._is_occupied(topic) and self._takes(topic):
            self._own.set_reported(topic, True)
            self._notify(topic, True)

    def _is_occupied(self, topic: str) -> bool:
        return topic in self._own.people.occupied or any(
            topic in each.people.occupied for each in self._others
        )

    def _takes(self, topic: str) -> bool:
        """Return whether this node is the one that takes a topic that no node reports."""
        if self._is_stopping or not self._others.is_settled or not super()._is_watched(topic):
            return False
        if not self._nodes.is_joined:
            # The others do not learn that the topic is occupied.
            return True
        candidates = [each.id for each in self._others.present if _watches(each, topic)]
        own = _rank(topic, self._nodes.id)
        return all(_rank(topic, each) < own for each in candidates)

    def _give_up(self, topic: str) -> None:
        """Leave a topic that is still occupied to another node."""
        self._own.set_reported(topic, False)
        for watch in self._watches:
            if watch.is_of_node and watch.covers(topic):
                watch.listener(topic, False)


def _watches(node: OtherNode, topic: str) -> bool:
    return node.beat is not None and any(matches(each, topic) for each in node.beat.watched)


def _rank(topic: str, node: str) -> tuple[int, str]:
    return crc32(f"{node} {topic}".encode("utf-8", "surrogatepass")), node
