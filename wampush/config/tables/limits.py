"""The table ``[limits]``: limits of the node, of a session, user or address.

Must not import: Twisted, other tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from wampush.config.setting import GIB, Bytes, Count, Rate, rule, setting


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """``[limits]``: limits of the node, of a session, user or address."""

    queued_bytes: Bytes = setting(
        268_435_456,
        "All queues together; above it pulling pauses. At least `clients.queue_bytes`.",
        least=1024,
        most=1024 * GIB,
    )
    topic_bytes: Bytes = setting(
        1024,
        "Longer than any sensible URI, and each subscription keeps its topic in memory.",
        least=1,
        most=65_535,
    )
    connections_per_address: Count = setting(
        1000,
        "One machine cannot take them all, and a whole office behind one address fits. 0: no "
        "limit. IPv6 addresses count by their first 64 bits, which one customer has; loopback "
        "and trusted proxies do not count.",
        unit="connections",
        least=0,
    )
    connections_per_user: Count = setting(
        100,
        "Every tab and device of a person; a leaked token cannot take all connections. 0: no "
        "limit.",
        unit="connections",
        least=0,
    )
    messages_per_second: Rate = setting(
        100.0,
        "Far more than a page sends; a client that keeps sending more is disconnected.",
        unit="messages/s",
        least=0.01,
    )
    message_burst: Count = setting(
        2000,
        "Messages that a client may send at once, such as its subscriptions after a reconnect. A "
        "reconnect does not renew it.",
        unit="messages",
    )
    messages_per_second_per_address: Rate = setting(
        2000.0,
        "All clients of one address together, with a burst of ten seconds; twenty of them may send "
        "at full rate. Addresses count as for `connections_per_address`; no limit where that is 0.",
        unit="messages/s",
        least=0.01,
    )
    subscriptions_per_session: Count = setting(
        1000,
        "A page shows dozens of topics; each subscription costs memory.",
        unit="subscriptions",
    )
    prefixes_per_session: Count = setting(
        100,
        "Pages define a handful; each is kept as long as the session.",
        unit="prefixes",
        most=100_000,
    )
    pending_per_session: Count = setting(
        100,
        "Calls, subscriptions, events and messages of components that wait for application code; "
        "each costs memory.",
        unit="requests",
        most=100_000,
    )
    pending_bytes_per_session: Bytes = setting(
        262_144,
        "The texts of these calls, subscriptions and events together; in Python their arguments "
        "may take twenty times as much. A single one may be longer.",
        least=1024,
    )
    topics: Count = setting(
        1_000_000,
        "Topics with a subscriber, in total; about 1 KiB each with a long name.",
        unit="topics",
        most=100_000_000,
    )


@rule("limits.queued_bytes", "clients.queue_bytes")
def one_queue_fits_into_all(all_queues: int, one_queue: int) -> str:
    """The limit of all queues together must allow one full queue."""
    if all_queues >= one_queue:
        return ""
    return (
        f"limits.queued_bytes ({all_queues}), all clients together, must not be less than "
        f"clients.queue_bytes ({one_queue}), one client"
    )
