"""The settings about sources of pushes other than ZeroMQ.

Owns: the entries of ``[[redis_source]]``, and what fits together in them; ``settings`` joins
them to the others.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and
``settings.security``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wampush.config.checks.common import FilePath
from wampush.config.checks.redis import CHANNEL, Channels, RedisAddress, RedisUrl, TopicOfChannel
from wampush.config.setting import about
from wampush.topics import RESERVED_PREFIX, is_reserved


@dataclass(frozen=True, slots=True)
class RedisSourceSettings:
    """One entry of ``[[redis_source]]``: a Redis whose published messages are pushes."""

    url: RedisUrl = field(
        metadata=about(
            "",
            "The Redis that the web application publishes to; user and password are never shown.",
            RedisAddress(),
        ),
    )
    channels: tuple[str, ...] = field(
        metadata=about(
            "",
            "A Redis may carry much that is none of a page's business, so each is named.",
            Channels(),
        ),
    )
    topic: str = field(
        default=CHANNEL,
        metadata=about(
            "",
            "Pages subscribe to the name that the web application publishes to.",
            TopicOfChannel(),
        ),
    )
    password_file: str = field(
        default="",
        metadata=about(
            "",
            "Instead of a password in `url`: a file can be readable by the daemon alone.",
            FilePath(),
        ),
    )
    ca: str = field(
        default="",
        metadata=about(
            "",
            "For `rediss://`: the authorities that may have signed the server's certificate; "
            "empty: those of the system.",
            FilePath(),
        ),
    )
    certificate: str = field(
        default="",
        metadata=about(
            "",
            "For `rediss://`: our own certificate, where Redis asks for one (`tls-auth-clients`).",
            FilePath(),
        ),
    )
    key: str = field(
        default="",
        metadata=about("", "The private key of `certificate`, without a passphrase.", FilePath()),
    )


def redis_conflicts(
    entry: RedisSourceSettings, topic_bytes: int
) -> Iterator[tuple[str, object, str]]:
    """What does not fit together in an entry: a key, its value, and what would be right.

    :param topic_bytes: the longest topic there may be.
    """
    url = entry.url
    if url.password and entry.password_file:
        yield "password_file", entry.password_file, "must be empty where url has a password"
    if url.user and not (url.password or entry.password_file):
        expected = (
            "has a user without a password; write redis://USER:PASSWORD@HOST, or set "
            "password_file; a password alone is written redis://:PASSWORD@HOST"
        )
        yield "url", None, expected
    for name in ("ca", "certificate", "key"):
        if getattr(entry, name) and not url.tls:
            yield name, getattr(entry, name), "must be empty where url is not rediss://"
    if bool(entry.certificate) != bool(entry.key):
        yield "key", entry.key, "must be set where certificate is, and only there"
    fixed = entry.topic.replace(CHANNEL, "")
    if len(fixed.encode()) > topic_bytes:
        yield "topic", entry.topic, f"is too long: limits.topic_bytes allows {topic_bytes} bytes"
    if is_reserved(entry.topic):
        yield "topic", entry.topic, f"must not begin with {RESERVED_PREFIX}, which is wampush's own"
