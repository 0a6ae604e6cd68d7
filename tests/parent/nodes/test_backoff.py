"""The delays before a node is started again."""

from __future__ import annotations

from wampush.parent.nodes.backoff import CALM, LONGEST_DELAY, Backoff


def test_the_first_restart_comes_at_once_and_the_others_later_and_later() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(5)] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert [backoff.after(0.1) for _ in range(9)][-1] == LONGEST_DELAY


def test_a_node_that_lasted_is_started_again_at_once() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.1)
    assert backoff.after(CALM) == 0.0
    assert backoff.after(0.1) == 0.5
