"""What an application that is asked over HTTP may answer.

Owns: which answers are agreed, and what they mean. Pure.
Must not import: the edges. Nothing of an answer gets into an error, but what is meant for the log.

Values that go on to clients are taken out of the answer as the bytes that came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from wampush.errors import WampushError
from wampush.net.http_post import Answer, not_json
from wampush.wamp.codec import raw_elements

_DECISION: Final = frozenset(("allow", "reason", "payload", "publish"))
_CALL: Final = frozenset(("result", "error", "end_session", "publish"))
_NEWS: Final = frozenset(("publish",))
_ERROR: Final = frozenset(("uri", "desc", "details"))
_PUSH: Final = frozenset(("topic", "data", "to"))
_MOST_REASON: Final = 200
_LONGEST_URI: Final = 1024
_KEY: Final = re.compile(rb'\A("[^"\\]*(?:\\.[^"\\]*)*")\s*:\s*')

Push = Sequence[bytes]
"""Topic, payload and perhaps options, as the parts of a ZeroMQ message."""


class Unusable(WampushError):
    """An answer is none of the agreed ones.

    :param problem: what is wrong with it, for the log.
    :param status: of HTTP.
    """

    def __init__(self, problem: str, status: int = 200) -> None:
        self.status = status
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Decision:
    """May it be done?

    :param reason: why not, in the application's words, for the log.
    :param payload: JSON text to publish instead; None for what the client sent.
    :param pushes: what is published besides.
    """

    allow: bool
    reason: str = ""
    payload: bytes | None = field(default=None, repr=False)
    pushes: Sequence[Push] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class CallFailure:
    """The application's own error.

    :param uri: None for the usual one.
    :param details: JSON text; None for none.
    """

    uri: str | None
    description: str
    details: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """The outcome of a call.

    :param result: JSON text, unless there is a failure.
    :param end_session: whether the caller's session ends after the answer.
    """

    result: bytes = field(default=b"null", repr=False)
    failure: CallFailure | None = None
    forbidden: str | None = None
    end_session: bool = False
    pushes: Sequence[Push] = field(default=(), repr=False)


def decision(answer: Answer, rewrites: bool = False) -> Decision:
    """What the answer to a question with yes or no says.

    :param rewrites: whether it may give another payload.
    :raises Unusable: when it is none.
    """
    if answer.status == 403:
        return Decision(False, _reason_of_refusal(answer.body))
    document, raw = _document(answer, _DECISION)
    allow = document.get("allow")
    if not isinstance(allow, bool):
        raise Unusable("its answer has no allow, or one that is neither true nor false")
    if "payload" in document and not (rewrites and allow):
        raise Unusable("its answer has a payload, which only allowing a publication may have")
    return Decision(allow, _words(document.get("reason")), raw.get("payload"), _pushes(raw))


def call_answer(answer: Answer) -> CallAnswer:
    """What the answer to a call says.

    :raises Unusable: when it is none.
    """
    if answer.status == 403:
        return CallAnswer(forbidden=_reason_of_refusal(answer.body))
    document, raw = _document(answer, _CALL)
    if ("result" in document) == ("error" in document):
        raise Unusable("its answer has neither result nor error, or both")
    end_session = document.get("end_session", False)
    if not isinstance(end_session, bool):
        raise Unusable("end_session is neither true nor false")
    failure = _failure(document["error"], raw["error"]) if "error" in document else None
    result = raw.get("result", b"null")
    return CallAnswer(result, failure, None, end_session, _pushes(raw))


def acknowledgement(answer: Answer) -> Sequence[Push]:
    """What is published besides, after news that need no answer.

    :raises Unusable: when it has not taken them.
    """
    if answer.status == 204 or (answer.status == 200 and not answer.body.strip()):
        return ()
    _, raw = _document(answer, _NEWS, "200 and 204")
    return _pushes(raw)


def _document(
    answer: Answer, known: frozenset[str], agreed: str = "200 and 403"
) -> tuple[Mapping[str, object], Mapping[str, bytes]]:
    """The object of an answer, and the texts of its values."""
    if answer.status != 200:
        problem = f"it answered with status {answer.status}; {agreed} are agreed"
        if answer.status == 401:
            problem += " (was the signature wrong? both sides need the same key)"
        raise Unusable(problem, answer.status)
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise Unusable(not_json(answer.body)) from None
    if not isinstance(document, dict):
        raise Unusable("its answer is no JSON object")
    _check_keys(document, known, "its answer")
    return document, _values(answer.body)


def _check_keys(document: Mapping[str, object], known: frozenset[str], where: str) -> None:
    if document.keys() - known:
        raise Unusable(f"{where} has a key besides {', '.join(sorted(known))}")


def _values(text: bytes) -> Mapping[str, bytes]:
    """The texts of an object's values by their keys; of equal keys the last counts."""
    values: dict[str, bytes] = {}
    for member in raw_elements(text):
        key = _KEY.match(member)
        if key is not None:
            values[orjson.loads(key[1])] = member[key.end() :]
    return values


def _pushes(raw: Mapping[str, bytes]) -> Sequence[Push]:
    text = raw.get("publish")
    if text is None:
        return ()
    entries = orjson.loads(text)
    if not isinstance(entries, list):
        raise Unusable("publish is no list")
    texts = raw_elements(text) if entries else []
    return [_push(entry, each) for entry, each in zip(entries, texts, strict=True)]


def _push(entry: object, text: bytes) -> Push:
    if not isinstance(entry, dict):
        raise Unusable("an element of publish is no object")
    _check_keys(entry, _PUSH, "an element of publish")
    topic = entry.get("topic")
    if not isinstance(topic, str) or "data" not in entry:
        raise Unusable("an element of publish lacks its topic, a string, or its data")
    raw = _values(text)
    parts = [topic.encode(), raw["data"]]
    if entry.get("to") is not None:
        parts.append(b'{"to":' + raw["to"] + b"}")
    return parts


def _failure(value: object, text: bytes) -> CallFailure:
    if not isinstance(value, dict):
        raise Unusable("error is no object")
    _check_keys(value, _ERROR, "error")
    uri, description = value.get("uri"), value.get("desc")
    if not isinstance(description, str):
        raise Unusable("error lacks desc, a string")
    if uri is not None and not (isinstance(uri, str) and 0 < len(uri) <= _LONGEST_URI):
        raise Unusable("the uri of error is no text of 1 to 1024 characters")
    details = _values(text).get("details") if value.get("details") is not None else None
    return CallFailure(uri, description, details)


def _reason_of_refusal(body: bytes) -> str:
    """The reason in the body of a 403, if there is one; frameworks send pages of their own."""
    try:
        document = orjson.loads(body)
        return _words(document.get("reason")) if isinstance(document, dict) else ""
    except (orjson.JSONDecodeError, Unusable):
        return ""


def _words(value: object) -> str:
    """An application's words for a log: one line of bounded length."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable("reason is no text")
    clean = "".join(each if each.isprintable() else " " for each in value)
    return clean if len(clean) <= _MOST_REASON else f"{clean[:_MOST_REASON]}…"
