"""Notifications reach an application many at a time, and survive its restarts."""

from __future__ import annotations

import pytest
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer

from tests.apps.fake_application import application, logged
from wampush.errors import CloseReason

SOON = "next attempt in 10 s"


def lose(web, count=1, reason=None):
    clients = [web.world.client() for _ in range(count)]
    for client in clients:
        client.peer.ended = reason
        web.world.clients.on_lost(client.subscriber)
    return [client.id for client in clients]


def told(web):
    return [[session["id"] for session in post.body["sessions"]] for post in web.posts]


def test_ends_are_gathered_for_a_while():
    web = application("disconnect", disconnect_seconds=0.2)
    first = lose(web)
    web.pass_time(0.1)
    second = lose(web, reason=CloseReason.SLOW_CLIENT)
    web.pass_time(0.09)
    assert web.posts == []
    web.pass_time(0.02)
    assert told(web) == [first + second]
    assert [each["reason"] for each in web.posts[0].body["sessions"]] == [
        "peer-lost",
        "slow-client",
    ]
    assert [each["time"] for each in web.posts[0].body["sessions"]] == [0.0, 0.1]
    assert web.posts[0].body["event"] == "disconnect"
    web.answer(status=204)
    assert web.clock.getDelayedCalls() == []
    # The next one is gathered anew.
    lose(web)
    assert len(web.posts) == 1
    web.pass_time(0.2)
    assert len(web.posts) == 2


@pytest.mark.unwatched
def test_ten_thousand_at_once_are_twenty_posts_one_after_the_other():
    web = application("disconnect")
    gone = lose(web, 10_000)
    while web.present:
        assert len(web.present) == 1
        web.answer({})
    assert len(web.posts) == 20
    assert [each for post in told(web) for each in post] == gone
    assert web.status["disconnects_waiting"] == 0
    assert web.clock.getDelayedCalls() == []


def test_without_the_event_the_application_is_not_notified():
    web = application("call")
    lose(web, 1000)
    web.pass_time(60.0)
    assert web.posts == []
    assert "disconnect" not in web.status["breakers"]


def test_a_batch_that_fails_is_sent_once_more_with_the_same_id():
    web = application("disconnect", disconnect_batch=2, breaker_seconds=10.0)
    gone = lose(web, 3)
    with logged() as lines:
        web.answer(status=500)
        assert web.status["breakers"] == {"disconnect": "open"}
        web.pass_time(9.9)
        assert len(web.posts) == 1
        web.pass_time(0.1)
        assert web.posts[1].raw == web.posts[0].raw
        assert web.posts[1].time == 10
        web.answer({})
        web.pass_time(0.2)
        web.answer({})
    assert told(web)[2] == [gone[2]]
    assert web.posts[2].body["id"] != web.posts[1].body["id"]
    assert lines == [
        f"disconnect: unexpected status 500; expected 200 or 204; {SOON}",
        "disconnect: responding again",
    ]
    assert web.status["disconnects_dropped"] == 0


def test_a_second_failure_drops_the_batch_and_the_next_waits_its_turn():
    web = application("disconnect", disconnect_batch=2, breaker_seconds=10.0)
    gone = lose(web, 4)
    with logged() as lines:
        web.answer(status=500)
        web.pass_time(10.0)
        web.answer(body=b"OK secret-7")
        assert len(web.posts) == 2
        web.pass_time(10.0)
    assert told(web)[2] == gone[2:]
    assert web.status["disconnects_dropped"] == 2
    assert lines[1:] == [
        "disconnect: the response is not JSON; 2 disconnects dropped, 2 since the start",
    ]


def test_a_server_that_cannot_be_reached_has_not_seen_the_batch():
    web = application("disconnect", breaker_seconds=10.0)
    gone = lose(web)
    web.pass_time(0.2)
    with logged() as lines:
        for _ in range(5):
            web.fail(RefusedByPeer())
            web.pass_time(10.0)
        web.answer({})
    assert told(web) == [gone] * 6
    assert len({post.body["id"] for post in web.posts}) == 1
    assert web.status["disconnects_dropped"] == 0
    assert lines == [
        f"disconnect: the connection was refused (is the web application running?); {SOON}",
        "disconnect: responding again",
    ]


def test_an_application_that_does_not_answer_is_given_up():
    web = application("disconnect", timeout=5.0, breaker_seconds=10.0)
    lose(web)
    web.pass_time(0.2)
    with logged() as lines:
        web.pass_time(5.0)
    assert web.posts[0].dropped
    assert lines == ["disconnect: no response in time; next attempt in 10 s"]
    web.pass_time(10.0)
    assert len(web.posts) == 2


def test_what_waits_is_bounded_and_the_oldest_go_first():
    web = application("disconnect", disconnect_waiting=5, disconnect_batch=3)
    lose(web, 3)
    with logged() as lines:
        gone = lose(web, 7)
    assert web.status["disconnects_dropped"] == 2
    assert web.status["disconnects_waiting"] == 8
    assert lines == [
        "disconnect: the queue is full (5 disconnects); 1 disconnects dropped, 1 since the start"
    ]
    web.answer({})
    web.answer({})
    web.pass_time(0.2)
    assert told(web)[1:] == [gone[2:5], gone[5:]]


def test_an_answer_may_publish():
    web = application("disconnect")
    listener = web.world.client("staff")
    lose(web)
    web.pass_time(0.2)
    web.answer({"publish": [{"topic": "staff", "data": {"left": 1}}]})
    assert listener.texts == [b'[8,"staff",{"left": 1}]']


def test_at_the_end_what_is_left_is_sent_at_once():
    web = application("disconnect", disconnect_batch=2)
    gone = lose(web, 5)
    web.answer({})
    web.answer({})
    stopped = web.stop(5.0)
    assert told(web) == [gone[:2], gone[2:4], gone[4:]]
    assert not stopped.called
    web.answer({})
    assert stopped.called
    assert web.clock.getDelayedCalls() == []


def test_at_the_end_one_more_attempt_is_made_while_the_application_is_away():
    web = application("disconnect")
    lose(web)
    web.pass_time(0.2)
    web.answer(status=503)
    stopped = web.stop(5.0)
    assert len(web.posts) == 2
    web.answer({})
    assert stopped.called
    assert web.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("fail", "problem"),
    [
        (lambda web: web.fail(RefusedByPeer()), "the connection was refused"),
        (lambda web: web.pass_time(4.0), "out of time"),
    ],
)
def test_at_the_end_wampush_does_not_wait_for_an_application_that_is_down(fail, problem):
    web = application("disconnect", disconnect_batch=2)
    lose(web, 3)
    with logged() as lines:
        stopped = web.stop(4.0)
        assert not stopped.called
        fail(web)
    assert stopped.called
    assert web.status["disconnects_dropped"] == 3
    (line,) = (line for line in lines if "wampush stops" in line)
    assert problem in line
    assert "3 disconnects dropped because wampush stops" in line
    assert web.present == []
    assert web.clock.getDelayedCalls() == []
    assert len(web.posts) == 1


def test_at_the_end_with_nothing_left_wampush_does_not_wait():
    web = application("disconnect")
    lose(web)
    web.pass_time(0.2)
    web.answer({})
    assert web.stop(5.0).called
    assert web.clock.getDelayedCalls() == []
