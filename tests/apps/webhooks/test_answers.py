"""Which answers of an application are agreed, and what they mean."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.apps.webhooks import answers
from wampush.apps.webhooks.answers import CallAnswer, CallFailure, Decision, Unusable
from wampush.net.http_post import Answer


def ok(body: bytes) -> Answer:
    return Answer(200, body)


def test_decisions():
    assert answers.decision(ok(b'{"allow": true}')) == Decision(True)
    assert answers.decision(ok(b' {"allow":false,"reason":"no"} ')) == Decision(False, "no")
    assert answers.decision(ok(b'{"allow": false, "reason": null}')) == Decision(False)


def test_a_refusal_by_status():
    assert answers.decision(Answer(403, b"")) == Decision(False)
    assert answers.decision(Answer(403, b'{"reason": "no"}')) == Decision(False, "no")
    for body in (b"<html>", b"[]", b'{"reason": 7}', b"\xff"):
        assert answers.decision(Answer(403, body)) == Decision(False)
    assert answers.call_answer(Answer(403, b'{"reason": "no"}')) == CallAnswer(forbidden="no")


def test_a_reason_is_one_line_of_bounded_length():
    body = orjson.dumps({"allow": False, "reason": "a\nb\x1b[31m" + "x" * 500})
    reason = answers.decision(ok(body)).reason
    assert reason.startswith("a b [31mx")
    assert len(reason) == 201


@pytest.mark.parametrize("payload", [b"1.0", b"{}", b"[ ]", b'{"a": 12345678901234567890123 }'])
def test_a_payload_is_taken_byte_for_byte(payload):
    body = b'{"reason":"a\\"},{", "payload" : ' + payload + b' , "allow":true}'
    assert answers.decision(ok(body), rewrites=True).payload == payload


def test_a_payload_may_be_null():
    assert answers.decision(ok(b'{"allow":true,"payload":null}'), rewrites=True).payload == b"null"


def test_of_equal_keys_the_last_counts():
    body = b'{"payload":1,"allow":true,"payload":2,"p\\u0061yload":3}'
    assert answers.decision(ok(body), rewrites=True).payload == b"3"


def test_what_is_published_besides():
    body = (
        b'{"allow": true, "publish": [{"topic": "a,\\u00e4}", "data": 1.0},'
        b' {"data": {"x": [ ]}, "to": {"users": ["7"]}, "topic": "b"},'
        b' {"data": null, "to": null, "topic": "c"}]}'
    )
    assert answers.decision(ok(body)).pushes == [
        ["a,\xe4}".encode(), b"1.0"],
        [b"b", b'{"x": [ ]}', b'{"to":{"users": ["7"]}}'],
        [b"c", b"null"],
    ]
    assert answers.decision(ok(b'{"allow": true, "publish": []}')).pushes == []


@given(st.recursive(st.none() | st.text() | st.floats(allow_nan=False), st.lists))
def test_any_value_is_found_again(value):
    text = orjson.dumps(value)
    body = b'{"allow":true,"payload":' + text + b',"publish":[{"topic":"t","data":' + text + b"}]}"
    found = answers.decision(ok(body), rewrites=True)
    assert found.payload == text
    assert found.pushes == [[b"t", text]]


def test_results_of_calls():
    assert answers.call_answer(ok(b'{"result": {"a": 1.0}}')) == CallAnswer(b'{"a": 1.0}')
    assert answers.call_answer(ok(b'{"result": null}')) == CallAnswer(b"null")
    found = answers.call_answer(
        ok(b'{"result": 1, "end_session": true, "publish": [{"topic": "t", "data": 2}]}')
    )
    assert found == CallAnswer(b"1", None, None, True, [[b"t", b"2"]])


def test_errors_of_calls():
    found = answers.call_answer(ok(b'{"error": {"desc": "no"}}'))
    assert found == CallAnswer(failure=CallFailure(None, "no"))
    found = answers.call_answer(
        ok(b'{"error": {"uri": "http://x#y", "desc": "", "details": {"a": 1.0}}}')
    )
    assert found == CallAnswer(failure=CallFailure("http://x#y", "", b'{"a": 1.0}'))
    found = answers.call_answer(ok(b'{"error": {"uri": null, "desc": "no", "details": null}}'))
    assert found == CallAnswer(failure=CallFailure(None, "no"))


def test_disconnects_need_no_answer():
    assert answers.acknowledgement(Answer(204, b"")) == ()
    assert answers.acknowledgement(ok(b" \n")) == ()
    assert answers.acknowledgement(ok(b"{}")) == ()
    pushes = answers.acknowledgement(ok(b'{"publish": [{"topic": "t", "data": 1}]}'))
    assert pushes == [[b"t", b"1"]]


NO_OBJECTS = [b"", b"null", b"[]", b"7", b"<html>secret-7</html>", b"\xff", b"[" * 20_000, b"{NaN}"]
BAD_PUSHES = [
    b'"secret-7"',
    b'{"0": {"topic": "secret-7", "data": 1}}',
    b'["secret-7"]',
    b'[{"topic": "secret-7"}]',
    b'[{"data": "secret-7"}]',
    b'[{"topic": 7, "data": "secret-7"}]',
    b'[{"topic": "t", "data": 1, "secret-7": 1}]',
]


def complaint(read, answer):
    with pytest.raises(Unusable) as caught:
        read(answer)
    words = str(caught.value)
    assert "secret" not in words
    assert "\n" not in words
    assert len(words) < 200
    return words, caught.value.status


@pytest.mark.parametrize(
    "body",
    [
        *NO_OBJECTS,
        b"{}",
        b'{"allow": 1}',
        b'{"allow": "secret-7"}',
        b'{"allow": true, "secret-7": 1}',
        b'{"allow": false, "reason": ["secret-7"]}',
        b'{"allow": true, "payload": "secret-7"}',
        *(b'{"allow": true, "publish": ' + pushes + b"}" for pushes in BAD_PUSHES),
    ],
)
def test_other_decisions_are_not_agreed(body):
    assert complaint(answers.decision, ok(body))[1] == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "its answer is empty"),
        (b" \n", "its answer is empty"),
        (b"<br />\n<b>Warning</b>", "in PHP often a warning; see its log"),
        (b'\n <b>Warning</b>{"allow": true}', "in PHP often a warning; see its log"),
        (b'\xef\xbb\xbf{"allow": true}', "a byte order mark"),
        (b"true yes", "its answer is not JSON"),
        (b'{"alow": true}', "its answer has a key besides allow, payload, publish, reason"),
    ],
)
def test_the_words_say_what_to_mend(body, words):
    assert words in complaint(answers.decision, ok(body))[0]


def test_who_refuses_has_no_payload():
    def read(answer):
        return answers.decision(answer, rewrites=True)

    complaint(read, ok(b'{"allow": false, "payload": "secret-7"}'))


@pytest.mark.parametrize(
    "body",
    [
        *NO_OBJECTS,
        b"{}",
        b'{"result": "secret-7", "error": {"desc": "secret-7"}}',
        b'{"result": 1, "secret-7": 1}',
        b'{"result": 1, "end_session": "secret-7"}',
        b'{"error": "secret-7"}',
        b'{"error": {}}',
        b'{"error": {"desc": 7}}',
        b'{"error": {"desc": "x", "uri": ""}}',
        b'{"error": {"desc": "x", "uri": ["secret-7"]}}',
        b'{"error": {"desc": "x", "secret-7": 1}}',
        *(b'{"result": 1, "publish": ' + pushes + b"}" for pushes in BAD_PUSHES),
    ],
)
def test_other_answers_to_calls_are_not_agreed(body):
    complaint(answers.call_answer, ok(body))


@pytest.mark.parametrize("status", [100, 201, 204, 301, 302, 400, 401, 404, 500, 503])
@pytest.mark.parametrize("read", [answers.decision, answers.call_answer])
def test_other_statuses_are_not_agreed(read, status):
    body = b'{"allow": true, "reason": "secret-7"}'
    words, told = complaint(read, Answer(status, body))
    assert words.startswith(f"it answered with status {status}; 200 and 403 are agreed")
    # What a script answers that can not verify the signature.
    assert words.endswith("need the same key)") == (status == 401)
    assert told == status


@pytest.mark.parametrize(
    "answer", [Answer(403, b""), Answer(500, b""), ok(b"OK"), ok(b"[]"), ok(b'{"ok": true}')]
)
def test_disconnects_were_not_taken(answer):
    complaint(answers.acknowledgement, answer)


def test_nothing_of_an_answer_is_shown():
    body = b'{"allow":true,"payload":"secret-7","publish":[{"topic":"t","data":"secret-7"}]}'
    assert "secret" not in repr(answers.decision(ok(body), rewrites=True))
    assert "secret" not in repr(answers.call_answer(ok(b'{"result": "secret-7"}')))
