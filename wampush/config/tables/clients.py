"""The settings of what clients may do, topics and presence.

Owns: the tables ``[clients]``, ``[[topics]]`` and ``[presence]``.
Must not import: Twisted, Autobahn, other tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wampush.choices import SlowClient
from wampush.config.checks.common import (
    Choice,
    Flag,
    Number,
    TopicPattern,
    WholeNumber,
)
from wampush.config.checks.permissions import AutomaticTopics
from wampush.config.setting import GIB, about

if TYPE_CHECKING:
    pass

PublishPolicy = Literal["auto", "always", "never"]
DefaultPermission = Literal["allow", "deny"]


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """``[clients]``: what clients may do, and how much may wait for one. Sizes are in bytes."""

    publish: PublishPolicy = field(
        default="auto",
        metadata=about(
            "",
            "`auto`: while every WebSocket listener is on loopback, clients and pages of this "
            "machine may publish.",
            Choice(("auto", "always", "never")),
        ),
    )
    subscribe: DefaultPermission = field(
        default="allow",
        metadata=about(
            "",
            "Where no entry of `[[permissions]]` decides; what pages show is mostly for everybody.",
            Choice(("allow", "deny")),
        ),
    )
    call: DefaultPermission = field(
        default="allow",
        metadata=about(
            "",
            "Where no entry of `[[permissions]]` decides; procedures are made to be called.",
            Choice(("allow", "deny")),
        ),
    )
    auto_subscribe: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "Topics of every session that it need not ask for, such as `user.{user}`; mostly pages "
            "subscribe to what they show.",
            AutomaticTopics(),
        ),
    )
    queue_bytes: int = field(
        default=1_048_576,
        metadata=about(
            "bytes",
            "Seconds of events for a client that stalls; one that needs more is dropped.",
            WholeNumber(1024, GIB),
        ),
    )


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """One entry of ``[[topics]]``: what holds for some topics. The first that matches wins."""

    match: str = field(
        metadata=about(
            "",
            "Which topics the entry is about: one topic, or all that begin with what precedes `*`.",
            TopicPattern(),
        ),
    )
    slow_client: SlowClient = field(
        default=SlowClient.DISCONNECT,
        metadata=about(
            "",
            "A page that reconnects is right again; with events left out it is wrong unnoticed.",
            Choice(tuple(SlowClient)),
        ),
    )
    presence: bool = field(
        default=False,
        metadata=about(
            "",
            "Whether joins and leaves are told; who is on a topic is not everybody's business.",
            Flag(),
        ),
    )


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """``[presence]``: who is here."""

    grace: float = field(
        default=2.0,
        metadata=about(
            "s",
            "Going from one page to the next takes less; who was lost is not gone before.",
            Number(0, 3600),
        ),
    )
    list_users: int = field(
        default=1000,
        metadata=about(
            "users",
            "What one answer of `wampush.presence.list` names; about 40 KiB, and far more than a "
            "page shows.",
            WholeNumber(1, 1_000_000),
        ),
    )
