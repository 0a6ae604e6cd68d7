"""What a probe proves about a link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hiredis
import pytest
from twisted.internet import task

from wampush.clock import Clock
from wampush.edges.backplane.probe import LATE_SECONDS, PATIENCE, PROBE_SECONDS, Probe


class Link:
    """A link that answers as a test says."""

    def __init__(self) -> None:
        self.time = task.Clock()
        self.is_reading = True
        self.reads = (0, 0)
        self.problems: list[str] = []
        self.replies: list[Callable[[Any], None]] = []
        self.answer: Any = 1
        self.comes_back = True
        self.probe = Probe(self, self.send_probe, Clock(self.time.seconds, self.time.callLater))

    def send_probe(self, on_reply: Callable[[Any], None]) -> None:
        self.replies.append(on_reply)
        if self.answer is not None:
            on_reply(self.answer)
        if self.comes_back:
            self.probe.on_message()

    def fail(self, problem: str) -> None:
        self.problems.append(problem)
        self.probe.stop()

    def pass_by(self, seconds: float) -> None:
        self.time.pump([0.5] * round(seconds / 0.5))


@pytest.fixture
def link() -> Link:
    return Link()


def test_a_link_that_answers_is_probed_again_and_again(link: Link) -> None:
    link.pass_by(60)
    assert link.problems == []
    assert len(link.replies) == 1 + (60 - PROBE_SECONDS) // (PROBE_SECONDS + PATIENCE)


@pytest.mark.parametrize(
    ("answer", "comes_back", "problem"),
    [
        (None, False, "no answer within 4 s"),
        (None, True, "no answer within 4 s"),
        (1, False, "nothing has come over the connection for subscriptions for 4 s"),
        (0, False, "Redis does not know the subscriptions of this node any more"),
    ],
)
def test_a_mute_link_is_found_within_ten_seconds(
    link: Link, answer: Any, comes_back: bool, problem: str
) -> None:
    link.pass_by(5)
    link.answer, link.comes_back = answer, comes_back
    link.pass_by(PROBE_SECONDS + 2 * PATIENCE)
    assert link.problems == [problem]
    assert PROBE_SECONDS + PATIENCE < 10


@pytest.mark.parametrize(
    ("answer", "busy", "problem"),
    [(None, (1, 0), "no answer within 4 s"), (1, (0, 1), "nothing has come over the connection")],
)
def test_a_connection_is_not_mute_while_something_comes(
    link: Link, answer: Any, busy: tuple[int, int], problem: str
) -> None:
    link.answer, link.comes_back = answer, False
    for second in range(40):
        link.reads = (second * busy[0], second * busy[1])
        link.pass_by(1)
    assert link.problems == []
    # One that has become mute is found as soon as any other.
    link.pass_by(2 * PATIENCE)
    assert link.problems[0].startswith(problem)
    assert 2 * PATIENCE < 10


@pytest.mark.parametrize(("answer", "busy"), [(None, (0, 1)), (1, (1, 0)), (0, (1, 1))])
def test_what_comes_over_the_other_connection_proves_nothing(
    link: Link, answer: Any, busy: tuple[int, int]
) -> None:
    link.answer, link.comes_back = answer, False
    for second in range(10):
        link.reads = (second * busy[0], second * busy[1])
        link.pass_by(1)
    assert len(link.problems) == 1


def test_a_refused_publish_proves_nothing(link: Link) -> None:
    link.answer, link.comes_back = hiredis.ReplyError("NOPERM no"), False
    link.pass_by(30)
    assert link.problems == []
    assert link.probe.refused == 4


def test_what_waits_in_the_socket_during_a_pause_is_not_missing(link: Link) -> None:
    link.comes_back = link.is_reading = False
    link.pass_by(20)
    assert link.problems == []
    link.is_reading = True
    link.pass_by(10)
    assert len(link.problems) == 1


def test_a_process_that_was_stopped_reads_before_it_judges(link: Link) -> None:
    link.answer, link.comes_back = None, False
    link.pass_by(PROBE_SECONDS)
    link.time.advance(PATIENCE + 60)
    assert link.problems == []
    link.replies[-1](1)
    link.probe.on_message()
    link.answer, link.comes_back = 1, True
    link.pass_by(20)
    assert link.problems == []
    assert LATE_SECONDS < 60


def test_a_stopped_probe_sends_nothing(link: Link) -> None:
    link.probe.stop()
    link.probe.stop()
    link.pass_by(20)
    assert link.replies == []
    assert not link.time.getDelayedCalls()
