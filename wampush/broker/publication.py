"""A publication, its audience, and its position in its topic.

Owns: Publication, Audience, Targets, Position and PushKey. Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Targets:
    """Users, groups and sessions: the union of those named, without those excluded.

    A kind that is not named is None. If no kind is named, all sessions are meant; a kind that is
    named with an empty set adds no session, so that a list that came out empty does not reach
    everyone.

    :param users: user ids; all their sessions.
    :param groups: group names; all sessions of their members.
    :param sessions: session ids.
    :param registered: all sessions with a user; False does not count as named.
    :param exclude_users: their sessions do not get it, even if they are named.
    :param exclude_groups: likewise.
    :param exclude_sessions: likewise.
    """

    users: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    sessions: frozenset[str] | None = None
    registered: bool = False
    exclude_users: frozenset[str] = _NOBODY
    exclude_groups: frozenset[str] = _NOBODY
    exclude_sessions: frozenset[str] = _NOBODY

    @property
    def names_somebody(self) -> bool:
        """Whether only some sessions are meant, even before any are excluded."""
        named = (self.users, self.groups, self.sessions)
        return self.registered or any(each is not None for each in named)


@dataclass(frozen=True, slots=True)
class Audience:
    """Which subscribers of the topic may get a publication.

    :param exclude: session ids that do not get it, even if they are eligible.
    :param eligible: the only session ids that may get it; None lifts this restriction, the empty
        set means no session.
    :param to: the only users, groups and sessions that may get it; None lifts this restriction.
    """

    exclude: frozenset[str] = _NOBODY
    eligible: frozenset[str] | None = None
    to: Targets | None = None

    @property
    def is_limited(self) -> bool:
        """Whether it names those that may get it; exclusions alone do not count."""
        return self.eligible is not None or self.to is not None


EVERYONE: Final = Audience()


# Not frozen, because that makes construction three times as slow; the type checker keeps it so.
@dataclass(slots=True, unsafe_hash=True)
class Position:
    """The place of a publication within its topic.

    :param epoch: names one run of offsets; a topic that lost its history begins another one.
    :param offset: counts the publications of the topic within the epoch, without gaps.
    """

    epoch: Final[str]
    offset: Final[int]


class PushKey(NamedTuple):
    """What a sender can send again without having it published twice.

    :ivar push_id: chosen by the sender.
    :ivar digest: of the push, as hexadecimal digits; another push with the same id is a mistake.
    """

    push_id: str
    digest: str


# Not frozen, likewise.
@dataclass(slots=True)
class Publication:
    """An event on its way to the subscribers of a topic; never changed.

    :param topic: the resolved URI.
    :param payload: valid JSON text, delivered byte for byte.
    :param audience: who may get it; :data:`EVERYONE` by default.
    :param position: in its topic; None for a topic without history.
    :param further_topics: get the same payload; a session that is subscribed to several of the
        topics gets one event for each.
    :param push: the push that it came with, if that has an id and other nodes must know it.
    """

    topic: Final[str]
    payload: Final[bytes]
    audience: Final[Audience] = EVERYONE
    position: Final[Position | None] = None
    further_topics: Final[tuple[str, ...]] = ()
    push: Final[PushKey | None] = None

    def by_topic(self) -> Iterator[Publication]:
        """Yield one publication for each topic."""
        for topic in (self.topic, *self.further_topics):
            yield Publication(topic, self.payload, self.audience)
