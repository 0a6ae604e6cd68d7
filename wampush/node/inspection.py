"""What a node shows of itself to operators.

Owns: the contents of ``/healthz``, ``/refusals`` and ``/sessions``.
Must not import: Twisted, the edges; what the broker does not know is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from wampush.broker.ledger import RefusedHandshake, RefusedInput
from wampush.broker.requests.handler import RequestHandler


class Inspection:
    """A view of a running node.

    :param requests: the sessions, their topics, and the ledger.
    :param connections: returns the number of connections to the WebSocket listeners.
    :param redis: returns the state of each Redis source.
    :param webhooks: returns the state of the webhooks; None where none are configured.
    """

    def __init__(
        self,
        *,
        requests: RequestHandler,
        connections: Callable[[], int],
        redis: Callable[[], Sequence[Mapping[str, object]]],
        webhooks: Callable[[], Mapping[str, object]] | None,
    ) -> None:
        self._requests = requests
        self._broker = requests.broker
        self._connections = connections
        self._redis = redis
        self._webhooks = webhooks

    def status(self) -> Mapping[str, object]:
        """Return the counts for a health check."""
        return {
            "sessions": len(self._broker.sessions),
            "topics": self._broker.hub.topic_count,
            "connections": self._connections(),
            "refusals": self._broker.ledger.refusals(),
            "ends": self._broker.ledger.ends(),
            "redis_sources": self._redis(),
            "webhooks": None if self._webhooks is None else self._webhooks(),
        }

    def refusals(self) -> list[Mapping[str, object]]:
        """Return the last refused inputs and handshakes, newest first."""
        ledger = self._broker.ledger
        kept: list[RefusedInput | RefusedHandshake] = [*ledger.recent, *ledger.recent_handshakes]
        kept.sort(key=lambda each: each.time)
        return [each.as_json() for each in reversed(kept)]

    def session(self, session_id: str) -> Mapping[str, object] | None:
        """Return the identity, topics and refusals of a session; None where it is not open."""
        subscriber = self._broker.sessions.get(session_id)
        if subscriber is None:
            return None
        identity = subscriber.identity
        origin = self._requests.origin_of(subscriber)
        return {
            "session": session_id,
            "user": identity.user,
            "groups": sorted(identity.groups),
            "language": identity.language,
            "source": identity.source,
            "expires": identity.expires,
            "topics": sorted(self._broker.hub.topics(subscriber)),
            "prefixes": dict(subscriber.session.prefixes),
            "waiting_bytes": subscriber.outbox.queued if subscriber.outbox.blocked else 0,
            "refusals": [each for each in self.refusals() if each["origin"] == origin],
        }
