"""Refused input of clients.

Owns: the name of a client in refusals, and the fields of a log line about its request.
Must not import: Twisted, the edges, the apps.
"""

from __future__ import annotations

from collections.abc import Mapping

from wampush.broker.ledger import Ledger, Source
from wampush.broker.subscriber import Subscriber
from wampush.errors import MessageRefused
from wampush.wamp.messages import Call
from wampush.wamp.session import Request


def origin_of(subscriber: Subscriber) -> str:
    """Return the name of a client in refusals."""
    return f"session {subscriber.session_id}"


def refuse(
    ledger: Ledger,
    subscriber: Subscriber,
    error: MessageRefused,
    raw: bytes,
    request: Request | None = None,
) -> None:
    """Count a client's input that was not carried out.

    :param raw: the input.
    :param request: None where the input is not one.
    """
    about = _fields(subscriber, request)
    ledger.refuse(Source.CLIENT, origin_of(subscriber), error, raw, **about)


def _fields(subscriber: Subscriber, request: Request | None) -> Mapping[str, str]:
    peer = subscriber.peer
    fields = {
        "session": subscriber.session_id,
        "address": "" if peer is None else peer.address,
    }
    if isinstance(request, Call):
        fields["procedure"] = request.procedure
    elif request is not None:
        fields["topic"] = request.topic
    return fields
