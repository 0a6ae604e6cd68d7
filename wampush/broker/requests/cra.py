"""WAMP-CRA of one node: who has been asked to prove what, and whether it did.

Owns: the pending challenges, the judgement of their answers, and decoys for unknown keys.
Must not import: Twisted, the edges. Keys, clock and permissions are handed in.

An unknown key looks like a wrong secret: it gets a challenge of the same shape as a known one's,
always with the same salt, and every answer to it is an invalid signature. The challenge itself is
not kept, only the signature that would be right.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from wampush.broker.identity import AWAITING, Identity
from wampush.broker.requests.procedures import (
    ERROR_INVALID_ARGUMENT,
    Become,
    CallRefused,
    Procedures,
)
from wampush.broker.subscriber import Subscriber
from wampush.errors import WampushError
from wampush.wamp import cra
from wampush.wamp.cra import Salting
from wampush.wamp.messages import Call

_UNDECIDED: Final = ("anonymous", AWAITING)
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
    """One key.

    :param secret: what signs: the secret itself, or with a salting what is derived from it.
    :param identity: whose key it is.
    :param salting: how clients derive what signs; None when the secret itself does.
    """

    secret: str = field(repr=False)
    identity: Identity
    salting: Salting | None = None


class KeySource(Protocol):
    """Where keys come from: a file (:class:`CraKeys`), or an application."""

    def find(self, name: str) -> CraKey | None:
        """The key of a name, None when there is none."""

    def decoy(self, name: str) -> Salting | None:
        """The salting to tell for a name without a key; always the same for a name."""


class CraKeys:
    """The keys of a node, and what stands in for those that it does not have.

    :param keys: by the name that clients give.
    :param seed: secret; decoys are made of it, so nodes that share it have the same ones. None:
        it is made of the keys, and so is the same as long as they are.
    """

    def __init__(self, keys: Mapping[str, CraKey], seed: bytes | None = None) -> None:
        self._keys = dict(keys)
        self._shapes: Sequence[Salting | None] = [key.salting for key in self._keys.values()]
        salts = [shape.salt for shape in self._shapes if shape is not None]
        self._shared = frozenset(salt for salt, count in Counter(salts).items() if count > 1)
        self._alphabet = _alphabet(salts)
        self._seed = seed or self._made_of_keys()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._keys)

    def find(self, name: str) -> CraKey | None:
        """The key of a name, None when there is none."""
        return self._keys.get(name)

    def decoy(self, name: str) -> Salting | None:
        """The salting to tell for a name without a key: of the shape that keys here have."""
        if not self._shapes:
            return None
        noise = int.from_bytes(hmac.digest(self._seed, b"shape" + name.encode(), "sha256"), "big")
        shape = self._shapes[noise % len(self._shapes)]
        if shape is None or shape.salt in self._shared:
            return shape
        return replace(shape, salt=self._decoy_salt(name, shape.salt))

    def _decoy_salt(self, name: str, model: str) -> str:
        body = model.rstrip("=")
        key = hmac.digest(self._seed, b"salt" + name.encode(), "sha256")
        # Eight bytes more than needed, so that all characters are equally likely.
        noise = int.from_bytes(hashlib.shake_256(key).digest(len(body) + 8), "big")
        salt = ""
        for _ in body:
            noise, place = divmod(noise, len(self._alphabet))
            salt += self._alphabet[place]
        return salt + model[len(body) :]

    def _made_of_keys(self) -> bytes:
        if not self._keys:
            return secrets.token_bytes(32)
        digest = hmac.new(b"wampush decoys", digestmod="sha256")
        for name in sorted(self._keys):
            digest.update(name.encode() + b"\0" + self._keys[name].secret.encode() + b"\0")
        return digest.digest()


def _alphabet(salts: Sequence[str]) -> str:
    """The characters that salts like these are made of."""
    used = set("".join(salt.rstrip("=") for salt in salts))
    for known in _ALPHABETS:
        if used <= set(known):
            return known
    return "".join(sorted(used))


@dataclass(frozen=True, slots=True)
class _Pending:
    """What a session has been asked to prove.

    :param expected: the right signature; None when nothing is to be proved (anonymous).
    :param identity: who it is then; None for a key that does not exist.
    :param until: when the answer is too late.
    :param challenged: whether the challenge is out; else the key is still looked for.
    """

    expected: str | None = field(repr=False)
    identity: Identity | None
    until: float
    challenged: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A session that wants a challenge.

    :param name: of its key.
    :param extra: what it sent along.
    :param pending: its place among those that have asked.
    """

    name: str
    extra: Mapping[str, object]
    pending: _Pending


class CraProcedures:
    """Answers ``authreq`` and ``auth``.

    :param keys: gives the keys in force; asked for each request, so that they can change.
    :param permissions_for: the permissions object of a session that becomes an identity; may raise
        WampushError.
    :param become: gives a session that has proved it another identity.
    :param now: the time in seconds since the epoch.
    :param timeout: seconds that a client has between ``authreq`` and ``auth``.
    :param anonymous: whether a session may go on as nobody.
    """

    def __init__(
        self,
        keys: Callable[[], KeySource],
        permissions_for: Callable[[Subscriber, Identity], object],
        become: Become,
        now: Callable[[], float],
        timeout: float,
        anonymous: bool,
    ) -> None:
        self._keys = keys
        self._permissions_for = permissions_for
        self._become = become
        self._now = now
        self._timeout = timeout
        self._anonymous = anonymous
        # What a session was asked ends with it, without anybody having to say so.
        self._pending: WeakKeyDictionary[Subscriber, _Pending] = WeakKeyDictionary()

    @property
    def procedures(self) -> Procedures:
        """What the broker has to register."""
        return {cra.PROCEDURE_AUTHREQ: self.authreq, cra.PROCEDURE_AUTH: self.auth}

    @property
    def pending(self) -> int:
        """How many sessions have asked and not answered."""
        return len(self._pending)

    def authreq(self, subscriber: Subscriber, call: Call) -> object:
        """``authreq(authkey|null, extra|null)``: a challenge, or null for anonymous.

        :raises CallRefused: see WAMP-CRA.
        """
        asked = self.ask(subscriber, call)
        if asked is None:
            return None
        return self.challenge(subscriber, asked, self._keys().find(asked.name))

    def ask(self, subscriber: Subscriber, call: Call) -> Asked | None:
        """Take an ``authreq``; :meth:`challenge` or :meth:`withdraw` has to follow.

        :returns: None when nothing has to be proved; the answer is null then.
        :raises CallRefused: see WAMP-CRA.
        """
        name, extra = self._arguments(call)
        self._check_undecided(subscriber)
        now = self._now()
        pending = self._pending.get(subscriber)
        if pending is not None and now < pending.until:
            raise CallRefused(cra.ERROR_ALREADY_REQUESTED, "answer the last challenge first")
        if name is None:
            if not self._anonymous:
                raise CallRefused(cra.ERROR_ANONYMOUS_FORBIDDEN, "name an authkey")
            nobody = Identity(source="cra")
            self._pending[subscriber] = _Pending(None, nobody, now + self._timeout)
            return None
        pending = _Pending("", None, now + self._timeout, challenged=False)
        self._pending[subscriber] = pending
        return Asked(name, extra, pending)

    def withdraw(self, subscriber: Subscriber, asked: Asked) -> None:
        """There will be no challenge."""
        if self._pending.get(subscriber) is asked.pending:
            del self._pending[subscriber]

    def challenge(self, subscriber: Subscriber, asked: Asked, key: CraKey | None) -> str:
        """The challenge for a session that has asked.

        :param key: the key of that name; None when there is none, which nobody can tell.
        :raises CallRefused: when it can not be made, or comes too late.
        """
        if self._pending.get(subscriber) is not asked.pending:
            raise CallRefused(cra.ERROR_NOT_REQUESTED, "call authreq again; it has lapsed")
        now = self._now()
        # The decoy is made for known names too: an answer takes as long for either.
        decoy = CraKey(secrets.token_urlsafe(32), Identity(), self._keys().decoy(asked.name))
        challenge = cra.Challenge(
            authid=secrets.token_urlsafe(16),
            authkey=asked.name,
            time=now,
            session_id=subscriber.session_id,
            extra=asked.extra,
            salting=(key or decoy).salting,
        )
        try:
            text = challenge.text()
        except TypeError as error:
            self.withdraw(subscriber, asked)
            raise CallRefused(ERROR_INVALID_ARGUMENT, "extra can not be sent back") from error
        self._pending[subscriber] = _Pending(
            cra.sign(text, (key or decoy).secret),
            None if key is None else key.identity,
            now + self._timeout,
        )
        return text

    def auth(self, subscriber: Subscriber, call: Call) -> object:
        """``auth(signature|null)``: the permissions object.

        :raises CallRefused: see WAMP-CRA. After a wrong signature a new ``authreq`` is needed.
        """
        signature = call.arguments[0] if call.arguments else None
        if len(call.arguments) > 1 or not (signature is None or isinstance(signature, str)):
            raise CallRefused(ERROR_INVALID_ARGUMENT, "the one argument is a signature or null")
        self._check_undecided(subscriber)
        pending = self._pending.get(subscriber)
        if pending is not None and pending.challenged:
            del self._pending[subscriber]
        if pending is None or not pending.challenged or self._now() >= pending.until:
            raise CallRefused(cra.ERROR_NOT_REQUESTED, "call authreq first; it may have lapsed")
        right = pending.expected is None or cra.is_right(signature or "", pending.expected)
        if pending.identity is None or not right:
            raise CallRefused(cra.ERROR_INVALID_SIGNATURE, "the signature is not right")
        try:
            permissions = self._permissions_for(subscriber, pending.identity)
        except WampushError as error:
            raise CallRefused(cra.ERROR_PERMISSIONS, "permissions can not be told") from error
        self._become(subscriber, pending.identity)
        return permissions

    @staticmethod
    def _check_undecided(subscriber: Subscriber) -> None:
        if subscriber.identity.source not in _UNDECIDED:
            raise CallRefused(cra.ERROR_ALREADY_AUTHENTICATED, "this session is authenticated")

    @staticmethod
    def _arguments(call: Call) -> tuple[str | None, Mapping[str, object]]:
        if len(call.arguments) > 2:
            raise CallRefused(ERROR_INVALID_ARGUMENT, "there are two arguments: authkey, extra")
        name, extra = (*call.arguments, None, None)[:2]
        if not (name is None or isinstance(name, str)):
            raise CallRefused(ERROR_INVALID_ARGUMENT, "authkey is a string or null")
        if not (extra is None or isinstance(extra, dict)):
            raise CallRefused(ERROR_INVALID_ARGUMENT, "extra is an object or null")
        return name, extra or {}
