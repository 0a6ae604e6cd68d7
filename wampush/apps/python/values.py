"""Errors that handlers of an app may raise, and objects that they may return.

Owns: these errors and objects. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from wampush.apps.one_line import one_line
from wampush.apps.python import json_values
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.errors import ClientError
from wampush.excerpts import shown
from wampush.wamp.cra import Salting


class WampError(ClientError):
    """The CALLERROR that replies to a call; in other handlers it acts like Refuse.

    :param uri: of the error, for programs.
    :param desc: for people; the client receives it.
    :param details: any JSON value for programs; None leaves it out.
    :param end_session: whether the session ends after the reply, with close code 3000. AutobahnJS
        does not reconnect by itself after this code.
    :raises TypeError: when uri or desc is not a string.
    :raises NotSerialisable: when the details have no JSON form.
    """

    def __init__(
        self, uri: str, desc: str, details: object = None, end_session: bool = False
    ) -> None:
        self.uri: Final = _string("uri", uri)
        self.desc: Final = _string("desc", desc)
        self.details: Final = details
        #: The details as JSON text, as they were when this was created.
        self.details_text: Final = None if details is None else json_values.text_of(details)
        self.end_session: Final = end_session
        super().__init__(f"{uri}: {desc}")


class ActionError(ClientError):
    """An error that replies to an action, as an event on the topic ``NAME:error``.

    :param code: for programs.
    :param text: for people.
    :raises TypeError: when code is not a whole number or a string, or text is not a string.
    """

    def __init__(self, code: int | str, text: str) -> None:
        self.code: Final = code if isinstance(code, int) else _string("code", code)
        self.text: Final = _string("text", text)
        super().__init__(f"{code}: {text}")


class Refuse(ClientError):
    """A refusal of what the handler was asked for.

    :param reason: for the log; 200 characters of it are kept. Clients that call a procedure, send
        an action, or connect receive it too. For subscriptions and publications WAMP v1 has no
        reply.
    """

    def __init__(self, reason: str = "") -> None:
        self.reason: Final = one_line(_string("reason", reason))
        super().__init__(self.reason)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The payload that an ``on_publish`` handler returns to replace that of the client.

    :param value: any JSON value, None too.
    """

    value: object


@dataclass(frozen=True, slots=True)
class CraSecret:
    """The key that a ``cra_key`` handler returns.

    :param secret: signs challenges: the secret itself, or with a salting what is derived from it
        (see ``wampush.wamp.cra.derive``).
    :param identity: of clients that prove to have the key; its ``source`` becomes ``cra``.
    :param salting: how clients derive the signing key; None when the secret itself signs.
    :raises TypeError: when one of these has another type.
    """

    secret: str = field(repr=False)
    identity: Identity = ANONYMOUS
    salting: Salting | None = None

    def __post_init__(self) -> None:
        identity: object = self.identity
        salting: object = self.salting
        _string("secret", self.secret)
        if not isinstance(identity, Identity):
            raise TypeError(f"identity must be an Identity, not {shown(identity)}")
        if not (salting is None or isinstance(salting, Salting)):
            raise TypeError(f"salting must be a Salting, not {shown(salting)}")


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    return value
