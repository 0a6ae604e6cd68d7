"""Clients that catch up share a bounded time of each turn, one after the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wampush.broker.delivery.catch_up_turns import (
    BUSY_SECONDS,
    LEAST_PART,
    SHARE_SECONDS,
    CatchUpTurns,
)


class Reactor:
    """Turns of a reactor that a test lets pass, and a clock that it moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.scheduled: list[Callable[[], None]] = []
        self.turns = CatchUpTurns(self.scheduled.append, lambda: self.now)
        #: The names of the clients, in the order of their turns.
        self.given: list[str] = []

    def turn(self, others: float = 0.0) -> str:
        """Let a turn pass in which others take so many seconds; return who has had turns."""
        self.now += others
        scheduled = self.scheduled[:]
        self.scheduled.clear()
        self.given.clear()
        for each in scheduled:
            each()
        return "".join(self.given)


class Client:
    """A client whose turns take a certain time.

    :param name: one letter.
    :param left: turns until it has caught up.
    :param seconds: of each turn.
    """

    def __init__(
        self, reactor: Reactor, name: str, left: int = 1000, seconds: float = SHARE_SECONDS / 4
    ) -> None:
        self.reactor = reactor
        self.name = name
        self.left = left
        self.seconds = seconds
        #: Forgotten in the turn of this one.
        self.ends: Client | None = None
        reactor.turns.wait(self)

    def take_turn(self) -> bool:
        self.reactor.now += self.seconds
        self.reactor.given.append(self.name)
        self.left -= 1
        if self.ends is not None:
            assert self.reactor.turns.forget(self.ends)
        return self.left > 0


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


def test_nothing_happens_while_nobody_waits(reactor: Reactor) -> None:
    assert (reactor.scheduled, len(reactor.turns)) == ([], 0)
    client = Client(reactor, "a", left=1)
    assert len(reactor.scheduled) == len(reactor.turns) == 1
    reactor.turns.wait(client)
    assert len(reactor.scheduled) == 1
    assert reactor.turn() == "a"
    assert (reactor.scheduled, len(reactor.turns)) == ([], 0)


def test_all_share_a_bounded_time_of_each_turn(reactor: Reactor) -> None:
    for name in "abcdef":
        Client(reactor, name)
    assert [reactor.turn() for _ in range(4)] == ["abcd", "efab", "cdef", "abcd"]
    assert len(reactor.scheduled) == 1


def test_a_client_alone_gets_all_of_the_time(reactor: Reactor) -> None:
    Client(reactor, "a", left=6)
    assert [reactor.turn(), reactor.turn()] == ["aaaa", "aa"]
    assert reactor.scheduled == []


def test_a_turn_that_takes_long_is_one_turn(reactor: Reactor) -> None:
    for name in "ab":
        Client(reactor, name, seconds=1.0)
    assert [reactor.turn() for _ in range(3)] == ["a", "b", "a"]


def test_the_share_is_smaller_while_others_take_long(reactor: Reactor) -> None:
    Client(reactor, "a")
    reactor.turn()
    assert reactor.turn(BUSY_SECONDS) == "aaaa"
    assert reactor.turn(BUSY_SECONDS * 2) == "aa"
    assert reactor.turn(BUSY_SECONDS * 1000) == "a" * round(4 * LEAST_PART)
    assert reactor.turn() == "aaaa"


def test_an_error_in_the_turn_of_one_client_takes_no_turn_from_the_others(
    reactor: Reactor,
) -> None:
    class Failing(Client):
        def take_turn(self) -> bool:
            raise LookupError(self.name)

    Failing(reactor, "a")
    Client(reactor, "b", left=1)
    with pytest.raises(LookupError):
        reactor.turn()
    assert reactor.turn() == "b"
    assert reactor.scheduled == []


def test_time_in_which_nobody_waited_makes_no_share_smaller(reactor: Reactor) -> None:
    Client(reactor, "a", left=1)
    assert reactor.turn() == "a"
    reactor.now += 100.0
    Client(reactor, "b")
    assert reactor.turn() == "bbbb"


def test_a_client_in_a_hurry_comes_first_and_keeps_its_place(reactor: Reactor) -> None:
    clients = {name: Client(reactor, name) for name in "abcdef"}
    assert reactor.turns.hurry(clients["e"])
    assert reactor.turns.hurry(clients["c"])
    # Theirs is not taken from the time of the others.
    assert reactor.turn() == "ecabcd"
    assert reactor.turn() == "efab"


def test_a_client_that_waits_for_nothing_more_after_its_hurry_loses_its_place(
    reactor: Reactor,
) -> None:
    hurried = Client(reactor, "a", left=1)
    Client(reactor, "b", left=1)
    reactor.turns.hurry(hurried)
    assert reactor.turn() == "ab"
    assert (reactor.scheduled, len(reactor.turns)) == ([], 0)


def test_only_who_waits_can_hurry(reactor: Reactor) -> None:
    client = Client(reactor, "a", left=1)
    assert reactor.turns.forget(client)
    assert not reactor.turns.forget(client)
    assert not reactor.turns.hurry(client)
    assert reactor.turn() == ""


def test_a_client_that_ends_after_its_hurry_gets_no_turn(reactor: Reactor) -> None:
    clients = [Client(reactor, name) for name in "ab"]
    for client in clients:
        reactor.turns.hurry(client)
    clients[0].ends = clients[1]
    clients[0].left = 1
    assert reactor.turn() == "a"
    assert len(reactor.turns) == 0


def test_a_client_that_ends_in_the_turn_of_another_gets_none(reactor: Reactor) -> None:
    clients = [Client(reactor, name, left=1) for name in "ab"]
    clients[0].ends = clients[1]
    assert reactor.turn() == "a"
    assert (reactor.scheduled, len(reactor.turns)) == ([], 0)
