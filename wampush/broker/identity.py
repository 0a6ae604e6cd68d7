"""The identity of a session.

Owns: Identity, and the two that need no credentials. Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a session, as the web application describes it.

    :param user: user id; None if nobody is logged in.
    :param groups: groups of the user.
    :param web_session: key of the web application's session; None if there is none.
    :param language: language tag such as ``de`` or ``pt-BR``; None if unknown.
    :param data: free attributes of the web application, JSON values.
    :param expires: when it stops being valid, in seconds since the epoch; None for never.
    :param source: the kind of credentials: ``anonymous``, ``token``, ``callback`` or ``cra``;
        ``awaiting-cra`` if the session has to authenticate before it may do anything else.
    """

    user: str | None = None
    groups: frozenset[str] = frozenset()
    web_session: str | None = None
    language: str | None = None
    data: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    expires: float | None = None
    source: str = "anonymous"


ANONYMOUS: Final = Identity()

AWAITING: Final = "awaiting-cra"
