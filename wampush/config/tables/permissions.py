"""The settings about who may connect, how that is protected, and who may do what.

Owns: the tables ``[proxy]``, ``[zmq]``, ``[tls]`` and ``[[permissions]]``, which ``settings``
joins to the others; the form of a setting's metadata.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and ``topics``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wampush.choices import ANYONE, AUTHENTICATED, USER
from wampush.config.checks.common import (
    Flag,
    Number,
    WholeNumber,
)
from wampush.config.checks.permissions import ACTIONS, RECEIVERS, PermissionPattern
from wampush.config.setting import GIB, about
from wampush.topics import matches_all_of

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class PermissionSettings:
    """One entry of ``[[permissions]]``: who may do what. The first that matches wins."""

    match: str = field(
        metadata=about(
            "",
            "Which topics or procedures; `{user}` and `{group}` stand for those of the session.",
            PermissionPattern(),
        ),
    )
    actions: tuple[str, ...] = field(
        metadata=about(
            "", "What the entry is about; nothing is granted by leaving it out.", ACTIONS
        ),
    )
    to: tuple[str, ...] = field(
        metadata=about(
            "", "Who the entry is for; a session needs to be only one of these.", RECEIVERS
        ),
    )
    allow: bool = field(
        default=True,
        metadata=about(
            "", "Entries mostly grant; `false` makes an exception to a later one.", Flag()
        ),
    )
    max_bytes: int = field(
        default=0,
        metadata=about(
            "bytes",
            "The longest event, or message of a call. 0: only `websocket.max_message_bytes` holds.",
            WholeNumber(0, GIB),
        ),
    )
    per_second: float = field(
        default=0.0,
        metadata=about(
            "1/s",
            "How often in one session, as many at once as in one second. 0: no limit.",
            Number(0, 1_000_000),
        ),
    )

    def hides(self, later: PermissionSettings) -> bool:
        """Tell whether an entry further down can never decide, because this one always does."""
        return (
            set(later.actions) <= set(self.actions)
            and self._is_for_all_of(later)
            and self._covers_all_of(later)
        )

    def _is_for_all_of(self, later: PermissionSettings) -> bool:
        if ANYONE in self.to:
            return True
        users = AUTHENTICATED in self.to
        return all(each in self.to or (users and each.startswith(USER)) for each in later.to)

    def _covers_all_of(self, later: PermissionSettings) -> bool:
        if "{" in self.match:
            return self.match == later.match
        return matches_all_of(self.match, later.match)
