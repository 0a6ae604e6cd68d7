"""What one client has said so far.

Owns: session id and prefixes; makes typed requests, URIs resolved, of a client's text.
Must not import: anything of wampush but ``errors`` and its neighbours in ``wamp``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, NamedTuple

from wampush.errors import MessageRefused, Refusal
from wampush.wamp import codec
from wampush.wamp.messages import (
    Call,
    CallError,
    CallResult,
    Prefix,
    Publish,
    Subscribe,
    Unsubscribe,
    Welcome,
)
from wampush.wamp.uris import Dialect

Request = Call | Subscribe | Unsubscribe | Publish

_NO_PREFIXES: Final[Mapping[str, str]] = MappingProxyType({})


class PrefixLimits(NamedTuple):
    """What prefixes may cost.

    :param most: how many a session may define.
    :param longest: the longest prefix with its URI, in bytes of UTF-8.
    """

    most: int
    longest: int


DEFAULT_PREFIX_LIMITS: Final = PrefixLimits(100, 1024)


def new_session_id() -> str:
    """A session id: 128 bits of the system's CSPRNG as 22 URL-safe characters."""
    return secrets.token_urlsafe(16)


class Session:
    """One WAMP v1 client from WELCOME on, without I/O.

    :param dialect: how this client's WAMP v1 is read.
    :param server: name and version told in WELCOME.
    :param limits: how many prefixes this client may define, and how long one with its URI may be.
    """

    __slots__ = ("_limits", "_prefixes", "dialect", "server", "session_id")

    def __init__(
        self, dialect: Dialect, server: str, limits: PrefixLimits = DEFAULT_PREFIX_LIMITS
    ) -> None:
        self.session_id = new_session_id()
        self.dialect = dialect
        self.server = server
        self._limits = limits
        # Most pages define no prefix; the shared empty mapping keeps an idle session small.
        self._prefixes: Mapping[str, str] = _NO_PREFIXES

    @property
    def prefixes(self) -> Mapping[str, str]:
        """The prefixes that this client has defined."""
        return self._prefixes

    def welcome(self) -> bytes:
        """The first message to the client."""
        return codec.encode(Welcome(self.session_id, self.server))

    def receive(self, text: bytes) -> Request | None:
        """Take one message of the client.

        :param text: the payload of a text frame.
        :returns: what the client asks for, with URIs resolved and the dialect's defaults filled in;
            None when the message only changed this session (PREFIX).
        :raises MessageRefused: when the text is none of the messages that a client sends.
        """
        message = codec.decode_client(text)
        if isinstance(message, Prefix):
            self._define(message)
            return None
        if isinstance(message, Call):
            return self._resolve_call(message)
        if isinstance(message, Publish):
            return self._resolve_publish(message)
        if not self._prefixes:
            return message
        return replace(message, topic=self.dialect.resolve(message.topic, self._prefixes))

    def call_arguments(self, text: bytes) -> tuple[object, ...]:
        """Return the arguments of a CALL, as :meth:`receive` gives them.

        :param text: a CALL that :meth:`receive` has taken.
        """
        return self._unpack(codec.call_arguments(text))

    def result(self, call_id: str, value: object) -> bytes:
        """Return the text that answers a call.

        :raises NotSerialisable: when the value has no JSON form.
        """
        return codec.encode(CallResult(call_id, value))

    def error(self, call_id: str, uri: str, description: str, details: object = None) -> bytes:
        """Return the text that refuses a call.

        The error URI becomes a CURIE where a prefix matches.

        :raises NotSerialisable: when the details have no JSON form.
        """
        error_uri = self.dialect.shrink(uri, self._prefixes)
        return codec.encode(CallError(call_id, error_uri, description, details))

    def _define(self, message: Prefix) -> None:
        limits = self._limits
        if len(self._prefixes) >= limits.most and message.prefix not in self._prefixes:
            raise MessageRefused(Refusal.TOO_MANY_PREFIXES, f"{limits.most} are allowed.")
        size = len(message.prefix.encode()) + len(message.uri.encode())
        if size > limits.longest:
            raise MessageRefused(
                Refusal.PREFIX_TOO_LONG, f"{size} bytes with its URI, {limits.longest} allowed."
            )
        self._prefixes = {**self._prefixes, message.prefix: message.uri}

    def _resolve_call(self, message: Call) -> Call:
        procedure = self.dialect.resolve(message.procedure, self._prefixes)
        return Call(message.call_id, procedure, self._unpack(message.arguments))

    def _unpack(self, arguments: tuple[object, ...]) -> tuple[object, ...]:
        """Return the arguments as the dialect passes them on."""
        if self.dialect.unpacks_single_list and len(arguments) == 1:
            only = arguments[0]
            return tuple(only) if isinstance(only, list) else arguments
        return arguments

    def _resolve_publish(self, message: Publish) -> Publish:
        exclude_me = message.exclude_me
        if exclude_me is None and message.exclude is None:
            exclude_me = self.dialect.excludes_publisher
        eligible = message.eligible
        if eligible == () and self.dialect.empty_eligible_means_all:
            eligible = None
        return Publish(
            self.dialect.resolve(message.topic, self._prefixes),
            message.event,
            exclude_me,
            message.exclude,
            eligible,
        )
