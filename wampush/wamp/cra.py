"""WAMP-CRA: proving knowledge of a secret without sending it.

Owns: the text of a challenge, its signature, the key derived from a secret, error and procedure
URIs. Pure. Must not import: anything of wampush but ``errors``.

Sources: the WAMP v1 specification and AutobahnJS 0.7 (``ab.deriveKey``, ``authsign``). The client
signs the challenge as the very text that it got, so that text has to be kept, or signed at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson

PROCEDURE_AUTHREQ: Final = "http://api.wamp.ws/procedure#authreq"
PROCEDURE_AUTH: Final = "http://api.wamp.ws/procedure#auth"

ERROR_ALREADY_AUTHENTICATED: Final = "http://api.wamp.ws/error#already-authenticated"
ERROR_ALREADY_REQUESTED: Final = "http://api.wamp.ws/error#authentication-already-requested"
ERROR_ANONYMOUS_FORBIDDEN: Final = "http://api.wamp.ws/error#anonymous-auth-forbidden"
ERROR_PERMISSIONS: Final = "http://api.wamp.ws/error#auth-permissions-error"
ERROR_NOT_REQUESTED: Final = "http://api.wamp.ws/error#no-authentication-requested"
ERROR_INVALID_SIGNATURE: Final = "http://api.wamp.ws/error#invalid-signature"

#: The defaults of AutobahnJS for challenges that do not give them.
ITERATIONS: Final = 10_000
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Salting:
    """How a client derives the signing key from the secret that a person knows.

    :param salt: text whose UTF-8 bytes are the salt.
    :param iterations: rounds of PBKDF2 (RFC 8018).
    :param key_bytes: bytes of the derived key, before Base64; AutobahnJS derives multiples of 4.
    """

    salt: str
    iterations: int = ITERATIONS
    key_bytes: int = KEY_BYTES


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that a client has to sign.

    :param authid: random, so that no two challenges are equal.
    :param authkey: the key that the client named.
    :param time: when the challenge was made, in seconds since the epoch.
    :param session_id: of the session that asked.
    :param extra: what the client sent along; returned unchanged.
    :param salting: how the signing key is derived; None when the secret itself signs.
    """

    authid: str
    authkey: str
    time: float
    session_id: str
    extra: Mapping[str, object] = field(default_factory=dict)
    salting: Salting | None = None

    def text(self) -> str:
        """Return the JSON text to send and to sign.

        ``permissions`` is empty. If it showed what a key may do, anyone could find out before
        proving anything which keys exist. The answer to a right signature has the permissions.

        :raises TypeError: when ``extra`` is nested too deeply.
        """
        stamp = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        document: dict[str, object] = {
            "authid": self.authid,
            "authkey": self.authkey,
            "timestamp": stamp.replace("+00:00", "Z"),
            "sessionid": self.session_id,
            "extra": self.extra,
            "permissions": {"pubsub": [], "rpc": []},
        }
        if self.salting is not None:
            document["authextra"] = {
                "salt": self.salting.salt,
                "keylen": self.salting.key_bytes,
                "iterations": self.salting.iterations,
            }
        return orjson.dumps(document).decode()


def derive(secret: str, salting: Salting) -> str:
    """Return the key that a client derives from its secret.

    It is the Base64 of PBKDF2-HMAC-SHA256, used as text.
    """
    key = hashlib.pbkdf2_hmac(
        "sha256",
        secret.encode(),
        salting.salt.encode(),
        salting.iterations,
        salting.key_bytes,
    )
    return base64.b64encode(key).decode()


def sign(challenge: str, key: str) -> str:
    """Return the signature of a challenge: the Base64 of HMAC-SHA256.

    :param challenge: its text, exactly as it was sent.
    :param key: the secret, or the key that :func:`derive` returns.
    """
    digest = hmac.digest(key.encode(), challenge.encode(), "sha256")
    return base64.b64encode(digest).decode()


def signatures_match(given: str, expected: str) -> bool:
    """Return whether two signatures are equal, in a time that does not depend on where they differ.

    :param given: what a client sent; any text.
    """
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
