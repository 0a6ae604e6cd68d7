"""Each promise is found broken, and only then."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from bench.faults.checker import breaches
from bench.faults.records import (
    Acknowledged,
    Allowed,
    Count,
    Kept,
    Phase,
    Place,
    Plain,
    Records,
    Segment,
    Stamp,
    Visit,
)

STRICT = Allowed(loses_plain=False)
A, B = (Stamp("p", 1), Stamp("p", 2))


def plain_event(stamp: Stamp, phase: Phase = Phase.CALM, attempts: int = 1) -> Acknowledged:
    return Acknowledged("plain", stamp, None, 0, attempts, phase, 10.0)


def kept_event(stamp: Stamp, offset: int, epoch: str = "e") -> Acknowledged:
    return Acknowledged("kept", stamp, Place(epoch, offset), 0, 1, Phase.FAULT, 10.0)


@pytest.fixture
def good() -> Records:
    """Records with which nothing is wrong."""
    return Records(
        acknowledged=[kept_event(A, 1), kept_event(B, 2), plain_event(A), plain_event(B)],
        kept=[
            Kept("r0", "kept", [Segment("e", 0, [A, B])]),
            Kept("r1", "kept", [Segment("e", 1, [B])]),
        ],
        plain=[Plain("r0", "plain", [A, B], [Visit(0, 1.0)])],
        stored={"kept": Segment("e", 0, [A, B])},
        unacknowledged={"kept": [A]},
        counts=[Count("node0: http", 4, 1, 5, 4, 1)],
        sent={"plain": [A, B]},
    )


def test_good_records(good: Records) -> None:
    assert breaches(good, STRICT) == []


def _forget(records: Records) -> None:
    records.stored["kept"].stamps.pop()
    for each in records.kept:
        each.segments[-1].stamps.pop()


def _store_elsewhere(records: Records) -> None:
    records.acknowledged[1] = kept_event(B, 3)


def _hide_position(records: Records) -> None:
    records.acknowledged[1] = Acknowledged("kept", B, None, 0, 1, Phase.CALM, 1.0)


def _other_epoch(records: Records) -> None:
    records.acknowledged[1] = kept_event(B, 2, "f")


def _swap(records: Records) -> None:
    records.kept[0].segments[0].stamps.reverse()


def _double(records: Records) -> None:
    records.kept[0].segments[0].stamps.append(B)
    records.stored["kept"].stamps.append(B)


def _lag(records: Records) -> None:
    records.kept[1].segments[0].stamps.pop()


def _lose(records: Records) -> None:
    records.kept[0].losses.append("offset 7 after 5")


def _contradict(records: Records) -> None:
    records.kept[0].breaches.append("recovered to 7, and got up to 6 only")


def _never(records: Records) -> None:
    records.kept[0].segments.clear()


def _unpushed(records: Records) -> None:
    records.unacknowledged["kept"].append(Stamp("q", 1))


def _two_epochs(records: Records) -> None:
    records.kept[0].segments.insert(0, Segment("d", 0, [A]))


def _lack(records: Records) -> None:
    records.plain[0].stamps.remove(A)


def _plain_double(records: Records) -> None:
    records.plain[0].stamps.append(B)


def _plain_swap(records: Records) -> None:
    records.plain[0].stamps.reverse()


def _other_order(records: Records) -> None:
    records.sent["plain"] = [Stamp("q", 1), A]
    records.plain[0].stamps = [A, Stamp("q", 1), B]


def _unbalanced(records: Records) -> None:
    records.counts[0].accepted = 3


def _too_few(records: Records) -> None:
    records.counts[0] = Count("node0: http", 4, 1, 3, 3, 0)


def _too_many(records: Records) -> None:
    records.counts[0] = Count("node0: http", 4, 1, 6, 6, 0)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_forget, "is not stored"),
        (_store_elsewhere, "at 3, and is stored at 2"),
        (_hide_position, "without a position"),
        (_other_epoch, "in epoch f, and the topic is in e"),
        (_swap, "in reader r0"),
        (_double, "twice"),
        (_lag, "ends at e 1, and the topic at e 2"),
        (_lose, "although nothing may be missing"),
        (_contradict, "got up to 6 only"),
        (_never, "was never subscribed"),
        (_unpushed, "pushed, and not stored"),
        (_two_epochs, "got in two epochs"),
        (_lack, "reader r0 lacks"),
        (_plain_double, "twice"),
        (_plain_swap, "1 of p after 2"),
        (_other_order, "Redis has sent it before"),
        (_unbalanced, "5 received, but 3 accepted and 1 refused"),
        (_too_few, "3 received, but 4 answered"),
        (_too_many, "6 received, but 4 answered"),
    ],
)
def test_each_breach_is_found(
    good: Records, spoil: Callable[[Records], None], sentence: str
) -> None:
    spoiled = copy.deepcopy(good)
    spoil(spoiled)
    found = breaches(spoiled, STRICT)
    assert any(sentence in each for each in found), found


def test_what_a_fault_may_do_to_topics_that_keep_events(good: Records) -> None:
    for spoil in (_lose, _other_epoch, _unpushed):
        spoil(good)
    assert breaches(good, Allowed(loses_kept=True)) == []
    _hide_position(good)
    assert breaches(good, Allowed(loses_kept=True, hides_positions=True)) == []
    _contradict(good)
    assert len(breaches(good, Allowed(loses_kept=True, hides_positions=True))) == 1


def test_an_event_without_a_position_is_stored_nevertheless(good: Records) -> None:
    good.acknowledged.append(Acknowledged("kept", Stamp("q", 1), None, 0, 1, Phase.FAULT, 1.0))
    assert "not stored" in breaches(good, Allowed(hides_positions=True))[0]


def _plain(good: Records, event: Acknowledged, visit: Visit) -> Records:
    good.acknowledged.append(event)
    good.plain[0].visits[:] = [visit]
    return good


C = Stamp("p", 3)


@pytest.mark.parametrize(
    ("event", "visit", "allowed", "is_owed"),
    [
        (plain_event(C), Visit(0, 1.0), Allowed(), True),
        (plain_event(C), Visit(1, 1.0), Allowed(), True),
        (plain_event(C), Visit(0, 11.0), Allowed(), False),
        (plain_event(C), Visit(0, 1.0, is_open=False), Allowed(), False),
        (plain_event(C, Phase.FAULT), Visit(0, 1.0), Allowed(), True),
        (plain_event(C, Phase.FAULT), Visit(1, 1.0), Allowed(), False),
        (plain_event(C, Phase.FAULT), Visit(1, 1.0), STRICT, True),
        (plain_event(C, Phase.FAULT, attempts=2), Visit(0, 1.0), Allowed(), False),
    ],
)
def test_who_is_owed_an_event(
    good: Records, event: Acknowledged, visit: Visit, allowed: Allowed, is_owed: bool
) -> None:
    found = breaches(_plain(good, event, visit), allowed)
    assert bool(found) is is_owed, found


def test_what_was_sent_twice_to_an_emptied_redis_may_come_twice(good: Records) -> None:
    good.acknowledged.append(plain_event(C, Phase.FAULT, attempts=2))
    good.plain[0].stamps += [C, C]
    assert breaches(good, Allowed(loses_kept=True)) == []
    assert breaches(good, Allowed()) != []


def test_what_redis_has_sent_twice_has_no_place(good: Records) -> None:
    good.sent["plain"] = [B, A, B]
    assert breaches(good, STRICT) == []
