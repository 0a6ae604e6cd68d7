"""Keys of WAMP-CRA, and decoys for names without a key.

Owns: what a key consists of, how keys are found, and the saltings that hide which names exist.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from wampush.broker.identity import Identity
from wampush.wamp.cra import Salting

_ALNUM: Final = string.ascii_letters + string.digits
_ALPHABETS: Final = (
    string.digits,
    "0123456789abcdef",
    "0123456789ABCDEF",
    _ALNUM,
    _ALNUM + "+/",
    _ALNUM + "-_",
)


@dataclass(frozen=True, slots=True)
class CraKey:
    """A key of WAMP-CRA.

    :param secret: the key that signs: the secret itself, or what is derived from it by the salting.
    :param identity: the identity of a session that proves it knows the secret.
    :param salting: how clients derive the signing key; None when the secret itself signs.
    """

    secret: str = field(repr=False)
    identity: Identity
    salting: Salting | None = None


class KeySource(Protocol):
    """A source of keys: a file (:class:`CraKeyStore`) or an application."""

    def find(self, name: str) -> CraKey | None:
        """Return the key of a name; None when there is none."""

    def decoy(self, name: str) -> Salting | None:
        """Return the salting for a challenge to a name without a key; always the same per name."""


class CraKeyStore:
    """The keys of a node, and decoys for all other names.

    :param keys: by the name that clients give.
    :param seed: secret from which decoys are made, so that nodes with the same seed have the same
        decoys; None to derive it from the keys, so that it stays the same while they do.
    """

    def __init__(self, keys: Mapping[str, CraKey], seed: bytes | None = None) -> None:
        self._keys = dict(keys)
        self._shapes: Sequence[Salting | None] = [key.salting for key in self._keys.values()]
        salts = [shape.salt for shape in self._shapes if shape is not None]
        self._shared = frozenset(salt for salt, count in Counter(salts).items() if count > 1)
        self._alphabet = _alphabet(salts)
        self._seed = seed or self._derive_seed()

    @property
    def count(self) -> int:
        """The number of keys."""
        return len(self._keys)

    def find(self, name: str) -> CraKey | None:
        """Return the key of a name; None when there is none."""
        return self._keys.get(name)

    def decoy(self, name: str) -> Salting | None:
        """Return a salting for a name without a key; it looks like that of a key."""
        if not self._shapes:
            return None
        noise = int.from_bytes(hmac.digest(self._seed, b"shape" + name.encode(), "sha256"), "big")
        shape = self._shapes[noise % len(self._shapes)]
        if shape is None or shape.salt in self._shared:
            return shape
        return replace(shape, salt=self._decoy_salt(name, shape.salt))

    def _decoy_salt(self, name: str, original: str) -> str:
        body = original.rstrip("=")
        key = hmac.digest(self._seed, b"salt" + name.encode(), "sha256")
        # Eight bytes more than needed, so that all characters are equally likely.
        noise = int.from_bytes(hashlib.shake_256(key).digest(len(body) + 8), "big")
        salt = ""
        for _ in body:
            noise, index = divmod(noise, len(self._alphabet))
            salt += self._alphabet[index]
        return salt + original[len(body) :]

    def _derive_seed(self) -> bytes:
        if not self._keys:
            return secrets.token_bytes(32)
        digest = hmac.new(b"wampush decoys", digestmod="sha256")
        for name in sorted(self._keys):
            digest.update(name.encode() + b"\0" + self._keys[name].secret.encode() + b"\0")
        return digest.digest()


def _alphabet(salts: Sequence[str]) -> str:
    """Return the characters that salts like these consist of."""
    used = set("".join(salt.rstrip("=") for salt in salts))
    for known in _ALPHABETS:
        if used <= set(known):
            return known
    return "".join(sorted(used))
