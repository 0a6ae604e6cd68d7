"""Which sessions belong to which user and group.

Owns: these indexes. Must not import: Twisted, the edges.

Sessions of nobody in particular are not kept here at all, so that they cost nothing. The sets that
are handed out are the live ones; whoever keeps one must not keep it over a change.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from wampush.broker.identity import Identity
from wampush.broker.subscriber import Subscriber

_NOBODY: Final[frozenset[Subscriber]] = frozenset()


class UserIndex:
    """User to sessions, group to sessions, and the sessions with a user."""

    def __init__(self) -> None:
        self._of_user: dict[str, set[Subscriber]] = {}
        self._of_group: dict[str, set[Subscriber]] = {}
        self._registered: set[Subscriber] = set()
        # As whom each session is indexed; by now it may have become somebody else.
        self._indexed: dict[Subscriber, Identity] = {}

    @property
    def registered(self) -> AbstractSet[Subscriber]:
        """The live set of sessions with a user."""
        return self._registered

    @property
    def user_count(self) -> int:
        """How many users have a session."""
        return len(self._of_user)

    def of_user(self, user: str) -> AbstractSet[Subscriber]:
        """The live set of a user's sessions; empty when there is none."""
        return self._of_user.get(user, _NOBODY)

    def of_group(self, group: str) -> AbstractSet[Subscriber]:
        """The live set of sessions of a group; empty when there is none."""
        return self._of_group.get(group, _NOBODY)

    def user_of(self, subscriber: Subscriber) -> str | None:
        """The user that a session is here as, which is another one while it is changing."""
        identity = self._indexed.get(subscriber)
        return None if identity is None or not identity.user else identity.user

    def place(self, subscriber: Subscriber) -> None:
        """Index a session as who it is now, and no longer as who it was."""
        identity = subscriber.identity
        before = self._indexed.get(subscriber)
        if before is not None:
            if (before.user, before.groups) == (identity.user, identity.groups):
                return
            self.forget(subscriber)
        if not (identity.user or identity.groups):
            return
        self._indexed[subscriber] = identity
        if identity.user:
            self._registered.add(subscriber)
            self._of_user.setdefault(identity.user, set()).add(subscriber)
        for group in identity.groups:
            self._of_group.setdefault(group, set()).add(subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        """Take a session out; does nothing when it is not here."""
        identity = self._indexed.pop(subscriber, None)
        if identity is None:
            return
        if identity.user:
            self._registered.discard(subscriber)
            _discard(self._of_user, identity.user, subscriber)
        for group in identity.groups:
            _discard(self._of_group, group, subscriber)


def _discard(index: dict[str, set[Subscriber]], name: str, subscriber: Subscriber) -> None:
    sessions = index[name]
    sessions.discard(subscriber)
    if not sessions:
        del index[name]
