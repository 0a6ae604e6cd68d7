"""The change of a session's identity, in everything that the broker keeps about the session.

Owns: the order of the steps, and which subscriptions end. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from wampush.broker.broker import Broker
from wampush.broker.identity import Identity
from wampush.broker.subscriber import Subscriber

_NOTHING: Final[frozenset[str]] = frozenset()


def change_identity(broker: Broker, subscriber: Subscriber, identity: Identity) -> bool:
    """Give a session another identity, or the same with fresh credentials.

    The connection is asked first, because it counts for a user. Then automatic topics of the old
    identity that the new one does not have end, and the new one gets its own; topics of both stay
    as the client left them. Then subscriptions end that the new identity may not have. All ends
    are silent, because WAMP v1 has no message for them.

    :param broker: where the session is open.
    :returns: whether the session is open and goes on as this identity.
    """
    if subscriber.peer is not None and not subscriber.peer.accept_identity(identity):
        return False
    before, subscriber.identity = subscriber.identity, identity
    if broker.sessions.get(subscriber.session_id) is not subscriber:
        # It has not got its WELCOME yet, and will open as this identity.
        return False
    presence = broker.presence
    if presence is not None:
        presence.on_identity_changing(subscriber)
    is_other_user = broker.users.user_of(subscriber) != (identity.user or None)
    if broker.gaps is not None and is_other_user:
        broker.gaps.on_lost(subscriber)
    broker.users.update(subscriber)
    if broker.gaps is not None and is_other_user:
        broker.gaps.on_identity_changed(subscriber, broker.subscriptions.topics(subscriber))
    _end_forbidden(broker, subscriber, _renew_automatic(broker, subscriber, before))
    if presence is not None:
        presence.on_identity_changed(subscriber)
    return True


def _renew_automatic(broker: Broker, subscriber: Subscriber, before: Identity) -> AbstractSet[str]:
    """Exchange the automatic topics of the old identity for those of the new one.

    :returns: the latter.
    """
    if broker.automatic is None:
        return _NOTHING
    old = broker.automatic.topics(before)
    new = broker.automatic.topics(subscriber.identity)
    for topic in old - new:
        broker.unsubscribe(subscriber, topic)
    broker.subscribe_automatically(subscriber, new - old)
    return new


def _end_forbidden(broker: Broker, subscriber: Subscriber, automatic: AbstractSet[str]) -> None:
    """End the subscriptions that are not permitted any more."""
    policy, identity = broker.policy, subscriber.identity
    forbidden = [
        topic
        for topic in broker.subscriptions.topics(subscriber)
        if topic not in automatic and not policy.may_subscribe(identity, topic)
    ]
    for topic in forbidden:
        broker.unsubscribe(subscriber, topic)
