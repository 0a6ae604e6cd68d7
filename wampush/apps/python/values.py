"""What handlers of an app may raise and return besides plain values.

Owns: these errors and values. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from wampush.apps.python import json_values
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.errors import ClientError
from wampush.wamp.cra import Salting

_MOST_REASON: Final = 200


class WampError(ClientError):
    """A call is answered by this CALLERROR; other handlers may raise it as they may Refuse.

    :param uri: of the error, for programs.
    :param desc: for people; it goes to the client.
    :param details: any JSON value for programs; None leaves it out.
    :param end_session: whether the session ends after the answer, with close code 3000. A page of
        AutobahnJS does not come back by itself then.
    :raises TypeError: when uri or desc is no text.
    :raises NotSerialisable: when the details have no JSON form.
    """

    def __init__(
        self, uri: str, desc: str, details: object = None, end_session: bool = False
    ) -> None:
        self.uri: Final = _text("uri", uri)
        self.desc: Final = _text("desc", desc)
        self.details: Final = details
        #: The same as JSON text, as it was when this was raised.
        self.details_text: Final = None if details is None else json_values.text_of(details)
        self.end_session: Final = end_session
        super().__init__(f"{uri}: {desc}")


class ActionError(ClientError):
    """An action is answered by an event on ``NAME:error``.

    :param code: for programs.
    :param text: for people.
    :raises TypeError: when code is neither a whole number nor text, or text is no text.
    """

    def __init__(self, code: int | str, text: str) -> None:
        self.code: Final = code if isinstance(code, int) else _text("code", code)
        self.text: Final = _text("text", text)
        super().__init__(f"{code}: {text}")


class Refuse(ClientError):
    """What the handler was asked for is not allowed.

    :param reason: for the log; 200 characters of it are kept. Who calls a procedure, sends an
        action, or wants to connect, gets it too. For subscriptions and publications WAMP v1 has no
        answer.
    """

    def __init__(self, reason: str = "") -> None:
        clean = "".join(each if each.isprintable() else " " for each in _text("reason", reason))
        self.reason: Final = clean if len(clean) <= _MOST_REASON else f"{clean[:_MOST_REASON]}…"
        super().__init__(self.reason)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Returned by an ``on_publish`` handler: this is published instead.

    :param value: any JSON value, None too.
    """

    value: object


@dataclass(frozen=True, slots=True)
class CraSecret:
    """Returned by the ``cra_key`` handler: what proves that a client is somebody.

    :param secret: what signs: the secret itself, or with a salting what is derived from it (see
        ``wampush.wamp.cra.derive``).
    :param identity: who that is; its ``source`` becomes ``cra``.
    :param salting: how clients derive what signs; None when the secret itself does.
    :raises TypeError: when one of these is something else.
    """

    secret: str = field(repr=False)
    identity: Identity = ANONYMOUS
    salting: Salting | None = None

    def __post_init__(self) -> None:
        identity: object = self.identity
        salting: object = self.salting
        _text("secret", self.secret)
        if not isinstance(identity, Identity):
            raise TypeError(f"identity must be an Identity, not {type(identity).__name__}")
        if not (salting is None or isinstance(salting, Salting)):
            raise TypeError(f"salting must be a Salting, not {type(salting).__name__}")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {type(value).__name__}")
    return value
