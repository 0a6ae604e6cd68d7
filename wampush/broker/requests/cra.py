"""The procedures of WAMP-CRA: ``authreq`` and ``auth``.

Owns: how calls advance the attempts of sessions.
Must not import: Twisted, the edges. Keys, clock and permissions are handed in.

A name without a key looks like a wrong secret: it gets a challenge of the same shape as other
names, always with the same salt, and every answer to it is an invalid signature.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from wampush.broker.identity import AWAITING, Identity
from wampush.broker.requests.cra_attempt import AttemptState, CraAttempt, attempt_of
from wampush.broker.requests.cra_key_store import CraKey, KeySource
from wampush.broker.requests.procedures import (
    ERROR_INVALID_ARGUMENT,
    Become,
    CallRefused,
    Procedures,
)
from wampush.broker.subscriber import Subscriber
from wampush.errors import WampushError
from wampush.wamp import cra
from wampush.wamp.messages import Call

#: Sources of identities that WAMP-CRA may replace.
_NOT_AUTHENTICATED: Final = ("anonymous", AWAITING)


@dataclass(frozen=True, slots=True, eq=False)
class ChallengeRequest:
    """A session's request for a challenge.

    :param name: of the key.
    :param extra: what the client sent along; the challenge returns it.
    :param attempt: the session's attempt.
    """

    name: str
    extra: Mapping[str, object]
    attempt: CraAttempt


class CraProcedures:
    """The procedures ``authreq`` and ``auth``.

    :param keys: returns the keys in force; called for each request, so that they can change.
    :param permissions_for: returns the permissions object of a session that gets an identity; may
        raise WampushError.
    :param become: gives a session the identity that it has proved.
    :param now: returns the time, in seconds since the epoch.
    :param timeout: seconds that a client has between ``authreq`` and ``auth``.
    :param anonymous: whether a session may go on without a key.
    """

    def __init__(
        self,
        *,
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

    @property
    def procedures(self) -> Procedures:
        """The procedures by URI."""
        return {cra.PROCEDURE_AUTHREQ: self.authreq, cra.PROCEDURE_AUTH: self.auth}

    def authreq(self, subscriber: Subscriber, call: Call) -> object:
        """Answer ``authreq(authkey|null, extra|null)`` by a challenge, or by null for anonymous.

        :raises CallRefused: see WAMP-CRA.
        """
        request = self.ask(subscriber, call)
        if request is None:
            return None
        return self.challenge(subscriber, request, self._keys().find(request.name))

    def ask(self, subscriber: Subscriber, call: Call) -> ChallengeRequest | None:
        """Take an ``authreq``; :meth:`challenge` or :meth:`withdraw` has to follow.

        :returns: None when nothing has to be proved; the result of the call is null then.
        :raises CallRefused: see WAMP-CRA.
        """
        name, extra = self._arguments(call)
        self._check_not_authenticated(subscriber)
        now = self._now()
        attempt = attempt_of(subscriber)
        if attempt is not None and attempt.check_time(now):
            raise CallRefused(cra.ERROR_ALREADY_REQUESTED, "answer the last challenge first")
        if name is None and not self._anonymous:
            raise CallRefused(
                cra.ERROR_ANONYMOUS_FORBIDDEN,
                "anonymous sessions are not allowed; pass an authkey to authreq",
            )
        attempt = subscriber.attempt = CraAttempt(now + self._timeout)
        if name is None:
            attempt.challenge(None, Identity(source="cra"), now + self._timeout)
            return None
        return ChallengeRequest(name, extra, attempt)

    def withdraw(self, subscriber: Subscriber, request: ChallengeRequest) -> None:
        """Give up a request for which no challenge can be made; does nothing once there is one."""
        if self._is_asked(subscriber, request):
            request.attempt.withdraw()
            subscriber.attempt = None

    def challenge(
        self, subscriber: Subscriber, request: ChallengeRequest, key: CraKey | None
    ) -> str:
        """Return the challenge for a session that has asked for one.

        :param key: the key of the name; None when there is none, which the client cannot notice.
        :raises CallRefused: when the challenge cannot be made or comes too late.
        """
        if not self._is_asked(subscriber, request):
            raise CallRefused(
                cra.ERROR_NOT_REQUESTED,
                "the request has lapsed; call authreq again",
            )
        now = self._now()
        # Known names get a decoy as well, so that the answer takes the same time for all names.
        decoy = CraKey(secrets.token_urlsafe(32), Identity(), self._keys().decoy(request.name))
        challenge = cra.Challenge(
            authid=secrets.token_urlsafe(16),
            authkey=request.name,
            time=now,
            session_id=subscriber.session_id,
            extra=request.extra,
            salting=(key or decoy).salting,
        )
        try:
            text = challenge.text()
        except TypeError as error:
            self.withdraw(subscriber, request)
            raise CallRefused(
                ERROR_INVALID_ARGUMENT, "extra is nested too deeply to be returned in the challenge"
            ) from error
        request.attempt.challenge(
            cra.sign(text, (key or decoy).secret),
            None if key is None else key.identity,
            now + self._timeout,
        )
        return text

    def auth(self, subscriber: Subscriber, call: Call) -> object:
        """Answer ``auth(signature|null)`` by the permissions object.

        :raises CallRefused: see WAMP-CRA. After a wrong signature a new ``authreq`` is needed.
        """
        signature = call.arguments[0] if call.arguments else None
        if len(call.arguments) > 1 or not (signature is None or isinstance(signature, str)):
            raise CallRefused(
                ERROR_INVALID_ARGUMENT, "auth takes one argument: the signature, a string, or null"
            )
        self._check_not_authenticated(subscriber)
        attempt = attempt_of(subscriber)
        if attempt is None or attempt.state is AttemptState.ASKED:
            raise CallRefused(cra.ERROR_NOT_REQUESTED, "there is no challenge; call authreq first")
        subscriber.attempt = None
        if not attempt.check_time(self._now()):
            raise CallRefused(
                cra.ERROR_NOT_REQUESTED, "the challenge has lapsed; call authreq again"
            )
        if not attempt.answer(signature or "") or attempt.identity is None:
            raise CallRefused(cra.ERROR_INVALID_SIGNATURE, "the signature is invalid")
        try:
            permissions = self._permissions_for(subscriber, attempt.identity)
        except WampushError as error:
            raise CallRefused(
                cra.ERROR_PERMISSIONS, "the permissions could not be determined"
            ) from error
        self._become(subscriber, attempt.identity)
        return permissions

    def _is_asked(self, subscriber: Subscriber, request: ChallengeRequest) -> bool:
        """Return whether a request is the session's latest and has no challenge yet."""
        attempt = request.attempt
        return subscriber.attempt is attempt and attempt.state is AttemptState.ASKED

    @staticmethod
    def _check_not_authenticated(subscriber: Subscriber) -> None:
        if subscriber.identity.source not in _NOT_AUTHENTICATED:
            raise CallRefused(
                cra.ERROR_ALREADY_AUTHENTICATED, "this session is already authenticated"
            )

    @staticmethod
    def _arguments(call: Call) -> tuple[str | None, Mapping[str, object]]:
        if len(call.arguments) > 2:
            raise CallRefused(
                ERROR_INVALID_ARGUMENT, "authreq takes at most two arguments: authkey and extra"
            )
        name, extra = (*call.arguments, None, None)[:2]
        if not (name is None or isinstance(name, str)):
            raise CallRefused(ERROR_INVALID_ARGUMENT, "authkey must be a string or null")
        if not (extra is None or isinstance(extra, dict)):
            raise CallRefused(ERROR_INVALID_ARGUMENT, "extra must be an object or null")
        return name, extra or {}
