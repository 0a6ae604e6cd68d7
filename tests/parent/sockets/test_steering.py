"""Which sockets of an address get new connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from wampush.parent.sockets.opening import opened_beside, opened_tcp
from wampush.parent.sockets.steering import spread, steer
from wampush.parent.sockets.targets import WEBSOCKET, of_address


@pytest.fixture
def group() -> Iterator[list[socket.socket]]:
    """Four sockets at one address."""
    where = of_address(WEBSOCKET, "tcp:0:interface=127.0.0.1")
    assert where is not None
    with ExitStack() as stack:
        sockets = [stack.enter_context(opened_tcp(where))]
        for _ in range(3):
            sockets.append(stack.enter_context(opened_beside(sockets, where)))
        yield sockets


def connected(group: list[socket.socket], count: int = 80) -> list[int]:
    """Connect so often; return how many connections each socket has got."""
    for _ in range(count):
        socket.create_connection(group[0].getsockname(), timeout=20).close()
    counts = accepted(group)
    assert sum(counts) == count
    return counts


def accepted(group: list[socket.socket]) -> list[int]:
    """How many connections have waited at each socket."""
    counts = []
    for each in group:
        counts.append(0)
        while True:
            try:
                each.accept()[0].close()
            except BlockingIOError:
                break
            counts[-1] += 1
    return counts


@pytest.mark.parametrize("places", [[0], [3], [0, 2], [1, 2, 3]])
def test_only_the_chosen_sockets_get_connections(
    group: list[socket.socket], places: list[int]
) -> None:
    steer(group[0], places)
    counts = connected(group)
    assert {place for place, count in enumerate(counts) if count} == set(places)


def test_the_last_choice_counts_and_can_be_taken_back(group: list[socket.socket]) -> None:
    steer(group[0], [0])
    steer(group[2], [1])
    assert connected(group) == [0, 80, 0, 0]
    spread(group[3])
    assert all(connected(group))


def test_what_waits_stays_where_it_is(group: list[socket.socket]) -> None:
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(group[0].getsockname(), timeout=20))
        steer(group[0], [0])
        counts = accepted(group)
        assert sum(counts) == 40
        assert all(counts)


def test_one_that_is_added_or_closed_does_not_move_the_others(group: list[socket.socket]) -> None:
    steer(group[0], [1])
    group.pop().close()
    assert connected(group) == [0, 80, 0]


def test_there_may_be_nothing_to_take_back(group: list[socket.socket]) -> None:
    spread(group[0])
    spread(group[0])
    assert all(connected(group))
    with socket.socket(socket.AF_UNIX) as other, pytest.raises(OSError):
        steer(other, [0])
