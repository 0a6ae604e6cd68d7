"""Tokens as a web application makes them, without a library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

#: What signs them, as in the file of ``token.key_file``.
KEY = "0123456789abcdef0123456789abcdef"


def token(user: str, *groups: str, key: str = KEY, seconds: int = 3600) -> str:
    """A JSON Web Token (HS256) of a user, good for an hour or other ``seconds``."""
    claims = {"sub": user, "groups": list(groups), "exp": int(time.time()) + seconds}
    signed = ".".join(_encoded(json.dumps(each)) for each in ({"alg": "HS256"}, claims))
    digest = hmac.digest(key.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_encoded(digest)}"


def _encoded(data: str | bytes) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
