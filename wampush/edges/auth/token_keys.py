"""The keys that verify tokens, and those that sign tokens for tests.

Owns: reading a shared secret, a PEM key or a JWK set, and the algorithm of each key.
Must not import: Twisted, Autobahn, the broker.

Every key has one algorithm, fixed when it is read: by the setting, or by the type of the key in a
JWK set. The algorithm that a token states is only compared with it, so a public key can never be
used as a shared secret (RFC 8725 section 2.1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from wampush.config.tables.identity import TokenSettings
from wampush.errors import OperatorError
from wampush.net import secret_files

#: HS256 keys are at least as long as the hash (RFC 7518 section 3.2), RSA keys 2048 bits.
SECRET_BYTES: Final = 32
_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key for tokens.

    :param algorithm: the only one that it is used with.
    :param key: as PyJWT expects it.
    :param kid: its key id in a JWK set; None for a key in a file of its own.
    """

    algorithm: str
    key: Any = field(repr=False)
    kid: str | None = None


def load(settings: TokenSettings) -> Sequence[TokenKey]:
    """Read the keys that verify tokens.

    :raises OperatorError: when a file cannot be read, or contains no usable key.
    """
    if settings.jwks_file:
        where = f"token.jwks_file {settings.jwks_file!r}"
        return _key_set(secret_files.read(settings.jwks_file, "token.jwks_file"), where)
    where = f"token.key_file {settings.key_file!r}"
    content = secret_files.read(settings.key_file, "token.key_file")
    if settings.algorithm == "HS256":
        return [TokenKey("HS256", _secret(content, where))]
    if b"PRIVATE KEY" in content:
        raise OperatorError(f"{where} contains a private key; wampush needs only the public key")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OperatorError(f"{where} contains no public key in PEM format") from error
    _check_kind(key, settings.algorithm, where)
    return [TokenKey(settings.algorithm, key)]


def load_signing_key(path: str, algorithm: str, setting: str) -> TokenKey:
    """Read a key that signs tokens: the shared secret, or a private key in PEM, not encrypted.

    :param setting: the option or setting that names the file, for the error.
    :raises OperatorError: when the file contains no such key.
    """
    where = f"{setting} {path!r}"
    content = secret_files.read(path, setting)
    if algorithm == "HS256":
        return TokenKey(algorithm, _secret(content, where))
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise OperatorError(
            f"{where} contains no private key in PEM format without passphrase, which {algorithm} "
            "needs for signing"
        ) from error
    _check_kind(key, algorithm, where)
    return TokenKey(algorithm, key)


def _secret(content: bytes, where: str) -> bytes:
    secret = content.strip()
    if b"-----BEGIN" in secret:
        raise OperatorError(
            f'{where} is a PEM file; token.algorithm = "HS256" needs a shared secret'
        )
    if len(secret) < SECRET_BYTES:
        raise OperatorError(
            f"{where} contains {len(secret)} bytes; HS256 needs at least {SECRET_BYTES}, for "
            "example from: openssl rand -hex 32"
        )
    return secret


def _check_kind(key: object, algorithm: str, where: str) -> None:
    if algorithm == "RS256":
        if not isinstance(key, RSAPublicKey | RSAPrivateKey):
            raise OperatorError(f"{where} contains no RSA key, which RS256 needs")
        if key.key_size < _RSA_BITS:
            raise OperatorError(
                f"{where} contains an RSA key of {key.key_size} bits; use {_RSA_BITS} or more"
            )
    elif not (
        isinstance(key, EllipticCurvePublicKey | EllipticCurvePrivateKey)
        and isinstance(key.curve, SECP256R1)
    ):
        raise OperatorError(f"{where} contains no P-256 key, which ES256 needs")


# JWK sets (RFC 7517).


def _key_set(content: bytes, where: str) -> Sequence[TokenKey]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"{where} is not JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise OperatorError(f'{where} is not a JWK set, which is an object with a list "keys"')
    found = [_key(entry, f"{where}, key {number}") for number, entry in enumerate(entries, 1)]
    keys = [key for key in found if key is not None]
    if not keys:
        raise OperatorError(f"{where} contains no key for RS256 or ES256")
    names = [key.kid for key in keys]
    if len(set(names)) < len(names):
        raise OperatorError(f"{where} contains two keys with the same kid, or two without a kid")
    return keys


def _key(entry: Mapping[str, object], where: str) -> TokenKey | None:
    """Return the key of an entry; None for keys with other uses or algorithms."""
    kind = entry.get("kty")
    if kind == "oct" or "d" in entry:
        raise OperatorError(
            f"{where} is a secret or private key; this JWK set must contain public keys only"
        )
    algorithm = {"RSA": "RS256", "EC": "ES256"}.get(kind) if isinstance(kind, str) else None
    if algorithm is None or entry.get("use", "sig") != "sig":
        return None
    if entry.get("alg", algorithm) != algorithm or entry.get("crv", "P-256") != "P-256":
        return None
    reader = RSAAlgorithm if algorithm == "RS256" else ECAlgorithm
    try:
        key = reader.from_jwk(json.dumps(entry))
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise OperatorError(f"{where} is malformed") from error
    _check_kind(key, algorithm, where)
    kid = entry.get("kid")
    if not (kid is None or isinstance(kid, str)):
        raise OperatorError(f"{where} has a kid that is not a string")
    return TokenKey(algorithm, key, kid)
