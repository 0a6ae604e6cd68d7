"""What a node shows of itself to operators.

Owns: the contents of ``/healthz``, ``/refusals``, ``/topics`` and ``/sessions``.
Must not import: Twisted, the edges; what the broker does not know is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Final

from wampush.broker.ledger import RefusedHandshake, RefusedInput
from wampush.broker.requests.handler import RequestHandler
from wampush.broker.requests.refusals import origin_of
from wampush.broker.subscriber import Subscriber
from wampush.speedups import ACTIVE

#: How long a page may ask why its handshake was refused, in seconds.
_REFUSAL_SECONDS: Final = 10.0


class Inspection:
    """A view of a running node.

    :param requests: the sessions, their topics, and the ledger.
    :param connections: returns the number of connections to the WebSocket listeners.
    :param redis: returns the state of each Redis source.
    :param webhooks: returns the state of the webhooks; None where none are configured.
    :param backplane: returns the state of the link to other nodes; None for a single node.
    """

    def __init__(
        self,
        *,
        requests: RequestHandler,
        connections: Callable[[], int],
        redis: Callable[[], Sequence[Mapping[str, object]]],
        webhooks: Callable[[], Mapping[str, object]] | None,
        backplane: Callable[[], Mapping[str, object]] | None = None,
    ) -> None:
        self._requests = requests
        self._broker = requests.broker
        self._redis = redis
        self._webhooks = webhooks
        self._backplane = backplane
        #: Returns the number of connections to the WebSocket listeners.
        self.connections: Final = connections

    def topic_count(self) -> int:
        """Return the number of topics with subscribers."""
        return self._broker.subscriptions.topic_count

    def status(self) -> Mapping[str, object]:
        """Return the counts for a health check."""
        threads = self._broker.fanout.send_threads
        return {
            "sessions": len(self._broker.sessions),
            "topics": self._broker.subscriptions.topic_count,
            "connections": self.connections(),
            "refusals": self._broker.ledger.refusals(),
            "ends": self._broker.ledger.ends(),
            "backplane": None if self._backplane is None else self._backplane(),
            "redis_sources": self._redis(),
            "webhooks": None if self._webhooks is None else self._webhooks(),
            "speedups": ACTIVE,
            "send_threads": 1 if threads is None else threads.active,
        }

    def refusals(self) -> list[Mapping[str, object]]:
        """Return the last refused inputs and handshakes, newest first."""
        ledger = self._broker.ledger
        kept: list[RefusedInput | RefusedHandshake] = [*ledger.recent, *ledger.recent_handshakes]
        kept.sort(key=lambda each: each.time)
        return [each.as_json() for each in reversed(kept)]

    def refused_handshake(self, address: str) -> Mapping[str, object] | None:
        """Return why the last refused handshake of an address was refused.

        Browsers hide the response to a refused handshake from the page. The detail is left out: it
        may come from another client with the same address.

        :param address: of the client.
        :returns: None if none was refused within the last 10 s.
        """
        ledger = self._broker.ledger
        since = ledger.time() - _REFUSAL_SECONDS
        for each in reversed(ledger.recent_handshakes):
            if each.peer == address and each.time >= since:
                return {"reason": each.reason.code, "sentence": each.reason.sentence}
        return None

    def topics(self, prefix: str, after: str, limit: int) -> Mapping[str, object]:
        """Return a page of the topics that have subscribers, in the order of their names.

        :param prefix: of the topics; "" for all.
        :param after: the topics of the page are greater than this one.
        :param limit: how many the page has at most.
        :returns: ``topics``, and ``next``, which is ``after`` of the next page or None.
        """
        subscriptions = self._broker.subscriptions
        # A pass over all topics with a small heap: about 10 ms for 100,000 of them.
        matching = (each for each in subscriptions.occupied_topics if each.startswith(prefix))
        names, following = _page(matching, after, limit)
        counts = [
            {"topic": each, "subscribers": len(subscriptions.subscribers(each))} for each in names
        ]
        return {"topics": counts, "next": following}

    def sessions(self, user: str | None, after: str, limit: int) -> Mapping[str, object]:
        """Return a page of the open sessions, in the order of their ids.

        :param user: whose sessions; None for all.
        :param after: the ids of the page are greater than this one.
        :param limit: how many the page has at most.
        :returns: ``sessions``, and ``next``, which is ``after`` of the next page or None.
        """
        broker = self._broker
        ids: Iterable[str] = broker.sessions
        if user is not None:
            ids = [each.session_id for each in broker.users.of_user(user)]
        found, following = _page(ids, after, limit)
        return {"sessions": [self._summary(each) for each in found], "next": following}

    def watch(self, on_event: Callable[[str, bytes], None]) -> Callable[[], None]:
        """Hand over each publication of this node from now on.

        :param on_event: gets the topic and the payload, whether there are receivers or not.
        :returns: a function that ends this.
        """
        return self._broker.watch(lambda each: on_event(each.topic, each.payload))

    def _summary(self, session_id: str) -> Mapping[str, object]:
        subscriber = self._broker.sessions[session_id]
        return {
            "session": session_id,
            "user": subscriber.identity.user,
            "address": None if subscriber.peer is None else subscriber.peer.address,
            "topics": len(self._broker.subscriptions.topics(subscriber)),
            "waiting_bytes": _waiting_bytes(subscriber),
        }

    def session(self, session_id: str) -> Mapping[str, object] | None:
        """Return the identity, topics and refusals of a session; None where it is not open."""
        subscriber = self._broker.sessions.get(session_id)
        if subscriber is None:
            return None
        identity = subscriber.identity
        origin = origin_of(subscriber)
        return {
            "session": session_id,
            "user": identity.user,
            "groups": sorted(identity.groups),
            "language": identity.language,
            "source": identity.source,
            "expires": identity.expires,
            "topics": sorted(self._broker.subscriptions.topics(subscriber)),
            "prefixes": dict(subscriber.session.prefixes),
            "waiting_bytes": _waiting_bytes(subscriber),
            "refusals": [each for each in self.refusals() if each["origin"] == origin],
        }


def _waiting_bytes(subscriber: Subscriber) -> int:
    outbox = subscriber.outbox
    return outbox.queued if outbox.blocked and not outbox.closed else 0


def _page(names: Iterable[str], after: str, limit: int) -> tuple[list[str], str | None]:
    """Return the first names after one, and the last of them if more follow."""
    found = nsmallest(limit + 1, (each for each in names if each > after))
    return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1])
