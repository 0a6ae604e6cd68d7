"""WAMP-CRA with keys that an app gives.

Owns: how a challenge waits for the app, and what stands in for keys that nobody has.
Must not import: the edges. What is judged and how is the business of ``broker/cra.py``.

Keys of a file and keys of an app may be used together; the file's come first. The app is asked for
every name all the same, so that the time of an answer tells nothing of the file.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.apps.python.runner import End, Outcome
from wampush.apps.python.values import CraSecret
from wampush.broker.requests.application import Reply
from wampush.broker.requests.cra import ChallengeRequest, CraProcedures
from wampush.broker.requests.cra_key_store import CraKey, CraKeyStore
from wampush.broker.requests.procedures import CallRefused, answer
from wampush.wamp import cra
from wampush.wamp.uris import ERROR_INTERNAL, ERROR_TIMEOUT

if TYPE_CHECKING:
    from wampush.apps.python.host import Answering, AppHost
    from wampush.broker.subscriber import Subscriber
    from wampush.wamp.cra import Salting
    from wampush.wamp.messages import Call

_log: Final = Logger(namespace="wampush")
_SEED_BYTES: Final = 32


class HookKeys:
    """What is known without asking the app: a ``KeySource``.

    :param file: gives the keys of the file in force; there may be none.
    :param salting: what the app's saltings look like; None when it has none.
    :param seed: secret; salts for names without a key are made of it. None: random.
    """

    def __init__(
        self, file: Callable[[], CraKeyStore], salting: Salting | None, seed: bytes | None
    ) -> None:
        self._file = file
        self._seed = seed or secrets.token_bytes(_SEED_BYTES)
        nobody = CraSecret(secrets.token_urlsafe(_SEED_BYTES), salting=salting)
        self._model = CraKeyStore({"": _key_of(nobody)}, self._seed)

    def find(self, name: str) -> CraKey | None:
        """The key in the file; None when there is none."""
        return self._file().find(name)

    def decoy(self, name: str) -> Salting | None:
        """The salting to tell for a name without a key: as the file or the app has them."""
        file = self._file()
        in_app = hmac.digest(self._seed, b"place" + name.encode(), "sha256")[0] % 2
        return self._model.decoy(name) if in_app or not file.count else file.decoy(name)


class CraHook:
    """Answers ``authreq`` and ``auth``.

    :param desk: judges.
    :param keys: what is known without asking the app.
    :param host: of the app.
    """

    def __init__(self, desk: CraProcedures, keys: HookKeys, host: AppHost) -> None:
        self._desk = desk
        self._keys = keys
        self._host = host

    @property
    def calls(self) -> Mapping[str, Answering]:
        """What the host of the app has to answer besides."""
        return {cra.PROCEDURE_AUTHREQ: self.authreq, cra.PROCEDURE_AUTH: self.auth}

    def auth(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """The answer to a challenge."""
        reply(answer(self._desk.auth, subscriber, call))

    def authreq(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """A client wants a challenge."""
        try:
            asked = self._desk.ask(subscriber, call)
        except CallRefused as error:
            reply(_refused(subscriber, call, error))
            return
        if asked is None:
            reply(subscriber.session.result(call.call_id, None))
            return
        secret = self._host.cra_secret(subscriber, asked.name)
        text = secret.addCallback(partial(self._found, subscriber, call, asked))
        text.addErrback(partial(self._defect, subscriber, call, asked)).addCallback(reply)

    def _found(
        self, subscriber: Subscriber, call: Call, asked: ChallengeRequest, outcome: Outcome
    ) -> bytes:
        speaker, call_id = subscriber.session, call.call_id
        key = self._keys.find(asked.name)
        if outcome.end is not End.RETURNED:
            self._desk.withdraw(subscriber, asked)
            if outcome.failure is None:
                return speaker.error(call_id, ERROR_TIMEOUT, "this took too long")
            words = self._host.cra_incident(subscriber, outcome.failure)
            return speaker.error(call_id, ERROR_INTERNAL, words)
        if key is None and outcome.value is not None:
            key = _key_of(outcome.value)
        try:
            return speaker.result(call_id, self._desk.challenge(subscriber, asked, key))
        except CallRefused as error:
            return _refused(subscriber, call, error)

    def _defect(
        self, subscriber: Subscriber, call: Call, asked: ChallengeRequest, failure: Failure
    ) -> bytes:
        _log.failure("a challenge could not be made", failure)
        self._desk.withdraw(subscriber, asked)
        return subscriber.session.error(call.call_id, ERROR_INTERNAL, "internal error")


def _key_of(secret: CraSecret) -> CraKey:
    return CraKey(secret.secret, replace(secret.identity, source="cra"), secret.salting)


def _refused(subscriber: Subscriber, call: Call, error: CallRefused) -> bytes:
    return subscriber.session.error(call.call_id, error.uri, error.description, error.details)
