"""Procedures that the broker itself answers.

Owns: the shape of a procedure, how a call becomes its answer, and ``wampush.refresh``.
Must not import: Twisted, the edges. What checks a token is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from wampush.broker.identity import Identity
from wampush.broker.subscriber import Subscriber
from wampush.errors import AuthenticationRefused, ClientError, NotSerialisable
from wampush.wamp.messages import Call
from wampush.wamp.uris import ERROR_INTERNAL

Procedure = Callable[[Subscriber, Call], object]
"""Takes the caller and the call, URI resolved; returns the result, or raises CallRefused."""

Procedures = Mapping[str, Procedure]

MayLearn = Callable[[Subscriber, str], bool]
"""Returns whether a session may know what is on a topic: whether it may subscribe to it."""

Become = Callable[[Subscriber, Identity], None]
"""Gives a session another identity."""

ERROR_TOKEN_REFUSED: Final = "http://api.wamp.ws/error#token-refused"  # noqa: S105
ERROR_INVALID_ARGUMENT: Final = "http://api.wamp.ws/error#invalid-argument"
ERROR_NOT_AUTHENTICATED: Final = "http://api.wamp.ws/error#not-authenticated"


class CallRefused(ClientError):
    """The answer to a call is a CALLERROR.

    :param uri: of the error.
    :param description: for people; goes over the wire, so it must not contain secrets.
    :param details: any JSON value; None for none.
    """

    def __init__(self, uri: str, description: str, details: object = None) -> None:
        self.uri = uri
        self.description = description
        self.details = details
        super().__init__(description)


def check_no_arguments(call: Call) -> None:
    """Check that a call has no arguments.

    :raises CallRefused: when it has any.
    """
    if call.arguments:
        raise CallRefused(ERROR_INVALID_ARGUMENT, f"{call.procedure} takes no arguments")


def answer(procedure: Procedure, subscriber: Subscriber, call: Call) -> bytes:
    """Carry out a call and return the text of its answer; every call has one."""
    session = subscriber.session
    try:
        return session.result(call.call_id, procedure(subscriber, call))
    except CallRefused as error:
        return session.error(call.call_id, error.uri, error.description, error.details)
    except NotSerialisable:
        return session.error(call.call_id, ERROR_INTERNAL, "the result cannot be written as JSON")


def refresh(identify: Callable[[str], Identity], become: Become) -> Procedure:
    """Return the procedure ``wampush.refresh``, by which a fresh token extends a session.

    It takes the token as its only argument and returns ``{"user": …, "expires": …}``, the latter in
    seconds since the epoch, or null for never. Groups, language and attributes become those of the
    fresh token. The user must stay the same; another user needs another session.

    :param identify: returns the identity in a token; raises AuthenticationRefused.
    :param become: gives the session the identity in the fresh token.
    """

    def carry_out(subscriber: Subscriber, call: Call) -> object:
        token = call.arguments[0] if len(call.arguments) == 1 else None
        if not isinstance(token, str):
            raise CallRefused(
                ERROR_INVALID_ARGUMENT, "wampush.refresh takes one argument: a token, a string"
            )
        present = subscriber.identity
        if present.source != "token":
            raise CallRefused(ERROR_TOKEN_REFUSED, "this session was not opened with a token")
        try:
            fresh = identify(token)
        except AuthenticationRefused as error:
            raise CallRefused(ERROR_TOKEN_REFUSED, error.detail) from error
        if fresh.user != present.user:
            raise CallRefused(ERROR_TOKEN_REFUSED, "the token belongs to another user")
        become(subscriber, fresh)
        return {"user": fresh.user, "expires": fresh.expires}

    return carry_out
