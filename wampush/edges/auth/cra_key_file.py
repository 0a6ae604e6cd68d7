"""The WAMP-CRA keys in a TOML file.

Owns: the format of this file. It is read strictly, and no error contains a secret.
Must not import: Twisted, Autobahn.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Final

from wampush.broker.identity import Identity
from wampush.broker.requests.cra_key_store import CraKey, CraKeyStore
from wampush.edges.auth import claims
from wampush.edges.auth.claims import InvalidClaim
from wampush.errors import OperatorError
from wampush.net import secret_files
from wampush.wamp.cra import ITERATIONS, KEY_BYTES, Salting

_KNOWN: Final = frozenset(
    ("secret", "derived", "salt", "iterations", "keylen", "user", "groups", "language", "data")
)
_MAX_ITERATIONS: Final = 10_000_000
_MAX_KEY_BYTES: Final = 1024


def load(path: str) -> CraKeyStore:
    """Read a key file: ``[keys.NAME]`` with ``secret``, or with ``derived`` and ``salt``.

    :raises OperatorError: when it cannot be read or used.
    """
    where = f"cra.keys_file {path!r}"
    content = secret_files.read(path, "cra.keys_file")
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        # The message of tomllib may quote the file; the position in it does not.
        place = str(error).rpartition("(at ")[2].rstrip(")")
        position = f" (at {place})" if place.startswith(("line ", "end ")) else ""
        raise OperatorError(f"{where} is not TOML in UTF-8{position}") from None
    seed = document.pop("decoy_seed", None)
    if not (seed is None or (isinstance(seed, str) and len(seed) >= 16)):
        raise OperatorError(f"{where}: decoy_seed must be a string of at least 16 characters")
    tables = document.pop("keys", None)
    if document or not isinstance(tables, dict) or not tables:
        raise OperatorError(
            f"{where} must contain [keys.NAME] for each key and, optionally, decoy_seed"
        )
    keys = {name: _key(name, table, f"{where}: keys.{name}") for name, table in tables.items()}
    return CraKeyStore(keys, None if seed is None else seed.encode())


def _key(name: str, table: object, where: str) -> CraKey:
    if not isinstance(table, dict):
        raise OperatorError(f"{where} must be a table")
    unknown = sorted(table.keys() - _KNOWN)
    if unknown:
        known = ", ".join(sorted(_KNOWN))
        raise OperatorError(f"{where} has the unknown setting {unknown[0]!r}; known are {known}")
    salting = _salting(table, where)
    secret = table.get("secret" if salting is None else "derived")
    if not isinstance(secret, str) or not secret or {"secret", "derived"} <= table.keys():
        raise OperatorError(
            f'{where} must have either "secret", or "salt" and "derived", as strings'
        )
    try:
        identity = Identity(
            user=claims.user_id(table.get("user", name), "user"),
            groups=claims.groups(table.get("groups")),
            language=claims.language(table.get("language"), "language"),
            data=claims.attributes(table.get("data")),
            source="cra",
        )
    except InvalidClaim as error:
        raise OperatorError(f"{where}: {error}") from error
    return CraKey(secret, identity, salting)


def _salting(table: Mapping[str, object], where: str) -> Salting | None:
    if not table.keys() & {"salt", "derived", "iterations", "keylen"}:
        return None
    salt = table.get("salt")
    if not isinstance(salt, str) or not salt:
        raise OperatorError(f"{where}: salt must be a non-empty string")
    iterations = _number(table, "iterations", ITERATIONS, _MAX_ITERATIONS, where)
    key_bytes = _number(table, "keylen", KEY_BYTES, _MAX_KEY_BYTES, where)
    return Salting(salt, iterations, key_bytes)


def _number(table: Mapping[str, object], name: str, default: int, most: int, where: str) -> int:
    value = table.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise OperatorError(f"{where}: {name} must be a whole number from 1 to {most}")
    return value
