"""The tables ``[clients]`` and ``[presence]``: clients, online users.

Owns: what clients may do by default, the size of their queues, and the times of presence.
Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from wampush.choices import DefaultPermission, PublishPolicy
from wampush.config.checks.check import whole
from wampush.config.checks.permissions import TopicTemplate
from wampush.config.rules import rule, too_long
from wampush.config.setting import GIB, OptionalSeconds
from wampush.topics import split_placeholders


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """``[clients]``: what clients may do, and the bytes that may be queued for one.

    :param publish: ``auto``: clients and pages on this machine may publish while every WebSocket
        listener is on loopback.
    :param subscribe: Where no entry of ``[[permissions]]`` applies; most topics are for every page.
    :param call: Where no entry of ``[[permissions]]`` applies; procedures are made to be called.
    :param auto_subscribe: Topics that every session gets without asking, such as ``user.{user}``;
        most pages subscribe to what they show.
    :param queue_bytes: Several seconds of events for a client that stalls; a client that falls
        further behind is a slow client. At least 4 times ``pushes.max_message_bytes`` and 4
        times ``websocket.max_message_bytes``.
    """

    publish: PublishPolicy = PublishPolicy.AUTO
    subscribe: DefaultPermission = DefaultPermission.ALLOW
    call: DefaultPermission = DefaultPermission.ALLOW
    auto_subscribe: tuple[TopicTemplate, ...] = ()
    queue_bytes: Annotated[int, whole(1024, GIB, "bytes")] = 4_194_304


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """``[presence]``: online users.

    :param grace: Loading the next page takes less; a user who comes back within this time never
        left.
    :param topic_grace: For ``on_vacated``: a topic without subscribers counts as occupied for this
        long, so that loading the next page does not stop what publishes to it.
    :param list_users: Users in one result of ``wampush.presence.list``; about 40 KiB, and far more
        than a page shows.
    """

    grace: OptionalSeconds = 2.0
    topic_grace: OptionalSeconds = 10.0
    list_users: Annotated[int, whole(1, 1_000_000, "users")] = 1000


@rule("clients.auto_subscribe", "limits.topic_bytes")
def automatic_topics_are_short_enough(topics: Sequence[str], most: int) -> Iterator[str]:
    """The text of an automatic topic must fit into a topic."""
    for topic in topics:
        if too_long("".join(split_placeholders(topic)[0]), most):
            yield (
                f"clients.auto_subscribe contains {topic[:80]!r}, which is too long: "
                f"limits.topic_bytes allows {most} bytes"
            )
            return
