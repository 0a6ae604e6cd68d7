"""The use cases: who gets a publication, what is answered, what is counted, what is left behind."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.world import World
from tests.wamp.json_text import near_messages, texts, values
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.ledger import Source
from wampush.broker.publication import EVERYONE, Audience, Publication
from wampush.errors import MessageRefused, Refusal
from wampush.wamp.uris import RATCHET, WAMP1

NO_PROCEDURE = "http://api.wamp.ws/error#NoSuchRPCEndpoint"


@pytest.fixture
def world():
    return World()


def test_welcome_comes_first(world):
    client = world.client()
    kind, session_id, version, server = json.loads(bytes(client.wire.received).partition(b":")[2])
    assert (kind, session_id, version, server) == (0, client.id, 1, "test/1")
    assert world.broker.sessions == {client.id: client.subscriber}


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


def test_audience_of_a_push(world):
    a, b, c = (world.client("t") for _ in range(3))
    out = world.client()
    audiences = [
        (EVERYONE, 3),
        (Audience(), 3),
        (Audience(frozenset([a.id])), 2),
        (Audience(frozenset([out.id, "gone"])), 3),
        (Audience(frozenset([a.id]), frozenset([a.id, b.id, out.id, "gone"])), 1),
        (Audience(eligible=frozenset()), 0),
    ]
    for number, (audience, count) in enumerate(audiences):
        publication = Publication("t", b"%d" % number, audience)
        assert world.broker.publish(publication) == count
    world.end_turn()
    assert [text[-2:-1] for text in a.texts] == [b"0", b"1", b"3"]
    assert [text[-2:-1] for text in b.texts] == [b"0", b"1", b"2", b"3", b"4"]
    assert [text[-2:-1] for text in c.texts] == [b"0", b"1", b"2", b"3"]
    assert out.texts == []


def test_nobody_listens(world):
    assert world.broker.publish(Publication("t", b"1")) == 0
    assert world.encoded == []
    assert world.turn == []


def test_topics_are_known_by_their_resolved_uri(world):
    client = world.client()
    for text in ('[1,"p","urn:"]', '[5,"p:a"]', '[5,"urn:a"]', '[5,"p:b"]', '[6,"urn:b"]'):
        world.says(client, text)
    assert world.hub.topics(client.subscriber) == {"urn:a"}
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
    assert world.hub.topics(client.subscriber) == {"t"}
    world.says(client, '[5,"u"]')
    assert world.hub.topics(client.subscriber) == {"t", "u"}
    assert not client.outbox.closed


@pytest.mark.parametrize(
    ("topic", "fits"), [("a" * 100, True), ("é" * 50, True), ("é" * 50 + "a", False)]
)
def test_the_length_of_a_topic_is_counted_in_bytes(world, topic, fits):
    client = world.client()
    world.says(client, json.dumps([5, topic]))
    assert (topic in world.hub.topics(client.subscriber)) is fits


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


def test_order_across_topics_replies_and_events(world):
    client, publisher = world.client("a", "b", "log", "price"), world.client()
    expected = []
    for number in range(40):
        topic = ("a", "a", "b", "log", "price")[number % 5]
        world.broker.publish(Publication(topic, b"%d" % number))
        expected.append([8, topic, number])
        if number % 7 == 0:
            world.says(client, f'[2,"{number}","urn:f"]')
            expected.append([4, str(number)])
        if number % 4 == 0:
            world.says(publisher, f'[7,"a",{number}]')
            expected.append([8, "a", number])
        if number % 11 == 0:
            world.end_turn()
    world.end_turn()
    got = [json.loads(text) for text in client.texts]
    assert [each[:2] if each[0] == 4 else each for each in got] == expected


def test_subscribing_and_unsubscribing_take_effect_at_their_place(world):
    client = world.client()
    witness = world.client("t")
    for number in range(9):
        if number in (2, 7):
            world.says(client, '[5,"t"]')
        if number == 5:
            world.says(client, '[6,"t"]')
        world.broker.publish(Publication("t", b"%d" % number))
    world.end_turn()
    assert [json.loads(text)[2] for text in client.texts] == [2, 3, 4, 7, 8]
    assert [json.loads(text)[2] for text in witness.texts] == list(range(9))


def test_lost_takes_effect_at_its_place(world):
    leaver, stayer = world.client("t"), world.client("t")
    world.broker.publish(Publication("t", b"1"))
    world.broker.on_lost(leaver.subscriber)
    world.broker.publish(Publication("t", b"2"))
    world.end_turn()
    assert [json.loads(text)[2] for text in stayer.texts] == [1, 2]
    assert leaver.texts == []


@pytest.mark.parametrize("room", [None, 0, 7])
def test_lost_leaves_nothing(world, room):
    client = world.client("t", "u", "price", room=room)
    for topic in ("t", "u", "price", "price", "t"):
        world.broker.publish(Publication(topic, b'"a value"'))
    world.end_turn()
    world.broker.publish(Publication("t", b"2"))
    outbox = client.outbox
    reference = weakref.ref(outbox)
    world.broker.on_lost(client.subscriber)
    world.broker.on_lost(client.subscriber)
    assert world.broker.sessions == {}
    assert (world.hub.topic_count, world.hub.subscription_count) == (0, 0)
    assert (outbox.closed, outbox.chunks, outbox.buffer) == (True, [], b"")
    assert world.pressure.total == 0
    world.end_turn()
    del client, outbox
    gc.collect()
    assert reference() is None


def test_a_client_that_is_gone_takes_no_more(world):
    client, other = world.client("t"), world.client("t")
    world.broker.on_lost(client.subscriber)
    got = bytes(client.wire.received)
    world.says(client, '[2,"c","urn:f"]')
    assert world.broker.publish(Publication("t", b"1")) == 1
    world.end_turn()
    assert client.wire.received == got
    assert other.texts == [b'[8,"t",1]']


def test_a_session_becomes_somebody_only_if_its_connection_goes_on(world):
    client = world.client()
    alice = Identity("alice", source="cra")
    client.peer.accepts = False
    assert not world.broker.become(client.subscriber, alice)
    assert client.subscriber.identity is ANONYMOUS
    assert world.broker.users.user_count == 0
    client.peer.accepts = True
    assert world.broker.become(client.subscriber, alice)
    assert client.subscriber.identity is alice
    assert set(world.broker.users.of_user("alice")) == {client.subscriber}
    assert client.peer.identities == [alice, alice]


def test_a_session_that_is_not_open_yet_opens_as_what_it_has_become(world):
    client = world.client()
    world.broker.on_lost(client.subscriber)
    assert not world.broker.become(client.subscriber, Identity("7"))
    assert client.subscriber.identity.user == "7"
    assert world.broker.users.user_count == 0
