"""The first argument of an app's handlers.

Owns: ServerContext, Context and ConnectContext. Must not import: Twisted, the edges.

A context may be used from any thread: what touches the server runs in the reactor's thread, and the
caller waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final, TypedDict

from wampush.apps.python import json_values
from wampush.apps.python.presence import Presence
from wampush.broker.publication import EVERYONE, Audience, Publication, Targets
from wampush.broker.push_options import targets_of

if TYPE_CHECKING:
    from twisted.logger import Logger

    from wampush.apps.python.server_api import ServerApi
    from wampush.apps.python.session import Session
    from wampush.broker.requests.connect_request import ConnectRequest
    from wampush.broker.session_ends import EndedSessions

Names = Sequence[str | int] | AbstractSet[str | int]


class Exclusion(TypedDict, total=False):
    """The users, groups and sessions that a publication leaves out."""

    users: Names
    groups: Names
    sessions: Names


class Selection(Exclusion, total=False):
    """The users, groups and sessions that receive a publication; ``registered`` is every user."""

    registered: bool
    exclude: Exclusion


To = Targets | Selection | None
"""The subscribers that receive a publication, such as ``{"users": ["7"]}``; None for all."""


class ServerContext:
    """What a handler gets first that concerns no session.

    :param api: the server.
    :param log: for the app's own lines.
    """

    __slots__ = ("_api", "log")

    def __init__(self, api: ServerApi, log: Logger) -> None:
        self._api = api
        #: Writes to the log of wampush, with the app's name as its namespace.
        self.log: Final = log

    @property
    def presence(self) -> Presence:
        """Which users are online."""
        return Presence(self._api)

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._api.now()

    def publish(self, topic: str, data: object, to: To = None) -> int:
        """Publish an event.

        :param data: any JSON value.
        :param to: the subscribers that receive it; None for all.
        :returns: the number of sessions for which it was queued; 0 for a durable topic, whose
            events are stored first.
        :raises PushRefused: when the topic or the targets are not valid.
        :raises NotSerialisable: when the data has no JSON form.
        """
        targets = to if isinstance(to, Targets) else targets_of(to)
        audience = EVERYONE if targets is None else Audience(to=targets)
        api = self._api
        publication = Publication(api.check_topic(topic), json_values.text_of(data), audience)
        return api.in_reactor(api.broker.publish, publication) or 0

    def end_sessions(self, user: str, reason: str = "") -> EndedSessions:
        """End all sessions of a user once what is queued for them is sent, with close code 3000.

        AutobahnJS does not reconnect by itself after this code. A page that is loaded again
        connects again, unless ``on_connect`` refuses the user.

        With several nodes, the sessions of all of them end. A node that does not answer within 2 s
        ends them once it can. A handler that runs in the reactor's thread does not wait for other
        nodes.

        :param user: the user id.
        :param reason: for the clients, truncated to 123 bytes.
        :returns: how many sessions end; ``unanswered`` has the names of the nodes that have not
            answered.
        """
        return self._api.end_user_sessions(user, reason)


class Context(ServerContext):
    """What a handler gets first.

    :param api: the server.
    :param session: on whose behalf the handler runs.
    :param log: for the app's own lines.
    """

    __slots__ = ("session",)

    def __init__(self, api: ServerApi, session: Session, log: Logger) -> None:
        super().__init__(api, log)
        #: The session that this is about.
        self.session: Final = session


class ConnectContext(Context):
    """What an ``on_connect`` handler gets.

    :param request: the handshake: path, query, headers, cookies, address.
    """

    __slots__ = ("request",)

    def __init__(
        self, api: ServerApi, session: Session, log: Logger, request: ConnectRequest
    ) -> None:
        super().__init__(api, session, log)
        #: The handshake.
        self.request: Final = request
