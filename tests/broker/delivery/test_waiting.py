"""Which events may be replaced, as indexes of what waits now."""

from __future__ import annotations

from wampush.broker.delivery.waiting import Replaceable


def test_indexes_count_what_waits_now() -> None:
    latest = Replaceable()
    latest.places.update({"gone": 1, "first": 3, "later": 7})
    latest.gone = 3
    assert latest.indexes(0) == {"first": 0, "later": 4}
    assert latest.indexes(1) == {"first": 1, "later": 5}
