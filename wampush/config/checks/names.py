"""Checks of names, URLs and paths of HTTP, and of the names of application code.

Owns: their forms. Must not import: Twisted, the settings.

Whether a Python module exists is the business of ``apps/loader.py``.
"""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from wampush.config.checks.check import string

# RFC 9110 section 5.6.2: names of headers; RFC 6265 section 4.1.1: of cookies.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 3986 section 3.3, without percent-encoding, which would give one path several spellings.
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*")
_OBJECT: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
_NAME_FORM: Final = 'a name of letters, digits, "-" and "_"'


def _is_http_url(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_complete = parts.scheme in ("http", "https") and bool(parts.hostname)
    return is_complete and port != 0 and not parts.fragment and "@" not in parts.netloc


NAME: Final = string(_NAME_FORM, _TOKEN.fullmatch)
# Nothing in the URL may be secret, because it is logged.
HTTP_URL: Final = string(
    "an http:// or https:// URL without user name and fragment", _is_http_url, optional=True
)
Name = Annotated[str, NAME]
OptionalName = Annotated[str, string(_NAME_FORM, _TOKEN.fullmatch, optional=True)]
HttpUrl = Annotated[str, HTTP_URL]
RoutePath = Annotated[
    str, string('a path such as "/chat", without query and percent signs', _PATH.fullmatch)
]
OBJECT_NAME: Final = string(
    'the name of a Python object, "module:attribute", such as "shop.live:app"', _OBJECT.fullmatch
)
ObjectName = Annotated[str, OBJECT_NAME]
