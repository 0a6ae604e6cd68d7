"""A broker with everything around it replaced by parts that a test moves by hand."""

from __future__ import annotations

import errno
import re
from abc import abstractmethod
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Self

from tests.support.limits import PREFIX_LIMITS, request_limits
from tests.support.log_lines import reporting_to
from wampush.broker.access.auto_subscribe import AutoSubscribe
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.delivery.format import Format
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.history.gaps import GapReplays
from wampush.broker.history.kept_positions import KeptPositions
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.replays import Replays
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.history.visitors import Visitors
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.ledger import Ledger
from wampush.broker.memory import UNLIMITED, Memory, MemoryLimits
from wampush.broker.mirrors.mirrors import Mirrors
from wampush.broker.nodes.registry import Nodes
from wampush.broker.occupancy import Occupancy
from wampush.broker.presence.presence import Presence
from wampush.broker.publication import Position
from wampush.broker.requests.application import Application
from wampush.broker.requests.authorization import RequestChecks, RequestLimits
from wampush.broker.requests.handler import RequestHandler
from wampush.broker.requests.procedures import Procedures
from wampush.broker.router import Router
from wampush.broker.subscriber import Subscriber
from wampush.broker.subscription_index import SubscriptionIndex
from wampush.broker.topic_rules import TopicRule, TopicRules
from wampush.choices import SlowClient
from wampush.errors import CloseReason
from wampush.wamp.codec import event_text
from wampush.wamp.session import WampSession
from wampush.wamp.uris import WAMP1, Dialect

#: Handed to the fake transport at a time while an outbox is blocked.
SLICE = 48
#: What the fake buffering transport holds before it calls itself stuffed.
HIGH_WATER = 64

_HEAD = re.compile(rb"(z?)(\d+):")


def encode(text: bytes, name: str = "") -> bytes:
    """A frame that a test can take apart: its length, a colon, the text."""
    return (b"z" if name else b"") + b"%d:" % len(text) + text


class InAnyOrder:
    """What formats have in common whose events say nothing about those of other topics."""

    is_shared = True
    shows_gaps = True

    def for_catching_up(self, topic: str, position: Position) -> Self:
        """The same: it does not matter what the client gets later."""
        assert topic
        assert position
        return self

    def caught_up(self, position_of: Callable[[str], Position | None]) -> Self:
        """The same."""
        assert callable(position_of)
        return self


class RecordingFormat(InAnyOrder):
    """A format that notes what it makes frames of.

    :param name: "" for the plain one.
    :param made: gets the text of every frame with the name.
    """

    def __init__(self, name: str, made: list[tuple[bytes, str]]) -> None:
        self.name = name
        self.made = made

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        text = event_text(topic, payload)
        if position is not None:
            text = text[:-1] + b',"%s",%d]' % (position.epoch.encode(), position.offset)
        return self.reply(text)

    @property
    def with_positions(self) -> RecordingFormat:
        return self

    def reply(self, text: bytes) -> bytes:
        self.made.append((text, self.name))
        return encode(text, self.name)


def frames(data: bytes) -> tuple[list[bytes], bytes]:
    """The texts of the whole frames in what a client got, and the rest of a broken last one."""
    texts = []
    position = 0
    while head := _HEAD.match(data, position):
        end = head.end() + int(head[2])
        if end > len(data):
            break
        texts.append(data[head.end() : end])
        position = end
    return texts, data[position:]


@dataclass
class Wire:
    """The way to one client.

    ``room`` is what it takes before it is stuffed, None for anything; once ``dead`` it fails.
    """

    room: int | None = None
    dead: bool = False
    received: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> int:
        size = len(data) if self.room is None else min(self.room, len(data))
        self.received += data[:size]
        if self.room is not None:
            self.room -= size
        return size


class FakeOutbox(Outbox):
    """What both fakes share: a wire, and a transport with a buffer of its own."""

    def __init__(self, limit: int, pressure: Backpressure, wire: Wire, wire_format: Format) -> None:
        super().__init__(limit, pressure, wire_format)
        self.wire = wire
        self.buffer = b""
        self.overflows = 0
        self.flushes = 0

    def overflow(self) -> None:
        self.overflows += 1
        self.close()

    def close(self) -> None:
        super().close()
        self.buffer = b""

    def drain(self, size: int) -> None:
        """The client reads so many bytes of what is stuck."""
        while size and self.buffer:
            part = self.buffer[:size]
            self.wire.received += part
            self.buffer = self.buffer[size:]
            size -= len(part)
            if not self.buffer:
                self.emptied()

    @abstractmethod
    def emptied(self) -> None:
        """The transport's buffer ran empty."""


class DirectOutbox(FakeOutbox):
    """Sends straight; while blocked the transport asks for the next slice."""

    def flush(self) -> None:
        self.flushes += 1
        data = b"".join(self.chunks)
        self.chunks.clear()
        if self.wire.dead:
            self.close()
            return
        sent = self.wire.take(data)
        if sent == len(data):
            self.queued = 0
        else:
            self.keep_rest(data, sent)
            self.wait_for_wire()

    def wait_for_wire(self) -> None:
        super().wait_for_wire()
        self.emptied()

    def emptied(self) -> None:
        data = self.take_next(SLICE)
        if data is None:
            return
        self.on_progress(len(data))
        self.buffer = data
        if not data:
            self.unblock()


def send_each(outboxes: list[DirectOutbox], chunks: list[bytes]) -> list[tuple[int, int]]:
    """One call for many outboxes, which are their own handles."""
    unsent = []
    for index, (outbox, chunk) in enumerate(zip(outboxes, chunks, strict=True)):
        assert not outbox.chunks
        assert not outbox.blocked
        outbox.flushes += 1
        sent = -errno.EPIPE if outbox.wire.dead else outbox.wire.take(chunk)
        if sent != len(chunk):
            unsent.append((index, sent))
    return unsent


class BufferedOutbox(FakeOutbox):
    """Writes all to a transport that says when it is stuffed and when it is empty again."""

    def flush(self) -> None:
        self.flushes += 1
        data = self.take(self.queued)
        self.queued = 0
        if self.wire.dead:
            self.close()
            return
        self.buffer = data[self.wire.take(data) :]
        if len(self.buffer) > HIGH_WATER:
            self.block(len(data))
        else:
            self.wire.received += self.buffer
            self.buffer = b""

    def emptied(self) -> None:
        self.on_progress(0)
        self.unblock()
        if self.chunks and not self.blocked:
            self.flush()


class FakeTimer:
    """A call that waits for its time."""

    def __init__(self, time: float, function: Callable[[], None]) -> None:
        self.time = time
        self.function = function
        self.active = True

    def cancel(self) -> None:
        assert self.active
        self.active = False


class FakeClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[FakeTimer] = []

    def call_later(self, seconds: float, function: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.now + seconds, function)
        self.timers.append(timer)
        return timer

    @property
    def pending(self) -> list[FakeTimer]:
        return [timer for timer in self.timers if timer.active]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for timer in [timer for timer in self.pending if timer.time <= self.now]:
            if timer.active:
                timer.active = False
                timer.function()


@dataclass
class FakePeer:
    """A connection; it goes on with every identity as long as ``accepts`` is set."""

    accepts: bool = True
    address: str = "192.0.2.1"
    address_name: str | None = "192.0.2.1"
    is_local: bool = False
    answers_pings: bool = True
    visitor: str | None = None
    ended: CloseReason | None = None
    identities: list[Identity] = field(default_factory=list)
    ends: list[tuple[CloseReason, str]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    def accept_identity(self, identity: Identity) -> bool:
        self.identities.append(identity)
        return self.accepts

    def on_gap(self, topic: str) -> None:
        self.gaps.append(topic)

    def end(self, reason: CloseReason, detail: str = "") -> None:
        self.ends.append((reason, detail))


@dataclass
class Client:
    """A connected client and what it got."""

    subscriber: Subscriber
    outbox: FakeOutbox
    wire: Wire
    peer: FakePeer
    world: World

    def become(self, identity: Identity) -> None:
        """The session becomes somebody else."""
        self.world.clients.become(self.subscriber, identity)

    @property
    def id(self) -> str:
        return self.subscriber.session_id

    @property
    def texts(self) -> list[bytes]:
        """The texts after WELCOME; there must be no broken frame behind them."""
        texts, rest = frames(bytes(self.wire.received))
        assert not rest
        return [text for text in texts if not text.startswith(b"[0,")]


RULES = (
    TopicRule("log*", SlowClient.DROP_NEWEST),
    TopicRule("price*", SlowClient.LATEST),
)


class World:
    """A broker, its clients, the reactor's turns and the clock."""

    def __init__(
        self,
        *,
        total: int = 1_000_000,
        clients_publish: bool = True,
        topic_bytes: int = 100,
        auto_subscribe: Sequence[str] = (),
        presence: Callable[[Router], Presence] | None = None,
        policy: Policy | None = None,
        rules: Sequence[TopicRule] = RULES,
        memory: MemoryLimits = UNLIMITED,
        history: Sequence[tuple[str, HistoryRule | None]] = (),
        history_bytes: int = 1_000_000,
        replay_bytes: int = 10_000,
        occupancy: Occupancy | None = None,
        nodes: Nodes | None = None,
        at_once: bool = False,
        clock: FakeClock | None = None,
        mirrors: Callable[[World], Mirrors] | None = None,
    ) -> None:
        #: Whether one call sends to all clients whose wires have no buffer.
        self.at_once = at_once
        self.clock = clock or FakeClock()
        self.lines: list[str] = []
        self.turn: list[Callable[[], None]] = []
        self.pressure = Backpressure(total, self.clock.call_later)
        self.ledger = Ledger(lambda: self.clock.now, reporting_to(self.lines.append))
        self.encoded: list[tuple[bytes, str]] = []
        self.formats: dict[str, RecordingFormat] = {}
        self.fanout = Fanout(
            self.turn.append,
            self.pressure,
            self.ledger,
            # A machine that is busy meanwhile would end flushes early.
            seconds=lambda: self.clock.now,
            send_each=send_each if at_once else None,
        )
        self.subscriptions: SubscriptionIndex[Subscriber] = SubscriptionIndex()
        publishing = Publishing.EVERYBODY if clients_publish else Publishing.NOBODY
        automatic = AutoSubscribe(auto_subscribe, topic_bytes, reporting_to(self.lines.append))
        self.history = MemoryHistory(
            HistoryRules(history),
            history_bytes,
            lambda: self.clock.now,
            lambda: self.clock.now,
            is_mirror=mirrors is not None,
        )
        self.router = Router(
            self.subscriptions,
            self.fanout,
            policy or Policy(publishing),
            TopicRules(rules),
            self.history if history else None,
        )
        self.replays = Replays(
            self.history,
            fanout=self.fanout,
            ledger=self.ledger,
            users=self.router.users,
            sessions=self.router.sessions,
            max_bytes=replay_bytes,
        )
        self.gaps = self._gaps() if history else None
        self.mirrors = None if mirrors is None else mirrors(self)
        self.broker = Broker(
            self.router,
            self.ledger,
            None if presence is None else presence(self.router),
            automatic if auto_subscribe else None,
            replays=self.replays if history else None,
            memory=Memory(memory),
            occupancy=occupancy,
            nodes=nodes,
            gaps=self.gaps,
            mirrors=self.mirrors,
        )
        self.limits = request_limits(topic_bytes=topic_bytes, pending=5)
        self.serve()

    def _gaps(self) -> GapReplays | None:
        if not self.history.rules.any_gap_replay:
            return None
        kept = KeptPositions(100.0, 1_000_000, lambda: self.clock.now)
        of_visitors = KeptPositions(100.0, 1_000_000, lambda: self.clock.now, per_address=10)
        visitors = Visitors(of_visitors, lambda: self.clock.now)
        return GapReplays(self.replays, self.router.users, kept, visitors)

    def serve(
        self,
        procedures: Procedures | None = None,
        application: Application | None = None,
        reserved: Container[str] = (),
        limits: RequestLimits | None = None,
    ) -> None:
        """From now on a new handler takes what clients send."""
        self.checks = RequestChecks(self.broker, limits or self.limits, application, reserved)
        self.clients = RequestHandler(self.broker, self.checks, procedures or {}, application)

    def change(self, subscriber: Subscriber, identity: Identity) -> None:
        """Let the present handler give a session another identity."""
        self.clients.become(subscriber, identity)

    def format(self, name: str) -> RecordingFormat:
        """The one format of this name; "" is the plain one."""
        return self.formats.setdefault(name, RecordingFormat(name, self.encoded))

    def client(
        self,
        *topics: str,
        dialect: Dialect = WAMP1,
        limit: int = 400,
        room: int | None = None,
        buffered: bool = False,
        wire_format: str | Format = "",
        identity: Identity = ANONYMOUS,
    ) -> Client:
        """A client that has got its WELCOME and then a wire of that room."""
        wire = Wire()
        kind = BufferedOutbox if buffered else DirectOutbox
        if isinstance(wire_format, str):
            wire_format = self.format(wire_format)
        outbox = kind(limit, self.pressure, wire, wire_format)
        if self.at_once and not buffered:
            outbox.handle = outbox
        peer = FakePeer()
        subscriber = Subscriber(
            WampSession(dialect, "test/1", PREFIX_LIMITS), outbox, identity, peer
        )
        self.clients.on_open(subscriber)
        self.end_turn()
        wire.room = room
        for topic in topics:
            self.subscriptions.add(subscriber, topic)
        return Client(subscriber, outbox, wire, peer, self)

    def says(self, client: Client, text: str | bytes) -> None:
        self.clients.on_text(client.subscriber, text.encode() if isinstance(text, str) else text)

    def end_turn(self) -> None:
        """Run what was scheduled for the end of the turn, and what that schedules in turn."""
        while self.turn:
            self.turn.pop(0)()
