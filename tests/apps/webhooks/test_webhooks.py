"""What the answers of an application that is asked over HTTP mean for clients."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import CancelledError

from tests.apps.fake_application import application, logged
from tests.support.limits import PREFIX_LIMITS
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.ledger import Source
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.broker.subscriber import Subscriber
from wampush.errors import AuthenticationRefused, CloseReason, Refusal
from wampush.wamp.messages import Publish
from wampush.wamp.session import WampSession
from wampush.wamp.uris import WAMP1


def refusals(web):
    return dict(web.world.ledger.refusals())


def connect(web, cookie="PHPSESSID=s1"):
    """A client wants in; the list holds None when it may, or why not."""
    outcome: list[Any] = []
    request = ConnectRequest("/?a=1", {"cookie": cookie}, "192.0.2.1")
    subscriber = Subscriber(WampSession(WAMP1, "test/1", PREFIX_LIMITS), web.world.client().outbox)
    asked = web.webhooks.connecting(ConnectAttempt(Identity("7"), request, subscriber))
    asked.addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
    return outcome, asked


# Connect.


def test_connect_is_asked_with_the_cookies_of_the_browser():
    web = application("connect")
    outcome, _ = connect(web)
    assert web.posts[0].cookie == b"PHPSESSID=s1"
    assert web.posts[0].body["session"]["user"] == "7"
    assert outcome == []
    web.answer({"allow": True})
    assert outcome == [None]


@pytest.mark.parametrize(
    "answer", [{"document": {"allow": False, "reason": "full"}}, {"status": 403}]
)
def test_a_client_that_is_refused_does_not_connect(answer):
    web = application("connect")
    outcome, _ = connect(web)
    web.answer(**answer)
    (error,) = outcome
    assert isinstance(error, AuthenticationRefused)
    assert error.reason is CloseReason.CONNECT_REFUSED
    assert error.detail == ("full" if "document" in answer else "")


def test_the_default_holds_for_clients_that_connect():
    web = application("connect")
    outcome, _ = connect(web)
    web.answer(status=500)
    assert outcome[0].reason is CloseReason.CONNECT_UNDECIDED
    web = application("connect", when_down="allow")
    outcome, _ = connect(web)
    web.answer(status=500)
    assert outcome == [None]


def test_connecting_has_a_time_limit_of_its_own():
    web = application("connect", connect_timeout=1.5)
    outcome, _ = connect(web)
    web.pass_time(1.5)
    assert outcome[0].reason is CloseReason.CONNECT_UNDECIDED


@pytest.mark.parametrize("when_down", ["refuse", "allow"])
def test_a_client_that_goes_away_meanwhile_does_not_connect(when_down):
    web = application("connect", when_down=when_down)
    outcome, asked = connect(web)
    asked.cancel()
    assert web.posts[0].dropped
    assert isinstance(outcome[0], CancelledError)
    assert len(outcome) == 1
    assert web.clock.getDelayedCalls() == []


def gone(web):
    """Which ends are told: the session of the last request about connecting, and why."""
    web.pass_time(0.2)
    ((session,),) = (
        post.body["sessions"] for post in web.posts if post.body["event"] == "disconnect"
    )
    asked = [post for post in web.posts if post.body["event"] == "connect"]
    assert session["id"] == asked[-1].body["session"]["id"]
    return session["reason"]


def test_an_application_that_was_asked_is_notified_that_the_client_is_not_connected():
    web = application("connect", "disconnect", connect_timeout=1.5)
    connect(web)
    web.pass_time(1.5)
    assert gone(web) == "connect-undecided"
    web = application("connect", "disconnect", when_down="allow")
    _, asked = connect(web)
    asked.cancel()
    assert gone(web) == "peer-lost"


def test_an_application_that_was_not_asked_is_not_notified():
    web = application("connect", "disconnect", breaker_failures=1, at_once=1)
    connect(web)
    _, waits = connect(web)
    waits.cancel()
    web.answer({"allow": False})
    connect(web)
    web.answer({"allow": True})
    connect(web)
    web.answer(status=500)
    assert gone(web) == "connect-undecided"
    web.answer({})
    # Now the breaker is open.
    outcome, _ = connect(web)
    assert len(outcome) == 1
    web.pass_time(5.0)
    assert web.asked.count("disconnect") == 1


def test_without_the_event_everybody_connects():
    web = application("subscribe")
    assert not web.webhooks.judges_connecting
    assert connect(web)[0] == [None]
    assert web.posts == []


# Subscribe and publish.


def test_a_subscription_that_is_allowed():
    web = application("subscribe")
    client = web.world.client()
    web.world.says(client, '[5,"orders"]')
    web.world.says(client, '[6,"other"]')
    assert web.world.subscriptions.topic_count == 0
    web.answer({"allow": True})
    assert set(web.world.subscriptions.topics(client.subscriber)) == {"orders"}
    assert web.world.ledger.accepted[Source.CLIENT] == 2


@pytest.mark.parametrize(
    "answer", [{"document": {"allow": False, "reason": "no"}}, {"status": 403}]
)
def test_a_subscription_that_is_refused(answer):
    web = application("subscribe")
    client = web.world.client()
    web.world.says(client, '[5,"orders"]')
    web.answer(**answer)
    assert web.world.subscriptions.topic_count == 0
    assert refusals(web) == {"application-refused": 1}
    detail = "no" if "document" in answer else ""
    assert web.world.ledger.recent[-1].detail == detail


@pytest.mark.parametrize(
    ("when_down", "topics", "refused"),
    [("refuse", 0, {"application-failed": 1}), ("allow", 1, {})],
)
def test_the_default_holds_for_clients_that_subscribe(when_down, topics, refused):
    web = application("subscribe", when_down=when_down)
    web.world.says(web.world.client(), '[5,"orders"]')
    web.answer(status=500)
    assert web.world.subscriptions.topic_count == topics
    assert refusals(web) == refused


def test_other_topics_are_not_asked_about():
    web = application("subscribe", "publish", topics=("orders", "user.*"))
    for topic in ("news", "user.7", "orders", "orders.7"):
        client = web.world.client()
        web.world.says(client, json.dumps([5, topic]))
        web.world.says(client, json.dumps([7, topic, 1]))
    assert [post.body["topic"] for post in web.posts] == ["user.7"] * 2 + ["orders"] * 2
    assert web.world.subscriptions.topic_count == 2


def test_a_publication_that_is_allowed_as_it_is():
    web = application("publish")
    listener = web.world.client("chat")
    sender = web.world.client("chat")
    web.world.says(sender, '[7,"chat",{"n": 1.0}, false]')
    assert listener.texts == []
    web.answer({"allow": True})
    assert listener.texts == sender.texts == [b'[8,"chat",{"n": 1.0}]']


def test_a_publication_that_is_rewritten():
    web = application("publish")
    listener = web.world.client("chat")
    sender = web.world.client("chat")
    web.world.says(sender, '[7,"chat",1]')
    web.answer(body=b'{"allow":true,"payload":{"by":"7", "n":1.0}}')
    assert listener.texts == [b'[8,"chat",{"by":"7", "n":1.0}]']
    assert sender.texts == []


@pytest.mark.parametrize(("when_down", "texts"), [("refuse", []), ("allow", [b'[8,"chat",1]'])])
def test_a_publication_that_is_refused_and_one_without_an_answer(when_down, texts):
    web = application("publish", when_down=when_down)
    listener = web.world.client("chat")
    sender = web.world.client()
    web.world.says(sender, '[7,"chat",0]')
    web.answer({"allow": False})
    web.world.says(sender, '[7,"chat",1]')
    web.answer(status=500)
    assert listener.texts == texts


def test_requests_of_a_session_take_effect_in_their_order():
    web = application("subscribe", "publish")
    client = web.world.client("chat")
    listener = web.world.client("chat")
    web.world.says(client, '[5,"a"]')
    web.world.says(client, '[7,"chat",1]')
    web.present.reverse()
    web.answer({"allow": True})
    assert listener.texts == []
    web.answer({"allow": True})
    assert listener.texts == [b'[8,"chat",1]']


def test_a_refusal_that_cannot_be_read_is_a_failure():
    web = application("subscribe")
    web.world.says(web.world.client(), '[5,"orders"]')
    with logged() as lines:
        web.answer(body=b"<br />Warning: secret-7")
    assert refusals(web) == {"application-failed": 1}
    (line,) = lines
    assert line.startswith("subscribe: the response is not JSON: it looks like HTML")
    assert "secret" not in line


# Calls.


def call(web, text, client=None):
    caller = client or web.world.client()
    web.world.says(caller, text)
    return caller


def test_which_procedures_it_has():
    web = application("call", procedures=("cart.*", "time", "w*"))
    known = [uri for uri in ("cart.add", "time", "timer", "wampush.x", "cart") if _has(web, uri)]
    assert known == ["cart.add", "time"]
    assert not _has(application("subscribe"), "cart.add")


def _has(web, uri):
    return web.webhooks.has_procedure(uri)


def test_a_result():
    web = application("call")
    caller = call(web, '[2,"c1","cart.add",{"item":3}]')
    assert web.posts[0].body["module"] == "cart"
    assert web.posts[0].body["data"] == {"item": 3}
    web.answer(body=b'{"result": {"n": 1.0, "ids": [12345678901234567890123]}}')
    assert caller.texts == [b'[3,"c1",{"n": 1.0, "ids": [12345678901234567890123]}]']


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            {"document": {"error": {"desc": "sold out"}}},
            ["http://api.wamp.ws/error#generic", "sold out"],
        ),
        (
            {"document": {"error": {"uri": "http://shop#x", "desc": "no", "details": {"left": 0}}}},
            ["http://shop#x", "no", {"left": 0}],
        ),
        (
            {"status": 403, "document": {"reason": "not yours"}},
            ["http://api.wamp.ws/error#forbidden", "not yours"],
        ),
        (
            {"status": 403},
            ["http://api.wamp.ws/error#forbidden", "The application refused this request."],
        ),
        (
            {"status": 500},
            [
                "http://api.wamp.ws/error#unavailable",
                "the application gave no usable response; try again later",
            ],
        ),
    ],
)
def test_errors(answer, text):
    web = application("call", when_down="allow")
    caller = call(web, '[2,"c1","cart.add"]')
    web.answer(**answer)
    (reply,) = caller.texts
    assert json.loads(reply) == [4, "c1", *text]


def test_a_call_while_the_breaker_is_open():
    web = application("call", breaker_failures=1)
    call(web, '[2,"c1","cart.add"]')
    web.answer(status=500)
    caller = call(web, '[2,"c1","cart.add"]')
    web.world.end_turn()
    assert b"#unavailable" in caller.texts[0]
    assert len(web.posts) == 1


def test_arguments_that_cannot_be_written():
    web = application("call")
    deep = "[" * 1000 + "]" * 1000
    caller = call(web, f'[2,"c1","cart.add",{deep}]')
    web.world.end_turn()
    if web.posts:
        web.answer({"result": 1})
        assert caller.texts == [b'[3,"c1",1]']
    else:
        assert b"#invalid-argument" in caller.texts[0]


def test_a_call_that_ends_the_session():
    web = application("call")
    caller = call(web, '[2,"c1","cart.add"]')
    web.answer({"error": {"desc": "logged out"}, "end_session": True})
    assert b"logged out" in caller.texts[0]
    assert caller.peer.ends == [(CloseReason.ENDED_BY_APPLICATION, "")]


def test_a_caller_that_has_gone_gets_nothing():
    web = application("call")
    caller = call(web, '[2,"c1","cart.add"]')
    web.world.clients.on_lost(caller.subscriber)
    assert web.posts[0].dropped
    web.world.end_turn()
    assert caller.texts == []
    assert caller.subscriber.pending is None
    assert web.clock.getDelayedCalls() == []


def test_a_session_that_has_gone_neither_subscribes_nor_publishes():
    web = application("subscribe", "publish", when_down="allow")
    listener = web.world.client("chat")
    client = web.world.client()
    web.world.says(client, '[5,"a"]')
    web.world.says(client, '[7,"chat",1]')
    web.world.clients.on_lost(client.subscriber)
    assert [post.dropped for post in web.posts] == [True, True]
    web.world.end_turn()
    assert listener.texts == []
    assert web.world.subscriptions.topic_count == 1
    assert refusals(web) == {"session-ended": 2}


# What an answer publishes.


def test_what_else_is_published_follows_the_reply():
    web = application("subscribe", "call")
    client = web.world.client()
    web.world.says(client, '[5,"orders"]')
    web.answer({"allow": True, "publish": [{"topic": "orders", "data": [1, 2]}]})
    assert client.texts == [b'[8,"orders",[1, 2]]']
    other = web.world.client("orders")
    call(web, '[2,"c1","cart.add"]', client)
    web.answer(
        {
            "result": 3,
            "publish": [
                {"topic": "orders", "data": 4, "to": {"exclude": {"sessions": [other.id]}}}
            ],
        }
    )
    assert client.texts[1:] == [b'[3,"c1",3]', b'[8,"orders",4]']
    assert other.texts == []
    assert web.world.ledger.accepted[Source.WEBHOOK] == 2


def test_a_publication_that_cannot_be_changes_nothing_of_the_answer():
    web = application("call")
    caller = call(web, '[2,"c1","cart.add"]')
    web.answer(
        {
            "result": 3,
            "publish": [
                {"topic": "", "data": 1},
                {"topic": "wampush.x", "data": 1},
                {"topic": "t", "data": 1, "to": {"user": ["7"]}},
            ],
        }
    )
    assert caller.texts == [b'[3,"c1",3]']
    refused = web.world.ledger.refused
    assert refused[Source.WEBHOOK, Refusal.TOPIC_EMPTY] == 1
    assert refused[Source.WEBHOOK, Refusal.BAD_OPTIONS] == 1
    assert sum(refused.values()) == 3


# The rest.


def test_there_are_no_actions():
    web = application()
    done: list[int] = []
    subscriber = web.world.client().subscriber
    assert not web.webhooks.has_action("t")
    web.webhooks.act(subscriber, Publish("t", b"1"), lambda: done.append(1))
    web.webhooks.on_identity(subscriber, ANONYMOUS)
    assert done == [1]
    assert web.posts == []


def test_the_state_for_a_health_check():
    web = application()
    call(web, '[2,"c1","cart.add"]')
    assert web.status == {
        "breakers": dict.fromkeys(
            ("connect", "subscribe", "publish", "call", "disconnect", "occupied", "vacated"),
            "closed",
        ),
        "held_clients": 0,
        "running": 1,
        "waiting": 0,
        "disconnects_waiting": 0,
        "disconnects_dropped": 0,
        "topics_waiting": 0,
        "topics_dropped": 0,
    }
    json.dumps(web.status)
