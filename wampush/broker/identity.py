"""Who a session belongs to.

Owns: Identity, and the two that nobody has proved. Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of the person behind a session.

    :param user: user id; None when nobody is logged in.
    :param groups: groups of the user.
    :param web_session: key of the web application's session, None when there is none.
    :param language: language tag such as ``de`` or ``pt-BR``, None when unknown.
    :param data: free attributes of the web application, JSON values.
    :param expires: when this stops being true, in seconds since the epoch; None for never.
    :param source: what vouched for it: ``anonymous``, ``token``, ``callback`` or ``cra``;
        ``awaiting-cra`` while nothing has and the session may do nothing else.
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
