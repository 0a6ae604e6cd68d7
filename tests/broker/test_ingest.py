"""Which pushes become publications, and why the others do not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wamp.json_text import texts, values
from wampush.broker.ingest import Ingest
from wampush.broker.publication import EVERYONE, Audience, Publication, Targets
from wampush.errors import Fault, PushRefused, Refusal

INGEST = Ingest(topic_key="category", max_bytes=1000, topic_bytes=20)
UNLIMITED = Ingest(topic_key="category", max_bytes=1_000_000, topic_bytes=1024)


def audience(exclude=(), eligible=None):
    return Audience(frozenset(exclude), None if eligible is None else frozenset(eligible))


ACCEPTED = [
    (['{"category":"a"}'], "a", EVERYONE),
    ([' {\n"x": 1.0, "category" : "a"}\r\n'], "a", EVERYONE),
    (['{"n":9007199254740993,"e":{},"category":"h\\u00e9"}'], "hé", EVERYONE),
    (['{"category":"a","category":"b"}'], "b", EVERYONE),
    (["a", "{}"], "a", EVERYONE),
    (["a", "1.0"], "a", EVERYONE),
    (["a", "null"], "a", EVERYONE),
    (["a", '""'], "a", EVERYONE),
    (["a", '{"category":5}'], "a", EVERYONE),
    (["a\n\"b'", "[]"], "a\n\"b'", EVERYONE),
    (["a", "1", "{}"], "a", EVERYONE),
    (["a", "1", '{"exclude":null,"eligible":null}'], "a", EVERYONE),
    (["a", "1", '{"exclude":[]}'], "a", EVERYONE),
    (["a", "1", '{"exclude":["x","y","x"]}'], "a", audience(["x", "y"])),
    (["a", "1", '{"eligible":["x"]}'], "a", audience([], ["x"])),
    (["a", "1", '{"eligible":[]}'], "a", audience([], [])),
    (["a", "1", '{"eligible":["x"],"exclude":["y"]}'], "a", audience(["y"], ["x"])),
    (["a", "1", '{"to":{"users":[7]}}'], "a", Audience(to=Targets(users=frozenset(["7"])))),
    (["a", "1", '{"to":{"registered":false}}'], "a", EVERYONE),
    (["wampush", "1"], "wampush", EVERYONE),
    (["Wampush.a", "1"], "Wampush.a", EVERYONE),
    (['{"category":"wampush/a"}'], "wampush/a", EVERYONE),
]


@pytest.mark.parametrize(("parts", "topic", "receivers"), ACCEPTED)
def test_accepted(parts, topic, receivers):
    raw = [part.encode() for part in parts]
    payload = raw[0] if len(raw) == 1 else raw[1]
    publication = INGEST.publication(raw)
    assert publication == Publication(topic, payload, receivers)
    assert (publication.audience is EVERYONE) == (receivers is EVERYONE)


REFUSED = [
    ([b""], Refusal.EMPTY),
    ([b"a", b""], Refusal.EMPTY),
    ([b"\xff"], Refusal.NOT_UTF8),
    ([b'{"category":"\xc3"}'], Refusal.NOT_UTF8),
    ([b'{"category":"\xed\xa0\x80"}'], Refusal.NOT_UTF8),
    ([b"\xff", b"1"], Refusal.NOT_UTF8),
    ([b"a", b'"\xff"'], Refusal.NOT_UTF8),
    ([b"a", b"1", b"\xff"], Refusal.NOT_UTF8),
    ([b"hello"], Refusal.NOT_JSON),
    ([b" "], Refusal.NOT_JSON),
    ([b'{"category":"a"'], Refusal.NOT_JSON),
    ([b'{"category":"a"} {}'], Refusal.NOT_JSON),
    ([b"{'category':'a'}"], Refusal.NOT_JSON),
    ([b'\xef\xbb\xbf{"category":"a"}'], Refusal.NOT_JSON),
    ([b'{"category":"\\ud800"}'], Refusal.NOT_JSON),
    ([b'{"category":"a","x":NaN}'], Refusal.NOT_JSON),
    ([b"a", b"hello"], Refusal.NOT_JSON),
    ([b"a", b"1e400"], Refusal.NOT_JSON),
    ([b"a", b"1", b"hello"], Refusal.NOT_JSON),
    ([b"a", b"1", b""], Refusal.NOT_JSON),
    ([b"1"], Refusal.NOT_AN_OBJECT),
    ([b"null"], Refusal.NOT_AN_OBJECT),
    ([b'"category"'], Refusal.NOT_AN_OBJECT),
    ([b'[{"category":"a"}]'], Refusal.NOT_AN_OBJECT),
    ([b"{}"], Refusal.NO_TOPIC),
    ([b'{"Category":"a"}'], Refusal.NO_TOPIC),
    ([b'{"data":{"category":"a"}}'], Refusal.NO_TOPIC),
    ([b'{"category":null}'], Refusal.TOPIC_NOT_STRING),
    ([b'{"category":5}'], Refusal.TOPIC_NOT_STRING),
    ([b'{"category":["a"]}'], Refusal.TOPIC_NOT_STRING),
    ([b'{"category":{"a":1}}'], Refusal.TOPIC_NOT_STRING),
    ([b'{"category":true}'], Refusal.TOPIC_NOT_STRING),
    ([b'{"category":""}'], Refusal.TOPIC_EMPTY),
    ([b"", b"1"], Refusal.TOPIC_EMPTY),
    ([b'{"category":"123456789012345678901"}'], Refusal.TOPIC_TOO_LONG),
    ([b"123456789012345678901", b"1"], Refusal.TOPIC_TOO_LONG),
    ([b"wampush.", b"1"], Refusal.TOPIC_RESERVED),
    ([b"wampush.x", b"1", b"{}"], Refusal.TOPIC_RESERVED),
    ([b'{"category":"wampush.presence"}'], Refusal.TOPIC_RESERVED),
    ([b'{"category":"w\\u0061mpush.x"}'], Refusal.TOPIC_RESERVED),
    ([], Refusal.WRONG_PART_COUNT),
    ([b"a", b"1", b"{}", b""], Refusal.WRONG_PART_COUNT),
    ([b"x"] * 1000, Refusal.WRONG_PART_COUNT),
    ([b"x" * 1001], Refusal.TOO_LARGE),
    ([b"a", b"x" * 1000], Refusal.TOO_LARGE),
    ([b"x"] * 1001, Refusal.TOO_LARGE),
    ([b"a", b"1", b"[]"], Refusal.BAD_OPTIONS),
    ([b"a", b"1", b"null"], Refusal.BAD_OPTIONS),
    ([b"a", b"1", b'{"exclude":"x"}'], Refusal.BAD_OPTIONS),
    ([b"a", b"1", b'{"exclude":[1]}'], Refusal.BAD_OPTIONS),
    ([b"a", b"1", b'{"exclude":true}'], Refusal.BAD_OPTIONS),
    ([b"a", b"1", b'{"eligible":{}}'], Refusal.BAD_OPTIONS),
    ([b"a", b"1", b'{"eligible":["x",null]}'], Refusal.BAD_OPTIONS),
    ([b"a", b"1", b'{"eligable":[]}'], Refusal.BAD_OPTIONS),
    ([b"a", b"1", b'{"to":[]}'], Refusal.BAD_OPTIONS),
    ([b"a", b"1", b'{"to":{"users":"7"}}'], Refusal.BAD_OPTIONS),
]


@pytest.mark.parametrize(("parts", "refusal"), REFUSED)
def test_refused(parts, refusal):
    with pytest.raises(PushRefused) as caught:
        INGEST.publication(parts)
    assert caught.value.refusal is refusal
    assert len(caught.value.detail) < 300


def test_the_table_holds_every_reason_of_a_push():
    at_the_door = {
        Refusal.BACKEND_ADDRESS,
        Refusal.BACKEND_KEY,
        Refusal.BACKEND_HANDSHAKE,
        Refusal.BACKEND_LIMIT,
    }
    of_history = {Refusal.STALE}
    of_senders_that_wait = {
        Refusal.NO_ACCESS,
        Refusal.FOREIGN_PAGE,
        Refusal.CLIENTS_BEHIND,
        Refusal.STOPPING,
        Refusal.BAD_LIST,
        Refusal.BAD_ID,
        Refusal.ID_REUSED,
    }
    of_backends = {refusal for refusal in Refusal if refusal.fault is Fault.BACKEND}
    assert {refusal for _, refusal in REFUSED} == (
        of_backends - at_the_door - of_history - of_senders_that_wait
    )


@pytest.mark.parametrize(
    ("topic", "fits"),
    [
        ("a" * 20, True),
        ("a" * 21, False),
        ("é" * 10, True),
        ("é" * 10 + "a", False),
        ("☃" * 6 + "ab", True),
        ("☃" * 7, False),
        ("😀" * 5, True),
        ("😀" * 5 + "a", False),
    ],
)
def test_the_length_of_a_topic_is_counted_in_bytes(topic, fits):
    for parts in ([topic.encode(), b"1"], [b'{"category":"%s"}' % topic.encode()]):
        if fits:
            assert INGEST.publication(parts).topic == topic
        else:
            with pytest.raises(PushRefused) as caught:
                INGEST.publication(parts)
            assert caught.value.refusal is Refusal.TOPIC_TOO_LONG


def test_the_key_of_the_topic_can_be_chosen():
    ingest = Ingest("room é", 1000, 20)
    text = '{"category":"a","room é":"b"}'.encode()
    assert ingest.publication([text]) == Publication("b", text)
    with pytest.raises(PushRefused, match="room é"):
        ingest.publication([b'{"category":"a"}'])


def test_a_push_of_exactly_the_limit():
    push = b'{"category":"a"}'.ljust(1000)
    assert INGEST.publication([push]).payload == push
    assert INGEST.publication([b"a", b"1".rjust(999)]).topic == "a"


@pytest.mark.parametrize("depth", [200, 900, 1000, 1018, 1023, 1024, 1025, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_bombs(depth, opening, closing):
    bomb = opening * depth + b"1" + closing * depth
    forms = [
        [bomb],
        [b'{"category":' + bomb + b"}"],
        [b"a", bomb],
        [b"a", b"1", bomb],
        [b"a", b"1", b'{"exclude":' + bomb + b"}"],
    ]
    for parts in forms:
        outcome(UNLIMITED, parts)


def outcome(ingest, parts):
    """The publication or the refusal; anything else that is raised fails the test."""
    try:
        return ingest.publication(parts)
    except PushRefused as error:
        return error.refusal


@settings(database=None, deadline=None, max_examples=200)
@given(
    st.lists(
        st.binary(max_size=30)
        | texts(values)
        | texts(st.fixed_dictionaries({"category": st.sampled_from(["a", "b"]) | values}))
        | texts(
            st.fixed_dictionaries(
                {}, optional={"exclude": values, "eligible": values, "to": values}
            )
        ),
        max_size=4,
    )
)
def test_whatever_is_pushed(parts):
    result = outcome(UNLIMITED, parts)
    if isinstance(result, Publication):
        assert result.topic
        assert result.payload in parts
    else:
        assert result.fault is Fault.BACKEND


def test_a_push_to_several_topics():
    options = b'{"topics":["b","a","t","b"],"exclude":["x"]}'
    found = INGEST.publication([b"t", b"1", options])
    assert (found.topic, found.further_topics) == ("t", ("b", "a"))
    assert found.audience.exclude == {"x"}
    assert INGEST.publication([b"t", b"1", b"{}"]) == Publication("t", b"1")


@pytest.mark.parametrize(
    ("topic", "refusal"),
    [
        ("", Refusal.TOPIC_EMPTY),
        ("x" * 21, Refusal.TOPIC_TOO_LONG),
        ("wampush.x", Refusal.TOPIC_RESERVED),
    ],
)
def test_each_of_several_topics_is_checked(topic, refusal):
    with pytest.raises(PushRefused) as caught:
        INGEST.publication([b"t", b"1", b'{"topics":["%s"]}' % topic.encode()])
    assert caught.value.refusal is refusal
