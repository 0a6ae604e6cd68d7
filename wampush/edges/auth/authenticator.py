"""Authentication of clients before their sessions open.

Owns: the order of the identity sources, and the source that decides.
Must not import: Autobahn, the composition root.

The first source in ``auth.order`` that finds credentials of its kind in the handshake decides.
Credentials that are not valid are refused: an expired token makes nobody anonymous.

The sources that need a library of their own are imported when they are configured, because every
upgrade waits for what a node imports.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from wampush.broker.identity import ANONYMOUS, AWAITING, Identity
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.broker.requests.cra import CraProcedures
from wampush.broker.requests.cra_key_store import CraKeyStore, KeySource
from wampush.broker.requests.procedures import Become, Procedure, Procedures, refresh
from wampush.broker.subscriber import Subscriber
from wampush.config.settings import Settings
from wampush.edges.auth import cra_key_file
from wampush.errors import AuthenticationRefused, CloseReason, OperatorError
from wampush.wamp.uris import PROCEDURE_REFRESH

if TYPE_CHECKING:
    from wampush.edges.auth.callback import Callback
    from wampush.edges.auth.tokens import Tokens

_log = Logger(namespace="wampush.auth")

IdentitySource = Callable[[ConnectRequest], Deferred[Identity | None]]
"""Returns the identity of a client, None when the handshake contains no credentials of its kind."""


def expiry_reason(identity: Identity) -> CloseReason:
    """Return why a session is closed when its identity expires."""
    if identity.source == AWAITING:
        return CloseReason.AUTHENTICATION_TIMEOUT
    return CloseReason.IDENTITY_EXPIRED


class Authenticator:
    """Authenticates clients as the settings say.

    :param settings: all of them; the tables ``auth``, ``token``, ``callback`` and ``cra`` are read.
    :param reactor: for connections to the web application.
    :param now: seconds since the epoch.
    :raises OperatorError: when a key file cannot be used.
    """

    def __init__(self, settings: Settings, reactor: Any, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        order = settings.auth.order
        self._tokens: Tokens | None = None
        if "token" in order:
            from wampush.edges.auth.tokens import Tokens

            self._tokens = Tokens(settings.token)
        self._callback: Callback | None = None
        if "callback" in order:
            from wampush.edges.auth.callback import Callback
            from wampush.net.http_post import HttpPost

            post = HttpPost(reactor, settings.callback.url)
            self._callback = Callback(settings.callback, post, reactor.callLater)
        self._cra: CraKeyStore | None = None
        #: Whether WAMP-CRA is used, with keys from a file or from an app.
        self.uses_cra = "cra" in order
        if self.uses_cra and settings.cra.keys_file:
            self._cra = cra_key_file.load(settings.cra.keys_file)
        self._sources: Sequence[IdentitySource] = [self._source(name) for name in order]
        self._allows_anonymous = "anonymous" in order
        #: Whether every client is anonymous, so that no credentials are looked for.
        self.all_anonymous = order == ("anonymous",)

    def authenticate(self, request: ConnectRequest) -> Deferred[Identity]:
        """Return the identity of a client; fires at once when no source has to wait.

        It fails with AuthenticationRefused. Cancelling it cancels a request to the web application.
        """
        if self.all_anonymous:
            return succeed(ANONYMOUS)
        return Deferred.fromCoroutine(self._search(request))

    def procedures(
        self, permissions_for: Callable[[Subscriber, Identity], object], become: Become
    ) -> Procedures:
        """Return the procedures by which sessions authenticate, or renew their identity.

        :param permissions_for: returns the WAMP-CRA permissions object of a session that takes on
            an identity.
        :param become: gives a session another identity.
        """
        found: dict[str, Procedure] = {}
        if self._cra is not None:
            found.update(self.cra_procedures(permissions_for, become, self.cra_keys).procedures)
        if self._tokens is not None:
            found[PROCEDURE_REFRESH] = refresh(self._tokens.identify, become)
        return found

    def cra_procedures(
        self,
        permissions_for: Callable[[Subscriber, Identity], object],
        become: Become,
        keys: Callable[[], KeySource],
    ) -> CraProcedures:
        """Return the procedures of WAMP-CRA.

        :param permissions_for: see :meth:`procedures`.
        :param become: gives a session another identity.
        :param keys: returns the keys in force.
        """
        return CraProcedures(
            keys=keys,
            permissions_for=permissions_for,
            become=become,
            now=self._now,
            timeout=self._settings.cra.timeout,
            anonymous=self._allows_anonymous,
        )

    def cra_keys(self) -> CraKeyStore:
        """Return the WAMP-CRA keys of the key file; without a file there are none."""
        return CraKeyStore({}) if self._cra is None else self._cra

    def reload(self) -> None:
        """Read the key files again; open sessions stay as they are.

        The keys of a file that cannot be used stay in force, and the error is logged.
        """
        if self._tokens is not None:
            try:
                self._tokens.reload()
            except OperatorError as error:
                _log.error(
                    "could not reload the token keys, keeping the old ones: {error}", error=error
                )
            else:
                _log.info("token keys reloaded: {count} keys", count=self._tokens.key_count)
        if self._cra is not None:
            try:
                self._cra = cra_key_file.load(self._settings.cra.keys_file)
            except OperatorError as error:
                _log.error(
                    "could not reload the WAMP-CRA keys, keeping the old ones: {error}", error=error
                )
            else:
                _log.info("WAMP-CRA keys reloaded: {count} keys", count=self._cra.count)

    def close(self) -> None:
        """Cancel all requests to the web application."""
        if self._callback is not None:
            self._callback.close()

    async def _search(self, request: ConnectRequest) -> Identity:
        for source in self._sources:
            identity = await source(request)
            if identity is not None:
                if identity.expires is not None and identity.expires <= self._now():
                    raise AuthenticationRefused(
                        CloseReason.AUTHENTICATION_REQUIRED, "The identity has expired."
                    )
                return identity
        raise AuthenticationRefused(CloseReason.AUTHENTICATION_REQUIRED)

    def _source(self, name: str) -> IdentitySource:
        if name == "token":
            return self._by_token
        if name == "callback" and self._callback is not None:
            return self._callback.identify
        if name == "cra":
            return self._by_cra
        return self._anonymous

    async def _token(self, request: ConnectRequest) -> Identity | None:
        if self._tokens is None:
            return None
        token = self._tokens.find(request)
        return self._tokens.identify(token) if token else None

    def _by_token(self, request: ConnectRequest) -> Deferred[Identity | None]:
        return Deferred.fromCoroutine(self._token(request))

    def _by_cra(self, request: ConnectRequest) -> Deferred[Identity | None]:
        """Return an identity that may only authenticate, where anonymous sessions are refused."""
        if self._allows_anonymous:
            return succeed(None)
        until = self._now() + self._settings.cra.timeout
        return succeed(Identity(expires=until, source=AWAITING))

    @staticmethod
    def _anonymous(request: ConnectRequest) -> Deferred[Identity | None]:
        return succeed(ANONYMOUS)
