"""The list of tables ``[[redis_source]]``: pushes from Redis.

Owns: the form of an entry. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wampush.config.checks.files import CertificatesFile, PasswordFile, PrivateKeyFile
from wampush.config.checks.redis import (
    CHANNEL,
    REDIS_PORT,
    Channel,
    ChannelPrefix,
    ChannelTopic,
    RedisServer,
    SentinelAddress,
)
from wampush.config.rules import Conflict, rule, too_long
from wampush.config.setting import Some
from wampush.topics import RESERVED_PREFIX, is_reserved


@dataclass(frozen=True, slots=True)
class RedisSourceSettings:
    """One entry of ``[[redis_source]]``: a Redis server whose messages are pushes.

    :param url: The Redis server that the web application publishes to; user and password are never
        shown.
    :param channels: Redis may carry messages that are not for pages, so each channel is named.
    :param prefix: Some frameworks put a prefix before the names of all channels, such as
        ``laravel_database_``. It is part of neither ``channels`` nor the topic.
    :param topic: Pages subscribe to the name that the web application publishes to.
    :param sentinels: With sentinels, the host of ``url`` is the name of the master, and they are
        asked for its address before each connection.
    :param sentinel_password_file: Sentinels have a password of their own, if they have one.
    :param password_file: Instead of a password in ``url``: a file can be made readable for the
        daemon only.
    :param ca: For ``rediss://``: the authorities that may have signed the server's certificate;
        empty: those of the system.
    :param certificate: For ``rediss://``: the client certificate, if Redis requires one
        (``tls-auth-clients``).
    :param key: The private key of ``certificate``, without a passphrase.
    """

    url: RedisServer
    channels: Some[Channel]
    prefix: ChannelPrefix = ""
    topic: ChannelTopic = CHANNEL
    sentinels: tuple[SentinelAddress, ...] = ()
    sentinel_password_file: PasswordFile = ""
    password_file: PasswordFile = ""
    ca: CertificatesFile = ""
    certificate: CertificatesFile = ""
    key: PrivateKeyFile = ""

    @property
    def address(self) -> str:
        """The URL without user and password, for logs."""
        return f"redis+sentinel://{self.url.host}" if self.sentinels else self.url.address


@rule("redis_source", "limits.topic_bytes")
def redis_sources_are_consistent(
    sources: Mapping[int, RedisSourceSettings], most: int
) -> Iterator[Conflict]:
    """The settings of an entry must fit together."""
    for number, entry in sources.items():
        for name, problem in (
            *_login(entry),
            *_sentinels(entry),
            *_tls(entry),
            *_topic(entry, most),
        ):
            yield Conflict(number, name, problem)


def _login(entry: RedisSourceSettings) -> Iterator[tuple[str, str]]:
    if entry.url.password and entry.password_file:
        yield "password_file", "must be empty where url has a password"
    if entry.url.user and not (entry.url.password or entry.password_file):
        problem = (
            "has a user without a password; write USER:PASSWORD@ before the host or path, or set "
            "password_file; a password alone is written :PASSWORD@"
        )
        yield "url", problem


def _sentinels(entry: RedisSourceSettings) -> Iterator[tuple[str, str]]:
    if entry.sentinel_password_file and not entry.sentinels:
        yield "sentinel_password_file", "must be empty where sentinels is"
    if entry.sentinels and (entry.url.path or entry.url.port != REDIS_PORT):
        yield "url", "must be redis://MASTER or rediss://MASTER, without a port, with sentinels"


def _tls(entry: RedisSourceSettings) -> Iterator[tuple[str, str]]:
    for name in ("ca", "certificate", "key"):
        if getattr(entry, name) and not entry.url.tls:
            yield name, "must be empty where url is not rediss://"
    if bool(entry.certificate) != bool(entry.key):
        yield "key", "must be set where certificate is, and only there"


def _topic(entry: RedisSourceSettings, most: int) -> Iterator[tuple[str, str]]:
    if problem := too_long(entry.topic.replace(CHANNEL, ""), most):
        yield "topic", problem
    if is_reserved(entry.topic):
        yield "topic", f"must not begin with {RESERVED_PREFIX}, which is reserved"
