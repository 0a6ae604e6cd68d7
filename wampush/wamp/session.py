"""One WAMP v1 session, without I/O.

Owns: session id and prefixes; turns a client's text into typed requests with resolved URIs, and
answers into text.
Must not import: anything of wampush but ``errors`` and its neighbours in ``wamp``.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import urandom
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
)
from wampush.wamp.uris import Dialect

Request = Call | Subscribe | Unsubscribe | Publish

#: Base64 to its URL-safe alphabet (RFC 4648 section 5).
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_NO_PREFIXES: Final[Mapping[str, str]] = MappingProxyType({})


class PrefixLimits(NamedTuple):
    """Limits for the prefixes of one session.

    :param most: the most prefixes.
    :param longest: the longest prefix including its URI, in bytes of UTF-8.
    """

    most: int
    longest: int


def _keep_all(_prefix: str, _uri: str) -> None:
    """Keep every prefix."""


def new_session_id() -> str:
    """Return a new session id: 128 bits of the system's CSPRNG as 22 URL-safe characters."""
    # What secrets.token_urlsafe(16) does, without objects and functions in between.
    return b2a_base64(urandom(16), newline=False).translate(_URL_SAFE)[:22].decode("ascii")


class WampSession:
    """One WAMP v1 client from WELCOME on, without I/O.

    :param dialect: the variant of WAMP v1 that the client speaks.
    :param server: name and version for WELCOME.
    :param limits: how many prefixes the client may define, and how long they may be.
    :param session_id: that another process has given it; None for a new one.
    :param prefixes: that the client has defined there.
    """

    __slots__ = ("_limits", "_prefixes", "dialect", "server", "session_id")

    def __init__(
        self,
        dialect: Dialect,
        server: str,
        limits: PrefixLimits,
        session_id: str | None = None,
        prefixes: Mapping[str, str] = _NO_PREFIXES,
    ) -> None:
        self.session_id = new_session_id() if session_id is None else session_id
        self.dialect = dialect
        self.server = server
        self._limits = limits
        # Most pages define no prefix; the shared empty mapping keeps an idle session small.
        self._prefixes: Mapping[str, str] = prefixes or _NO_PREFIXES

    @property
    def prefixes(self) -> Mapping[str, str]:
        """The prefixes that this client has defined."""
        return self._prefixes

    def welcome(self) -> bytes:
        """Return the text of the first message to the client."""
        return codec.welcome_text(self.session_id, self.server)

    def receive(self, text: bytes, keep: Callable[[str, str], None] = _keep_all) -> Request | None:
        """Return the request in one message of the client.

        :param text: the payload of a text frame.
        :param keep: called with a prefix and its URI before they are kept; may raise
            MessageRefused.
        :returns: the request, with resolved URIs and the dialect's defaults; None when the message
            only changed this session (PREFIX).
        :raises MessageRefused: when the text is not a message that clients send, or defines a
            prefix beyond the limits.
        """
        message = codec.decode_client(text)
        if isinstance(message, Prefix):
            self._define(message, keep)
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

        :raises NotSerialisable: when the value cannot be written as JSON.
        """
        return codec.encode(CallResult(call_id, value))

    def error(self, call_id: str, uri: str, description: str, details: object = None) -> bytes:
        """Return the text that refuses a call.

        The error URI becomes a CURIE where a prefix matches.

        :raises NotSerialisable: when the details cannot be written as JSON.
        """
        error_uri = self.dialect.shrink(uri, self._prefixes)
        return codec.encode(CallError(call_id, error_uri, description, details))

    def _define(self, message: Prefix, keep: Callable[[str, str], None]) -> None:
        limits = self._limits
        if len(self._prefixes) >= limits.most and message.prefix not in self._prefixes:
            raise MessageRefused(Refusal.TOO_MANY_PREFIXES, f"The limit is {limits.most}.")
        size = len(message.prefix.encode()) + len(message.uri.encode())
        if size > limits.longest:
            detail = f"It has {size} bytes including its URI; the limit is {limits.longest} bytes."
            raise MessageRefused(Refusal.PREFIX_TOO_LONG, detail)
        keep(message.prefix, message.uri)
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
