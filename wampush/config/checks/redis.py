"""Checks of settings that name a Redis server: ``[[redis_source]]`` and ``[backplane]``.

Owns: the address of a Redis server with its password, the prefix of keys, and the topic made of a
channel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import unquote, urlsplit

from wampush.config.checks.check import Rejected, converted, string
from wampush.config.redaction import HIDDEN, Redacted

CHANNEL: Final = "{channel}"
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
#: Redis has 16 databases by default, and never more than a number of 32 bits can count.
_DATABASE: Final = re.compile(r"[0-9]{0,9}")
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,253}")


@dataclass(frozen=True, slots=True, repr=False)
class RedisUrl(Redacted):
    """The address of a Redis server and the login; ``str`` and ``repr`` hide user and password.

    :param host: name or IP address, without brackets.
    :param tls: whether to use TLS (``rediss://``).
    :param user: a user of Redis' access control list; "" for the default user.
    :param password: "" for none.
    :param path: of a Unix socket; "" for a connection over TCP.
    :param database: the number of the database; channels are the same in all databases.
    """

    host: str
    port: int = REDIS_PORT
    tls: bool = False
    user: str = ""
    password: str = ""
    path: str = ""
    database: int = 0

    def __bool__(self) -> bool:
        return bool(self.host or self.path)

    @property
    def address(self) -> str:
        """The URL without user and password, for logs."""
        return self._written("")

    def __str__(self) -> str:
        return self._written(f"{HIDDEN}@" if self.user or self.password else "")

    def __repr__(self) -> str:
        return f'"{self}"'

    def _written(self, login: str) -> str:
        if not self:
            return ""
        if self.path:
            return f"unix://{login}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' * self.tls}://{login}{host}:{self.port}"


#: Where no server is named.
NO_REDIS: Final = RedisUrl("")


_FORM: Final = (
    "redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:///PATH (a Unix socket), optionally with "
    "USER:PASSWORD@"
)
_SOCKET_SCHEMES: Final = ("unix", "redis+unix")
#: Bytes of the longest path of a socket, ``sun_path`` of Linux without its final zero.
_MAX_PATH_BYTES: Final = 107


def _address(url: str) -> object:
    """Read a URL of the form, with or without a database number."""
    if not url.isprintable() or url != url.strip():
        words = "without white space around it and without control characters"
        return Rejected(f"{_FORM}, {words}", url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        user = unquote(parts.username or "", errors="strict")
        password = unquote(parts.password or "", errors="strict")
    except ValueError:
        return Rejected(f"{_FORM}, with a number as the port; percent-encode the password", url)
    if parts.scheme in _SOCKET_SCHEMES:
        path = unquote(parts.path)
        if host or not path.startswith("/") or len(path.encode()) > _MAX_PATH_BYTES:
            words = f"with an absolute path of at most {_MAX_PATH_BYTES} bytes"
            return Rejected(f"{_FORM}, {words}", url)
        if parts.fragment or not _names_database(parts.query):
            return Rejected(f"{_FORM}, followed by nothing but ?db=NUMBER", url)
        number = _number(parts.query.removeprefix("db="))
        return RedisUrl("", user=user, password=password, path=path, database=number)
    if parts.scheme not in ("redis", "rediss") or not is_host(host or "") or port == 0:
        return None
    if parts.query or parts.fragment or not _is_database(parts.path):
        return Rejected(f"{_FORM}, followed by nothing but a database number", url)
    return RedisUrl(
        str(host),
        port or REDIS_PORT,
        parts.scheme == "rediss",
        user,
        password,
        database=_number(parts.path.removeprefix("/")),
    )


def is_host(host: str) -> bool:
    """Return whether a string is a name in ASCII, or an IP address without brackets."""
    if _HOST_NAME.fullmatch(host):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def host_and_port(sentinel: str) -> tuple[str, int]:
    """Return host and port of a sentinel.

    :param sentinel: HOST or HOST:PORT; an IPv6 address in brackets.
    :raises ValueError: it is neither.
    """
    parts = urlsplit(f"//{sentinel}")
    host, port = parts.hostname or "", parts.port
    is_more = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    if is_more or not is_host(host) or port == 0 or sentinel != sentinel.strip():
        raise ValueError(sentinel)
    return host, port or SENTINEL_PORT


def _is_sentinel(text: str) -> bool:
    try:
        host_and_port(text)
    except ValueError:
        return False
    return True


def _is_database(path: str) -> bool:
    return _DATABASE.fullmatch(path.removeprefix("/")) is not None


def _names_database(query: str) -> bool:
    number = query.removeprefix("db=")
    return not query or (number != query and bool(number) and _is_database(number))


def _number(text: str) -> int:
    return int(text or 0)


def _is_topic(text: str) -> bool:
    rest = text.replace(CHANNEL, "")
    return bool(text) and "{" not in rest and "}" not in rest


#: As Redis clients take it; an error never shows it.
REDIS_ADDRESS: Final = converted(_FORM, _address, is_secret=True)

_OPTIONAL: Final = converted(_FORM, _address, optional=True, is_secret=True)


def _optional_address(value: str | RedisUrl) -> object:
    if isinstance(value, RedisUrl):
        return value
    return _OPTIONAL.keep(value) if value else NO_REDIS


OPTIONAL_REDIS_ADDRESS: Final = replace(_OPTIONAL, types=(str, RedisUrl), keep=_optional_address)
#: Braces mark the part of a key that decides about its place in Redis Cluster.
_KEY_PART: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

RedisServer = Annotated[RedisUrl, REDIS_ADDRESS]
OptionalRedisServer = Annotated[RedisUrl, OPTIONAL_REDIS_ADDRESS]
KeyPart = Annotated[
    str,
    string(
        "1 to 64 letters and digits of ASCII and the characters _ . : -",
        lambda text: _KEY_PART.fullmatch(text) is not None,
    ),
]
Channel = Annotated[
    str, string('the name of a channel, in which "*" matches any characters, as in "live_*"')
]
SentinelAddress = Annotated[str, string("HOST or HOST:PORT", _is_sentinel)]
ChannelPrefix = Annotated[
    str, string('what all names of channels begin with, as in "laravel_database_"', optional=True)
]
ChannelTopic = Annotated[
    str,
    string(
        'a topic, in which "{channel}" is replaced with the name of the channel, without other '
        "braces",
        _is_topic,
    ),
]
