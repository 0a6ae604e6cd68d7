"""Which responses of an application are agreed, and what they mean."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.apps.webhooks import responses
from wampush.apps.webhooks.responses import CallFailure, CallResponse, HookDecision
from wampush.net.http_post import HttpResponse, UnusableResponse


def ok(body: bytes) -> HttpResponse:
    return HttpResponse(200, body)


def test_decisions():
    assert responses.decision(ok(b'{"allow": true}')) == HookDecision(True)
    assert responses.decision(ok(b' {"allow":false,"reason":"no"} ')) == HookDecision(False, "no")
    assert responses.decision(ok(b'{"allow": false, "reason": null}')) == HookDecision(False)


def test_a_refusal_by_status():
    assert responses.decision(HttpResponse(403, b"")) == HookDecision(False)
    assert responses.decision(HttpResponse(403, b'{"reason": "no"}')) == HookDecision(False, "no")
    for body in (b"<html>", b"[]", b'{"reason": 7}', b"\xff"):
        assert responses.decision(HttpResponse(403, body)) == HookDecision(False)
    assert responses.call_response(HttpResponse(403, b'{"reason": "no"}')) == CallResponse(
        forbidden="no"
    )


def test_a_reason_is_one_line_of_bounded_length():
    body = orjson.dumps({"allow": False, "reason": "a\nb\x1b[31m" + "x" * 500})
    reason = responses.decision(ok(body)).reason
    assert reason.startswith("a b [31mx")
    assert len(reason) == 201


@pytest.mark.parametrize("payload", [b"1.0", b"{}", b"[ ]", b'{"a": 12345678901234567890123 }'])
def test_a_payload_is_taken_byte_for_byte(payload):
    body = b'{"reason":"a\\"},{", "payload" : ' + payload + b' , "allow":true}'
    assert responses.decision(ok(body), rewrites=True).payload == payload


def test_a_payload_may_be_null():
    assert (
        responses.decision(ok(b'{"allow":true,"payload":null}'), rewrites=True).payload == b"null"
    )


def test_of_equal_keys_the_last_counts():
    body = b'{"payload":1,"allow":true,"payload":2,"p\\u0061yload":3}'
    assert responses.decision(ok(body), rewrites=True).payload == b"3"


def test_what_else_is_published():
    body = (
        b'{"allow": true, "publish": [{"topic": "a,\\u00e4}", "data": 1.0},'
        b' {"data": {"x": [ ]}, "to": {"users": ["7"]}, "topic": "b"},'
        b' {"data": null, "to": null, "topic": "c"}]}'
    )
    assert responses.decision(ok(body)).pushes == [
        ["a,\xe4}".encode(), b"1.0"],
        [b"b", b'{"x": [ ]}', b'{"to":{"users": ["7"]}}'],
        [b"c", b"null"],
    ]
    assert responses.decision(ok(b'{"allow": true, "publish": []}')).pushes == []


@given(st.recursive(st.none() | st.text() | st.floats(allow_nan=False), st.lists))
def test_any_value_is_found_again(value):
    text = orjson.dumps(value)
    body = b'{"allow":true,"payload":' + text + b',"publish":[{"topic":"t","data":' + text + b"}]}"
    found = responses.decision(ok(body), rewrites=True)
    assert found.payload == text
    assert found.pushes == [[b"t", text]]


def test_results_of_calls():
    assert responses.call_response(ok(b'{"result": {"a": 1.0}}')) == CallResponse(b'{"a": 1.0}')
    assert responses.call_response(ok(b'{"result": null}')) == CallResponse(b"null")
    found = responses.call_response(
        ok(b'{"result": 1, "end_session": true, "publish": [{"topic": "t", "data": 2}]}')
    )
    assert found == CallResponse(b"1", None, None, True, [[b"t", b"2"]])


def test_errors_of_calls():
    found = responses.call_response(ok(b'{"error": {"desc": "no"}}'))
    assert found == CallResponse(failure=CallFailure(None, "no"))
    found = responses.call_response(
        ok(b'{"error": {"uri": "http://x#y", "desc": "", "details": {"a": 1.0}}}')
    )
    assert found == CallResponse(failure=CallFailure("http://x#y", "", b'{"a": 1.0}'))
    found = responses.call_response(ok(b'{"error": {"uri": null, "desc": "no", "details": null}}'))
    assert found == CallResponse(failure=CallFailure(None, "no"))


def test_disconnects_need_no_answer():
    assert responses.acknowledgement(HttpResponse(204, b"")) == ()
    assert responses.acknowledgement(ok(b" \n")) == ()
    assert responses.acknowledgement(ok(b"{}")) == ()
    pushes = responses.acknowledgement(ok(b'{"publish": [{"topic": "t", "data": 1}]}'))
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
    with pytest.raises(UnusableResponse) as caught:
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
    assert complaint(responses.decision, ok(body))[1] == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the response is empty"),
        (b" \n", "the response is empty"),
        (b"<br />\n<b>Warning</b>", "with PHP often a warning; see its log"),
        (b'\n <b>Warning</b>{"allow": true}', "with PHP often a warning; see its log"),
        (b'\xef\xbb\xbf{"allow": true}', "a byte order mark"),
        (b"true yes", "the response is not JSON"),
        (
            b'{"alow": true}',
            "the response has an unknown key; known are allow, payload, publish, reason",
        ),
    ],
)
def test_the_words_say_what_to_mend(body, words):
    assert words in complaint(responses.decision, ok(body))[0]


def test_who_refuses_has_no_payload():
    def read(answer):
        return responses.decision(answer, rewrites=True)

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
    complaint(responses.call_response, ok(body))


@pytest.mark.parametrize("status", [100, 201, 204, 301, 302, 400, 401, 404, 500, 503])
@pytest.mark.parametrize("read", [responses.decision, responses.call_response])
def test_other_statuses_are_not_agreed(read, status):
    body = b'{"allow": true, "reason": "secret-7"}'
    words, told = complaint(read, HttpResponse(status, body))
    assert words.startswith(f"unexpected status {status}; expected 200 or 403")
    # What a script answers that cannot verify the signature.
    assert words.endswith("need the same key)") == (status == 401)
    assert told == status


@pytest.mark.parametrize(
    "answer",
    [HttpResponse(403, b""), HttpResponse(500, b""), ok(b"OK"), ok(b"[]"), ok(b'{"ok": true}')],
)
def test_disconnects_were_not_taken(answer):
    complaint(responses.acknowledgement, answer)


def test_nothing_of_an_answer_is_shown():
    body = b'{"allow":true,"payload":"secret-7","publish":[{"topic":"t","data":"secret-7"}]}'
    assert "secret" not in repr(responses.decision(ok(body), rewrites=True))
    assert "secret" not in repr(responses.call_response(ok(b'{"result": "secret-7"}')))
