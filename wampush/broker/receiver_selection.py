"""The receivers of a publication among the subscribers of its topic.

Owns: how an audience becomes a set of receivers. Must not import: Twisted, the edges.

Either the named users, groups and sessions are looked up in the indexes, or each subscriber is
compared with the names, whichever takes fewer steps. A push to one user thus costs the same whether
ten or ten thousand sessions are subscribed, and a push to ten thousand users costs little if three
sessions are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from wampush.broker.identity import Identity
from wampush.broker.publication import Audience, Targets
from wampush.broker.subscriber import Subscriber
from wampush.broker.users import UserIndex

_NONE: Final[frozenset[str]] = frozenset()

Sessions = Mapping[str, Subscriber]


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of users, groups and sessions; their union is meant."""

    users: frozenset[str] = _NONE
    groups: frozenset[str] = _NONE
    sessions: frozenset[str] = _NONE
    registered: bool = False

    def among(
        self, candidates: AbstractSet[Subscriber], index: UserIndex, sessions: Sessions
    ) -> AbstractSet[Subscriber]:
        """Return the candidates that are named."""
        if self._lookup_cost(len(candidates), index) >= len(candidates):
            return {each for each in candidates if self._includes(each)}
        found = {sessions[each] for each in self.sessions if each in sessions}
        found &= candidates
        for named in self._sets(index):
            found |= named & candidates
        return found

    def _lookup_cost(self, enough: int, index: UserIndex) -> int:
        """Return how many steps a lookup in the indexes takes.

        :param enough: a result of at least this much may be too small.
        """
        size = len(self.users) + len(self.groups) + len(self.sessions)
        size += len(index.registered) if self.registered else 0
        if size < enough:
            size += sum(len(index.of_user(user)) for user in self.users)
            size += sum(len(index.of_group(group)) for group in self.groups)
        return size

    def _sets(self, index: UserIndex) -> Iterator[AbstractSet[Subscriber]]:
        if self.registered:
            yield index.registered
        for user in self.users:
            yield index.of_user(user)
        for group in self.groups:
            yield index.of_group(group)

    def _includes(self, subscriber: Subscriber) -> bool:
        # As `include`, without its call: this runs for each subscriber.
        identity = subscriber.identity
        user = identity.user
        return (
            (bool(user) and (self.registered or user in self.users))
            or not self.groups.isdisjoint(identity.groups)
            or subscriber.session_id in self.sessions
        )

    def include(self, identity: Identity) -> bool:
        """Return whether every session with this identity is named."""
        user = identity.user
        is_named = bool(user) and (self.registered or user in self.users)
        return is_named or not self.groups.isdisjoint(identity.groups)


def select(
    audience: Audience, subscribers: AbstractSet[Subscriber], index: UserIndex, sessions: Sessions
) -> Collection[Subscriber]:
    """Return the subscribers that get a publication.

    :param subscribers: of its topic; returned as it is if the audience excludes none of them.
    :param index: sessions by user and group.
    :param sessions: all sessions by their ids.
    """
    chosen = subscribers
    if audience.eligible is not None:
        chosen = _Names(sessions=audience.eligible).among(chosen, index, sessions)
    excluded = _Names(sessions=audience.exclude)
    to = audience.to
    if to is not None:
        if to.names_somebody:
            chosen = _included(to).among(chosen, index, sessions)
        ids = to.exclude_sessions | audience.exclude
        excluded = _Names(to.exclude_users, to.exclude_groups, ids)
    without = excluded.among(chosen, index, sessions)
    return chosen - without if without else chosen


def includes_identity(audience: Audience, identity: Identity) -> bool:
    """Return whether a client that has no session, but this identity, may see a publication."""
    to = audience.to
    if audience.eligible is not None:
        return False
    if to is None:
        return True
    named = _included(to).include(identity) or not to.names_somebody
    return named and not _Names(to.exclude_users, to.exclude_groups).include(identity)


def _included(to: Targets) -> _Names:
    return _Names(to.users or _NONE, to.groups or _NONE, to.sessions or _NONE, to.registered)
