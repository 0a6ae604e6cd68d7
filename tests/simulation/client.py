"""A client of a simulation: a session, what it asks for, and whether it reads.

Owns: its wire and what it checks. Must not import: Twisted.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Final

import orjson

from tests.simulation.truth import Breach, PlainWatch, Truth, Viewer, Watch
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.publication import Position
from wampush.broker.requests.handler import RequestHandler
from wampush.broker.subscriber import Subscriber
from wampush.errors import CloseReason
from wampush.testing.wire import MemoryPeer
from wampush.wamp.codec import EVENT_TAIL, event_head
from wampush.wamp.session import PrefixLimits, WampSession
from wampush.wamp.uris import DIALECTS

_SIZE_BYTES: Final = 4
_LIMIT: Final = 256 * 1024
_TAKEN: Final = 16 * 1024
_PREFIXES: Final = PrefixLimits(10, 1000)


class WholePositions:
    """A format whose events carry epoch and offset."""

    is_shared: Final = True
    shows_gaps: Final = True

    @property
    def with_positions(self) -> WholePositions:
        """The same."""
        return self

    def for_catching_up(self, topic: str, position: Position) -> WholePositions:  # noqa: ARG002
        """Return this format."""
        return self

    def caught_up(self, position_of: object) -> WholePositions:  # noqa: ARG002
        """Return this format."""
        return self

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        """Return an EVENT with the position as its fourth and fifth element."""
        tail = EVENT_TAIL
        if position is not None:
            tail = b',"%b",%d]' % (position.epoch.encode(), position.offset)
        return self.reply(b"".join((event_head(topic), payload, tail)))

    def reply(self, text: bytes) -> bytes:
        """Return a message after its length."""
        return len(text).to_bytes(_SIZE_BYTES) + text


_FORMAT: Final = WholePositions()


class StallingOutbox(Outbox):
    """An outbox whose client stops reading and reads again.

    :param backpressure: counts what waits.
    :param on_text: gets each message that the client reads.
    """

    __slots__ = ("_on_text", "_rest", "is_overflown", "is_stalled")

    def __init__(self, backpressure: Backpressure, on_text: Callable[[bytes], None]) -> None:
        super().__init__(_LIMIT, backpressure, _FORMAT)
        self._on_text = on_text
        self._rest = b""
        self.is_stalled = False
        self.is_overflown = False

    def flush(self) -> None:
        """Hand over what is queued, unless the client does not read."""
        if self.is_stalled:
            self.block(0)
            return
        data = b"".join(self.chunks)
        self.chunks.clear()
        self.queued = 0
        self._hand_over(data)

    def read_again(self) -> None:
        """Read everything that waits."""
        self.is_stalled = False
        while self.blocked and not self.closed:
            data = self.take_next(_TAKEN)
            if not data:
                break
            self.queued -= len(data)
            self._backpressure.on_dequeued(len(data))
            self._hand_over(data)
        if not self.closed and self.blocked:
            self.unblock()

    def overflow(self) -> None:
        """End a client that is too slow."""
        self.is_overflown = True
        self.close()

    def _hand_over(self, data: bytes) -> None:
        data = self._rest + data
        at = 0
        while len(data) - at >= _SIZE_BYTES:
            begin = at + _SIZE_BYTES
            end = begin + int.from_bytes(data[at:begin])
            if end > len(data):
                break
            self._on_text(data[begin:end])
            at = end
        self._rest = data[at:]


class Peer(MemoryPeer):
    """The connection of a client.

    :param on_gap: called with a topic of which events are missing.
    """

    def __init__(self, on_end: Callable[[], object], on_gap: Callable[[str], None]) -> None:
        super().__init__("127.0.0.1", True, on_end)
        self._tell = on_gap

    def on_gap(self, topic: str) -> None:
        """Tell the client that events are missing."""
        self._tell(topic)


class SimulatedClient:
    """A client that checks what it gets.

    :param truth: what the store has taken.
    :param requests: of its node.
    :param backpressure: of its node.
    :param user: its user; "" for none.
    :param now: the time, in seconds.
    :param since: what it knew of topics when it was connected the last time.
    """

    def __init__(
        self,
        truth: Truth,
        requests: RequestHandler,
        backpressure: Backpressure,
        user: str,
        now: Callable[[], float],
        since: dict[str, Position],
    ) -> None:
        self._truth = truth
        self._requests = requests
        self._now = now
        self.since = since
        self.user = user
        self.is_lost = False
        self.watches: dict[str, Watch] = {}
        self.plain: dict[str, PlainWatch] = {}
        self._calls: dict[str, Watch] = {}
        self._numbers = count(1)
        self.ended: CloseReason | None = None
        #: Returns whether the order of pushes with an id is judged now, for a topic that the node
        #: has begun to follow at a time.
        self.judges_order: Callable[[float], bool] = lambda _: True
        #: Returns when the node has begun to follow a topic to which a session subscribes.
        self.followed_since: Callable[[str], float] = lambda _: now()
        session = WampSession(DIALECTS["wamp1"], "simulation", _PREFIXES)
        self.outbox = StallingOutbox(backpressure, self._on_text)
        self._peer = Peer(self._on_end, self._on_gap)
        identity = Identity(user, frozenset(), source="callback") if user else ANONYMOUS
        self.subscriber = Subscriber(session, self.outbox, identity, self._peer)
        self.viewer: Final = Viewer(session.session_id, user)
        requests.on_open(self.subscriber)

    @property
    def is_gone(self) -> bool:
        """Whether the server has ended it."""
        return self.ended is not None or self.outbox.closed

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic with a history, from where the client is."""
        since = self.since.pop(topic, None)
        watch = self.watches[topic] = Watch(topic, self.viewer, since)
        call = f"s{next(self._numbers)}"
        self._calls[call] = watch
        options = {} if since is None else {"since": {"epoch": since.epoch, "offset": since.offset}}
        self._send([2, call, "wampush.subscribe", topic, options])

    def subscribe_plain(self, topic: str) -> None:
        """Subscribe to a topic without history."""
        followed = self.followed_since(topic)
        self.plain[topic] = PlainWatch(topic, self.viewer, self._now(), followed)
        self._send([5, topic])

    def unsubscribe(self, topic: str) -> None:
        """End a subscription."""
        self.watches.pop(topic, None)
        self.plain.pop(topic, None)
        self._send([6, topic])

    def publish(self, topic: str, payload: object) -> None:
        """Publish to others and to itself."""
        self._send([7, topic, payload, []])

    def renew_told(self) -> None:
        """Subscribe again to topics of which events are missing, as a client does."""
        for topic in [topic for topic, watch in self.watches.items() if watch.is_told]:
            self.unsubscribe(topic)
            self.subscribe(topic)

    def lose(self) -> dict[str, Position]:
        """End the connection; return what the client knows of its topics."""
        self.is_lost = True
        known = dict(self.since)
        for topic, watch in self.watches.items():
            if watch.is_answered and not watch.is_told and watch.known is not None:
                known[topic] = watch.known
            elif watch.since is not None and not watch.is_told:
                known[topic] = watch.since
        self._requests.on_lost(self.subscriber)
        return known

    def check_end(self) -> None:
        """Check that nothing is missing once everything has come to rest.

        :raises Breach: something is.
        """
        for watch in self.watches.values():
            watch.check_end(self._truth)

    def _send(self, message: list[Any]) -> None:
        self._requests.on_text(self.subscriber, orjson.dumps(message))

    def _on_end(self) -> None:
        self.ended = self._peer.ended

    def _on_gap(self, topic: str) -> None:
        watch = self.watches.get(topic)
        if watch is not None:
            watch.is_told = True

    def _on_text(self, text: bytes) -> None:
        if self.is_lost:
            return
        message = orjson.loads(text)
        if message[0] == 8:
            self._on_event(*message[1:])
        elif message[0] == 3:
            self._on_result(message[1], message[2])
        elif message[0] == 4:
            self._on_error(message[1], message)

    def _on_event(
        self, topic: str, payload: dict[str, Any], epoch: str = "", offset: int = 0
    ) -> None:
        plain = self.plain.get(topic)
        if plain is not None:
            judges_order = self.judges_order(plain.followed)
            plain.on_event(self._truth, payload["by"], payload["n"], judges_order)
            return
        watch = self.watches.get(topic)
        if watch is None:
            return
        if not epoch:
            raise Breach(f"{topic}: an event without a position")
        watch.on_event(self._truth, Position(epoch, offset), payload["n"])

    def _on_result(self, call: str, result: dict[str, Any]) -> None:
        watch = self._calls.pop(call)
        if self.watches.get(watch.topic) is watch:
            position = None
            if result["epoch"] is not None:
                position = Position(result["epoch"], result["offset"])
            else:
                # The topic cannot be read now, or the client has much to read before what the topic
                # keeps; it has to ask again to learn where it is.
                watch.is_told = True
            watch.on_answer(self._truth, position, is_recovered=result["recovered"])

    def _on_error(self, call: str, message: list[Any]) -> None:
        watch = self._calls.pop(call)
        if self.watches.get(watch.topic) is watch:
            # It tries again later.
            del self.watches[watch.topic]
            if watch.since is not None:
                self.since[watch.topic] = watch.since
            self.unanswered = message
