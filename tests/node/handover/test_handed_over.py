"""What a failed hand-over says."""

from __future__ import annotations

from wampush.node.handover.handed_over import HandOverFailed


def test_a_failure_says_what_is_lost() -> None:
    failed = HandOverFailed("the stream broke", 7, goes_on=False)
    assert str(failed) == "the stream broke; 7 sessions had moved and are lost"
    assert (failed.lost, failed.goes_on) == (7, False)
