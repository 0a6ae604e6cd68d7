"""Publications to topics without history, over the bus and back.

Owns: the publications of this node that are under way. Must not import: Twisted, the edges.

A publication goes to the bus and comes back to this node as to any other, so that all nodes deliver
the publications of a topic in the same order. It is done once the bus has it, and, if this node
follows its topic, once it has come back.

While the link is lost, publications reach the clients of this node only, and are counted. So do
those that were under way when it was lost: they may have been lost on their way back. After that
nothing of the lost link arrives any more, so that nobody gets anything twice.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from wampush.broker.backplane.contract import Bus, OnOutcome, topic_channel
from wampush.broker.backplane.interest import Interest
from wampush.broker.backplane.node_message import VERSION, NodeMessage, encoded
from wampush.broker.delivery.backpressure import Backpressure, Hold
from wampush.broker.publication import EVERYONE, Publication
from wampush.broker.router import Router
from wampush.clock import Clock
from wampush.errors import PublicationRefused, Refusal

#: Bytes of messages under way at which the sources pause.
MAX_BYTES: Final = 4 * 1024 * 1024
#: Bytes of messages under way of publishers that no pause reaches, such as apps.
HARD_LIMIT: Final = 16 * MAX_BYTES
#: What a message under way counts besides its bytes.
OVERHEAD_BYTES: Final = 512
#: Looks after which a publication that the bus has sent, and that has not come back, counts as
#: received by nobody here: its topic was left and followed again meanwhile. Looks are counted
#: instead of seconds, because what has arrived while the process was frozen is not read yet.
LOST_LOOKS: Final = 4


class _UnderWay:
    """A publication on its way.

    :ivar following: the time of following its topic in which it comes back to this node; 0 if it
        does not come back.
    :ivar nodes: how many nodes the bus has sent it to; None until it says so.
    :ivar receivers: how many sessions here have got it; None until it has come back.
    :ivar looks: how often it was looked at since the bus has answered.
    """

    __slots__ = (
        "_topics",
        "arrived",
        "following",
        "looks",
        "nodes",
        "number",
        "on_done",
        "publication",
        "receivers",
        "size",
    )

    def __init__(
        self,
        topics: PlainTopics,
        number: int,
        publication: Publication,
        on_done: OnOutcome,
        size: int,
        arrived: float,
    ) -> None:
        self._topics = topics
        self.number = number
        self.publication = publication
        self.on_done = on_done
        self.following = 0
        self.nodes: int | None = None
        self.receivers: int | None = None
        self.size = size
        self.arrived = arrived
        self.looks = 0

    def on_sent(self, nodes: int | None) -> None:
        """Take the answer of the bus."""
        if nodes is None:
            self._topics.on_not_sent(self)
            return
        self.nodes = nodes
        if not self.following or self.receivers is not None:
            self._topics.end(self)


class PlainTopics:
    """Publishes to topics without history.

    :param bus: carries publications to all nodes.
    :param node: the id of this node.
    :param interest: which topics this node follows.
    :param router: delivers what comes back.
    :param backpressure: pauses the sources while much is under way.
    :param clock: for timers.
    :param max_bytes: of the longest message, header included.
    """

    def __init__(
        self,
        bus: Bus,
        node: str,
        *,
        interest: Interest,
        router: Router,
        backpressure: Backpressure,
        clock: Clock,
        max_bytes: int,
    ) -> None:
        self._bus = bus
        self._node = node
        self._interest = interest
        self._router = router
        self._push_timer = router.fanout.push_timer
        self._backpressure = backpressure
        self._clock = clock
        self._max_bytes = max_bytes
        #: What the messages of this node begin with, up to their number.
        self.beginning: Final = VERSION + b'{"node":"%b","id":' % node.encode()
        self._number = 0
        self._under_way: dict[int, _UnderWay] = {}
        #: Those that wait until their topic is followed, by topic.
        self._held: dict[str, deque[_UnderWay]] = {}
        self._outcomes: deque[tuple[OnOutcome, int]] = deque()
        self._is_stopped = self._is_holding = False
        #: Bytes under way.
        self.size = 0
        #: Publications that reached the clients of this node only.
        self.not_propagated = 0

    def __len__(self) -> int:
        """Return how many publications are under way."""
        return len(self._under_way)

    def publish(self, publication: Publication, on_done: OnOutcome) -> None:
        """Send a publication to all nodes.

        :param publication: to one topic.
        :param on_done: called once, after this call.
        :raises PublicationRefused: TOO_LARGE; BACKPLANE_AWAY, when too much waits for the bus.
        """
        self._number = number = self._number + 1
        message = self._message(publication, number)
        if len(message) > self._max_bytes:
            detail = f"{len(message)} bytes with its header, {self._max_bytes} allowed."
            raise PublicationRefused(Refusal.TOO_LARGE, detail)
        if not self._bus.is_joined or self._is_stopped:
            if self._under_way:
                # The link has been lost in this moment; what was published before comes first.
                self.on_left()
            self._publish_here(publication, on_done)
            return
        if self.size > HARD_LIMIT:
            raise PublicationRefused(Refusal.BACKPLANE_AWAY, "Too much waits for it.")
        size, arrived = len(message) + OVERHEAD_BYTES, self._push_timer.arrived
        entry = _UnderWay(self, number, publication, on_done, size, arrived)
        self._under_way[number] = entry
        self.size += size
        if self.size > MAX_BYTES:
            self._is_holding = True
            self._backpressure.hold(Hold.BACKPLANE)
        topic = publication.topic
        interest = self._interest
        if interest.is_awaited(topic):
            # It must not be at the bus before the subscription of whoever has published it.
            self._hold(entry, topic)
        else:
            entry.following = interest.following(topic)
            self._bus.publish(topic_channel(topic), message, entry.on_sent)

    def on_returned(self, number: int, topic: str) -> None:
        """Deliver a publication of this node that has come back."""
        entry = self._under_way.get(number)
        if entry is None or entry.receivers is not None or entry.publication.topic != topic:
            # It was delivered when an earlier link was lost.
            return
        if entry.arrived:
            self._router.fanout.note_pushes(entry.arrived)
        entry.receivers = self._router.deliver(entry.publication)
        if entry.nodes is not None:
            self.end(entry)

    def on_passed(self, number: int, topic: str) -> None:
        """Take note of a publication of this node that another process of it delivers."""
        entry = self._under_way.get(number)
        if entry is None or entry.receivers is not None or entry.publication.topic != topic:
            return
        entry.receivers = self._router.count_receivers(entry.publication)
        if entry.nodes is not None:
            self.end(entry)

    def on_not_sent(self, entry: _UnderWay) -> None:
        """Deliver here what the bus has refused.

        When the link is lost, :meth:`on_left` does so with everything, in its order.
        """
        if self._bus.is_joined:
            self._deliver_here(entry)

    def on_left(self) -> None:
        """Deliver here what was under way and would come back; the bus may have it or not."""
        held = {entry.number for entries in self._held.values() for entry in entries}
        self._held.clear()
        for entry in list(self._under_way.values()):
            topic, following = entry.publication.topic, entry.following
            if entry.number not in held and not self._interest.still_follows(topic, following):
                # Whoever has come since is not to get it after what was published later.
                entry.receivers = entry.receivers or 0
            self._deliver_here(entry)

    def look_for_lost(self) -> None:
        """End publications that will not come back; call it every few seconds."""
        for entry in list(self._under_way.values()):
            if entry.nodes is None:
                continue
            entry.looks += 1
            if entry.looks > LOST_LOOKS:
                entry.receivers = entry.receivers or 0
                self.end(entry)

    def stop(self) -> None:
        """Deliver here what is under way, and send nothing more."""
        self._is_stopped = True
        self.on_left()
        self._tell_outcomes()

    def end(self, entry: _UnderWay) -> None:
        """Report the outcome of a publication."""
        if self._under_way.pop(entry.number, None) is None:
            return
        self.size -= entry.size
        if self._is_holding and self.size <= MAX_BYTES // 2:
            self._is_holding = False
            self._backpressure.release(Hold.BACKPLANE)
        receivers, nodes = entry.receivers or 0, entry.nodes or 0
        is_heard_elsewhere = nodes > int(entry.following > 0)
        entry.on_done(None if not receivers and is_heard_elsewhere else receivers)

    def _deliver_here(self, entry: _UnderWay) -> None:
        if entry.nodes is None:
            self.not_propagated += 1
        if entry.receivers is None:
            entry.receivers = self._router.deliver(entry.publication)
        self.end(entry)

    def _message(self, publication: Publication, number: int) -> bytes:
        audience, topic = publication.audience, publication.topic
        if audience is EVERYONE and topic.isascii():
            return b"%b%d}\n%b" % (self.beginning, number, publication.payload)
        try:
            topic.encode()
            return encoded(NodeMessage(self._node, number, publication.payload, audience=audience))
        except (TypeError, UnicodeEncodeError) as error:
            detail = f"Its topic or audience is not text: {error}."
            raise PublicationRefused(Refusal.BACKPLANE_AWAY, detail) from error

    def _publish_here(self, publication: Publication, on_done: OnOutcome) -> None:
        self.not_propagated += 1
        receivers = self._router.deliver(publication)
        if not self._outcomes:
            self._clock.call_later(0, self._tell_outcomes)
        self._outcomes.append((on_done, receivers))

    def _tell_outcomes(self) -> None:
        while self._outcomes:
            on_done, receivers = self._outcomes.popleft()
            on_done(receivers)

    def _hold(self, entry: _UnderWay, topic: str) -> None:
        held = self._held.get(topic)
        if held is None:
            held = self._held[topic] = deque()
            self._interest.call_when_followed(topic, lambda: self._send_held(topic))
        held.append(entry)

    def _send_held(self, topic: str) -> None:
        for entry in self._held.pop(topic, ()):
            entry.following = self._interest.following(topic)
            message = self._message(entry.publication, entry.number)
            self._bus.publish(topic_channel(topic), message, entry.on_sent)
