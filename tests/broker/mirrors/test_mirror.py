"""The state of one mirror: what is next, what waits, what it can answer."""

from __future__ import annotations

import pytest

from wampush.broker.history.rule import HistoryRule
from wampush.broker.mirrors.loss import Known
from wampush.broker.mirrors.mirror import HELD_BYTES, Arrival, Mirror, MirrorState, Reload
from wampush.broker.publication import Position, Publication
from wampush.state_machine import IllegalMove


def arrival(offset: int, epoch: str = "e", run: str = "a", payload: bytes = b"1") -> Arrival:
    position = Position(epoch, offset)
    return Arrival(Publication("t", payload), position, 1.0, run)


@pytest.fixture
def mirror() -> Mirror:
    made = Mirror("t", HistoryRule(events=5))
    made.known = Known(Position("e", 5), "a")
    return made


def test_one_that_knows_nothing_has_nothing_and_answers_nothing() -> None:
    mirror = Mirror("t", HistoryRule(events=5))
    assert mirror.state is MirrorState.FOLLOWING
    assert not mirror.is_loaded
    assert not mirror.continues(arrival(1))
    assert not mirror.has(arrival(1))
    assert not mirror.covers(None)


def test_the_next_event_is_that_of_the_same_epoch_and_run(mirror: Mirror) -> None:
    assert mirror.continues(arrival(6))
    for other in (arrival(7), arrival(5), arrival(6, "f"), arrival(6, "e", "b")):
        assert not mirror.continues(other)


def test_older_events_are_known_if_they_are_of_the_same_epoch_and_run(mirror: Mirror) -> None:
    assert mirror.has(arrival(5))
    assert mirror.has(arrival(1))
    for other in (arrival(6), arrival(5, "f"), arrival(5, "e", "b")):
        assert not mirror.has(other)


def test_what_can_be_told(mirror: Mirror) -> None:
    assert mirror.covers(None)
    assert mirror.covers(Position("e", 5))
    assert not mirror.covers(Position("e", 6))
    assert not mirror.covers(Position("f", 1))
    mirror.reload = Reload({})
    assert not mirror.is_loaded
    assert not mirror.covers(None)


def test_events_wait_in_their_order_and_only_so_many(mirror: Mirror) -> None:
    mirror.hold(arrival(6))
    mirror.hold(arrival(7))
    assert mirror.take_held().position.offset == 6
    mirror.drop_held()
    assert not mirror.held
    assert not mirror.has_lost_held
    big = b"x" * (HELD_BYTES // 2)
    mirror.hold(arrival(6, payload=big))
    mirror.hold(arrival(7, payload=big))
    assert not mirror.held
    assert mirror.has_lost_held


def test_a_mirror_that_is_live_is_not_loaded_without_being_filled(mirror: Mirror) -> None:
    mirror.move(MirrorState.LOADING)
    mirror.move(MirrorState.LIVE)
    with pytest.raises(IllegalMove):
        mirror.move(MirrorState.LOADING)
    mirror.move(MirrorState.STALE)
    with pytest.raises(IllegalMove):
        mirror.move(MirrorState.LIVE)
