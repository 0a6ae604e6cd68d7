"""The checkers for entries of ``[[redis_source]]``.

Owns: the address of a Redis with its password, and what a channel and a topic made of one may be.
Must not import: Twisted, Autobahn, or anything of wampush but ``checkers.common`` and
``redaction``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

from wampush.config.checks.common import Rejected, StringCheck, Text
from wampush.config.redaction import HIDDEN

CHANNEL: Final = "{channel}"
REDIS_PORT: Final = 6379
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,253}")


@dataclass(frozen=True, slots=True, repr=False)
class RedisUrl:
    """Where a Redis is, and how one logs in there. User and password are never shown.

    :param host: name or IP address, without brackets.
    :param tls: whether TLS is spoken (``rediss://``).
    :param user: of Redis' access control list; "" for its default user.
    :param password: "" for none.
    """

    host: str
    port: int = REDIS_PORT
    tls: bool = False
    user: str = ""
    password: str = ""

    @property
    def address(self) -> str:
        """The URL without user and password, for logs."""
        return self._written("")

    def __str__(self) -> str:
        return self._written(f"{HIDDEN}@" if self.user or self.password else "")

    def __repr__(self) -> str:
        return f'"{self}"'

    def _written(self, login: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' * self.tls}://{login}{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RedisAddress(StringCheck):
    """A URL as Redis clients take it; what is wrong with one is told without showing it."""

    allowed: str = "redis://HOST:PORT or rediss://HOST:PORT (TLS), perhaps with USER:PASSWORD@"

    def check(self, value: object) -> object:
        """Accept the forms of :attr:`allowed`, with a database number behind a slash or without.

        The number is dropped: channels are the same in all databases of a Redis.
        """
        if not isinstance(value, str):
            return Rejected(self.allowed, None)
        if not value.isprintable() or value != value.strip():
            return self._wrong("without blanks around it and without control characters")
        try:
            parts = urlsplit(value)
            host, port = parts.hostname, parts.port
            user = unquote(parts.username or "", errors="strict")
            password = unquote(parts.password or "", errors="strict")
        except ValueError:
            return self._wrong("with a number as the port; a password is percent-encoded")
        if parts.scheme not in ("redis", "rediss") or not _is_host(host or "") or port == 0:
            return Rejected(self.allowed, None)
        if parts.query or parts.fragment or not _is_database(parts.path):
            return self._wrong("with nothing but a database number behind it")
        return RedisUrl(str(host), port or REDIS_PORT, parts.scheme == "rediss", user, password)

    def _wrong(self, more: str) -> Rejected:
        return Rejected(f"{self.allowed}, {more}", None)


def _is_host(host: str) -> bool:
    """Whether it is a name in ASCII, or an IP address without brackets."""
    if _HOST_NAME.fullmatch(host):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_database(path: str) -> bool:
    number = path.removeprefix("/")
    return not number or (number.isascii() and number.isdigit())


@dataclass(frozen=True, slots=True)
class Channels:
    """A list of channels of Redis, at least one and none twice."""

    allowed: str = (
        'a list of at least one channel, in which "*" stands for any characters, as in "live_*"'
    )

    def check(self, value: object) -> object:
        """Accept lists of different texts and keep them as tuples."""
        if not isinstance(value, list | tuple) or not value:
            return Rejected(self.allowed, value)
        for at, channel in enumerate(value):
            checked = Text().check(channel)
            if isinstance(checked, Rejected):
                return checked
            if channel in value[:at]:
                return Rejected("a channel that is not in the list already", channel)
        return tuple(value)

    def parse(self, text: str) -> object:
        """Split at commas."""
        return [part.strip() for part in text.split(",")]


@dataclass(frozen=True, slots=True)
class TopicOfChannel(StringCheck):
    """A topic, perhaps with ``{channel}`` in it."""

    allowed: str = 'a topic, in which "{channel}" stands for the name of the channel'

    def check(self, value: object) -> object:
        """Accept text without other braces."""
        checked = Text().check(value)
        if not isinstance(checked, str):
            return checked
        rest = checked.replace(CHANNEL, "")
        usable = "{" not in rest and "}" not in rest
        return checked if usable else Rejected(f"{self.allowed}, without other braces", value)
