"""What the events of libzmq's monitor say about backends."""

from __future__ import annotations

import errno

import pytest
import zmq

from tests.support.log_lines import reporting_to
from wampush.broker.ledger import Ledger, Source
from wampush.edges.zeromq.peer_limit import PeerLimit
from wampush.edges.zeromq.peers import (
    HURRY_SECONDS,
    QUIET_SECONDS,
    SILENT_SECONDS,
    STEADY_SECONDS,
    Peers,
)
from wampush.errors import Refusal

ACCEPTED = int(zmq.EVENT_ACCEPTED)
GONE = int(zmq.EVENT_DISCONNECTED)
SUCCEEDED = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
FAILED_AUTH = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
FAILED_PROTOCOL = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
FAILED = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)


class World:
    """The peers of one socket, with everything around them in memory."""

    def __init__(self, most: int = 100) -> None:
        self.time = 0.0
        self.lines: list[str] = []
        self.disconnected: list[int] = []
        self.dismissed: list[int] = []
        self.unread: set[int] = set()
        self.silence = SILENT_SECONDS
        self.ledger = Ledger(lambda: self.time, reporting_to(self.lines.append))
        self.limit = PeerLimit(most, lambda: self.time)
        self.peers = Peers(
            limit=self.limit,
            sockets=self,
            ledger=self.ledger,
            handshake_seconds=5,
            now=lambda: self.time,
        )

    def origin(self, descriptor: int) -> str:
        return f"10.0.0.{descriptor}"

    def disconnect(self, descriptor: int) -> None:
        self.disconnected.append(descriptor)

    def is_quiet(self, descriptor: int) -> bool:
        return descriptor not in self.unread

    def silent_for(self, descriptor: int) -> float:  # noqa: ARG002 - the same for all
        return self.silence

    def dismiss(self, descriptor: int) -> bool:
        if descriptor in self.unread:
            return False
        self.dismissed.append(descriptor)
        return True

    def happens(self, *events: tuple[int, int]) -> None:
        for event, value in events:
            self.peers.on_event(event, value)

    def dismiss_after(self, seconds: float) -> None:
        self.time += seconds
        self.peers.dismiss()

    @property
    def refused(self) -> dict[Refusal, int]:
        assert all(source is Source.CONNECTION for source, _ in self.ledger.refused)
        return {refusal: count for (_, refusal), count in self.ledger.refused.items()}

    @property
    def accepted(self) -> int:
        return self.ledger.accepted[Source.CONNECTION]


def test_a_backend_that_comes_and_goes() -> None:
    world = World()
    world.happens((ACCEPTED, 7), (SUCCEEDED, 0))
    assert (world.limit.count, world.accepted) == (1, 1)
    world.happens((GONE, 7))
    assert (world.limit.count, world.accepted, world.refused) == (0, 1, {})


@pytest.mark.parametrize(
    ("events", "detail"),
    [
        # A PUB or REQ socket, HTTP, ZMTP 1 and 2: libzmq says nothing but that it is over.
        ([], ""),
        ([(FAILED, errno.EAGAIN)], " It was not complete after 5 s."),
        ([(FAILED, errno.ECONNRESET)], " The peer closed the connection."),
        ([(FAILED_PROTOCOL, 0x10000000)], " libzmq reports the protocol error 0x10000000."),
    ],
)
def test_a_handshake_that_fails_is_reported(events: list[tuple[int, int]], detail: str) -> None:
    world = World()
    world.happens((ACCEPTED, 7), *events, (GONE, 7))
    assert world.refused == {Refusal.BACKEND_HANDSHAKE: 1}
    sentence = Refusal.BACKEND_HANDSHAKE.sentence
    beginning = "refused backend connection from 10.0.0.7: backend-handshake: "
    assert world.lines == [beginning + sentence + detail]
    world.happens((ACCEPTED, 8), (SUCCEEDED, 0), (GONE, 8))
    assert world.refused == {Refusal.BACKEND_HANDSHAKE: 1}


def test_many_failures_are_one_line_per_second() -> None:
    world = World()
    for number in range(50):
        world.happens((ACCEPTED, number), (GONE, number))
    assert world.refused == {Refusal.BACKEND_HANDSHAKE: 50}
    assert len(world.lines) == 1


def test_a_refused_key_was_counted_before() -> None:
    world = World()
    world.happens((ACCEPTED, 7), (FAILED_AUTH, 400), (GONE, 7))
    assert world.refused == {}


def test_while_several_handshakes_are_under_way_nobody_is_blamed_wrongly() -> None:
    world = World()
    world.happens((ACCEPTED, 1), (ACCEPTED, 2), (SUCCEEDED, 0), (GONE, 1))
    assert world.refused == {}
    world.happens((SUCCEEDED, 0), (GONE, 2))
    assert world.refused == {}
    world.happens((ACCEPTED, 1), (ACCEPTED, 2), (SUCCEEDED, 0), (SUCCEEDED, 0), (GONE, 2))
    world.happens((GONE, 1))
    assert world.refused == {}


def test_a_known_failure_is_reported_although_another_handshake_succeeded() -> None:
    world = World()
    world.happens((ACCEPTED, 1), (ACCEPTED, 2), (SUCCEEDED, 0), (FAILED, errno.EPIPE), (GONE, 1))
    assert world.refused == {Refusal.BACKEND_HANDSHAKE: 1}
    world.happens((GONE, 2))
    assert world.refused == {Refusal.BACKEND_HANDSHAKE: 1}


def test_connections_that_last_have_succeeded() -> None:
    world = World()
    world.happens((ACCEPTED, 1), (ACCEPTED, 2), (SUCCEEDED, 0))
    world.time = 11.0
    world.happens((ACCEPTED, 3), (GONE, 1), (GONE, 2))
    assert world.refused == {}
    # The success of then does not stand for this one.
    world.happens((GONE, 3))
    assert world.refused == {Refusal.BACKEND_HANDSHAKE: 1}


def test_a_backend_too_many_is_turned_away_and_counted_once() -> None:
    world = World(most=1)
    world.happens((ACCEPTED, 1), (SUCCEEDED, 0), (ACCEPTED, 2))
    assert world.disconnected == [2]
    assert world.refused == {Refusal.BACKEND_LIMIT: 1}
    assert world.limit.count == 2
    world.happens((FAILED, errno.EPIPE), (GONE, 2))
    assert world.refused == {Refusal.BACKEND_LIMIT: 1}
    assert world.limit.count == 1


def test_all_are_dismissed_also_those_that_come_later_and_nobody_is_blamed() -> None:
    world = World()
    world.happens((ACCEPTED, 1), (SUCCEEDED, 0), (ACCEPTED, 2))
    world.unread = {1}
    world.dismiss_after(0.0)
    assert world.dismissed == []
    world.dismiss_after(1.5 * QUIET_SECONDS)
    assert world.dismissed == [2]
    world.unread.clear()
    world.dismiss_after(0.0)
    world.happens((ACCEPTED, 3))
    world.dismiss_after(1.5 * QUIET_SECONDS)
    assert world.dismissed == [2, 1]
    world.dismiss_after(1.5 * QUIET_SECONDS)
    assert world.dismissed == [2, 1, 3]
    assert world.limit.count == 3
    world.happens((FAILED, errno.EPIPE), (GONE, 2), (GONE, 3), (GONE, 1))
    assert (world.limit.count, world.refused, world.disconnected) == (0, {}, [])


def test_a_peer_in_the_middle_of_a_message_is_not_dismissed_before_it_has_been_quiet() -> None:
    world = World()
    world.happens((ACCEPTED, 1), (SUCCEEDED, 0))
    for _ in range(10):
        world.unread.clear()
        world.dismiss_after(QUIET_SECONDS / 2)
        world.unread = {1}
        world.dismiss_after(QUIET_SECONDS / 2)
    assert world.dismissed == []
    world.unread.clear()
    world.dismiss_after(0.0)
    world.dismiss_after(1.5 * QUIET_SECONDS)
    assert world.dismissed == [1]


def test_a_peer_in_a_burst_is_not_dismissed_before_it_is_silent() -> None:
    world = World()
    world.happens((ACCEPTED, 1), (SUCCEEDED, 0))
    world.silence = SILENT_SECONDS / 2
    world.dismiss_after(0.0)
    world.dismiss_after(2 * QUIET_SECONDS)
    assert world.dismissed == []
    world.silence = SILENT_SECONDS
    world.dismiss_after(0.0)
    assert world.dismissed == [1]


def test_a_peer_that_pushes_steadily_is_dismissed_without_silence() -> None:
    world = World()
    world.happens((ACCEPTED, 1), (SUCCEEDED, 0))
    world.silence = 0.0
    world.dismiss_after(0.0)
    world.dismiss_after(STEADY_SECONDS / 2)
    assert world.dismissed == []
    world.dismiss_after(STEADY_SECONDS / 2)
    assert world.dismissed == [1]


def test_one_that_is_never_quiet_is_dismissed_at_a_moment_when_nothing_is_unread() -> None:
    world = World()
    world.happens((ACCEPTED, 1), (SUCCEEDED, 0))
    world.unread = {1}
    world.dismiss_after(0.0)
    world.dismiss_after(HURRY_SECONDS)
    assert world.dismissed == []
    world.unread.clear()
    world.dismiss_after(0.0)
    assert world.dismissed == [1]


def test_the_end_of_an_unknown_connection_is_ignored() -> None:
    world = World()
    world.happens((GONE, 5))
    assert (world.limit.count, world.refused) == (0, {})


def test_a_socket_that_is_closed_gives_its_places_back() -> None:
    world = World()
    world.happens((ACCEPTED, 1), (ACCEPTED, 2))
    world.peers.forget()
    assert world.limit.count == 0
