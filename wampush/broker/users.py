"""The indexes of sessions by user and group.

Owns: these indexes. Must not import: Twisted, the edges.

Sessions without user and groups are not kept here, so that they cost nothing. The sets that are
handed out are live; a caller must not keep one across a change.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import Final

from wampush.broker.identity import Identity
from wampush.broker.subscriber import Subscriber

_NOBODY: Final[frozenset[Subscriber]] = frozenset()


class UserIndex:
    """The sessions of each user and of each group, and the sessions that have a user."""

    def __init__(self) -> None:
        self._of_user: dict[str, set[Subscriber]] = {}
        self._of_group: dict[str, set[Subscriber]] = {}
        self._registered: set[Subscriber] = set()
        # The identity under which a session is indexed, which may have changed since.
        self._indexed: dict[Subscriber, Identity] = {}

    @property
    def registered(self) -> AbstractSet[Subscriber]:
        """The live set of sessions that have a user."""
        return self._registered

    @property
    def user_count(self) -> int:
        """The number of users that have a session."""
        return len(self._of_user)

    @property
    def names(self) -> Collection[str]:
        """The live view of the users that have a session."""
        return self._of_user.keys()

    def of_user(self, user: str) -> AbstractSet[Subscriber]:
        """Return the live set of a user's sessions; empty if there are none."""
        return self._of_user.get(user, _NOBODY)

    def of_group(self, group: str) -> AbstractSet[Subscriber]:
        """Return the live set of a group's sessions; empty if there are none."""
        return self._of_group.get(group, _NOBODY)

    def user_of(self, subscriber: Subscriber) -> str | None:
        """Return the user under which a session is indexed; None if there is none.

        While the identity of a session changes, this is still the old user.
        """
        identity = self._indexed.get(subscriber)
        return None if identity is None or not identity.user else identity.user

    def update(self, subscriber: Subscriber) -> None:
        """Index a session under its present identity, and no longer under the one before."""
        identity = subscriber.identity
        before = self._indexed.get(subscriber)
        if before is not None:
            if (before.user, before.groups) == (identity.user, identity.groups):
                return
            self.remove(subscriber)
        if not (identity.user or identity.groups):
            return
        self._indexed[subscriber] = identity
        if identity.user:
            self._registered.add(subscriber)
            self._of_user.setdefault(identity.user, set()).add(subscriber)
        for group in identity.groups:
            self._of_group.setdefault(group, set()).add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """Remove a session; does nothing if it is not indexed."""
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
