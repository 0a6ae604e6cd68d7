"""Checks of entries of ``[[redis_source]]``.

Owns: the address of a Redis server with its password, and the topic made of a channel.
Must not import: Twisted, Autobahn, or anything of wampush but the common checks and ``redaction``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import unquote, urlsplit

from wampush.config.checks.common import Rejected, StringCheck
from wampush.config.redaction import HIDDEN, Redacted

CHANNEL: Final = "{channel}"
REDIS_PORT: Final = 6379
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,253}")


@dataclass(frozen=True, slots=True, repr=False)
class RedisUrl(Redacted):
    """The address of a Redis server and the login; ``str`` and ``repr`` hide user and password.

    :param host: name or IP address, without brackets.
    :param tls: whether to use TLS (``rediss://``).
    :param user: a user of Redis' access control list; "" for the default user.
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
    """A URL as Redis clients take it; an error never shows the URL."""

    form: str = "redis://HOST:PORT or rediss://HOST:PORT (TLS), optionally with USER:PASSWORD@"

    def check(self, value: object) -> object:
        """Accept URLs of the form, with or without a database number after a slash.

        The number is dropped: channels are the same in all databases of a Redis server.
        """
        if not isinstance(value, str):
            return Rejected(self.allowed, None)
        if not value.isprintable() or value != value.strip():
            return self._rejected("without white space around it and without control characters")
        try:
            parts = urlsplit(value)
            host, port = parts.hostname, parts.port
            user = unquote(parts.username or "", errors="strict")
            password = unquote(parts.password or "", errors="strict")
        except ValueError:
            return self._rejected("with a number as the port; percent-encode the password")
        if parts.scheme not in ("redis", "rediss") or not _is_host(host or "") or port == 0:
            return Rejected(self.allowed, None)
        if parts.query or parts.fragment or not _is_database(parts.path):
            return self._rejected("followed by nothing but a database number")
        return RedisUrl(str(host), port or REDIS_PORT, parts.scheme == "rediss", user, password)

    def _rejected(self, more: str) -> Rejected:
        return Rejected(f"{self.allowed}, {more}", None)


def _is_host(host: str) -> bool:
    """Return whether a string is a name in ASCII, or an IP address without brackets."""
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


def _is_topic(text: str) -> bool:
    rest = text.replace(CHANNEL, "")
    return bool(text) and "{" not in rest and "}" not in rest


RedisServer = Annotated[RedisUrl, RedisAddress()]
Channel = Annotated[
    str, StringCheck('the name of a channel, in which "*" matches any characters, as in "live_*"')
]
ChannelTopic = Annotated[
    str,
    StringCheck(
        'a topic, in which "{channel}" is replaced with the name of the channel, without other '
        "braces",
        _is_topic,
    ),
]
