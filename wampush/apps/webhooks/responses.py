"""The responses that an application may give to webhooks.

Owns: which responses are agreed, and what they mean. Pure.
Must not import: the edges. No error contains any part of a response, except reasons that are meant
for the log.

Values that are passed on to clients are taken from the response as the bytes that arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from wampush.apps.one_line import one_line
from wampush.net.http_post import HttpResponse, UnusableResponse, not_json
from wampush.wamp.json_slices import raw_elements, raw_members

_DECISION: Final = frozenset(("allow", "reason", "payload", "publish"))
_CALL: Final = frozenset(("result", "error", "end_session", "publish"))
_ACKNOWLEDGEMENT: Final = frozenset(("publish",))
_ERROR: Final = frozenset(("uri", "desc", "details"))
_PUSH: Final = frozenset(("topic", "data", "to"))
_MAX_URI: Final = 1024

Push = Sequence[bytes]
"""Topic, payload and perhaps options, as the parts of a ZeroMQ message."""


@dataclass(frozen=True, slots=True)
class HookDecision:
    """Whether the application allows what a client asked for.

    :param reason: why not, as the application says, for the log.
    :param payload: JSON text to publish instead; None for the payload that the client sent.
    :param pushes: what else is to be published.
    """

    allow: bool
    reason: str = ""
    payload: bytes | None = field(default=None, repr=False)
    pushes: Sequence[Push] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class CallFailure:
    """An error with which the application answers a call.

    :param uri: None for the generic error.
    :param details: JSON text; None for none.
    """

    uri: str | None
    description: str
    details: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CallResponse:
    """The application's response to a call.

    :param result: JSON text, unless there is a failure.
    :param forbidden: the reason when the call is refused, perhaps empty; else None.
    :param end_session: whether the caller's session ends after its reply.
    :param pushes: what else is to be published.
    """

    result: bytes = field(default=b"null", repr=False)
    failure: CallFailure | None = None
    forbidden: str | None = None
    end_session: bool = False
    pushes: Sequence[Push] = field(default=(), repr=False)


def decision(response: HttpResponse, rewrites: bool = False) -> HookDecision:
    """Read the response to a request for a decision.

    :param rewrites: whether it may contain another payload.
    :raises UnusableResponse: when it is not one of the agreed responses.
    """
    if response.status == 403:
        return HookDecision(False, _reason_of_refusal(response.body))
    document, raw = _document(response, _DECISION)
    allow = document.get("allow")
    if not isinstance(allow, bool):
        raise UnusableResponse("allow must be true or false")
    if "payload" in document and not (rewrites and allow):
        raise UnusableResponse("payload is only valid in a response that allows a publication")
    return HookDecision(allow, _reason(document.get("reason")), raw.get("payload"), _pushes(raw))


def call_response(response: HttpResponse) -> CallResponse:
    """Read the response to a call.

    :raises UnusableResponse: when it is not one of the agreed responses.
    """
    if response.status == 403:
        return CallResponse(forbidden=_reason_of_refusal(response.body))
    document, raw = _document(response, _CALL)
    if ("result" in document) == ("error" in document):
        raise UnusableResponse("the response must have either result or error")
    end_session = document.get("end_session", False)
    if not isinstance(end_session, bool):
        raise UnusableResponse("end_session must be true or false")
    failure = _failure(document["error"], raw["error"]) if "error" in document else None
    result = raw.get("result", b"null")
    return CallResponse(result, failure, None, end_session, _pushes(raw))


def acknowledgement(response: HttpResponse) -> Sequence[Push]:
    """Read the response to a notification: what is to be published.

    :raises UnusableResponse: when the application has not accepted the notification.
    """
    if response.status == 204 or (response.status == 200 and not response.body.strip()):
        return ()
    _, raw = _document(response, _ACKNOWLEDGEMENT, "200 or 204")
    return _pushes(raw)


def _document(
    response: HttpResponse, known: frozenset[str], expected: str = "200 or 403"
) -> tuple[Mapping[str, object], Mapping[str, bytes]]:
    """Return the object of a response, and the JSON texts of its values."""
    if response.status != 200:
        problem = f"unexpected status {response.status}; expected {expected}"
        if response.status == 401:
            problem += " (is the signature wrong? both sides need the same key)"
        raise UnusableResponse(problem, response.status)
    try:
        document = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        raise UnusableResponse(not_json(response.body)) from None
    if not isinstance(document, dict):
        raise UnusableResponse("the response is not a JSON object")
    _check_keys(document, known, "the response")
    return document, raw_members(response.body)


def _check_keys(document: Mapping[str, object], known: frozenset[str], where: str) -> None:
    if document.keys() - known:
        raise UnusableResponse(f"{where} has an unknown key; known are {', '.join(sorted(known))}")


def _pushes(raw: Mapping[str, bytes]) -> Sequence[Push]:
    text = raw.get("publish")
    if text is None:
        return ()
    entries = orjson.loads(text)
    if not isinstance(entries, list):
        raise UnusableResponse("publish must be a list")
    texts = raw_elements(text) if entries else []
    return [_push(entry, each) for entry, each in zip(entries, texts, strict=True)]


def _push(entry: object, text: bytes) -> Push:
    if not isinstance(entry, dict):
        raise UnusableResponse("each element of publish must be an object")
    _check_keys(entry, _PUSH, "an element of publish")
    topic = entry.get("topic")
    if not isinstance(topic, str) or "data" not in entry:
        raise UnusableResponse("each element of publish needs topic, a string, and data")
    raw = raw_members(text)
    parts = [topic.encode(), raw["data"]]
    if entry.get("to") is not None:
        parts.append(b'{"to":' + raw["to"] + b"}")
    return parts


def _failure(value: object, text: bytes) -> CallFailure:
    if not isinstance(value, dict):
        raise UnusableResponse("error must be an object")
    _check_keys(value, _ERROR, "error")
    uri, description = value.get("uri"), value.get("desc")
    if not isinstance(description, str):
        raise UnusableResponse("error needs desc, a string")
    if uri is not None and not (isinstance(uri, str) and 0 < len(uri) <= _MAX_URI):
        raise UnusableResponse(f"uri of error must be a string of 1 to {_MAX_URI} characters")
    details = raw_members(text).get("details") if value.get("details") is not None else None
    return CallFailure(uri, description, details)


def _reason_of_refusal(body: bytes) -> str:
    """Return the reason in the body of a 403, or ""; frameworks send error pages of their own."""
    try:
        document = orjson.loads(body)
        return _reason(document.get("reason")) if isinstance(document, dict) else ""
    except (orjson.JSONDecodeError, UnusableResponse):
        return ""


def _reason(value: object) -> str:
    """Return a reason for the log as one line of bounded length."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnusableResponse("reason must be a string")
    return one_line(value)
