"""From what a web application says about a user to an identity.

Owns: which JSON values may be a user, groups, a language, free attributes. Pure.
Must not import: Twisted, Autobahn.

Numbers are taken for ids and become text: PHP and SQL know ids as numbers, topics as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wampush.errors import WampushError


class Unusable(WampushError):
    """A value is of the wrong kind; the text says which and what would be right."""


def name_of(value: object, what: str) -> str | None:
    """A user id or a session key; None for null.

    :param what: how errors call it.
    :raises Unusable: when it is neither text nor a whole number.
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        return str(value)
    if isinstance(value, str) and value and _is_clean(value):
        return value
    raise Unusable(f"{what} is no text without control characters, no whole number and not null.")


def groups_of(value: object) -> frozenset[str]:
    """The groups; none for null.

    :raises Unusable: when it is no list of names.
    """
    if value is None:
        return frozenset()
    if not isinstance(value, list):
        raise Unusable("groups is no list.")
    names = (name_of(each, "An element of groups") for each in value)
    return frozenset(name for name in names if name is not None)


def language_of(value: object, what: str) -> str | None:
    """A language tag; None for null and for nothing.

    :raises Unusable: when it is no short text.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) <= 64 and _is_clean(value):
        return value
    raise Unusable(f"{what} is no language tag such as pt-BR.")


def attributes_of(value: object) -> Mapping[str, object]:
    """Free attributes; an empty list too, because that is how PHP writes an empty array.

    :raises Unusable: when it is no object.
    """
    if value is None or value == []:
        return MappingProxyType({})
    if not isinstance(value, dict):
        raise Unusable("data is no object.")
    return MappingProxyType(value)


def _is_clean(text: str) -> bool:
    return not any(ord(each) < 32 or 0xD800 <= ord(each) < 0xE000 for each in text)
