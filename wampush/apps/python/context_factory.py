"""The contexts of one app.

Owns: which session a context gets, and the namespace of the app's log lines.
Must not import: the edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from wampush.apps.python.context import ConnectContext, Context, ServerContext

if TYPE_CHECKING:
    from wampush.apps.python.server_api import ServerApi
    from wampush.apps.python.session_registry import Sessions
    from wampush.broker.requests.connect_request import ConnectAttempt
    from wampush.broker.subscriber import Subscriber


class Contexts:
    """Creates the contexts that handlers of an app get.

    :param name: of the app, ``module:attribute``; the module is the namespace of its log lines.
    :param api: the server.
    :param sessions: the sessions as apps see them.
    """

    def __init__(self, name: str, api: ServerApi, sessions: Sessions) -> None:
        self._api = api
        self._sessions = sessions
        self._log = Logger(namespace=name.partition(":")[0])

    def connecting(self, attempt: ConnectAttempt) -> ConnectContext:
        """Return a context for a client that is about to connect."""
        session = self._sessions.connecting(attempt)
        return ConnectContext(self._api, session, self._log, attempt.request)

    def of(self, subscriber: Subscriber) -> Context:
        """Return a context for a client that has got its WELCOME."""
        return Context(self._api, self._sessions.of(subscriber), self._log)

    def of_server(self) -> ServerContext:
        """Return a context that concerns no session."""
        return ServerContext(self._api, self._log)

    def ended(self, subscriber: Subscriber) -> Context:
        """Return a context for a client that is gone."""
        return Context(self._api, self._sessions.ended(subscriber), self._log)
