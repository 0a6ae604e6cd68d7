"""The tables of legal moves are complete, and end where they should."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import pytest

from wampush.edges.redis.lifecycle import (
    CONNECTION_MOVES,
    READ_MOVES,
    SOURCE_MOVES,
    ConnectionState,
    ReadState,
    SourceState,
)


@pytest.mark.parametrize(
    ("moves", "first"),
    [
        (CONNECTION_MOVES, ConnectionState.NEW),
        (READ_MOVES, ReadState.FLOWING),
        (SOURCE_MOVES, SourceState.NEW),
    ],
)
def test_every_state_has_a_row_and_can_be_reached(
    moves: Mapping[Any, frozenset[Any]], first: Enum
) -> None:
    assert moves.keys() == set(type(first))
    reached, frontier = {first}, {first}
    while frontier:
        frontier = {after for before in frontier for after in moves[before]} - reached
        reached |= frontier
    assert reached == set(type(first))


@pytest.mark.parametrize(
    ("moves", "last"),
    [(CONNECTION_MOVES, ConnectionState.LOST), (SOURCE_MOVES, SourceState.STOPPED)],
)
def test_only_the_last_state_has_no_way_out(
    moves: Mapping[Any, frozenset[Any]], last: Enum
) -> None:
    assert [state for state, successors in moves.items() if not successors] == [last]


def test_a_connection_is_confirmed_only_while_it_logs_in() -> None:
    before = [s for s, after in CONNECTION_MOVES.items() if ConnectionState.SUBSCRIBED in after]
    assert before == [ConnectionState.LOGGING_IN]
