"""The list of tables ``[[redis_source]]``: pushes from Redis.

Owns: the form of an entry. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wampush.config.checks.redis import (
    CHANNEL,
    Channel,
    ChannelPrefix,
    ChannelTopic,
    RedisServer,
)
from wampush.config.checks.redis_access import RedisAccess, access_problems
from wampush.config.rules import Conflict, rule, too_long
from wampush.config.setting import Some
from wampush.topics import RESERVED_PREFIX, is_reserved


@dataclass(frozen=True, slots=True)
class RedisSourceSettings(RedisAccess):
    """One entry of ``[[redis_source]]``: a Redis server whose messages are pushes.

    :param url: The Redis server that the web application publishes to; user and password are never
        shown.
    :param channels: Redis may carry messages that are not for pages, so each channel is named.
    :param prefix: Some frameworks put a prefix before the names of all channels, such as
        ``laravel_database_``. It is part of neither ``channels`` nor the topic.
    :param topic: Pages subscribe to the name that the web application publishes to.
    """

    url: RedisServer
    channels: Some[Channel]
    prefix: ChannelPrefix = ""
    topic: ChannelTopic = CHANNEL


@rule("redis_source", "limits.topic_bytes")
def redis_sources_are_consistent(
    sources: Mapping[int, RedisSourceSettings], most: int
) -> Iterator[Conflict]:
    """The settings of an entry must fit together."""
    for number, entry in sources.items():
        for name, problem in (
            *access_problems(entry),
            *_topic(entry, most),
        ):
            yield Conflict(number, name, problem)


def _topic(entry: RedisSourceSettings, most: int) -> Iterator[tuple[str, str]]:
    if problem := too_long(entry.topic.replace(CHANNEL, ""), most):
        yield "topic", problem
    if is_reserved(entry.topic):
        yield "topic", f"must not begin with {RESERVED_PREFIX}, which is reserved"
