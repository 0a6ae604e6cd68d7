"""Which events may be replaced, as indexes of what waits now."""

from __future__ import annotations

from wampush.broker.delivery.waiting import Replaceable


def test_indexes_count_what_waits_now() -> None:
    latest = Replaceable()
    latest.places.update({"gone": 1, "first": 3, "later": 7})
    latest.gone = 3
    assert latest.indexes(0) == {"first": 0, "later": 4}
    assert latest.indexes(1) == {"first": 1, "later": 5}


def test_compacting_leaves_out_what_was_replaced() -> None:
    latest = Replaceable()
    # Two chunks have left; of the others, two were replaced, and one is of no topic.
    latest.gone = 2
    latest.places.update({"gone": 1, "first": 3, "later": 6})
    assert latest.compact([b"", b"a", b"reply", b"", b"b"]) == [b"a", b"reply", b"b"]
    assert latest.places == {"first": 0, "later": 2}
    assert latest.indexes(0) == {"first": 0, "later": 2}
    assert latest.compact([]) == []
    assert latest.places == {}
