"""The audience that a client names when it publishes.

Owns: what ``exclude``, ``excludeMe`` and ``eligible`` mean together. Pure.
Must not import: Twisted, the edges, the apps.
"""

from __future__ import annotations

from wampush.broker.publication import EVERYONE, Audience
from wampush.wamp.messages import Publish


def audience_named(request: Publish, session_id: str) -> Audience:
    """Return who is to get what a client publishes.

    A list of excluded sessions replaces ``excludeMe``.

    :param session_id: of the client.
    """
    if request.exclude is not None:
        exclude = frozenset(request.exclude)
    else:
        exclude = frozenset((session_id,) if request.exclude_me else ())
    if request.eligible is None:
        return Audience(exclude, None) if exclude else EVERYONE
    return Audience(exclude, frozenset(request.eligible))
