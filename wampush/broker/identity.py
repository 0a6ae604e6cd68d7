"""The identity of a session.

Owns: Identity, its form as JSON, and the two that need no credentials.
Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final


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


def identity_as_json(identity: Identity) -> Mapping[str, object] | None:
    """Return an identity as JSON values; None for the anonymous one."""
    if identity == ANONYMOUS:
        return None
    return {
        "user": identity.user,
        "groups": sorted(identity.groups),
        "web_session": identity.web_session,
        "language": identity.language,
        "data": dict(identity.data),
        "expires": identity.expires,
        "source": identity.source,
    }


def identity_from_json(values: Mapping[str, Any] | None) -> Identity:
    """Return the identity of :func:`identity_as_json`; fields that are not known are ignored."""
    if values is None:
        return ANONYMOUS
    return Identity(
        user=values.get("user"),
        groups=frozenset(values.get("groups") or ()),
        web_session=values.get("web_session"),
        language=values.get("language"),
        data=MappingProxyType(dict(values.get("data") or {})),
        expires=values.get("expires"),
        source=values.get("source") or ANONYMOUS.source,
    )


AWAITING: Final = "awaiting-cra"
