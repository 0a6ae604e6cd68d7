"""The bearer token in an Authorization header.

Owns: reading it (RFC 6750 section 2.1). Must not import: anything of wampush.
"""

from __future__ import annotations

from typing import Final

_SCHEME: Final = "bearer "


def bearer_token(authorization: str) -> str | None:
    """Return the token of an ``Authorization: Bearer TOKEN`` header.

    :param authorization: the value of the header, "" when the request has none.
    :returns: the token without white space around it; "" when nothing follows the scheme; None when
        the header is missing or names another scheme.
    """
    header = authorization.lstrip()
    if header[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return header[len(_SCHEME) :].strip()
