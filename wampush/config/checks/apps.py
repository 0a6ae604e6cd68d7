"""Checks of the names of application code and of the paths that lead to it.

Must not import: Twisted, or anything of wampush but the common checks. Whether a module exists is
the business of ``apps/loader.py``.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from wampush.config.checks.common import StringCheck

# RFC 3986 section 3.3, without percent-encoding, which would give one path several spellings.
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*")
_NAME: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")

OBJECT_NAME: Final = StringCheck(
    'the name of a Python object, "module:attribute", such as "shop.live:app"', _NAME.fullmatch
)
ObjectName = Annotated[str, OBJECT_NAME]
RoutePath = Annotated[
    str, StringCheck('a path such as "/chat", without query and percent signs', _PATH.fullmatch)
]
