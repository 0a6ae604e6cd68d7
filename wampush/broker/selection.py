"""Which of a topic's subscribers get a publication.

Owns: how an audience is turned into receivers. Must not import: Twisted, the edges.

Whoever is named is looked up in the indexes, or each subscriber is asked whether it is named,
whichever takes fewer steps. So a push to one person costs the same whether ten or ten thousand have
subscribed, and a push with ten thousand names costs little where three have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from wampush.broker.publication import Audience, Targets
from wampush.broker.subscriber import Subscriber
from wampush.broker.users import UserIndex

_NONE: Final[frozenset[str]] = frozenset()

Sessions = Mapping[str, Subscriber]


@dataclass(frozen=True, slots=True)
class _Named:
    """Some people and sessions: the union of these."""

    users: frozenset[str] = _NONE
    groups: frozenset[str] = _NONE
    sessions: frozenset[str] = _NONE
    registered: bool = False

    def among(
        self, some: AbstractSet[Subscriber], people: UserIndex, sessions: Sessions
    ) -> AbstractSet[Subscriber]:
        """Those of some who are named."""
        if self._size(len(some), people) >= len(some):
            return {each for each in some if self._includes(each)}
        found = {sessions[each] for each in self.sessions if each in sessions}
        found &= some
        for those in self._sets(people):
            found |= those & some
        return found

    def _size(self, enough: int, people: UserIndex) -> int:
        """How many steps the indexes would take; if it is more than enough, it may be less."""
        size = len(self.users) + len(self.groups) + len(self.sessions)
        size += len(people.registered) if self.registered else 0
        if size < enough:
            size += sum(len(people.of_user(user)) for user in self.users)
            size += sum(len(people.of_group(group)) for group in self.groups)
        return size

    def _sets(self, people: UserIndex) -> Iterator[AbstractSet[Subscriber]]:
        if self.registered:
            yield people.registered
        for user in self.users:
            yield people.of_user(user)
        for group in self.groups:
            yield people.of_group(group)

    def _includes(self, subscriber: Subscriber) -> bool:
        identity = subscriber.identity
        user = identity.user
        return (
            (bool(user) and (self.registered or user in self.users))
            or not self.groups.isdisjoint(identity.groups)
            or subscriber.session_id in self.sessions
        )


def select(
    audience: Audience, subscribers: AbstractSet[Subscriber], people: UserIndex, sessions: Sessions
) -> Collection[Subscriber]:
    """The subscribers who get a publication.

    :param subscribers: of its topic; returned as they are when nobody is left out.
    :param people: sessions by user and group.
    :param sessions: all of them, by id.
    """
    chosen = subscribers
    if audience.eligible is not None:
        chosen = _Named(sessions=audience.eligible).among(chosen, people, sessions)
    excluded = _Named(sessions=audience.exclude)
    to = audience.to
    if to is not None:
        if to.names_somebody:
            chosen = _included(to).among(chosen, people, sessions)
        ids = to.exclude_sessions | audience.exclude
        excluded = _Named(to.exclude_users, to.exclude_groups, ids)
    without = excluded.among(chosen, people, sessions)
    return chosen - without if without else chosen


def _included(to: Targets) -> _Named:
    return _Named(to.users or _NONE, to.groups or _NONE, to.sessions or _NONE, to.registered)
