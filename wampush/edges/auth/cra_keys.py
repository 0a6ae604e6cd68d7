"""Reads the keys of WAMP-CRA from a TOML file.

Owns: the form of that file; strict, and without a secret in any error.
Must not import: Twisted, Autobahn.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Final

from wampush.broker.identity import Identity
from wampush.broker.requests.cra import CraKey, CraKeys
from wampush.edges.auth.claims import Unusable, attributes_of, groups_of, language_of, name_of
from wampush.errors import OperatorError
from wampush.net import secret_files
from wampush.wamp.cra import ITERATIONS, KEY_BYTES, Salting

_KNOWN: Final = frozenset(
    ("secret", "derived", "salt", "iterations", "keylen", "user", "groups", "language", "data")
)
_MOST_ITERATIONS: Final = 10_000_000
_MOST_KEY_BYTES: Final = 1024


def load(path: str) -> CraKeys:
    """The keys in a file: ``[keys.NAME]`` with ``secret``, or ``derived`` and ``salt``.

    :raises OperatorError: when it can not be read or used.
    """
    where = f"cra.keys_file {path!r}"
    content = secret_files.read(path, "cra.keys_file")
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        # The reader's own text may repeat a part of the file; the place alone does not.
        place = str(error).rpartition("(at ")[2].rstrip(")")
        told = f" (at {place})" if place.startswith(("line ", "end ")) else ""
        raise OperatorError(f"{where} is not TOML in UTF-8{told}") from None
    seed = document.pop("decoy_seed", None)
    if not (seed is None or (isinstance(seed, str) and len(seed) >= 16)):
        raise OperatorError(f"{where}: decoy_seed must be a string of 16 characters or more")
    tables = document.pop("keys", None)
    if document or not isinstance(tables, dict) or not tables:
        raise OperatorError(f"{where} must hold [keys.NAME] for each key, and may hold decoy_seed")
    keys = {name: _key(name, table, f"{where}: keys.{name}") for name, table in tables.items()}
    return CraKeys(keys, None if seed is None else seed.encode())


def _key(name: str, table: object, where: str) -> CraKey:
    if not isinstance(table, dict):
        raise OperatorError(f"{where} must be a table")
    unknown = sorted(table.keys() - _KNOWN)
    if unknown:
        known = ", ".join(sorted(_KNOWN))
        raise OperatorError(f"{where} has the unknown key {unknown[0]!r}; known are {known}")
    salting = _salting(table, where)
    secret = table.get("secret" if salting is None else "derived")
    if not isinstance(secret, str) or not secret or {"secret", "derived"} <= table.keys():
        raise OperatorError(
            f'{where} must have either "secret", or "salt" and the "derived" key, as text'
        )
    try:
        identity = Identity(
            user=name_of(table.get("user", name), "user"),
            groups=groups_of(table.get("groups")),
            language=language_of(table.get("language"), "language"),
            data=attributes_of(table.get("data")),
            source="cra",
        )
    except Unusable as error:
        raise OperatorError(f"{where}: {error}") from error
    return CraKey(secret, identity, salting)


def _salting(table: Mapping[str, object], where: str) -> Salting | None:
    if not table.keys() & {"salt", "derived", "iterations", "keylen"}:
        return None
    salt = table.get("salt")
    if not isinstance(salt, str) or not salt:
        raise OperatorError(f"{where}: salt must be a string that is not empty")
    iterations = _number(table, "iterations", ITERATIONS, _MOST_ITERATIONS, where)
    key_bytes = _number(table, "keylen", KEY_BYTES, _MOST_KEY_BYTES, where)
    return Salting(salt, iterations, key_bytes)


def _number(table: Mapping[str, object], name: str, default: int, most: int, where: str) -> int:
    value = table.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise OperatorError(f"{where}: {name} must be a whole number from 1 to {most}")
    return value
