"""How many requests run, wait and end, when the breaker opens, and what the log says."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer

from tests.apps.fake_application import application, logged
from wampush.broker.identity import ANONYMOUS
from wampush.broker.pending import Verdict
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.net.circuit_breaker import BreakerState
from wampush.net.http_post import HttpResponse, ResponseTooLong
from wampush.wamp.messages import Subscribe

NUMBERS = count(1)


def elsewhere(web):
    """A client with an address of its own."""
    client = web.world.client()
    number = next(NUMBERS)
    client.peer.address = f"198.51.{number // 250}.{number % 250 + 1}"
    return client


class Asked:
    """A subscription that an application is asked about."""

    def __init__(self, web, topic="t", client=None):
        self.verdicts: list[Verdict] = []
        self.client = client or elsewhere(web)
        web.webhooks.subscribing(self.client.subscriber, Subscribe(topic), self.verdicts.append)

    @property
    def ended(self):
        assert len(self.verdicts) < 2
        return bool(self.verdicts)

    @property
    def allowed(self):
        (verdict,) = self.verdicts
        return verdict.refusal is None


def breaker(web, event="subscribe"):
    return web.status["breakers"][event]


def test_only_so_many_run_and_so_many_wait():
    web = application("subscribe", at_once=2, waiting=3)
    with logged() as lines:
        asked = [Asked(web, f"t{number}") for number in range(7)]
    assert len(web.present) == 2
    assert web.status["waiting"] == 3
    assert [each.ended for each in asked] == [False] * 5 + [True] * 2
    assert not asked[5].allowed
    assert lines == ["subscribe: the queue is full (3 requests)"]
    while web.present:
        web.answer({"allow": True})
    assert [each.allowed for each in asked] == [True] * 5 + [False] * 2
    assert [post.body["topic"] for post in web.posts] == ["t0", "t1", "t2", "t3", "t4"]
    assert web.clock.getDelayedCalls() == []


@pytest.mark.parametrize(("when_down", "allowed"), [("refuse", False), ("allow", True)])
def test_the_default_holds_without_an_answer_in_time(when_down, allowed):
    web = application("subscribe", timeout=3.0, at_once=1, when_down=when_down)
    with logged() as lines:
        first, waits = Asked(web), Asked(web)
        web.pass_time(2.9)
        assert not first.ended
        web.pass_time(0.1)
    assert first.allowed is waits.allowed is allowed
    assert lines == ["subscribe: no response within 3 s"]
    # The place that the first has left is too late for the second.
    assert [post.dropped for post in web.posts] == [True]
    assert web.clock.getDelayedCalls() == []


def test_a_request_that_was_not_sent_says_nothing_about_the_application():
    web = application("subscribe", "connect", at_once=1, breaker_failures=1, connect_timeout=2.0)
    Asked(web)
    refused: list[object] = []
    request = ConnectRequest("/", {}, "192.0.2.1")
    connecting: Any = web.webhooks.connecting(ConnectAttempt(ANONYMOUS, request))
    connecting.addErrback(refused.append)
    with logged() as lines:
        web.pass_time(2.0)
    assert len(refused) == 1
    assert lines == ["connect: not sent within 2 s; the queue is too long"]
    assert breaker(web, "connect") == "closed"
    assert len(web.posts) == 1


@pytest.mark.parametrize(
    ("fail", "problem"),
    [
        (lambda web: web.fail(RefusedByPeer()), "the connection was refused"),
        (lambda web: web.fail(RuntimeError("secret-7")), "the request failed (RuntimeError)"),
        (lambda web: web.answer(status=500), "status 500"),
        (lambda web: web.answer(status=503), "status 503"),
        (lambda web: web.pass_time(5.0), "no response within 5 s"),
    ],
)
def test_failures_in_a_row_open_the_breaker(fail, problem):
    web = application("subscribe", breaker_failures=3, breaker_seconds=10.0)
    with logged() as lines:
        for number in range(3):
            asked = Asked(web)
            fail(web)
            assert not asked.allowed
            assert breaker(web) == ("closed" if number < 2 else "open")
            web.pass_time(1.0)
    told = [line for line in lines if "failures in a row" not in line]
    assert len(told) == 3
    assert all(problem in line for line in told)
    assert [line for line in lines if line not in told] == [
        "subscribe: 3 failures in a row; sending no requests for 10 s, then one as a probe"
    ]
    # Nothing is sent, and nothing waits for what is not sent.
    with logged() as lines:
        assert not Asked(web).allowed
        web.pass_time(8.9)
        assert not Asked(web).allowed
    assert len(web.posts) == 3
    assert lines == []
    # Then one request goes through, and only one.
    web.pass_time(0.1)
    probe = Asked(web)
    assert len(web.present) == 1
    assert breaker(web) == "half-open"
    assert not Asked(web).allowed
    with logged() as lines:
        web.answer({"allow": True})
    assert probe.allowed
    assert lines == ["subscribe: responding again"]
    assert breaker(web) == "closed"
    Asked(web)
    assert len(web.present) == 1


def test_a_probe_that_fails_opens_it_again_without_a_line():
    web = application("subscribe", breaker_failures=1, breaker_seconds=10.0)
    Asked(web)
    web.answer(status=500)
    web.pass_time(10.0)
    Asked(web)
    with logged() as lines:
        web.answer(status=500)
    assert lines == ["subscribe: unexpected status 500; expected 200 or 403"]
    web.pass_time(9.9)
    assert Asked(web).ended
    web.pass_time(0.1)
    assert not Asked(web).ended


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 302},
        {"body": b"<b>Warning</b>"},
        {"document": {"allow": "yes"}},
        ResponseTooLong(),
    ],
)
def test_an_answer_that_cannot_be_used_is_no_outage(answer):
    web = application("subscribe", breaker_failures=1)
    asked = Asked(web)
    with logged() as lines:
        if isinstance(answer, Exception):
            web.fail(answer)
        else:
            web.answer(**answer)
    assert not asked.allowed
    assert len(lines) == 1
    assert breaker(web) == "closed"


def test_queued_requests_end_when_the_breaker_opens():
    web = application("subscribe", "call", at_once=1, breaker_failures=1)
    first, second, third = (Asked(web) for _ in range(3))
    replies = web.world.client()
    web.world.says(replies, '[2,"c","cart.add",1]')
    web.answer(status=500)
    assert not first.allowed
    assert not second.allowed
    assert not third.allowed
    # The breaker of another event is another one.
    assert web.asked == ["subscribe", "call"]
    assert breaker(web, "call") == "closed"


def test_failures_are_logged_once_per_second():
    web = application("subscribe")
    with logged() as lines:
        for _ in range(3):
            Asked(web)
            web.answer(status=404)
        web.pass_time(1.0)
        Asked(web)
        web.answer(status=404)
    assert len(lines) == 2
    assert lines[1].endswith("(2 similar messages suppressed)")


def test_the_requests_of_a_lost_session_are_cancelled():
    web = application("subscribe", at_once=1, breaker_failures=1)
    client = web.world.client()
    running, waiting = Asked(web, client=client), Asked(web, client=client)
    other = Asked(web)
    with logged() as lines:
        web.webhooks.on_lost(client.subscriber)
    assert running.ended
    assert waiting.ended
    assert web.posts[0].dropped
    web.pass_time(0.0)
    assert len(web.posts) == 2
    assert not other.ended
    assert lines == []
    assert breaker(web) == "closed"
    web.answer({"allow": True})
    assert other.allowed
    assert web.webhooks._dispatcher._owned == {}
    assert web.clock.getDelayedCalls() == []


def test_a_probe_that_is_given_up_leaves_its_place_to_the_next():
    web = application("subscribe", breaker_failures=1, breaker_seconds=10.0)
    Asked(web)
    web.answer(status=500)
    web.pass_time(10.0)
    probe = Asked(web)
    web.webhooks.on_lost(probe.client.subscriber)
    assert breaker(web) == BreakerState.OPEN.value
    asked = Asked(web)
    web.answer({"allow": True})
    assert asked.allowed


def test_at_the_end_everything_is_given_up():
    web = application("subscribe", at_once=1)
    asked = [Asked(web) for _ in range(3)]
    assert web.stop(5.0).called
    assert not any(each.allowed for each in asked)
    assert web.posts[0].dropped
    assert web.clock.getDelayedCalls() == []


def test_each_post_is_signed_with_the_time_at_which_it_is_sent():
    web = application("subscribe", at_once=1)
    web.clock.advance(1000.0)
    Asked(web)
    Asked(web)
    web.clock.advance(2.5)
    web.answer({"allow": True})
    assert [post.time for post in web.posts] == [1000, 1002]
    assert [post.body["time"] for post in web.posts] == [1000.0, 1000.0]
    web.secret = b"another secret, as long as it has to be"
    web.webhooks.replace_secret(web.secret)
    Asked(web)
    web.answer({"allow": True})


def test_nothing_is_sent_for_sessions_that_are_lost_at_the_same_time():
    web = application("subscribe", "disconnect", at_once=1)
    asked = [Asked(web) for _ in range(5)]
    for each in asked[:4]:
        web.webhooks.on_lost(each.client.subscriber)
    web.pass_time(0.0)
    assert web.asked == ["subscribe", "subscribe"]
    assert not asked[4].ended


def connecting(web, host=1):
    """The outcomes of a client that wants in.

    :param host: the last part of its address.
    """
    outcomes: list[object] = []
    attempt = ConnectAttempt(ANONYMOUS, ConnectRequest("/", {}, f"192.0.2.{host}"))
    asked: Any = web.webhooks.connecting(attempt)
    asked.addBoth(outcomes.append)
    return outcomes


def test_slow_calls_do_not_keep_clients_from_connecting():
    web = application("connect", "call", at_once=10, timeout=60.0)
    for _ in range(15):
        web.world.says(web.world.client(), '[2,"1","cart.add"]')
    assert web.asked == ["call"] * 8
    assert web.status["waiting"] == 7
    outcomes = [connecting(web, host) for host in range(3)]
    assert web.asked == ["call"] * 8 + ["connect"] * 2
    web.present.pop(8).answered.callback(HttpResponse(200, b'{"allow": true}'))
    web.present.pop(8).answered.callback(HttpResponse(200, b'{"allow": true}'))
    web.answer({"result": 1})
    assert web.asked[10:] == ["connect", "call"]
    web.present[-2].answered.callback(HttpResponse(200, b'{"allow": true}'))
    assert outcomes == [[None]] * 3


def test_clients_that_connect_do_not_keep_others_from_their_replies():
    web = application("connect", "call", at_once=3)
    for host in range(20):
        connecting(web, host)
    web.world.says(web.world.client(), '[2,"1","cart.add"]')
    assert web.asked == ["connect", "connect", "call"]


def test_calls_of_one_session_that_hang_leave_places_to_others():
    web = application("call", at_once=6, timeout=60.0)
    hanging, other = web.world.client(), web.world.client()
    for number in range(5):
        web.world.says(hanging, f'[2,"{number}","cart.hang"]')
    assert len(web.asked) == 3
    web.world.says(other, '[2,"1","cart.add"]')
    assert len(web.asked) == 4
    web.present[0].answered.callback(HttpResponse(200, b'{"result": 1}'))
    assert len(web.asked) == 5


def test_both_kinds_have_their_own_room_to_wait():
    web = application("connect", "call", at_once=1, waiting=2)
    client = web.world.client(limit=10_000)
    for number in range(5):
        web.world.says(client, f'[2,"{number}","cart.add"]')
    web.world.end_turn()
    assert len(client.texts) == 2
    assert [len(connecting(web)) for _ in range(3)] == [0, 0, 1]
    assert web.status["waiting"] == 4


def test_a_session_with_many_requests_does_not_delay_others():
    web = application("call", at_once=1)
    busy, other = web.world.client(), web.world.client()
    for number in range(4):
        web.world.says(busy, f'[2,"{number}","cart.busy"]')
    web.world.says(other, '[2,"1","cart.other"]')
    for _ in range(5):
        web.answer({"result": 1})
    procedures = [post.body["procedure"] for post in web.posts]
    assert procedures == ["cart.busy", "cart.busy", "cart.other", "cart.busy", "cart.busy"]


def test_little_time_for_a_response_says_nothing_about_the_application():
    web = application("subscribe", at_once=1, timeout=5.0, breaker_failures=1)
    first, second = Asked(web), Asked(web)
    web.pass_time(4.0)
    web.answer({"allow": True})
    assert first.allowed
    with logged() as lines:
        web.pass_time(1.0)
    assert not second.allowed
    assert lines == ["subscribe: no response within 5 s"]
    assert breaker(web) == "closed"


def test_one_client_cannot_open_the_breaker_for_others():
    web = application("subscribe", breaker_failures=3, breaker_seconds=10.0)
    attacker = elsewhere(web)
    with logged() as lines:
        for _ in range(3):
            Asked(web, "poison", attacker)
            web.answer(status=500)
    assert breaker(web) == "closed"
    assert web.status["held_clients"] == 1
    assert lines[-1] == (
        "subscribe: 3 failures in a row of one client; refusing its requests for 10 s"
    )
    # Its own requests are refused without being sent, those of others are asked about.
    assert not Asked(web, "t", attacker).allowed
    victim = Asked(web)
    assert not victim.ended
    web.answer({"allow": True})
    assert victim.allowed
    web.pass_time(10.0)
    assert not Asked(web, "t", attacker).ended


def test_requests_in_the_queue_are_refused_with_those_of_their_client():
    web = application("subscribe", at_once=1, breaker_failures=2)
    attacker = elsewhere(web)
    asked = [Asked(web, f"t{number}", attacker) for number in range(4)]
    other = Asked(web)
    web.answer(status=500)
    web.answer(status=500)
    web.answer({"allow": True})
    assert [each.ended for each in asked] == [True] * 4
    assert other.allowed
    assert web.present == []


def test_whoever_makes_the_application_fail_gains_nothing_from_its_silence():
    """With when_down = "allow", the application still decides about the client that fails."""
    web = application("subscribe", breaker_failures=3, when_down="allow")
    attacker = elsewhere(web)
    for _ in range(5):
        Asked(web, "poison", attacker)
        web.answer(status=500)
    assert breaker(web) == "closed"
    secret = Asked(web, "secret", attacker)
    assert not secret.ended
    web.answer({"allow": False})
    assert not secret.allowed


def test_many_sessions_of_one_address_do_not_open_it_either():
    web = application("connect", breaker_failures=4)

    def connect(address: str) -> list[Any]:
        refused: list[Any] = []
        attempt = ConnectAttempt(ANONYMOUS, ConnectRequest("/", {}, address))
        connecting: Any = web.webhooks.connecting(attempt)
        connecting.addBoth(refused.append)
        return refused

    for _ in range(8):
        if not connect("192.0.2.7"):
            web.answer(status=500)
    assert breaker(web, "connect") == "closed"
    assert connect("192.0.2.7")
    assert not connect("192.0.2.8")


def test_the_probe_is_a_request_of_somebody_else():
    web = application("subscribe", breaker_failures=2, breaker_seconds=10.0)
    failing = [elsewhere(web) for _ in range(2)]
    for client in failing:
        Asked(web, "t", client)
        web.answer(status=500)
    assert breaker(web) == "open"
    web.pass_time(10.0)
    assert not Asked(web, "t", failing[0]).allowed
    assert breaker(web) == "open"
    probe = Asked(web)
    assert breaker(web) == "half-open"
    web.answer({"allow": True})
    assert probe.allowed
    assert breaker(web) == "closed"


def test_the_probe_is_anybodys_when_nobody_else_asks():
    web = application("subscribe", breaker_failures=2, breaker_seconds=10.0)
    failing = [elsewhere(web) for _ in range(2)]
    for client in failing:
        Asked(web, "t", client)
        web.answer(status=500)
    web.pass_time(20.0)
    assert not Asked(web, "t", failing[0]).ended
    assert breaker(web) == "half-open"


def test_addresses_take_turns_when_they_connect():
    web = application("connect", at_once=1, waiting=4)

    def connect(address: str, path: str) -> list[Any]:
        ended: list[Any] = []
        attempt = ConnectAttempt(ANONYMOUS, ConnectRequest(path, {}, address))
        connecting: Any = web.webhooks.connecting(attempt)
        connecting.addBoth(ended.append)
        return ended

    greedy = [connect("192.0.2.7", f"/{number}") for number in range(6)]
    assert [bool(each) for each in greedy] == [False] * 5 + [True]
    # The queue is full, so the address with the most requests loses its newest.
    other = connect("192.0.2.8", "/other")
    assert [bool(each) for each in greedy] == [False] * 4 + [True] * 2
    assert not other
    web.answer({"allow": True})
    web.answer({"allow": True})
    web.answer({"allow": True})
    assert other
    assert [post.body["path"] for post in web.posts][:3] == ["/0", "/1", "/other"]
