"""The state of one attempt to authenticate by WAMP-CRA.

Owns: the states of an attempt, its legal moves, and what has to be proved.
Must not import: Twisted, the edges.

The challenge itself is not kept, only the signature that answers it::

    authreq ──▶ ASKED ──challenge──▶ CHALLENGED ──right signature──▶ PROVED
                  │                      │ └───────wrong signature──▶ REFUSED
                  └─withdrawn, timeout───┴─timeout──────────────────▶ LAPSED
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto, unique
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from wampush.broker.identity import Identity, identity_as_json, identity_from_json
from wampush.state_machine import state_after
from wampush.wamp import cra

if TYPE_CHECKING:
    from wampush.broker.subscriber import Subscriber


@unique
class AttemptState(StrEnum):
    """How far an attempt has come."""

    #: The key is being looked up; there is no challenge yet.
    ASKED = auto()
    #: The client has its challenge, or the news that none is needed.
    CHALLENGED = auto()
    PROVED = auto()
    REFUSED = auto()
    LAPSED = auto()


@unique
class AttemptEvent(StrEnum):
    """What moves an attempt on."""

    CHALLENGE = auto()
    RIGHT_SIGNATURE = auto()
    WRONG_SIGNATURE = auto()
    WITHDRAWN = auto()
    TIMEOUT = auto()


# String enumerations hash without a call of Python code.
_MOVES: Final = MappingProxyType(
    {
        (AttemptState.ASKED, AttemptEvent.CHALLENGE): AttemptState.CHALLENGED,
        (AttemptState.ASKED, AttemptEvent.WITHDRAWN): AttemptState.LAPSED,
        (AttemptState.ASKED, AttemptEvent.TIMEOUT): AttemptState.LAPSED,
        (AttemptState.CHALLENGED, AttemptEvent.RIGHT_SIGNATURE): AttemptState.PROVED,
        (AttemptState.CHALLENGED, AttemptEvent.WRONG_SIGNATURE): AttemptState.REFUSED,
        (AttemptState.CHALLENGED, AttemptEvent.TIMEOUT): AttemptState.LAPSED,
    }
)


class CraAttempt:
    """One attempt to authenticate, from ``authreq`` on.

    :param until: when the attempt lapses, in seconds since the epoch.
    """

    __slots__ = ("_expected", "_until", "identity", "state")

    def __init__(self, until: float) -> None:
        self.state = AttemptState.ASKED
        self._until = until
        # The right signature; None when no signature is asked for.
        self._expected: str | None = None
        #: The identity to be proved; None for a name without a key, which nobody can prove.
        self.identity: Identity | None = None

    def challenge(self, expected: str | None, identity: Identity | None, until: float) -> None:
        """Record that the client gets a challenge.

        :param expected: the right signature; None when any answer will do.
        :param identity: the identity to be proved; None for a name without a key.
        :param until: when the answer is too late, in seconds since the epoch.
        """
        self._move(AttemptEvent.CHALLENGE)
        self._expected = expected
        self.identity = identity
        self._until = until

    def withdraw(self) -> None:
        """Give up before there is a challenge."""
        self._move(AttemptEvent.WITHDRAWN)

    def check_time(self, now: float) -> bool:
        """Return whether the attempt is still going on; a late one lapses.

        :param now: the time, in seconds since the epoch.
        """
        is_open = self.state in (AttemptState.ASKED, AttemptState.CHALLENGED)
        if is_open and now >= self._until:
            self._move(AttemptEvent.TIMEOUT)
            return False
        return is_open

    def answer(self, signature: str) -> bool:
        """Judge the answer to the challenge; there is only one.

        :param signature: what the client sent; any text.
        :returns: whether it proves the identity.
        """
        right = self._expected is None or cra.signatures_match(signature, self._expected)
        proved = right and self.identity is not None
        self._move(AttemptEvent.RIGHT_SIGNATURE if proved else AttemptEvent.WRONG_SIGNATURE)
        return proved

    def snapshot(self) -> Mapping[str, object] | None:
        """Return what another process needs to judge the answer; None if there is no challenge."""
        if self.state is not AttemptState.CHALLENGED:
            return None
        identity = self.identity
        return {
            "expected": self._expected,
            "until": self._until,
            "is_known": identity is not None,
            "identity": None if identity is None else identity_as_json(identity),
        }

    @classmethod
    def resume(cls, values: Mapping[str, Any]) -> CraAttempt:
        """Return the attempt of :meth:`snapshot`, with its challenge."""
        attempt = cls(float(values["until"]))
        identity = identity_from_json(values["identity"]) if values["is_known"] else None
        attempt.challenge(values["expected"], identity, float(values["until"]))
        return attempt

    def _move(self, event: AttemptEvent) -> None:
        self.state = state_after(_MOVES, self.state, event)


def attempt_of(subscriber: Subscriber) -> CraAttempt | None:
    """Return the attempt of a session; None if there is none."""
    attempt = subscriber.attempt
    return attempt if isinstance(attempt, CraAttempt) else None
