"""What is written to an application that is asked over HTTP.

Owns: the JSON of each question, and the signature of a POST. Pure.
Must not import: Twisted, the edges.

What a client publishes is put in as the bytes that it sent: numbers keep their digits. Everything
else is written anew.
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

if TYPE_CHECKING:
    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect import ConnectAttempt
    from wampush.broker.subscriber import Subscriber
    from wampush.errors import CloseReason
    from wampush.wamp.messages import Call, Publish, Subscribe

SIGNATURE_HEADER: Final = "Wampush-Signature"
_NULL: Final = orjson.Fragment(b"null")
# ``module.handler`` and ``module/handler``, and nothing longer.
_HANDLER: Final = re.compile(r"([^./:#\s]+)[./]([^./:#\s]+)")


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it is sent.

    :param event: of ``webhooks.events``.
    :param body: JSON text.
    :param cookie: the Cookie header; empty for none.
    """

    event: str
    body: bytes = field(repr=False)
    cookie: bytes = field(default=b"", repr=False)


def signature(secret: bytes, seconds: int, body: bytes) -> str:
    """The value of the header that proves who asks, and when.

    :param seconds: since the epoch.
    """
    signed = b"%d.%b" % (seconds, body)
    return f"t={seconds},v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()}"


def connecting(arrival: ConnectAttempt, names: Sequence[str], time: float) -> Question:
    """May this client connect? Its session opens only after the answer.

    :param names: the only cookies to pass on; empty for all.
    """
    request = arrival.request
    cookies = {name: value for name, value in request.cookies.items() if not names or name in names}
    more = {
        "path": request.path,
        "query": request.query,
        "scheme": request.scheme,
        "origin": request.headers.get("origin"),
        "cookies": cookies,
    }
    # As a browser would send it, so that the session of the web application is found.
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    session_id = None if arrival.subscriber is None else arrival.subscriber.session_id
    session = _session(session_id, arrival.identity, arrival.address)
    return _question("connect", session, time, more, header.encode("latin-1", "replace"))


def subscribing(subscriber: Subscriber, request: Subscribe, time: float) -> Question:
    """May this session subscribe?"""
    return _question("subscribe", _session_of(subscriber), time, {"topic": request.topic})


def publishing(subscriber: Subscriber, request: Publish, time: float) -> Question:
    """May this session publish, and what?"""
    more = {"topic": request.topic, "payload": orjson.Fragment(request.event)}
    return _question("publish", _session_of(subscriber), time, more)


def calling(subscriber: Subscriber, call: Call, time: float) -> Question:
    """What is the result of a call?

    :raises NotSerialisable: when the arguments are nested too deeply to be written.
    """
    arguments = call.arguments
    more: dict[str, object] = {"procedure": call.procedure, "arguments": _written(arguments)}
    names = _HANDLER.fullmatch(call.procedure)
    if names is not None and len(arguments) == 1:
        more.update(module=names[1], handler=names[2], data=_written(arguments[0]))
    return _question("call", _session_of(subscriber), time, more)


def departure(subscriber: Subscriber, reason: CloseReason, time: float) -> bytes:
    """The entry of a session that has ended, for :func:`departures`."""
    session = _session_of(subscriber)
    return orjson.dumps({**session, "reason": reason.code, "time": time})


def departures(entries: list[bytes], time: float) -> Question:
    """These sessions have ended."""
    sessions = orjson.Fragment(b"[" + b",".join(entries) + b"]")
    return _question("disconnect", None, time, {"sessions": sessions})


def _question(
    event: str,
    session: Mapping[str, object] | None,
    time: float,
    more: Mapping[str, object],
    cookie: bytes = b"",
) -> Question:
    document = {"event": event, "id": secrets.token_hex(16), "time": time}
    if session is not None:
        document["session"] = session
    return Question(event, orjson.dumps({**document, **more}), cookie)


def _session_of(subscriber: Subscriber) -> Mapping[str, object]:
    peer = subscriber.peer
    address = "" if peer is None else peer.address
    return _session(subscriber.session_id, subscriber.identity, address)


def _session(session_id: str | None, identity: Identity, address: str) -> Mapping[str, object]:
    try:
        data = _written(dict(identity.data))
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


def _written(value: object) -> orjson.Fragment:
    """A JSON value as text.

    :raises NotSerialisable: when it is nested too deeply, or holds what JSON does not know.
    """
    try:
        return orjson.Fragment(orjson.dumps(value))
    except orjson.JSONEncodeError:
        # What orjson does not write: numbers of more than 64 bits, and more than 254 levels.
        try:
            return orjson.Fragment(json.dumps(value, allow_nan=False).encode())
        except (ValueError, TypeError, RecursionError) as error:
            raise NotSerialisable("the value has no JSON form") from error
