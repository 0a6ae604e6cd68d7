"""Presence, as apps see it.

Owns: Presence. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wampush.apps.python.server_api import ServerApi


class Presence:
    """Which users are online; may be used from any thread.

    :param api: the server.
    """

    __slots__ = ("_api",)

    def __init__(self, api: ServerApi) -> None:
        self._api = api

    @property
    def num_online(self) -> int:
        """Number of users that have a session, or had one within the grace period."""
        return self._api.presence.num_online

    @property
    def num_clients(self) -> int:
        """Number of sessions, with a user and without."""
        return self._api.presence.num_clients

    def is_online(self, user: str) -> bool:
        """Whether a user has a session, or had one within the grace period."""
        return self._api.in_reactor(self._api.presence.is_online, user)

    def users(self, topic: str) -> Mapping[str, int]:
        """Return the users that have subscribed to a topic, with the number of their sessions.

        Where presence is on, users in their grace period have the number 0.
        """
        return self._api.in_reactor(self._api.presence.users, topic)
