"""Choices that operators and backends have, and that the broker acts on.

Owns: slow-client policies, who may publish by default, the actions and receivers of permissions,
and the names of a push's options. Must not import: anything of wampush.

What comes in is checked against these, and the code decides by them, so that each choice has one
definition.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class PublishPolicy(StrEnum):
    """Which clients may publish where no permission decides."""

    #: Clients and pages on this machine, while every WebSocket listener is on loopback.
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@unique
class DefaultPermission(StrEnum):
    """Whether an action is allowed where no permission decides."""

    ALLOW = "allow"
    DENY = "deny"


@unique
class SlowClient(StrEnum):
    """What happens to an event for which a slow client has no room, as its topic's rule says."""

    #: Only in the settings: :attr:`CATCH_UP` for topics that keep events, otherwise
    #: :attr:`DISCONNECT`.
    AUTO = "auto"
    DISCONNECT = "disconnect"
    DROP_NEWEST = "drop-newest"
    LATEST = "latest"
    #: It is read from the history later.
    CATCH_UP = "catch-up"


@unique
class CatchUpGap(StrEnum):
    """What happens to a client that has not read an event before the history has lost it."""

    DISCONNECT = "disconnect"
    #: Clients that see positions, and so the gap, go on with the oldest event that is kept.
    SKIP = "skip"


@unique
class Action(StrEnum):
    """What a client may want to do with a topic, or with a procedure."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    CALL = "call"


#: The keys of the options of a push.
PUSH_OPTIONS: Final = ("to", "exclude", "eligible", "topics")
#: Receivers of a permission: every session, and every session that has a user.
ANYONE: Final = "anyone"
AUTHENTICATED: Final = "authenticated"
#: Prefixes of receivers that are one user, by id, or the members of one group, by name.
USER: Final = "user:"
GROUP: Final = "group:"
