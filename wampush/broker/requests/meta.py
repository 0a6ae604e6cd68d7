"""What clients may ask about themselves and the server.

Owns: the procedures ``wampush.session`` and ``wampush.time``.
Must not import: Twisted, the edges. The clock is handed in.
"""

from __future__ import annotations

from collections.abc import Callable

from wampush.broker.identity import Identity
from wampush.broker.requests.procedures import ERROR_INVALID_ARGUMENT, CallRefused, Procedures
from wampush.broker.subscriber import Subscriber
from wampush.wamp.messages import Call
from wampush.wamp.uris import PROCEDURE_SESSION, PROCEDURE_TIME


class SessionProcedures:
    """Answers these calls, which anybody may make who has got in.

    :param permissions_for: the permissions object of WAMP-CRA for a session with an identity.
    :param now: the time in seconds since the epoch.
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
        """What the broker has to register."""
        return {PROCEDURE_SESSION: self.session, PROCEDURE_TIME: self.time}

    def session(self, subscriber: Subscriber, call: Call) -> object:
        """``wampush.session()``: who the session belongs to, and what it may do.

        :raises CallRefused: when there are arguments.
        """
        _check_no_arguments(call)
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
        """``wampush.time()``: seconds since the epoch by the server's clock, with a fraction.

        :raises CallRefused: when there are arguments.
        """
        del subscriber
        _check_no_arguments(call)
        return self._now()


def _check_no_arguments(call: Call) -> None:
    if call.arguments:
        raise CallRefused(ERROR_INVALID_ARGUMENT, "there are no arguments")
