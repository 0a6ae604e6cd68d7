"""The list of tables ``[[permissions]]``: which clients may do what.

Owns: the form of an entry, and entries that no client reaches. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from wampush.choices import ANYONE, AUTHENTICATED, USER, Action
from wampush.config.checks.check import whole
from wampush.config.checks.permissions import PermissionPattern, Receiver
from wampush.config.rules import Conflict, never_reached, rule, too_long
from wampush.config.setting import GIB, Rate, Some
from wampush.topics import matches_all_of


@dataclass(frozen=True, slots=True)
class PermissionSettings:
    """One entry of ``[[permissions]]``. The first match wins.

    :param match: The topics or procedures; ``{user}`` and ``{group}`` stand for those of the
        session.
    :param actions: The actions of the entry; leaving it out grants nothing.
    :param to: The sessions of the entry; a session needs to be only one of these.
    :param allow: Most entries grant; ``false`` makes an exception to a later one.
    :param max_bytes: The longest event, or message of a call. 0: only
        ``websocket.max_message_bytes`` applies.
    :param per_second: The rate in one session, with a burst of one second. 0: no limit.
    """

    match: PermissionPattern
    actions: Some[Action]
    to: Some[Receiver]
    allow: bool = True
    max_bytes: Annotated[int, whole(0, GIB, "bytes")] = 0
    per_second: Rate = 0.0

    def shadows(self, later: PermissionSettings) -> bool:
        """Return whether a later entry can never decide, because this one always does."""
        return (
            set(later.actions) <= set(self.actions)
            and self._is_for_all_of(later)
            and self._matches_all_of(later)
        )

    def _is_for_all_of(self, later: PermissionSettings) -> bool:
        if ANYONE in self.to:
            return True
        users = AUTHENTICATED in self.to
        return all(each in self.to or (users and each.startswith(USER)) for each in later.to)

    def _matches_all_of(self, later: PermissionSettings) -> bool:
        if "{" in self.match:
            return self.match == later.match
        return matches_all_of(self.match, later.match)


@rule("permissions", "limits.topic_bytes")
def permissions_have_an_effect(
    permissions: Mapping[int, PermissionSettings], most: int
) -> Iterator[Conflict]:
    """An entry must match topics that can exist, which no earlier entry decides.

    A limit must be on something that the entry allows and that has a payload.
    """
    for number, entry in permissions.items():
        if problem := too_long(entry.match.removesuffix("*"), most):
            yield Conflict(number, "match", problem)
        for name in ("max_bytes", "per_second"):
            if getattr(entry, name) and not entry.allow:
                problem = "must be left out where allow is false: there is nothing to limit"
                yield Conflict(number, name, problem)
        if entry.max_bytes and entry.actions == (Action.SUBSCRIBE,):
            problem = "must be left out where actions is only subscribe, which has no payload"
            yield Conflict(number, "max_bytes", problem)
    yield from never_reached(
        "permissions", permissions, PermissionSettings.shadows, "decides the same cases"
    )
