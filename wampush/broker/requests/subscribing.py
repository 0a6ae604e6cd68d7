"""The effects of requests that begin and end subscriptions.

Owns: what is done and answered when one of them is carried out. Must not import: Twisted, the
edges, the apps.
"""

from __future__ import annotations

from functools import partial

from wampush.broker.broker import Broker
from wampush.broker.requests.authorization import RequestChecks
from wampush.broker.requests.history import SubscribeSince, subscribe_since
from wampush.broker.requests.streams import StreamSubscribe
from wampush.broker.subscriber import Subscriber
from wampush.errors import MessageRefused, Refusal
from wampush.excerpts import shown
from wampush.wamp.messages import Subscribe, Unsubscribe
from wampush.wamp.uris import PRESENCE_CHANGES


class Subscribing:
    """Begins and ends subscriptions for sessions whose requests were checked.

    :param broker: where they take effect.
    :param checks: decides whose presence a session may learn of.
    """

    def __init__(self, broker: Broker, checks: RequestChecks) -> None:
        self._broker = broker
        self._checks = checks

    def subscribe(self, subscriber: Subscriber, request: Subscribe, *_: object) -> None:
        """Begin a subscription.

        :raises MessageRefused: SUBSCRIBE_FORBIDDEN.
        """
        self._check_presence(subscriber, request)
        self._broker.subscribe(subscriber, request.topic)

    def subscribe_since(self, subscriber: Subscriber, request: SubscribeSince, *_: object) -> None:
        """Begin a subscription with what its client has missed, and answer the call.

        :raises MessageRefused: SUBSCRIBE_FORBIDDEN.
        """
        self._check_presence(subscriber, request)
        result = subscribe_since(self._broker, subscriber, request)
        text = subscriber.session.result(request.call_id, result)
        self._broker.fanout.reply(subscriber.outbox, text)

    def subscribe_stream(
        self, subscriber: Subscriber, request: StreamSubscribe, *_: object
    ) -> None:
        """Begin a subscription, and report its outcome.

        :raises MessageRefused: SUBSCRIBE_FORBIDDEN.
        """
        self._check_presence(subscriber, request)
        topic, since, listener = request.topic, request.since, request.listener
        listener.on_effect()
        if since is None:
            self._broker.subscribe(subscriber, topic)
        else:
            on_gap = partial(listener.on_gap, topic)
            if self._broker.subscribe_since(subscriber, topic, since, on_gap) is None:
                on_gap()
        listener.on_outcome(topic, None)

    def unsubscribe(self, subscriber: Subscriber, request: Unsubscribe, *_: object) -> None:
        """End a subscription."""
        self._broker.unsubscribe(subscriber, request.topic)

    def _check_presence(self, subscriber: Subscriber, request: Subscribe) -> None:
        """Check that a session may see the topic whose presence it subscribes to.

        :raises MessageRefused: SUBSCRIBE_FORBIDDEN.
        """
        watched = request.topic.removeprefix(PRESENCE_CHANGES)
        if watched != request.topic and not self._checks.may_learn(subscriber, watched):
            detail = f"The application decides about {shown(watched)}; subscribe to that first."
            raise MessageRefused(Refusal.SUBSCRIBE_FORBIDDEN, detail)
