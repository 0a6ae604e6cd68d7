"""A careful client of a topic that keeps events: what it believes, and when it asks again."""

from __future__ import annotations

import pytest

from bench.faults.kept_view import KeptView
from bench.faults.records import Kept, Place, Segment, Stamp


def stamp(number: int) -> Stamp:
    return Stamp("p", number)


@pytest.fixture
def view() -> KeptView:
    return KeptView(Kept("r", "t"))


def answer(offset: int | None, *, recovered: bool = False, epoch: str = "e") -> dict[str, object]:
    known = None if offset is None else epoch
    return {"recovered": recovered, "epoch": known, "offset": offset}


@pytest.fixture
def live(view: KeptView) -> KeptView:
    assert view.ask() == {}
    assert not view.on_answer(answer(4))
    assert not view.on_event(5, stamp(5))
    return view


def test_events_count_from_the_answer(view: KeptView) -> None:
    view.ask()
    liveness = [view.is_live]
    assert not view.on_event(4, stamp(4))
    view.on_answer(answer(4))
    liveness.append(view.is_live)
    assert liveness == [False, True]
    assert not view.on_event(5, stamp(5))
    assert view.record.segments == [Segment("e", 4, [stamp(5)])]
    assert view.known == Place("e", 5)


def test_what_follows_a_subscription_with_a_position(live: KeptView) -> None:
    assert live.ask() == {"since": {"epoch": "e", "offset": 5}}
    for offset in (5, 6, 9, 7):
        assert not live.on_event(offset, stamp(offset))
    live.on_answer(answer(7, recovered=True))
    live.on_event(8, stamp(8))
    assert live.record.segments == [Segment("e", 4, [stamp(each) for each in (5, 6, 7, 8)])]
    assert live.record.losses == live.record.breaches == []


@pytest.mark.parametrize("offset", [5, 7, 1])
def test_any_other_offset_shows_a_loss(live: KeptView, offset: int) -> None:
    assert live.on_event(offset, stamp(offset))
    assert live.record.losses == [f"offset {offset} after 5"]


def test_an_answer_without_a_position_is_asked_for_again(live: KeptView) -> None:
    live.ask()
    live.on_event(6, stamp(6))
    assert live.on_answer(answer(None))
    assert not live.is_live
    assert live.ask() == {"since": {"epoch": "e", "offset": 5}}


def test_a_loss_begins_anew(live: KeptView) -> None:
    live.ask()
    live.on_event(6, stamp(1))
    live.on_answer(answer(2, epoch="f"))
    live.on_event(3, stamp(3))
    assert live.record.segments[1:] == [Segment("f", 2, [stamp(3)])]
    assert len(live.record.losses) == 1


def test_an_answer_that_promises_more_than_has_come(live: KeptView) -> None:
    live.ask()
    live.on_event(6, stamp(6))
    live.on_answer(answer(7, recovered=True))
    assert "got up to 6 only" in live.record.breaches[0]


def test_nothing_is_recovered_from_another_epoch(live: KeptView) -> None:
    live.ask()
    live.on_answer(answer(5, recovered=True, epoch="f"))
    assert "another epoch" in live.record.breaches[0]
