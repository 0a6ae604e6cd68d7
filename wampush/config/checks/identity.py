"""Checks of the names and URLs by which clients are authenticated.

Must not import: Twisted, Autobahn, or anything of wampush but the common checks.
"""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from wampush.config.checks.common import StringCheck

# RFC 9110 section 5.6.2: names of headers; RFC 6265 section 4.1.1: of cookies.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
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


NAME: Final = StringCheck(_NAME_FORM, _TOKEN.fullmatch)
# Nothing in the URL may be secret, because it is logged.
HTTP_URL: Final = StringCheck(
    "an http:// or https:// URL without user name and fragment", _is_http_url, optional=True
)
Name = Annotated[str, NAME]
OptionalName = Annotated[str, StringCheck(_NAME_FORM, _TOKEN.fullmatch, optional=True)]
HttpUrl = Annotated[str, HTTP_URL]
