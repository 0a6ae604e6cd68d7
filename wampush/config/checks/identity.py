"""The checkers for the settings about who clients are.

Owns: what a name, optional text and the URL of a web application may be.
Must not import: Twisted, Autobahn, or anything of wampush but ``checkers.common``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from wampush.config.checks.common import Rejected, StringCheck, Text

# RFC 9110 section 5.6.2: names of headers; RFC 6265 section 4.1.1: of cookies.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class TextOrNone(StringCheck):
    """Any text; the empty one means none."""

    allowed: str = 'a string, or "" for none'

    def check(self, value: object) -> object:
        """Accept text that UTF-8 can express."""
        return "" if value == "" else Text(self.allowed).check(value)


@dataclass(frozen=True, slots=True)
class Name(StringCheck):
    """The name of a header, cookie or query parameter.

    :param or_none: whether it may be empty, for none.
    """

    or_none: bool = False

    @property
    def allowed(self) -> str:
        """The form."""
        form = 'a name of letters, digits, "-" and "_"'
        return f'{form}, or "" for none' if self.or_none else form

    def check(self, value: object) -> object:
        """Accept what HTTP calls a token."""
        if value == "" and self.or_none:
            return value
        checked = Text(self.allowed).check(value)
        usable = isinstance(checked, str) and _TOKEN.fullmatch(checked)
        return checked if usable or isinstance(checked, Rejected) else Rejected(self.allowed, value)


@dataclass(frozen=True, slots=True)
class HttpUrl(StringCheck):
    """The address of a web application; nothing of it may be secret, since it is logged."""

    allowed: str = 'an http:// or https:// URL without user name and fragment, or "" for none'

    def check(self, value: object) -> object:
        """Accept URLs of printable ASCII with a host."""
        checked = TextOrNone(self.allowed).check(value)
        if not isinstance(checked, str) or not checked:
            return checked
        return checked if self._is_usable(checked) else Rejected(self.allowed, value)

    @staticmethod
    def _is_usable(url: str) -> bool:
        if not url.isascii() or not url.isprintable() or " " in url:
            return False
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        return known and port != 0 and not parts.fragment and "@" not in parts.netloc
