"""The requests that webhooks send to the application.

Owns: the JSON of each request, and the signature of a POST. Pure.
Must not import: the edges.

A payload that a client publishes is passed on as the bytes that it sent, so numbers keep their
digits. Everything else is serialised anew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson

from wampush.errors import NotSerialisable
from wampush.net.http_post import cookie_header

if TYPE_CHECKING:
    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect_request import ConnectAttempt
    from wampush.broker.subscriber import Subscriber
    from wampush.errors import CloseReason
    from wampush.wamp.messages import Call, Publish, Subscribe

SIGNATURE_HEADER: Final = "Wampush-Signature"
_NULL: Final = orjson.Fragment(b"null")
# ``module.handler`` or ``module/handler``, with exactly two parts.
_HANDLER: Final = re.compile(r"([^./:#\s]+)[./]([^./:#\s]+)")


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One request as it is sent.

    :param event: one of ``webhooks.events``.
    :param body: JSON text.
    :param cookie: the Cookie header; empty for none.
    """

    event: str
    body: bytes = field(repr=False)
    cookie: bytes = field(default=b"", repr=False)


def signature(secret: bytes, seconds: int, body: bytes) -> str:
    """Return the value of the header that proves the origin and the time of a POST.

    :param seconds: time of sending, since the epoch.
    """
    signed = b"%d.%b" % (seconds, body)
    return f"t={seconds},v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()}"


def connect(attempt: ConnectAttempt, names: Sequence[str], time: float) -> WebhookRequest:
    """Ask whether a client may connect; its session opens only after the response.

    :param names: the cookies to pass on; empty for all.
    :param time: seconds since the epoch, as for the other requests.
    """
    request = attempt.request
    cookies = {name: value for name, value in request.cookies.items() if not names or name in names}
    more = {
        "path": request.path,
        "query": request.query,
        "scheme": request.scheme,
        "origin": request.headers.get("origin"),
        "cookies": cookies,
    }
    session_id = None if attempt.subscriber is None else attempt.subscriber.session_id
    session = _session(session_id, attempt.identity, attempt.address)
    return _request("connect", session, time, more, cookie_header(cookies))


def subscribe(subscriber: Subscriber, request: Subscribe, time: float) -> WebhookRequest:
    """Ask whether a session may subscribe."""
    return _request("subscribe", _session_of(subscriber), time, {"topic": request.topic})


def publish(subscriber: Subscriber, request: Publish, time: float) -> WebhookRequest:
    """Ask whether a session may publish, and with which payload."""
    more = {"topic": request.topic, "payload": orjson.Fragment(request.event)}
    return _request("publish", _session_of(subscriber), time, more)


def call(subscriber: Subscriber, request: Call, time: float) -> WebhookRequest:
    """Ask for the result of a call.

    :raises NotSerialisable: when the arguments are nested too deeply to be serialised.
    """
    arguments = request.arguments
    more: dict[str, object] = {
        "procedure": request.procedure,
        "arguments": _serialised(arguments),
    }
    names = _HANDLER.fullmatch(request.procedure)
    if names is not None and len(arguments) == 1:
        more.update(module=names[1], handler=names[2], data=_serialised(arguments[0]))
    return _request("call", _session_of(subscriber), time, more)


def ended_session(subscriber: Subscriber, reason: CloseReason, time: float) -> bytes:
    """Return the JSON text about a session that has ended, for :func:`disconnect`."""
    session = _session_of(subscriber)
    return orjson.dumps({**session, "reason": reason.code, "time": time})


def disconnect(ended: list[bytes], time: float) -> WebhookRequest:
    """Report which sessions have ended.

    :param ended: what :func:`ended_session` returned for each.
    """
    sessions = orjson.Fragment(b"[" + b",".join(ended) + b"]")
    return _request("disconnect", None, time, {"sessions": sessions})


def occupancy(topics: Sequence[str], is_occupied: bool, time: float) -> WebhookRequest:
    """Report which topics have got their first subscriber, or have lost their last."""
    event = "occupied" if is_occupied else "vacated"
    return _request(event, None, time, {"topics": topics})


def _request(
    event: str,
    session: Mapping[str, object] | None,
    time: float,
    more: Mapping[str, object],
    cookie: bytes = b"",
) -> WebhookRequest:
    document = {"event": event, "id": secrets.token_hex(16), "time": time}
    if session is not None:
        document["session"] = session
    return WebhookRequest(event, orjson.dumps({**document, **more}), cookie)


def _session_of(subscriber: Subscriber) -> Mapping[str, object]:
    peer = subscriber.peer
    address = "" if peer is None else peer.address
    return _session(subscriber.session_id, subscriber.identity, address)


def _session(session_id: str | None, identity: Identity, address: str) -> Mapping[str, object]:
    try:
        data = _serialised(dict(identity.data))
    except NotSerialisable:
        data = _NULL
    return {
        "id": session_id,
        "user": identity.user,
        "groups": sorted(identity.groups),
        "language": identity.language,
        "web_session": identity.web_session,
        "address": address,
        "data": data,
    }


def _serialised(value: object) -> orjson.Fragment:
    """Serialise a JSON value.

    :raises NotSerialisable: when it is nested too deeply, or contains what JSON cannot express.
    """
    try:
        return orjson.Fragment(orjson.dumps(value))
    except orjson.JSONEncodeError:
        # orjson refuses integers of more than 64 bits and more than 254 levels of nesting.
        try:
            return orjson.Fragment(json.dumps(value, allow_nan=False).encode())
        except (ValueError, TypeError, RecursionError) as error:
            raise NotSerialisable("the value has no JSON form") from error
