"""All nine messages both ways, payloads byte for byte, and every input that is not a message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.wire_vectors import ignored_texts, wire_vectors
from tests.wamp.json_text import near_messages, texts, values
from wampush.errors import MessageRefused, NotSerialisable, Refusal
from wampush.wamp import messages
from wampush.wamp.codec import call_arguments, decode_client, decode_server, encode, event_text
from wampush.wamp.json_slices import raw_elements
from wampush.wamp.messages import (
    Call,
    CallError,
    CallResult,
    Event,
    Prefix,
    Publish,
    Subscribe,
    Unsubscribe,
    Welcome,
)

unhurried = settings(database=None, deadline=None, max_examples=200)

# The text as wampush writes it, and the message that it is.
CLIENT_MESSAGES = [
    ('[1,"blog","http://example.com/blog#"]', Prefix("blog", "http://example.com/blog#")),
    ('[1,"",""]', Prefix("", "")),
    ('[2,"0.978u3g","p:add"]', Call("0.978u3g", "p:add")),
    ('[2,"id","u",1,null,[2.5,{}],"x"]', Call("id", "u", (1, None, [2.5, {}], "x"))),
    ('[5,"MainCategory"]', Subscribe("MainCategory")),
    ('[5,""]', Subscribe("")),
    ('[6,"http://example.com/a"]', Unsubscribe("http://example.com/a")),
    ('[7,"t",{"a":1.0}]', Publish("t", b'{"a":1.0}')),
    ('[7,"t",null]', Publish("t", b"null")),
    ('[7,"t",1,true]', Publish("t", b"1", exclude_me=True)),
    ('[7,"t",1,false]', Publish("t", b"1", exclude_me=False)),
    ('[7,"t",1,[]]', Publish("t", b"1", exclude=())),
    ('[7,"t",1,["a","b"]]', Publish("t", b"1", exclude=("a", "b"))),
    ('[7,"t",1,["a"],[]]', Publish("t", b"1", exclude=("a",), eligible=())),
    ('[7,"t",1,[],["b"]]', Publish("t", b"1", exclude=(), eligible=("b",))),
    ('[7,"t",1,null,["b"]]', Publish("t", b"1", eligible=("b",))),
    ('[7,"t",1,false,["b"]]', Publish("t", b"1", exclude_me=False, eligible=("b",))),
]
SERVER_MESSAGES = [
    ('[0,"id",1,"wampush/1"]', Welcome("id", "wampush/1")),
    ('[3,"c",null]', CallResult("c")),
    ('[3,"c",{"a":[1,2.5,"x"]}]', CallResult("c", {"a": [1, 2.5, "x"]})),
    ('[4,"c","http://e#x","went wrong"]', CallError("c", "http://e#x", "went wrong")),
    ('[4,"c","e:x","no",{"left":0}]', CallError("c", "e:x", "no", {"left": 0})),
    ('[8,"t",{"category":"t","n":1.0}]', Event("t", b'{"category":"t","n":1.0}')),
    ('[8,"t",null]', Event("t", b"null")),
]


@pytest.mark.parametrize(("text", "message"), CLIENT_MESSAGES)
def test_client_messages_both_ways(text, message):
    assert decode_client(text.encode()) == message
    assert encode(message).decode() == text


@pytest.mark.parametrize(("text", "message"), SERVER_MESSAGES)
def test_server_messages_both_ways(text, message):
    assert decode_server(text.encode()) == message
    assert encode(message).decode() == text


def sent_message(vector: dict[str, Any]) -> messages.ClientMessage:
    """The message that a vector's request is."""
    kind = vector["request"]
    if kind == "prefix":
        return Prefix(vector["prefix"], vector["uri"])
    if kind == "call":
        return Call(vector["id"], vector["procedure"], tuple(vector["arguments"]))
    if kind == "publish":
        exclude, eligible = vector.get("exclude"), vector.get("eligible")
        return Publish(
            vector["topic"],
            json.dumps(vector["event"], separators=(",", ":")).encode(),
            exclude_me=vector.get("exclude_me"),
            exclude=None if exclude is None else tuple(exclude),
            eligible=None if eligible is None else tuple(eligible),
        )
    if kind == "subscribe":
        return Subscribe(vector["topic"])
    assert kind == "unsubscribe"
    return Unsubscribe(vector["topic"])


def received_message(vector: dict[str, Any]) -> messages.ServerMessage:
    """The message that a vector's text is, except for the text of an event."""
    kind = vector["message"]
    if kind == "welcome":
        return Welcome(vector["session"], vector["server"], vector["version"])
    if kind == "result":
        return CallResult(vector["id"], vector["result"])
    if kind == "error":
        uri, description = vector["uri"], vector["description"]
        return CallError(vector["id"], uri, description, vector.get("details"))
    assert kind == "event"
    return Event(vector["topic"], b"")


@pytest.mark.parametrize("vector", wire_vectors("sent"), ids=lambda vector: vector["text"])
def test_vectors_of_what_clients_send(vector):
    message = sent_message(vector)
    assert encode(message).decode() == vector["text"]
    assert decode_client(vector["text"].encode()) == message


@pytest.mark.parametrize("vector", wire_vectors("received"), ids=lambda vector: vector["text"])
def test_vectors_of_what_clients_receive(vector):
    found = decode_server(vector["text"].encode())
    if isinstance(found, Event):
        assert json.loads(found.event) == vector["event"]
        found = Event(found.topic, b"")
    assert found == received_message(vector)


@pytest.mark.parametrize("text", ignored_texts())
def test_vectors_of_what_is_no_message(text):
    with pytest.raises(MessageRefused):
        decode_server(text.encode())


@pytest.mark.parametrize(("text", "message"), CLIENT_MESSAGES + SERVER_MESSAGES)
def test_types_are_those_of_the_protocol(text, message):
    assert json.loads(text)[0] == message.TYPE


def test_the_documentation_shows_every_type():
    """The table at the top of ``messages`` is what a reader takes for the protocol."""
    classes: set[Any] = {type(message) for _, message in CLIENT_MESSAGES + SERVER_MESSAGES}
    assert len(classes) == 9
    for each in classes:
        assert f"    {each.TYPE} {each.__name__.upper()} " in (messages.__doc__ or "")


def test_arguments_of_a_call():
    assert call_arguments(b'[2,"id","u"]') == ()
    assert call_arguments(b'[2,"id","u",1,[null]]') == (1, [None])


# What AutobahnJS and others may send although no specification mentions it.
LENIENT = [
    ('[7,"t",1,null]', Publish("t", b"1")),
    ('[7,"t",1,"x"]', Publish("t", b"1")),
    ('[7,"t",1,0]', Publish("t", b"1")),
    ('[7,"t",1,{}]', Publish("t", b"1")),
    ('[7,"t",1,["a",1,null,"b"]]', Publish("t", b"1", exclude=("a", "b"))),
    ('[7,"t",1,[],null]', Publish("t", b"1", exclude=())),
    ('[7,"t",1,[],"b"]', Publish("t", b"1", exclude=())),
    ('[7,"t",1,true,[]]', Publish("t", b"1", exclude_me=True, eligible=())),
    (' [ 5 , "t" ]\r\n', Subscribe("t")),
    ('[5,"\\u0063af\\u00e9 \\ud83d\\ude00"]', Subscribe("café 😀")),
]


@pytest.mark.parametrize(("text", "message"), LENIENT)
def test_texts_that_are_read_but_never_written(text, message):
    assert decode_client(text.encode()) == message


PAYLOADS = [
    "1.0",
    "-0.0",
    "1E5",
    "1e-999",
    "{}",
    "[]",
    "[{}]",
    '""',
    "0",
    "null",
    "false",
    "9007199254740993",
    "18446744073709551616",
    "123456789012345678901234567890",
    "0.1000000000000000055511151231257827",
    '{"b":1,"a":2,"b":3}',
    '{ "a" : [ 1 ,\t2 ] }',
    "[\n  1,\n  2\n]",
    '"\\u00e9\\/\\n\\""',
    '"é ☃ 😀 \x7f \u2028"',
    '"],[\\\\"',
    '{"]":"[","}":"{,"}',
    '["\\\\\\"",{"a":"\\\\"}]',
    '{"a":{"b":{"c":[[[[1.0]]]]}}}',
]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("frame", ['[7,"t",%s]', ' [ 7 , "t" , %s , false , [ "x" ] ] '])
def test_an_event_keeps_its_bytes(payload, frame):
    message = decode_client((frame % payload).encode())
    assert isinstance(message, Publish)
    assert message.event == payload.encode()
    event = decode_server(event_text("t", message.event))
    assert event == Event("t", payload.encode())


def test_the_topic_of_an_event_is_escaped():
    text = event_text('a"\\\n\u2028é', b"1")
    assert json.loads(text) == [8, 'a"\\\n\u2028é', 1]


BAD_INPUT = [
    ("", Refusal.MESSAGE_NOT_JSON),
    ("  ", Refusal.MESSAGE_NOT_JSON),
    ("hello", Refusal.MESSAGE_NOT_JSON),
    ("[5,'t']", Refusal.MESSAGE_NOT_JSON),
    ('[5,"t"', Refusal.MESSAGE_NOT_JSON),
    ('[5,"t",]', Refusal.MESSAGE_NOT_JSON),
    ('[5,"t"] x', Refusal.MESSAGE_NOT_JSON),
    ('[5,"t"][5,"t"]', Refusal.MESSAGE_NOT_JSON),
    ('[7,"t",NaN]', Refusal.MESSAGE_NOT_JSON),
    ('[7,"t",Infinity]', Refusal.MESSAGE_NOT_JSON),
    ('[7,"t",1e400]', Refusal.MESSAGE_NOT_JSON),
    ('[7,"t",01]', Refusal.MESSAGE_NOT_JSON),
    ('[5,"\\ud800"]', Refusal.MESSAGE_NOT_JSON),
    ('[5,"\x01"]', Refusal.MESSAGE_NOT_JSON),
    ('\ufeff[5,"t"]', Refusal.MESSAGE_NOT_JSON),
    ("null", Refusal.MESSAGE_NOT_LIST),
    ("5", Refusal.MESSAGE_NOT_LIST),
    ('"[5]"', Refusal.MESSAGE_NOT_LIST),
    ('{"0":5,"1":"t"}', Refusal.MESSAGE_NOT_LIST),
    ("[]", Refusal.MESSAGE_EMPTY),
    ("[0]", Refusal.UNKNOWN_TYPE),
    ('[0,"s",1,"x"]', Refusal.UNKNOWN_TYPE),
    ('[3,"c",1]', Refusal.UNKNOWN_TYPE),
    ('[4,"c","u","d"]', Refusal.UNKNOWN_TYPE),
    ('[8,"t",1]', Refusal.UNKNOWN_TYPE),
    ("[9]", Refusal.UNKNOWN_TYPE),
    ("[-1]", Refusal.UNKNOWN_TYPE),
    ("[99999999999999999999999]", Refusal.UNKNOWN_TYPE),
    ('["5","t"]', Refusal.UNKNOWN_TYPE),
    ('[5.0,"t"]', Refusal.UNKNOWN_TYPE),
    ('[true,"p","u"]', Refusal.UNKNOWN_TYPE),
    ("[null]", Refusal.UNKNOWN_TYPE),
    ("[[5]]", Refusal.UNKNOWN_TYPE),
    ("[{}]", Refusal.UNKNOWN_TYPE),
    ("[1]", Refusal.WRONG_ARITY),
    ('[1,"p"]', Refusal.WRONG_ARITY),
    ('[1,"p","u",1]', Refusal.WRONG_ARITY),
    ("[2]", Refusal.WRONG_ARITY),
    ('[2,"id"]', Refusal.WRONG_ARITY),
    ("[5]", Refusal.WRONG_ARITY),
    ('[5,"t","u"]', Refusal.WRONG_ARITY),
    ("[6]", Refusal.WRONG_ARITY),
    ('[6,"t","u"]', Refusal.WRONG_ARITY),
    ("[7]", Refusal.WRONG_ARITY),
    ('[7,"t"]', Refusal.WRONG_ARITY),
    ('[7,"t","e",[],[],1]', Refusal.WRONG_ARITY),
    ('[1,1,"u"]', Refusal.WRONG_TYPE),
    ('[1,"p",null]', Refusal.WRONG_TYPE),
    ('[2,1,"u"]', Refusal.WRONG_TYPE),
    ('[2,"id",["u"]]', Refusal.WRONG_TYPE),
    ("[5,1]", Refusal.WRONG_TYPE),
    ('[5,["t"]]', Refusal.WRONG_TYPE),
    ("[5,null]", Refusal.WRONG_TYPE),
    ("[6,{}]", Refusal.WRONG_TYPE),
    ('[7,["t"],"e"]', Refusal.WRONG_TYPE),
    ("[7,true,1]", Refusal.WRONG_TYPE),
]


@pytest.mark.parametrize(("text", "refusal"), BAD_INPUT)
def test_bad_client_input(text, refusal):
    with pytest.raises(MessageRefused) as caught:
        decode_client(text.encode())
    assert caught.value.refusal is refusal


@pytest.mark.parametrize(
    "data", [b"\xff", b'[5,"\xc3"]', b'[5,"\xed\xa0\x80"]', b"\x00", b"[5,\0]"]
)
def test_bytes_that_are_not_utf8(data):
    with pytest.raises(MessageRefused) as caught:
        decode_client(data)
    assert caught.value.refusal is Refusal.MESSAGE_NOT_JSON


BAD_SERVER_INPUT = [
    ('[0,"id",1]', Refusal.WRONG_ARITY),
    ('[0,"id","1","x"]', Refusal.WRONG_TYPE),
    ('[0,"id",true,"x"]', Refusal.WRONG_TYPE),
    ('[0,1,1,"x"]', Refusal.WRONG_TYPE),
    ('[3,"c"]', Refusal.WRONG_ARITY),
    ("[3,1,1]", Refusal.WRONG_TYPE),
    ('[4,"c","u",1]', Refusal.WRONG_TYPE),
    ('[4,"c","u","d",1,2]', Refusal.WRONG_ARITY),
    ('[8,"t"]', Refusal.WRONG_ARITY),
    ("[8,1,1]", Refusal.WRONG_TYPE),
    ('[5,"t"]', Refusal.UNKNOWN_TYPE),
    ("{}", Refusal.MESSAGE_NOT_LIST),
]


@pytest.mark.parametrize(("text", "refusal"), BAD_SERVER_INPUT)
def test_bad_server_input(text, refusal):
    with pytest.raises(MessageRefused) as caught:
        decode_server(text.encode())
    assert caught.value.refusal is refusal


def test_details_say_which_element_is_wrong():
    with pytest.raises(MessageRefused) as caught:
        decode_client(b'[2,"id",null]')
    assert caught.value.detail == "Element 2 is null, not a string."
    with pytest.raises(MessageRefused) as caught:
        decode_server(b'[0,"id","1","x"]')
    assert caught.value.detail == 'Element 2, the protocol version, is "1", not an integer.'


def decoded(decode, text):
    """The message or the refusal; anything else that is raised fails the test."""
    try:
        return decode(text)
    except MessageRefused as error:
        refused = error
    assert len(refused.detail) < 300
    return refused


@unhurried
@given(st.binary(max_size=60))
def test_any_bytes(data):
    decoded(decode_client, data)
    decoded(decode_server, data)


@unhurried
@given(near_messages | texts(values))
def test_any_json(text):
    for decode in (decode_client, decode_server):
        message = decoded(decode, text)
        if not isinstance(message, MessageRefused):
            assert decode(encode(message)) == message


@unhurried
@given(texts(values), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_payload_arrives_as_it_left(payload, topic):
    message = decode_client(encode(Publish(topic, payload)))
    assert isinstance(message, Publish)
    assert message.event == payload.strip()
    assert decode_server(event_text(topic, payload)) == Event(topic, payload.strip())


@unhurried
@given(texts(st.lists(values, min_size=1, max_size=3)), st.text(st.characters(codec="utf-8")))
def test_an_event_is_the_third_element_whatever_follows(rest, topic):
    text = b"[ 7 ,\t" + json.dumps(topic).encode() + b" , " + rest.lstrip()[1:]
    message = decode_client(text)
    assert isinstance(message, Publish)
    assert message.event == raw_elements(text)[2]


def test_an_event_too_deep_to_find_its_end_is_refused():
    event = "[" * 1010 + "]" * 1010
    message = decoded(decode_client, f'[7,"t",{event},true]'.encode())
    assert isinstance(message, Publish | MessageRefused)
    alone = decode_client(f'[7,"t",{event}]'.encode())
    assert isinstance(alone, Publish)
    assert alone.event == event.encode()


NESTINGS = [
    ("[", "]"),
    ('{"a":', "}"),
]


@pytest.mark.parametrize("depth", [200, 900, 1000, 1018, 1022, 1023, 1024, 1025, 60_000])
@pytest.mark.parametrize(("opening", "closing"), NESTINGS)
@pytest.mark.parametrize(
    "frame", ["%s", "[%s]", "[5,%s]", '[7,"t",%s]', '[2,"c","p",%s]', "[%s,1]"]
)
def test_depth_bombs(depth, opening, closing, frame):
    bomb = frame % (opening * depth + "1" + closing * depth)
    message = decoded(decode_client, bomb.encode())
    decoded(decode_client, (frame % (opening * depth)).encode())
    decoded(decode_server, bomb.encode())
    assert isinstance(message, Publish | Call | MessageRefused)


@pytest.mark.parametrize("unit", ['\\"', "\\\\", '\\\\\\"', "\\u00e9", "a\\n", "[", "]", ",", "é"])
def test_long_strings_of_escapes(unit):
    payload = '"' + unit * (65536 // len(unit)) + '"'
    text = f'[7,"t",{payload},["x"]]'.encode()
    message = decode_client(text)
    assert isinstance(message, Publish)
    assert message.event == payload.encode()
    assert message.exclude == ("x",)
    unfinished = decoded(decode_client, text[:-12])
    assert isinstance(unfinished, MessageRefused)


def test_many_elements():
    message = decode_client(b'[2,"c","p"' + b',"a,b"' * 10_000 + b"]")
    assert isinstance(message, Call)
    assert message.arguments == ("a,b",) * 10_000


@pytest.mark.parametrize("result", [object(), {1: 2}, 2**64, {"a": {1, 2}}, "\ud800"])
def test_results_that_cannot_be_written(result):
    with pytest.raises(NotSerialisable):
        encode(CallResult("c", result))


def test_a_result_that_contains_itself():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(NotSerialisable):
        encode(CallResult("c", endless))
