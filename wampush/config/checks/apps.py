"""The checkers for the settings that name application code.

Owns: the form of such names, and of the paths that lead to it.
Must not import: Twisted, or anything of wampush but ``checkers.common``. Whether there is such a
module is the business of ``apps/loader.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wampush.config.checks.common import Rejected, StringCheck, Text

# RFC 3986 section 3.3, without percent-encoding, which would give one path several spellings.
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*")
_NAME: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class ObjectName(StringCheck):
    """The name of a Python object: ``module:attribute``."""

    allowed: str = 'the name of a Python object: "module:attribute", e.g. "shop.live:app"'

    def check(self, value: object) -> object:
        """Accept text of that form."""
        checked = Text(self.allowed).check(value)
        usable = isinstance(checked, str) and _NAME.fullmatch(checked)
        return checked if usable or isinstance(checked, Rejected) else Rejected(self.allowed, value)


@dataclass(frozen=True, slots=True)
class RoutePath(StringCheck):
    """A path of the WebSocket port."""

    allowed: str = 'a path such as "/chat", without query and percent signs'

    def check(self, value: object) -> object:
        """Accept what a client may write in its request line as it stands."""
        checked = Text(self.allowed).check(value)
        usable = isinstance(checked, str) and _PATH.fullmatch(checked)
        return checked if usable or isinstance(checked, Rejected) else Rejected(self.allowed, value)
