"""What one node reports to the others about its people, and changes of it.

Owns: the users, sessions and topics of one node, and how a change applies. Pure: no I/O, no clock.
Must not import: anything of wampush.

A change holds new values, never differences of numbers. Applying one twice is the same as once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: What an entry counts besides its names, in characters.
ENTRY_CHARACTERS: Final = 12


@dataclass(slots=True, kw_only=True)
class PeopleChange:
    """New values of some of what a node has reported.

    :param sessions: how many sessions it has; None for as many as before.
    :param users: whether each is present there: has a session, or had one within the grace period.
    :param members: for each topic with presence, the subscriptions of users; 0 within the grace
        period, None for a user who is not on the topic any more.
    :param anonymous: for each topic with presence, its subscribers without a user.
    :param occupied: whether each topic counts as occupied there.
    :param reported: whether this node has reported a topic as occupied to the applications.
    """

    sessions: int | None = None
    users: dict[str, bool] = field(default_factory=dict)
    members: dict[str, dict[str, int | None]] = field(default_factory=dict)
    anonymous: dict[str, int] = field(default_factory=dict)
    occupied: dict[str, bool] = field(default_factory=dict)
    reported: dict[str, bool] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether anything changes."""
        return self.sessions is not None or len(self) > 0

    def __len__(self) -> int:
        """Return how many entries change."""
        lists = len(self.users) + len(self.anonymous) + len(self.occupied) + len(self.reported)
        return lists + sum(map(len, self.members.values()))

    def parts(self, most: int) -> Iterator[PeopleChange]:
        """Yield the change in parts.

        :param most: characters of the names in each part, and :data:`ENTRY_CHARACTERS` for each;
            there is at least one part, and at least one entry in it.
        """
        part, room = PeopleChange(sessions=self.sessions), most
        for kind, name, user, value in self._entries():
            size = len(name) + len(user) + ENTRY_CHARACTERS
            if size > room and part:
                yield part
                part, room = PeopleChange(), most
            if kind == "members":
                part.members.setdefault(name, {})[user] = value
            else:
                getattr(part, kind)[name] = value
            room -= size
        yield part

    def _entries(self) -> Iterator[tuple[str, str, str, Any]]:
        """Yield kind, topic or name, user or "", and value of each entry."""
        for kind in ("users", "anonymous", "occupied", "reported"):
            for name, value in getattr(self, kind).items():
                yield kind, name, "", value
        for topic, members in self.members.items():
            for user, value in members.items():
                yield "members", topic, user, value


class NodePeople:
    """The users, sessions and topics of one node."""

    __slots__ = (
        "_member_count",
        "anonymous",
        "members",
        "occupied",
        "reported",
        "sessions",
        "users",
    )

    def __init__(self) -> None:
        self.sessions = 0
        self.users: set[str] = set()
        #: The subscriptions by topic and user; topics without members are left out.
        self.members: dict[str, dict[str, int]] = {}
        self._member_count = 0
        self.anonymous: dict[str, int] = {}
        self.occupied: set[str] = set()
        self.reported: set[str] = set()

    @property
    def size(self) -> int:
        """How many entries there are; it is known at once, however many they are."""
        lists = len(self.users) + len(self.anonymous) + len(self.occupied) + len(self.reported)
        return lists + self._member_count

    def connections(self, topic: str, user: str) -> int | None:
        """Return the subscriptions of a user to a topic; None for a user who is not on it."""
        members = self.members.get(topic)
        return None if members is None else members.get(user)

    def apply(self, change: PeopleChange) -> None:
        """Take the new values."""
        if change.sessions is not None:
            self.sessions = change.sessions
        for topic, counts in change.members.items():
            self._apply_members(topic, counts)
        for topic, count in change.anonymous.items():
            if count:
                self.anonymous[topic] = count
            else:
                self.anonymous.pop(topic, None)
        for names, values in (
            (self.users, change.users),
            (self.occupied, change.occupied),
            (self.reported, change.reported),
        ):
            for name, is_in in values.items():
                (names.add if is_in else names.discard)(name)

    def _apply_members(self, topic: str, counts: Mapping[str, int | None]) -> None:
        members = self.members.setdefault(topic, {})
        before = len(members)
        for user, count in counts.items():
            if count is None:
                members.pop(user, None)
            else:
                members[user] = count
        self._member_count += len(members) - before
        if not members:
            del self.members[topic]

    def difference(self, other: NodePeople) -> PeopleChange:
        """Return the change that makes this equal to another one."""
        change = PeopleChange(
            sessions=None if other.sessions == self.sessions else other.sessions,
            users=_set_difference(self.users, other.users),
            occupied=_set_difference(self.occupied, other.occupied),
            reported=_set_difference(self.reported, other.reported),
        )
        for topic in self.members.keys() | other.members.keys():
            here, there = self.members.get(topic, {}), other.members.get(topic, {})
            counts: dict[str, int | None] = {
                user: there.get(user)
                for user in here.keys() | there.keys()
                if here.get(user) != there.get(user)
            }
            if counts:
                change.members[topic] = counts
        for topic in self.anonymous.keys() | other.anonymous.keys():
            count = other.anonymous.get(topic, 0)
            if count != self.anonymous.get(topic, 0):
                change.anonymous[topic] = count
        return change

    def differences(self, other: NodePeople, most: int) -> Iterator[PeopleChange]:
        """Yield the change that makes this equal to another one, in parts.

        Each part has the values that the other one has when it is yielded; so it may change
        meanwhile, as long as its changes are taken note of in another way. This one must not.

        :param most: names that are looked at for one part, which may be empty.
        """
        if self.sessions != other.sessions:
            yield PeopleChange(sessions=other.sessions)
        for kind in ("users", "occupied", "reported"):
            before, after = getattr(self, kind), getattr(other, kind)
            for names in _batches(before, after, most):
                part = PeopleChange()
                values = getattr(part, kind)
                for name in names:
                    if (name in before) != (name in after):
                        values[name] = name in after
                yield part
        for topic in self.members.keys() | other.members.keys():
            here = self.members.get(topic, {})
            for names in _batches(here, other.members.get(topic, {}), most):
                there = other.members.get(topic, {})
                counts = {
                    each: there.get(each) for each in names if here.get(each) != there.get(each)
                }
                yield PeopleChange(members={topic: counts} if counts else {})
        for names in _batches(self.anonymous, other.anonymous, most):
            numbers = {
                topic: other.anonymous.get(topic, 0)
                for topic in names
                if self.anonymous.get(topic, 0) != other.anonymous.get(topic, 0)
            }
            yield PeopleChange(anonymous=numbers)

    def everything(self) -> PeopleChange:
        """Return the change that makes this of nothing."""
        return PeopleChange(
            sessions=self.sessions,
            users=dict.fromkeys(self.users, True),
            members={topic: dict(users) for topic, users in self.members.items()},
            anonymous=dict(self.anonymous),
            occupied=dict.fromkeys(self.occupied, True),
            reported=dict.fromkeys(self.reported, True),
        )

    def without_sessions(self) -> NodePeople:
        """Return what is left of a node that is gone: its users may come back elsewhere.

        It takes the place of this one.
        """
        left = NodePeople()
        # Not copied: nobody changes this one any more.
        left.users = self.users
        left.members = {topic: dict.fromkeys(users, 0) for topic, users in self.members.items()}
        left._member_count = self._member_count
        left.occupied = self.occupied
        return left


def _batches(before: Collection[str], after: Collection[str], most: int) -> Iterator[Sequence[str]]:
    """Yield the names of both, some of them twice, in batches."""
    names = [] if before is after else [*before, *after]
    for begin in range(0, len(names), most):
        yield names[begin : begin + most]


def _set_difference(before: set[str], after: set[str]) -> dict[str, bool]:
    return dict.fromkeys(before - after, False) | dict.fromkeys(after - before, True)
