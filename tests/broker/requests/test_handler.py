"""Requests from their text to their effect: answers, refusals, decisions of the application."""

# ruff: noqa: ARG002 (the names are those of the protocol)

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.world import Client, World
from tests.support.limits import request_limits
from tests.wamp.json_text import near_messages, texts, values
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.ledger import Source
from wampush.broker.pending import PASS, Verdict
from wampush.broker.publication import Publication
from wampush.broker.requests.application import Decide, Reply
from wampush.broker.subscriber import Subscriber
from wampush.choices import Action
from wampush.config.tables.permissions import PermissionSettings
from wampush.errors import MessageRefused, Refusal
from wampush.wamp.cra import PROCEDURE_AUTHREQ
from wampush.wamp.messages import Call, Publish, Subscribe
from wampush.wamp.uris import PRESENCE_CHANGES, RATCHET, WAMP1


@dataclass
class Slow:
    """Application code whose answers a test gives."""

    judges_subscribing: bool = True
    judges_publishing: bool = True
    asked: list[tuple[str, Decide]] = field(default_factory=list)
    calls: list[tuple[Call, Reply]] = field(default_factory=list)
    actions: list[tuple[bytes, Callable[[], None]]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def has_procedure(self, uri: str) -> bool:
        return uri.startswith("app.")

    def has_action(self, topic: str) -> bool:
        return topic == "act"

    def on_open(self, subscriber: Subscriber) -> None:
        self.heard.append("opened")

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        self.heard.append(f"{before.user} is {subscriber.identity.user}")

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        self.asked.append((request.topic, decide))

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        self.asked.append((request.topic, decide))

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        self.calls.append((call, reply))

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        self.actions.append((request.event, done))

    def on_lost(self, subscriber: Subscriber) -> None:
        self.heard.append("lost")

    def decide(self, topic: str, verdict: Verdict = PASS) -> None:
        """Answer the oldest question about a topic."""
        index = next(index for index, (name, _) in enumerate(self.asked) if name == topic)
        self.asked.pop(index)[1](verdict)

    def answer(self, number: int = 0) -> None:
        """Answer a call with its procedure."""
        call, reply = self.calls.pop(number)
        reply(json.dumps([3, call.call_id, call.procedure]).encode())


@dataclass
class Scene:
    """A world with application code."""

    world: World = field(default_factory=World)
    slow: Slow = field(default_factory=Slow)

    def __post_init__(self) -> None:
        self.world.serve(application=self.slow)

    def says(self, client: Client, *messages: object) -> None:
        for message in messages:
            self.world.says(client, json.dumps(message))
        self.world.end_turn()

    def topics(self, client: Client) -> set[str]:
        return set(self.world.subscriptions.topics(client.subscriber))


@pytest.fixture
def scene():
    return Scene()


def test_a_subscription_takes_effect_once_it_is_allowed(scene):
    client = scene.world.client()
    scene.says(client, [5, "a"])
    assert scene.topics(client) == set()
    assert scene.world.ledger.received[Source.CLIENT] == 0
    scene.slow.decide("a")
    assert scene.topics(client) == {"a"}
    assert scene.world.ledger.accepted[Source.CLIENT] == 1
    assert client.subscriber.pending is None


def test_a_refusal_is_counted_with_the_words_of_the_application(scene):
    client = scene.world.client()
    scene.says(client, [5, "a"])
    scene.slow.decide("a", Verdict(Refusal.APPLICATION_REFUSED, "Only on weekdays."))
    assert scene.topics(client) == set()
    assert scene.world.ledger.refusals() == {"application-refused": 1}
    (refused,) = scene.world.ledger.recent
    assert refused.detail == "Only on weekdays."
    assert refused.excerpt == b'[5, "a"]'


@pytest.mark.parametrize("value", [None, 0, "", [], {}, False, {"b": 1}])
def test_a_publication_can_be_rewritten_to_any_value(scene, value):
    client, other = scene.world.client(), scene.world.client("t")
    scene.says(client, [7, "t", "before"])
    assert other.texts == []
    scene.slow.decide("t", Verdict(payload=json.dumps(value).encode()))
    scene.world.end_turn()
    assert json.loads(other.texts[0]) == [8, "t", value]


def test_a_publication_that_passes_keeps_its_bytes(scene):
    client, other = scene.world.client(), scene.world.client("t")
    scene.world.says(client, '[7,"t",{"n":1.0,"big":123456789012345678901234567890}]')
    scene.slow.decide("t")
    scene.world.end_turn()
    assert other.texts == [b'[8,"t",{"n":1.0,"big":123456789012345678901234567890}]']


def test_requests_are_asked_side_by_side_and_take_effect_in_order(scene):
    client = scene.world.client()
    scene.says(client, [5, "a"], [5, "b"], [6, "b"], [2, "1", "app.x"])
    assert [topic for topic, _ in scene.slow.asked] == ["a", "b"]
    scene.slow.decide("b")
    assert scene.topics(client) == set()
    assert scene.slow.calls == []
    scene.slow.decide("a")
    assert scene.topics(client) == {"a"}
    assert [call.procedure for call, _ in scene.slow.calls] == ["app.x"]


def test_room_that_others_took_meanwhile_is_gone(scene):
    scene.world.serve(application=scene.slow, limits=request_limits(subscriptions=1))
    client = scene.world.client()
    scene.says(client, [5, "a"], [5, "b"])
    scene.slow.decide("b")
    scene.slow.decide("a")
    assert scene.topics(client) == {"a"}
    assert scene.world.ledger.refusals() == {"too-many-subscriptions": 1}


def test_events_do_not_wait_for_what_a_client_asked(scene):
    client = scene.world.client("news")
    scene.says(client, [5, "a"], [2, "1", "app.slow"])
    scene.world.broker.publish(Publication("news", b"1"))
    scene.world.end_turn()
    assert client.texts == [b'[8,"news",1]']


def test_calls_are_answered_in_the_order_of_their_answers(scene):
    client = scene.world.client()
    scene.says(client, [2, "1", "app.a"], [2, "2", "app.b"])
    scene.slow.answer(1)
    scene.slow.answer(0)
    scene.world.end_turn()
    assert [json.loads(text) for text in client.texts] == [[3, "2", "app.b"], [3, "1", "app.a"]]
    assert client.subscriber.pending is None


def test_more_than_may_wait_is_refused_and_calls_are_told(scene):
    client = scene.world.client(limit=10_000)
    scene.says(client, *([2, str(number), "app.x"] for number in range(7)))
    assert len(scene.slow.calls) == 5
    errors = [json.loads(text) for text in client.texts]
    assert [each[:2] for each in errors] == [[4, "5"], [4, "6"]]
    assert {each[4]["reason"] for each in errors} == {"too-many-pending"}
    scene.says(client, [5, "a"])
    assert scene.slow.asked == []
    assert scene.world.ledger.refusals() == {"too-many-pending": 3}
    scene.slow.answer()
    scene.says(client, [5, "a"])
    scene.slow.decide("a")
    assert scene.topics(client) == {"a"}


def test_what_waits_when_a_session_ends_is_counted_and_late_answers_do_nothing(scene):
    client = scene.world.client()
    scene.says(client, [5, "a"], [5, "b"], [2, "1", "app.x"])
    scene.slow.decide("b")
    scene.world.clients.on_lost(client.subscriber)
    scene.slow.decide("a")
    assert scene.topics(client) == set()
    assert scene.slow.calls == []
    assert scene.world.ledger.refusals() == {"session-ended": 3}
    assert scene.slow.heard == ["opened", "lost"]


def test_an_answer_after_the_end_of_its_session_goes_nowhere(scene):
    client = scene.world.client()
    scene.says(client, [2, "1", "app.x"])
    scene.world.clients.on_lost(client.subscriber)
    scene.slow.answer()
    scene.world.end_turn()
    assert client.texts == []


def test_an_action_goes_to_the_application_and_to_nobody_else(scene):
    client, other = scene.world.client(), scene.world.client("act")
    scene.says(client, [7, "act", {"a": 1.0}])
    assert [event for event, _ in scene.slow.actions] == [b'{"a": 1.0}']
    assert other.texts == []
    assert len(client.subscriber.pending or ()) == 1
    scene.slow.actions[0][1]()
    assert client.subscriber.pending is None


def test_an_action_needs_no_right_to_publish():
    scene = Scene(World(clients_publish=False))
    client = scene.world.client()
    scene.says(client, [7, "act", 1], [7, "other", 1])
    assert len(scene.slow.actions) == 1
    assert scene.world.ledger.refusals() == {"publish-forbidden": 1}


@pytest.mark.parametrize(
    ("message", "publishes"),
    [([7, "act", 1], True), ([7, "other", 1], True), ([5, "other"], False), ([2, "1", "p"], False)],
)
def test_what_the_application_decides_about_counts_as_a_publication(scene, message, publishes):
    client = scene.world.client()
    before = scene.world.broker.fanout.published
    scene.says(client, message)
    assert (scene.world.broker.fanout.published > before) is publishes


@pytest.mark.parametrize("topic", ["wampush.", "wampush.presence.num_online"])
def test_reserved_topics_are_not_for_clients(scene, topic):
    client = scene.world.client()
    scene.says(client, [7, topic, 1])
    assert scene.slow.asked == []
    assert scene.world.ledger.refusals() == {"client-topic-reserved": 1}


def test_the_application_hears_who_a_session_becomes(scene):
    client = scene.world.client()
    client.become(Identity(user="7"))
    assert scene.slow.heard == ["opened", "None is 7"]


#: What a client says, with the number of questions that it raises.
_STEPS = st.lists(
    st.tuples(st.sampled_from(("subscribe", "unsubscribe", "answer")), st.integers(0, 2)),
    max_size=60,
)


@settings(deadline=None, database=None, max_examples=200)
@given(_STEPS)
def test_whatever_the_order_of_answers_the_order_of_effects_is_that_of_requests(steps):
    scene = Scene()
    client = scene.world.client()
    expected: set[str] = set()
    for kind, number in steps:
        topic = f"t{number}"
        if kind == "answer":
            if scene.slow.asked:
                name, _ = scene.slow.asked[number % len(scene.slow.asked)]
                scene.slow.decide(name)
        elif len(client.subscriber.pending or ()) < 5:
            scene.says(client, [5 if kind == "subscribe" else 6, topic])
            (expected.add if kind == "subscribe" else expected.discard)(topic)
    while scene.slow.asked:
        scene.slow.decide(scene.slow.asked[-1][0])
    assert scene.topics(client) == expected
    assert client.subscriber.pending is None


def test_the_texts_that_wait_are_bounded_together(scene):
    client = scene.world.client(limit=10_000)
    scene.world.serve(application=scene.slow, limits=request_limits(pending_bytes=60))
    scene.says(client, [2, "1", "app.x", "x" * 100])
    assert len(scene.slow.calls) == 1
    scene.says(client, [2, "2", "app.x"], [5, "a"])
    assert [json.loads(text)[4]["reason"] for text in client.texts] == ["too-many-pending"]
    assert scene.slow.asked == []
    assert scene.world.ledger.recent[-1].detail.endswith(" bytes in all, 60 allowed.")
    scene.slow.answer()
    scene.says(client, [5, "a"], [2, "2", "app.x"], [5, "b"], [5, "c" * 21])
    assert [topic for topic, _ in scene.slow.asked] == ["a", "b"]
    scene.slow.decide("a")
    scene.slow.decide("b")
    scene.slow.answer()
    assert client.subscriber.pending is None


def test_room_for_bytes_comes_back_with_each_answer(scene):
    client = scene.world.client()
    scene.world.serve(application=scene.slow, limits=request_limits(pending_bytes=60))
    for number in range(20):
        scene.says(client, [5, "a"], [2, str(number), "app.x"], [7, "act", number])
        scene.slow.decide("a")
        scene.slow.answer()
        scene.slow.actions.pop()[1]()
    assert scene.world.ledger.refusals() == {}


def test_a_call_that_waits_has_its_arguments_in_the_end(scene):
    client = scene.world.client()
    arguments: list[object] = [[], {"a": 1.5}, None, "é"]
    scene.says(client, [5, "a"], [2, "1", "app.x", *arguments])
    (_, waits) = client.subscriber.pending.requests
    assert waits.request.arguments == ()
    scene.slow.decide("a")
    ((call, _),) = scene.slow.calls
    assert call == Call("1", "app.x", tuple(arguments))


def test_what_a_session_may_not_do_any_more_is_refused_though_it_asked_before(scene):
    entries = [
        PermissionSettings("staff", (Action.SUBSCRIBE,), ("group:staff",)),
        PermissionSettings("staff", (Action.SUBSCRIBE,), ("anyone",), allow=False),
    ]
    permissions = Permissions(entries, default_decisions(), lambda: 0.0)
    scene.world.broker.policy = Policy(Publishing.NOBODY, permissions)
    client = scene.world.client(identity=Identity("7", frozenset({"staff"})))
    leave = {"leave": lambda *_: client.become(Identity("7"))}
    scene.world.serve(leave, scene.slow)
    scene.says(client, [5, "a"], [2, "1", "leave"], [5, "staff"])
    scene.slow.decide("staff")
    scene.slow.decide("a")
    assert scene.topics(client) == {"a"}
    assert scene.world.ledger.refusals() == {"subscribe-forbidden": 1}


def test_a_call_that_waits_has_the_arguments_of_its_dialect(scene):
    client = scene.world.client(dialect=RATCHET)
    scene.says(client, [2, "0", "app.x", [1, 2]], [5, "a"], [2, "1", "app.x", [1, 2]])
    scene.slow.decide("a")
    assert [call.arguments for call, _ in scene.slow.calls] == [(1, 2), (1, 2)]


def test_the_application_does_not_hear_of_an_identity_that_a_connection_refuses(scene):
    client = scene.world.client()
    client.peer.accepts = False
    client.become(Identity(user="7"))
    assert scene.slow.heard == ["opened"]


@pytest.fixture
def world():
    return World()


NO_PROCEDURE = "http://api.wamp.ws/error#NoSuchRPCEndpoint"


# me is the publisher, a and b subscribe as well, out does not; "gone" is no session at all.
FORMS = [
    # what follows the event; who gets it in wamp1; who in ratchet
    ("", "ab", "mab"),
    (",null", "ab", "mab"),
    (",7", "ab", "mab"),
    (",true", "ab", "ab"),
    (",false", "mab", "mab"),
    (",[]", "mab", "mab"),
    (',["A"]', "mb", "mb"),
    (',["M"]', "ab", "ab"),
    (',["M","A","B"]', "", ""),
    (',["O","gone"]', "mab", "mab"),
    (',["A"],null', "mb", "mb"),
    (",[],[]", "", "mab"),
    (',["A"],[]', "", "mb"),
    (',[],["A"]', "a", "a"),
    (',[],["M","A","O","gone"]', "ma", "ma"),
    (',["A"],["A","B"]', "b", "b"),
    (',["A"],["A"]', "", ""),
    (',[],["O"]', "", ""),
    (',null,["M","A"]', "a", "ma"),
    (',true,["M","A"]', "a", "a"),
    (',false,["M","A"]', "ma", "ma"),
    (",null,[]", "", "mab"),
]


@pytest.mark.parametrize(("rest", "wamp1", "ratchet"), FORMS)
def test_every_form_of_publish(world, rest, wamp1, ratchet):
    for dialect, expected in ((WAMP1, wamp1), (RATCHET, ratchet)):
        me = world.client("t", dialect=dialect)
        others = {name: world.client("t", dialect=dialect) for name in "ab"}
        out = world.client("u", dialect=dialect)
        ids = {"M": me.id, "A": others["a"].id, "B": others["b"].id, "O": out.id}
        for name, session_id in ids.items():
            rest = rest.replace(f'"{name}"', f'"{session_id}"')
        world.says(me, f'[7,"t",{{"n":1.0}}{rest}]')
        world.end_turn()
        everybody = {"m": me, **others, "o": out}
        got = "".join(name for name, each in everybody.items() if each.texts)
        assert got == expected
        for name in got:
            assert everybody[name].texts == [b'[8,"t",{"n":1.0}]']
        for each in everybody.values():
            world.broker.on_lost(each.subscriber)
        for name, session_id in ids.items():
            rest = rest.replace(f'"{session_id}"', f'"{name}"')


@pytest.mark.parametrize("event", ["null", "0", '""', "[]", "{}", "false", "9007199254740993"])
def test_any_value_is_an_event(world, event):
    a, b = world.client("t"), world.client("t")
    world.says(a, f'[7,"t", {event} ]')
    world.broker.publish(Publication("t", event.encode()))
    world.end_turn()
    text = f'[8,"t",{event}]'.encode()
    assert (a.texts, b.texts) == ([text], [text, text])


def test_topics_are_known_by_their_resolved_uri(world):
    client = world.client()
    for text in ('[1,"p","urn:"]', '[5,"p:a"]', '[5,"urn:a"]', '[5,"p:b"]', '[6,"urn:b"]'):
        world.says(client, text)
    assert world.subscriptions.topics(client.subscriber) == {"urn:a"}
    world.broker.publish(Publication("urn:a", b"1"))
    world.end_turn()
    assert client.texts == [b'[8,"urn:a",1]']
    assert world.ledger.accepted[Source.CLIENT] == 5


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ('[2,"c","urn:f"]', NO_PROCEDURE),
        ('[2,"c","urn:f",1,{"a":[]}]', NO_PROCEDURE),
        ('[2,"c",""]', NO_PROCEDURE),
    ],
)
def test_every_call_is_answered(world, text, uri):
    client = world.client()
    world.says(client, text)
    world.end_turn()
    (answer,) = client.texts
    kind, call_id, error, description = json.loads(answer)
    assert (kind, call_id, error) == (4, "c", uri)
    assert repr(json.loads(text)[2]) in description


def test_the_answer_uses_a_prefix_of_the_client(world):
    client = world.client()
    world.says(client, '[1,"api","http://api.wamp.ws/"]')
    world.says(client, json.dumps([2, 'é"', "api:" + "x" * 5000]))
    world.end_turn()
    kind, call_id, error, description = json.loads(client.texts[0])
    assert (kind, call_id, error) == (4, 'é"', "api:error#NoSuchRPCEndpoint")
    assert len(description) < 300


REFUSED = [
    ("hello", Refusal.MESSAGE_NOT_JSON),
    ("{}", Refusal.MESSAGE_NOT_LIST),
    ("[]", Refusal.MESSAGE_EMPTY),
    ("[2]", Refusal.WRONG_ARITY),
    ("[99]", Refusal.UNKNOWN_TYPE),
    ('[8,"t",1]', Refusal.UNKNOWN_TYPE),
    ("[5,1]", Refusal.WRONG_TYPE),
    ("[5," + "[" * 1000 + "]" * 1000 + "]", Refusal.WRONG_TYPE),
    ("[" * 1000 + "]" * 1000, Refusal.UNKNOWN_TYPE),
    ('[5,""]', Refusal.CLIENT_TOPIC_EMPTY),
    ('[7,"",1]', Refusal.CLIENT_TOPIC_EMPTY),
    (json.dumps([5, "a" * 101]), Refusal.CLIENT_TOPIC_TOO_LONG),
    (json.dumps([5, "é" * 51]), Refusal.CLIENT_TOPIC_TOO_LONG),
    (json.dumps([7, "😀" * 26, 1]), Refusal.CLIENT_TOPIC_TOO_LONG),
]


@pytest.mark.parametrize(("text", "refusal"), REFUSED)
@pytest.mark.parametrize("dialect", [WAMP1, RATCHET])
def test_bad_input_is_counted_and_changes_nothing(world, text, refusal, dialect):
    client, other = world.client("t", dialect=dialect), world.client("t")
    before = len(client.wire.received), len(other.wire.received)
    world.says(client, text)
    world.end_turn()
    ledger = world.ledger
    assert ledger.refused == {(Source.CLIENT, refusal): 1}
    assert (ledger.received[Source.CLIENT], ledger.accepted[Source.CLIENT]) == (1, 0)
    assert ledger.recent[0].origin == f"session {client.id}"
    assert (len(client.wire.received), len(other.wire.received)) == before
    assert world.subscriptions.topics(client.subscriber) == {"t"}
    world.says(client, '[5,"u"]')
    assert world.subscriptions.topics(client.subscriber) == {"t", "u"}
    assert not client.outbox.closed


@pytest.mark.parametrize(
    ("topic", "fits"), [("a" * 100, True), ("é" * 50, True), ("é" * 50 + "a", False)]
)
def test_the_length_of_a_topic_is_counted_in_bytes(world, topic, fits):
    client = world.client()
    world.says(client, json.dumps([5, topic]))
    assert (topic in world.subscriptions.topics(client.subscriber)) is fits


def test_publishing_may_be_forbidden():
    world = World(clients_publish=False)
    client, other = world.client("t"), world.client("t")
    world.says(client, '[7,"t",1]')
    world.end_turn()
    assert world.ledger.refusals() == {"publish-forbidden": 1}
    assert other.texts == []
    world.broker.publish(Publication("t", b"1"))
    world.end_turn()
    assert other.texts == [b'[8,"t",1]']


def test_a_refusal_from_the_edge_is_counted(world):
    client = world.client()
    world.clients.refuse(client.subscriber, MessageRefused(Refusal.BINARY_FRAME), b"\x00")
    assert world.ledger.refusals() == {"binary-frame": 1}
    assert world.ledger.received[Source.CLIENT] == 1


messages = st.lists(near_messages | texts(values) | st.binary(max_size=30), min_size=1, max_size=20)


@settings(database=None, deadline=None, max_examples=100)
@given(messages, st.booleans(), st.sampled_from([WAMP1, RATCHET]))
def test_every_input_has_exactly_one_outcome(inputs, may_publish, dialect):
    world = World(clients_publish=may_publish, topic_bytes=8)
    client = world.client("topic", dialect=dialect, limit=1_000_000)
    witness = world.client("topic", limit=1_000_000)
    for text in inputs:
        world.says(client, text)
    world.end_turn()
    ledger = world.ledger
    refused = sum(ledger.refused.values())
    assert ledger.received[Source.CLIENT] == len(inputs)
    assert ledger.accepted[Source.CLIENT] + refused == len(inputs)
    assert len(ledger.recent) == min(refused, 100)
    for text in witness.texts + client.texts:
        assert json.loads(text)[0] in (4, 8)


@pytest.mark.parametrize(
    ("procedure", "uri"),
    [
        ("app.x", "http://api.wamp.ws/error#not-authenticated"),
        (PROCEDURE_AUTHREQ, NO_PROCEDURE),
    ],
)
def test_a_session_that_must_authenticate_may_only_call_for_that(world, procedure, uri):
    client = world.client(identity=Identity(source=AWAITING))
    world.says(client, json.dumps([2, "1", procedure]))
    world.says(client, '[5,"t"]')
    world.end_turn()
    assert [json.loads(text)[2] for text in client.texts] == [uri]
    assert world.subscriptions.topics(client.subscriber) == set()
    assert world.ledger.refusals()["not-authenticated"] in (1, 2)


def test_procedures_of_the_server_come_before_those_of_the_application(scene):
    scene.world.serve({"app.x": lambda subscriber, _: subscriber.session_id}, scene.slow)
    client = scene.world.client()
    scene.says(client, [2, "1", "app.x"])
    assert [json.loads(text) for text in client.texts] == [[3, "1", client.id]]
    assert scene.slow.calls == []


def test_changes_of_a_topic_that_the_application_judges_need_its_subscription(scene):
    scene.slow.judges_publishing = False
    client = scene.world.client()
    scene.says(client, [5, PRESENCE_CHANGES + "t"])
    scene.slow.decide(PRESENCE_CHANGES + "t")
    assert scene.topics(client) == set()
    assert scene.world.ledger.refusals() == {"subscribe-forbidden": 1}
    scene.says(client, [5, "t"], [5, PRESENCE_CHANGES + "t"], [7, "t", 1])
    scene.slow.decide("t")
    scene.slow.decide(PRESENCE_CHANGES + "t")
    assert scene.topics(client) == {"t", PRESENCE_CHANGES + "t"}


def test_a_session_without_an_application_opens_changes_and_ends(world):
    client = world.client()
    client.become(Identity("7"))
    world.clients.on_lost(client.subscriber)
    assert world.broker.sessions == {}
    assert world.broker.users.user_count == 0
