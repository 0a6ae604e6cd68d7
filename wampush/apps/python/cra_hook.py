"""WAMP-CRA with keys from an app.

Owns: how a challenge waits for the app, and the saltings of names without a key.
Must not import: the edges. ``broker.requests.cra`` makes and checks challenges.

Keys from a file and from an app may be used together; those of the file come first. The app is
asked for every name all the same, so that the time of a reply does not reveal which keys are in the
file.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.apps.python.runner import Outcome, RunState
from wampush.broker.identity import Identity
from wampush.broker.requests.application import Reply
from wampush.broker.requests.cra import ChallengeRequest, CraProcedures
from wampush.broker.requests.cra_key_store import CraKey, CraKeyStore
from wampush.broker.requests.procedures import CallRefused, answer
from wampush.wamp import cra
from wampush.wamp.uris import ERROR_INTERNAL, ERROR_TIMEOUT

if TYPE_CHECKING:
    from wampush.apps.python.key_handler import KeyHandler
    from wampush.broker.subscriber import Subscriber
    from wampush.wamp.cra import Salting
    from wampush.wamp.messages import Call

_log: Final = Logger(namespace="wampush.apps")
_SEED_BYTES: Final = 32

CallHandler = Callable[["Subscriber", "Call", Reply], None]
"""Replies to a call, now or later."""


class HookKeys:
    """The keys and saltings that are known without asking the app: a ``KeySource``.

    :param file: returns the keys of the file in force; there may be none.
    :param salting: an example of the app's saltings; None when its keys are not salted.
    :param seed: secret; salts for names without a key are made from it. None: random.
    """

    def __init__(
        self, file: Callable[[], CraKeyStore], salting: Salting | None, seed: bytes | None
    ) -> None:
        self._file = file
        self._seed = seed or secrets.token_bytes(_SEED_BYTES)
        example = CraKey(secrets.token_urlsafe(_SEED_BYTES), Identity(), salting)
        self._app = CraKeyStore({"": example}, self._seed)

    def find(self, name: str) -> CraKey | None:
        """Return the key in the file, or None."""
        return self._file().find(name)

    def decoy(self, name: str) -> Salting | None:
        """Return a salting for a name without a key, like those of the file or the app."""
        file = self._file()
        in_app = hmac.digest(self._seed, b"place" + name.encode(), "sha256")[0] % 2
        return self._app.decoy(name) if in_app or not file.count else file.decoy(name)


class CraHook:
    """Replies to ``authreq`` and ``auth``.

    :param procedures: make and check challenges.
    :param keys: known without asking the app.
    :param key_handler: asks the app.
    """

    def __init__(self, procedures: CraProcedures, keys: HookKeys, key_handler: KeyHandler) -> None:
        self._procedures = procedures
        self._keys = keys
        self._key_handler = key_handler

    @property
    def calls(self) -> Mapping[str, CallHandler]:
        """What replies to calls, by URI."""
        return {cra.PROCEDURE_AUTHREQ: self.authreq, cra.PROCEDURE_AUTH: self.auth}

    def auth(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """Check the signature of a challenge."""
        reply(answer(self._procedures.auth, subscriber, call))

    def authreq(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """Reply with a challenge."""
        try:
            asked = self._procedures.ask(subscriber, call)
        except CallRefused as error:
            reply(_refusal(subscriber, call, error))
            return
        if asked is None:
            reply(subscriber.session.result(call.call_id, None))
            return
        outcome = self._key_handler.find(subscriber, asked.name)
        text = outcome.addCallback(partial(self._on_outcome, subscriber, call, asked))
        text.addErrback(partial(self._on_defect, subscriber, call, asked)).addCallback(reply)

    def _on_outcome(
        self, subscriber: Subscriber, call: Call, asked: ChallengeRequest, outcome: Outcome
    ) -> bytes:
        writer, call_id = subscriber.session, call.call_id
        if outcome.state is not RunState.RETURNED:
            self._procedures.withdraw(subscriber, asked)
            if outcome.failure is None:
                return writer.error(call_id, ERROR_TIMEOUT, "this took too long")
            description = self._key_handler.incident(subscriber, outcome.failure)
            return writer.error(call_id, ERROR_INTERNAL, description)
        key: CraKey | None = self._keys.find(asked.name) or outcome.value
        try:
            return writer.result(call_id, self._procedures.challenge(subscriber, asked, key))
        except CallRefused as error:
            return _refusal(subscriber, call, error)

    def _on_defect(
        self, subscriber: Subscriber, call: Call, asked: ChallengeRequest, failure: Failure
    ) -> bytes:
        _log.failure("could not make a challenge", failure)
        self._procedures.withdraw(subscriber, asked)
        return subscriber.session.error(call.call_id, ERROR_INTERNAL, "internal error")


def _refusal(subscriber: Subscriber, call: Call, error: CallRefused) -> bytes:
    return subscriber.session.error(call.call_id, error.uri, error.description, error.details)
