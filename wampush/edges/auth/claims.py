"""Claims of a web application about a user, converted for an identity.

Owns: which JSON values are valid as user id, groups, language and free attributes. Pure.
Must not import: Twisted, Autobahn.

Numbers are valid ids and become strings: PHP and SQL have ids as numbers, topics have them as text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from wampush.errors import BackendError

_MAX_LANGUAGE: Final = 64
#: Unicode categories: control characters, surrogates, line and paragraph separators.
_UNCLEAN: Final = frozenset(("Cc", "Cs", "Zl", "Zp"))
#: Unicode Standard Annex #9 section 2.
_BIDI_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


#: The year 5138 in seconds; the present in milliseconds is beyond.
_MAX_EXPIRY: Final = 100_000_000_000


class InvalidClaim(BackendError):
    """A claim whose value is not valid; the text says which, and what would be right."""


def user_id(value: object, claim: str) -> str | None:
    """Convert a user id, or another id such as a session key; None for null.

    :param claim: what error messages call it.
    :raises InvalidClaim: when it is neither a string nor a whole number.
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        return str(value)
    if isinstance(value, str) and value and _is_clean(value):
        return value
    raise InvalidClaim(
        f"{claim} must be a string without control characters, a whole number, or null."
    )


def groups(value: object) -> frozenset[str]:
    """Convert the groups; none for null.

    :raises InvalidClaim: when it is not a list of names.
    """
    if value is None:
        return frozenset()
    if not isinstance(value, list):
        raise InvalidClaim("groups must be a list.")
    names = (user_id(each, "each element of groups") for each in value)
    return frozenset(name for name in names if name is not None)


def language(value: object, claim: str) -> str | None:
    """Convert a language tag; None for null and for the empty string.

    :param claim: what error messages call it.
    :raises InvalidClaim: when it is not a short string.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) <= _MAX_LANGUAGE and _is_clean(value):
        return value
    raise InvalidClaim(f"{claim} must be a language tag such as pt-BR.")


def expiry(value: object, claim: str) -> float | None:
    """Convert an end of validity, in seconds since the epoch; None for null.

    :param claim: what error messages call it.
    :raises InvalidClaim: when it is not a number, or so far ahead that it must be milliseconds,
        with which the identity would never expire.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise InvalidClaim(f"{claim} must be a number of seconds since the epoch.")
    if value >= _MAX_EXPIRY:
        raise InvalidClaim(
            f"{claim} is after the year 5000; it must be in seconds since the epoch, not in "
            "milliseconds."
        )
    return float(value)


def attributes(value: object) -> Mapping[str, object]:
    """Convert free attributes; also from an empty list, which is how PHP writes an empty array.

    :raises InvalidClaim: when it is not an object.
    """
    if value is None or value == []:
        return MappingProxyType({})
    if not isinstance(value, dict):
        raise InvalidClaim("data must be an object.")
    return MappingProxyType(value)


def _is_clean(text: str) -> bool:
    """Whether a text shows as what it is, on a terminal too.

    It contains no control characters, surrogates or line separators, nor characters that change
    the direction of the text around them. Other invisible characters belong to some languages.
    """
    return text.isprintable() or not any(
        unicodedata.category(each) in _UNCLEAN or each in _BIDI_CONTROLS for each in text
    )
