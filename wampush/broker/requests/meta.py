"""The procedures about the session itself and the server.

Owns: the procedures ``wampush.session`` and ``wampush.time``.
Must not import: Twisted, the edges. The clock is handed in.
"""

from __future__ import annotations

from collections.abc import Callable

from wampush.broker.identity import Identity
from wampush.broker.requests.procedures import Procedures, check_no_arguments
from wampush.broker.subscriber import Subscriber
from wampush.wamp.messages import Call
from wampush.wamp.uris import PROCEDURE_SESSION, PROCEDURE_TIME


class SessionProcedures:
    """The procedures that every session may call.

    :param permissions_for: returns the permissions object of WAMP-CRA for a session with an
        identity.
    :param now: returns the time, in seconds since the epoch.
    """

    def __init__(
        self,
        permissions_for: Callable[[Subscriber, Identity], object],
        now: Callable[[], float],
    ) -> None:
        self._permissions_for = permissions_for
        self._now = now

    @property
    def procedures(self) -> Procedures:
        """The procedures by URI."""
        return {PROCEDURE_SESSION: self.session, PROCEDURE_TIME: self.time}

    def session(self, subscriber: Subscriber, call: Call) -> object:
        """Answer ``wampush.session()``: the session's identity and permissions.

        :raises CallRefused: when there are arguments.
        """
        check_no_arguments(call)
        identity = subscriber.identity
        return {
            "session": subscriber.session_id,
            "user": identity.user,
            "groups": sorted(identity.groups),
            "language": identity.language,
            "expires": identity.expires,
            "permissions": self._permissions_for(subscriber, identity),
        }

    def time(self, subscriber: Subscriber, call: Call) -> object:
        """Answer ``wampush.time()``: seconds since the epoch by the server's clock, as a float.

        :raises CallRefused: when there are arguments.
        """
        del subscriber
        check_no_arguments(call)
        return self._now()
