"""Words of the configuration that decide what the broker does.

Owns: the slow-client policies, the actions that permissions are about, and the words for those
whom a permission applies to. Must not import: anything of wampush.

The settings check values against these, and the broker acts on them: each word has one definition.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class SlowClient(StrEnum):
    """What happens to an event for which a slow client has no room, as its topic's rule says."""

    DISCONNECT = "disconnect"
    DROP_NEWEST = "drop-newest"
    LATEST = "latest"


@unique
class Action(StrEnum):
    """What a client may want to do with a topic, or with a procedure."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    CALL = "call"


#: Receivers of a permission: every session, and every session that has a user.
ANYONE: Final = "anyone"
AUTHENTICATED: Final = "authenticated"
#: Prefixes of receivers that are one user, by id, or the members of one group, by name.
USER: Final = "user:"
GROUP: Final = "group:"
