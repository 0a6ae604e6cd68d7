"""Check of patterns for web origins.

Owns: which patterns are accepted, and what is said about those that could never match. They are
kept in canonical form.
"""

from __future__ import annotations

from typing import Annotated, Final

from wampush.config.checks.check import Rejected, converted
from wampush.web_origin import NULL, canonical_pattern

_FORM: Final = (
    'an origin such as "https://*.example.com", a host such as "www.example.com", "file://", '
    '"same-host" or "*"'
)


def _canonical(text: str) -> object:
    return canonical_pattern(text) or Rejected(f"{_FORM}{_hint(text)}", text)


def _hint(text: str) -> str:
    """Return what to do about a frequent mistake, as an addition to what would be right."""
    if text.lower() == NULL:
        return "; to permit pages with the origin null, set websocket.allow_null_origin = true"
    if not text.isascii():
        return "; browsers send host names in ASCII, with xn-- for other characters"
    if "/" in text.partition("://")[2]:
        return "; an origin has no path"
    return ""


OriginPattern = Annotated[str, converted(_FORM, _canonical)]
