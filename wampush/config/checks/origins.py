"""Check of patterns for web origins.

Owns: which patterns are accepted, and what is said about those that could never match.
Must not import: Twisted, Autobahn, or anything of wampush but the common checks and ``web_origin``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from wampush.config.checks.common import Rejected, StringCheck
from wampush.web_origin import NULL, canonical_pattern


@dataclass(frozen=True, slots=True)
class OriginCheck(StringCheck):
    """A pattern for origins; it is kept in canonical form."""

    form: str = (
        'an origin such as "https://*.example.com", a host such as "www.example.com", "file://", '
        '"same-host" or "*"'
    )

    def check(self, value: object) -> object:
        """Accept patterns that can match an origin that a client sends."""
        checked = StringCheck.check(self, value)
        if not isinstance(checked, str):
            return checked
        pattern = canonical_pattern(checked)
        if pattern is None:
            return Rejected(f"{self.allowed}{_hint(checked)}", checked)
        return pattern


def _hint(text: str) -> str:
    """Return what to do about a frequent mistake, as an addition to what would be right."""
    if text.lower() == NULL:
        return "; to permit pages with the origin null, set websocket.allow_null_origin = true"
    if not text.isascii():
        return "; browsers send host names in ASCII, with xn-- for other characters"
    if "/" in text.partition("://")[2]:
        return "; an origin has no path"
    return ""


OriginPattern = Annotated[str, OriginCheck()]
