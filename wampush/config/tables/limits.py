"""The table ``[limits]``: limits of the node, of a session, user or address.

Owns: how much clients may cost. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from wampush.config.checks.check import number, whole
from wampush.config.rules import rule
from wampush.config.setting import GIB

MessageRate = Annotated[float, number(0.01, 1_000_000, "messages/s")]


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """``[limits]``: limits of the node, of a session, user or address.

    :param queued_bytes: All queues together; above it pulling pauses. At least
        ``clients.queue_bytes``.
    :param queued_bytes_per_address: The queues for the clients of one address; above it the longest
        are dropped. At least ``clients.queue_bytes``. Addresses count as for
        ``connections_per_address``; no limit where that is 0.
    :param topic_bytes: Longer than any sensible URI, and each subscription keeps its topic in
        memory.
    :param connections_per_address: One machine cannot take them all, and a whole office behind one
        address fits. 0: no limit. IPv6 addresses count by their first 64 bits, which one customer
        has; loopback and trusted proxies do not count.
    :param connections_per_user: Every tab and device of a person; a leaked token cannot take all
        connections. 0: no limit.
    :param messages_per_second: Far more than a page sends; a client that keeps sending more is
        disconnected.
    :param message_burst: Messages that a client may send at once, such as its subscriptions after a
        reconnect. A reconnect does not renew it.
    :param messages_per_second_per_address: All clients of one address together, with a burst of ten
        seconds; twenty of them may send at full rate. Addresses count as for
        ``connections_per_address``; no limit where that is 0.
    :param subscriptions_per_session: A page shows dozens of topics; each subscription costs memory.
    :param prefixes_per_session: Pages define a handful; each is kept as long as the session.
    :param pending_per_session: Calls, subscriptions, events and messages of components that wait
        for application code; each costs memory.
    :param pending_bytes_per_session: The texts of these calls, subscriptions and events together;
        in Python their arguments may take twenty times as much. A single one may be longer.
    :param kept_bytes_per_session: What one session or connection makes the node keep:
        subscriptions, prefixes, requests and messages that wait, unfinished input. Room for a
        message of any content.
    :param kept_bytes_per_address: The same for all clients of one address: 64 KiB for each of a
        thousand pages. Addresses count as for ``connections_per_address``; no limit where that is
        0.
    :param kept_bytes: The same for all clients together; with the other limits, a machine of 2 GiB
        survives.
    :param topics: Topics with a subscriber, in total; 0.6 KiB each, and 1 KiB more with the longest
        name.
    """

    queued_bytes: Annotated[int, whole(1024, 1024 * GIB, "bytes")] = 268_435_456
    queued_bytes_per_address: Annotated[int, whole(1024, 1024 * GIB, "bytes")] = 67_108_864
    topic_bytes: Annotated[int, whole(1, 65_535, "bytes")] = 1024
    connections_per_address: Annotated[int, whole(0, 10_000_000, "connections")] = 1000
    connections_per_user: Annotated[int, whole(0, 10_000_000, "connections")] = 100
    messages_per_second: MessageRate = 100.0
    message_burst: Annotated[int, whole(1, 10_000_000, "messages")] = 2000
    messages_per_second_per_address: MessageRate = 2000.0
    subscriptions_per_session: Annotated[int, whole(1, 10_000_000, "subscriptions")] = 1000
    prefixes_per_session: Annotated[int, whole(1, 100_000, "prefixes")] = 100
    pending_per_session: Annotated[int, whole(1, 100_000, "requests")] = 100
    pending_bytes_per_session: Annotated[int, whole(1024, GIB, "bytes")] = 262_144
    kept_bytes_per_session: Annotated[int, whole(65_536, GIB, "bytes")] = 8_388_608
    kept_bytes_per_address: Annotated[int, whole(65_536, 1024 * GIB, "bytes")] = 67_108_864
    kept_bytes: Annotated[int, whole(65_536, 1024 * GIB, "bytes")] = 536_870_912
    topics: Annotated[int, whole(1, 100_000_000, "topics")] = 1_000_000


@rule("limits.queued_bytes", "clients.queue_bytes")
def one_queue_fits_into_all(all_queues: int, one_queue: int) -> Iterator[str]:
    """The limit of all queues together must allow one full queue."""
    if all_queues < one_queue:
        yield (
            f"limits.queued_bytes ({all_queues}), all clients together, must not be less than "
            f"clients.queue_bytes ({one_queue}), one client"
        )


@rule("limits.kept_bytes_per_address", "limits.kept_bytes_per_session")
def one_session_fits_into_an_address(address: int, session: int) -> Iterator[str]:
    """The limit of an address must allow one full session."""
    if address < session:
        yield (
            f"limits.kept_bytes_per_address ({address}) must not be less than "
            f"limits.kept_bytes_per_session ({session}), one session"
        )


@rule("limits.kept_bytes", "limits.kept_bytes_per_address")
def one_address_fits_into_all(everybody: int, address: int) -> Iterator[str]:
    """The limit of all clients together must allow one full address."""
    if everybody < address:
        yield (
            f"limits.kept_bytes ({everybody}), all clients together, must not be less than "
            f"limits.kept_bytes_per_address ({address}), one address"
        )


@rule("limits.queued_bytes_per_address", "clients.queue_bytes")
def one_queue_fits_into_an_address(address: int, one_queue: int) -> Iterator[str]:
    """The limit of the queues of an address must allow one full queue."""
    if address < one_queue:
        yield (
            f"limits.queued_bytes_per_address ({address}) must not be less than "
            f"clients.queue_bytes ({one_queue}), one client"
        )
