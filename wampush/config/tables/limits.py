"""The settings about what clients may cost the node.

Owns: the table ``[limits]``; ``settings`` joins it to the others.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and
``settings.security``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wampush.config.checks.common import Number, WholeNumber
from wampush.config.setting import GIB, about


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """``[limits]``: limits of the whole node. Sizes are in bytes."""

    queued_bytes: int = field(
        default=268_435_456,
        metadata=about(
            "bytes",
            "All queues together; above it pulling pauses. Must not be less than "
            "`clients.queue_bytes`.",
            WholeNumber(1024, 1024 * GIB),
        ),
    )
    topic_bytes: int = field(
        default=1024,
        metadata=about(
            "bytes",
            "Longer than any sensible URI, and each subscription keeps its topic in memory.",
            WholeNumber(1, 65_535),
        ),
    )
    connections_per_address: int = field(
        default=1000,
        metadata=about(
            "connections",
            "One machine can not take all; a whole office behind one address fits. 0: no limit. "
            "IPv6 addresses count by their first 64 bits, which one customer has; loopback and "
            "trusted proxies do not.",
            WholeNumber(0, 10_000_000),
        ),
    )
    connections_per_user: int = field(
        default=100,
        metadata=about(
            "connections",
            "Every tab and device of a person; a leaked token can not take all. 0: no limit.",
            WholeNumber(0, 10_000_000),
        ),
    )
    messages_per_second: float = field(
        default=100.0,
        metadata=about(
            "messages/s",
            "Far more than a page sends; a client that sends more for long is dropped.",
            Number(0.01, 1_000_000),
        ),
    )
    message_burst: int = field(
        default=2000,
        metadata=about(
            "messages",
            "What a client may send at once, such as its subscriptions after a reconnect.",
            WholeNumber(1, 10_000_000),
        ),
    )
    subscriptions_per_session: int = field(
        default=1000,
        metadata=about(
            "subscriptions",
            "A page shows dozens of topics; each subscription costs memory.",
            WholeNumber(1, 10_000_000),
        ),
    )
    prefixes_per_session: int = field(
        default=100,
        metadata=about(
            "prefixes",
            "Pages define a handful; each is kept as long as the session.",
            WholeNumber(1, 100_000),
        ),
    )
    pending_per_session: int = field(
        default=100,
        metadata=about(
            "requests",
            "Calls, subscriptions, events and messages of components that wait for application "
            "code; each costs memory.",
            WholeNumber(1, 100_000),
        ),
    )
    pending_bytes_per_session: int = field(
        default=262_144,
        metadata=about(
            "bytes",
            "The texts of these calls, subscriptions and events together; in Python their "
            "arguments may take twenty times as much. One alone may be longer.",
            WholeNumber(1024, GIB),
        ),
    )
    topics: int = field(
        default=1_000_000,
        metadata=about(
            "topics",
            "Topics with a subscriber, in all; about 1 KiB each with a long name.",
            WholeNumber(1, 100_000_000),
        ),
    )
