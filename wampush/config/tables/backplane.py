"""The table ``[backplane]``: the Redis server that joins several nodes.

Owns: these settings. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from wampush.config.checks.redis import (
    NO_REDIS,
    KeyPart,
    OptionalRedisServer,
    RedisUrl,
)
from wampush.config.checks.redis_access import RedisAccess, access_problems
from wampush.config.rules import Conflict, rule


@dataclass(frozen=True, slots=True)
class BackplaneSettings(RedisAccess):
    """``[backplane]``: the Redis server (7 or later) or Valkey that joins several nodes.

    :param url: Whatever is published at one node reaches the subscribers of all nodes with the same
        Redis, ``prefix`` and ``tag``; empty: there is one node only. User and password are never
        shown.
    :param prefix: What all keys and channels begin with. Give each installation that shares a
        Redis server a prefix of its own.
    :param tag: Follows ``prefix`` in braces, so that Redis Cluster keeps all keys together; change
        it to choose another place in a cluster.
    """

    url: OptionalRedisServer = NO_REDIS
    prefix: KeyPart = "wampush"
    tag: KeyPart = "main"

    @property
    def key_prefix(self) -> str:
        """What all keys and channels of the installation begin with."""
        return f"{self.prefix}{{{self.tag}}}:"


_NAMES = tuple(each.name for each in fields(BackplaneSettings))


@rule(*(f"backplane.{name}" for name in _NAMES))
def backplane_is_consistent(*values: Any) -> Iterator[str]:
    """The settings must fit together."""
    settings = BackplaneSettings(**dict(zip(_NAMES, values, strict=True)))
    if not settings.url:
        for name in ("sentinels", "sentinel_password_file", "password_file"):
            if getattr(settings, name):
                yield f"backplane.{name} must be empty where backplane.url is"
    for name, problem in access_problems(settings):
        if settings.url or name in ("ca", "certificate", "key"):
            yield f"backplane.{name} {problem}"


@rule("topics", "backplane.url")
def redis_keeps_the_history(topics: Mapping[int, Any], url: RedisUrl) -> Iterator[Conflict]:
    """With several nodes, Redis keeps what topics keep."""
    for number, topic in topics.items():
        if url and topic.durable:
            problem = (
                "must be left out with backplane.url: Redis keeps the history of all nodes; set "
                "appendonly yes there so that it outlives a restart"
            )
            yield Conflict(number, "durable", problem)
