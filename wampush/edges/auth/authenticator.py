"""Finds out who a client is, before its session opens.

Owns: the order in which proofs are looked for, what of them ends the search, and when an identity
ends a session.
Must not import: Autobahn, the composition root.

The first source in ``auth.order`` that finds its proof in the handshake decides. A proof that is
wrong is refused: nobody becomes anonymous by an expired token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from wampush.broker.identity import ANONYMOUS, AWAITING, Identity
from wampush.broker.requests.connect import ConnectRequest
from wampush.broker.requests.cra import CraKeys, CraProcedures, KeySource
from wampush.broker.requests.procedures import Become, Procedure, Procedures, refresh
from wampush.broker.subscriber import Subscriber
from wampush.config.settings import Settings
from wampush.edges.auth import cra_keys
from wampush.edges.auth.callback import Callback
from wampush.edges.auth.tokens import Tokens
from wampush.errors import AuthenticationRefused, CloseReason, OperatorError
from wampush.net.http_post import HttpPost
from wampush.wamp.uris import PROCEDURE_REFRESH

_log = Logger(namespace="wampush")

__all__ = [
    "AuthenticationRefused",
    "Authenticator",
    "reason_of_end",
]

Source = Callable[[ConnectRequest], Deferred[Identity | None]]
"""Gives an identity, or None where the handshake holds no proof of its kind."""


def reason_of_end(identity: Identity) -> CloseReason:
    """Why a session ends when its identity expires."""
    if identity.source == AWAITING:
        return CloseReason.AUTHENTICATION_TIMEOUT
    return CloseReason.IDENTITY_EXPIRED


class Authenticator:
    """Knows clients as the settings say.

    :param settings: all of them; the tables ``auth``, ``token``, ``callback`` and ``cra`` are read.
    :param reactor: for connections to the web application.
    :param now: seconds since the epoch.
    :raises OperatorError: when a file of keys can not be used.
    """

    def __init__(self, settings: Settings, reactor: Any, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        order = settings.auth.order
        self._tokens = Tokens(settings.token) if "token" in order else None
        self._callback: Callback | None = None
        if "callback" in order:
            post = HttpPost(reactor, settings.callback.url)
            self._callback = Callback(settings.callback, post, reactor.callLater)
        self._cra: CraKeys | None = None
        #: Whether WAMP-CRA is used, with keys of a file or of an app.
        self.uses_cra = "cra" in order
        if self.uses_cra and settings.cra.keys_file:
            self._cra = cra_keys.load(settings.cra.keys_file)
        self._sources: Sequence[Source] = [self._source(name) for name in order]
        self._anonymous = "anonymous" in order
        #: Whether everybody is anonymous, so that nobody has to be asked.
        self.knows_nobody = order == ("anonymous",)
        #: Whether an identity may change while a session is open.
        self.changes_identities = self.uses_cra or self._tokens is not None

    def authenticate(self, request: ConnectRequest) -> Deferred[Identity]:
        """Who a client is; fires at once where nothing has to be waited for.

        It fails with AuthenticationRefused. Cancelling it gives up a question to the web
        application.
        """
        if self.knows_nobody:
            return succeed(ANONYMOUS)
        return Deferred.fromCoroutine(self._search(request))

    def procedures(
        self, permissions_for: Callable[[Subscriber, Identity], object], become: Become
    ) -> Procedures:
        """What sessions call to prove whose they are, or still are.

        :param permissions_for: the permissions object of WAMP-CRA for a session that becomes
            an identity.
        :param become: gives a session another identity.
        """
        found: dict[str, Procedure] = {}
        if self._cra is not None:
            found.update(self.cra_desk(permissions_for, become, self.cra_keys).procedures)
        if self._tokens is not None:
            found[PROCEDURE_REFRESH] = refresh(self._tokens.identify, become)
        return found

    def cra_desk(
        self,
        permissions_for: Callable[[Subscriber, Identity], object],
        become: Become,
        keys: Callable[[], KeySource],
    ) -> CraProcedures:
        """What judges WAMP-CRA.

        :param permissions_for: see :meth:`procedures`.
        :param become: gives a session another identity.
        :param keys: gives the keys in force.
        """
        timeout = self._settings.cra.timeout
        return CraProcedures(keys, permissions_for, become, self._now, timeout, self._anonymous)

    def cra_keys(self) -> CraKeys:
        """The keys of WAMP-CRA in the file; none without a file."""
        return CraKeys({}) if self._cra is None else self._cra

    def reload(self) -> None:
        """Read the files of keys again; sessions that are open stay as they are.

        A file that can not be used changes nothing; the log has a line for each.
        """
        if self._tokens is not None:
            try:
                self._tokens.reload()
            except OperatorError as error:
                _log.error("tokens are checked with the keys as before: {error}", error=error)
            else:
                count = self._tokens.key_count
                _log.info("tokens: keys read again, {count} in force", count=count)
        if self._cra is not None:
            try:
                self._cra = cra_keys.load(self._settings.cra.keys_file)
            except OperatorError as error:
                _log.error("WAMP-CRA goes on with the keys it has: {error}", error=error)
            else:
                _log.info("WAMP-CRA: keys read again, {count} in force", count=self._cra.count)

    def close(self) -> None:
        """Give up what is asked of the web application."""
        if self._callback is not None:
            self._callback.close()

    async def _search(self, request: ConnectRequest) -> Identity:
        for source in self._sources:
            identity = await source(request)
            if identity is not None:
                if identity.expires is not None and identity.expires <= self._now():
                    raise AuthenticationRefused(
                        CloseReason.AUTHENTICATION_REQUIRED, "What is known of it has expired."
                    )
                return identity
        raise AuthenticationRefused(CloseReason.AUTHENTICATION_REQUIRED)

    def _source(self, name: str) -> Source:
        if name == "token":
            return self._by_token
        if name == "callback" and self._callback is not None:
            return self._callback.ask
        if name == "cra":
            return self._by_cra
        return self._anonymously

    async def _token(self, request: ConnectRequest) -> Identity | None:
        if self._tokens is None:
            return None
        token = self._tokens.find(request)
        return self._tokens.identify(token) if token else None

    def _by_token(self, request: ConnectRequest) -> Deferred[Identity | None]:
        return Deferred.fromCoroutine(self._token(request))

    def _by_cra(self, request: ConnectRequest) -> Deferred[Identity | None]:
        """A session that may do nothing but prove whose it is, where nobody is anonymous."""
        if self._anonymous:
            return succeed(None)
        until = self._now() + self._settings.cra.timeout
        return succeed(Identity(expires=until, source=AWAITING))

    @staticmethod
    def _anonymously(request: ConnectRequest) -> Deferred[Identity | None]:
        return succeed(ANONYMOUS)
