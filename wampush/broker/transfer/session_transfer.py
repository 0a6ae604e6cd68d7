"""Sessions that go on in another process: what of them travels, and how they go on there.

Owns: the form of a session, and the order of the steps on both sides.
Must not import: Twisted, the edges. Connections are the business of ``edges.websocket``.

The process that gives a session away keeps it in all its indexes, as if it were still here, until
it has given away everything: so the numbers of presence, the limits and the topics that count as
occupied stay right. Only its outbox is closed; deliveries pass over it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wampush.broker.history.gaps import KeptState, TrackedState
from wampush.broker.identity import ANONYMOUS, identity_as_json
from wampush.broker.nodes.nodes_state import NodesState, nodes_state
from wampush.broker.presence.presence import PresenceState
from wampush.broker.subscriber import KeptHandle, Subscriber
from wampush.known_fields import known_fields

if TYPE_CHECKING:
    from wampush.broker.broker import Broker


# Not frozen, which would take a tenth of the time of a move.
@dataclass(slots=True, kw_only=True)
class SessionState:
    """One session, as JSON values.

    :param session_id: as in WELCOME.
    :param prefixes: by name.
    :param topics: its subscriptions, the automatic ones included.
    :param identity: see ``identity_as_json``.
    :param sees_positions: whether its events carry their offsets.
    :param kept: bytes of memory that are counted for it.
    :param rates: what it has left of the rates of permissions.
    :param tracked: what it is known to have received; None if nobody asks.
    :param requests: messages that have not taken effect; they are read again.
    :param attempt: to authenticate; None for none.
    :param visitor: the name of the browser for gap replay, if it has no user.
    :param application: what the application keeps of it; None for nothing.
    """

    session_id: str
    prefixes: Mapping[str, str] = field(default_factory=dict)
    topics: Sequence[str] = ()
    identity: Mapping[str, Any] | None = None
    sees_positions: bool = False
    kept: int = 0
    rates: Sequence[Sequence[float]] = ()
    tracked: TrackedState | None = None
    requests: Sequence[str] = ()
    attempt: Mapping[str, Any] | None = None
    visitor: str | None = None
    application: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What a node knows besides its sessions, as JSON values.

    :param presence: users who may come back.
    :param occupied: topics that count as occupied, without a session that has moved.
    :param kept: what ended sessions of users have received.
    :param epoch: of topics that have no log.
    :param nodes: the other nodes, and the id of this one.
    """

    presence: PresenceState = field(default_factory=PresenceState)
    occupied: Sequence[str] = ()
    kept: KeptState = field(default_factory=KeptState)
    epoch: str | None = None
    nodes: NodesState = field(default_factory=NodesState)


def session_state(values: Mapping[str, Any]) -> SessionState:
    """Return the state of a session as its JSON values say; unknown fields are ignored."""
    found = known_fields(SessionState, values)
    tracked = found.get("tracked")
    if tracked is not None:
        found["tracked"] = TrackedState(**known_fields(TrackedState, tracked))
    return SessionState(**found)


def node_state(values: Mapping[str, Any]) -> NodeState:
    """Return the state of a node as its JSON values say; unknown fields are ignored."""
    found = known_fields(NodeState, values)
    presence = known_fields(PresenceState, found.get("presence") or {})
    found["presence"] = PresenceState(**presence)
    found["kept"] = KeptState(**known_fields(KeptState, found.get("kept") or {}))
    found["nodes"] = nodes_state(found.get("nodes") or {})
    return NodeState(**found)


def snapshot(broker: Broker, subscriber: Subscriber) -> dict[str, Any]:
    """Return a session for another process.

    Requests that have not taken effect are asked for again there: here they have ended.

    :returns: the values of a :class:`SessionState`, without those that are its defaults. Most
        sessions have few others, and there are many sessions.
    """
    values: dict[str, Any] = {"session_id": subscriber.session_id}
    kept = broker.memory.of_owner(subscriber)
    if (pending := subscriber.pending) is not None:
        kept -= pending.kept
        values["requests"] = [each.text.decode() for each in pending.take_all()]
    if kept:
        values["kept"] = kept
    if prefixes := subscriber.session.prefixes:
        values["prefixes"] = dict(prefixes)
    if topics := broker.subscriptions.topics(subscriber):
        values["topics"] = list(topics)
    if (identity := subscriber.identity) is not ANONYMOUS:
        values["identity"] = identity_as_json(identity)
    wire_format = subscriber.outbox.format
    if wire_format.with_positions is wire_format:
        values["sees_positions"] = True
    if (buckets := subscriber.buckets) and (permissions := broker.policy.permissions) is not None:
        values["rates"] = permissions.rates(buckets)
    if broker.gaps is not None:
        values["tracked"] = broker.gaps.snapshot(subscriber)
    if subscriber.attempt is not None:
        values["attempt"] = subscriber.attempt.snapshot()
    if subscriber.peer is not None and subscriber.peer.visitor is not None:
        values["visitor"] = subscriber.peer.visitor
    if subscriber.handle is not None:
        values["application"] = subscriber.handle.snapshot()
    return values


def restore(broker: Broker, subscriber: Subscriber, state: SessionState) -> None:
    """Go on with a session of another process; nobody is notified.

    Subscriptions that are not permitted here end silently, as after a change of identity.

    :param subscriber: with its session id, prefixes and identity.
    """
    # The batch may hold a live set that the session joins.
    broker.fanout.end_batch()
    broker.sessions[subscriber.session_id] = subscriber
    identity = subscriber.identity
    if identity is not ANONYMOUS:
        broker.users.update(subscriber)
    outbox = subscriber.outbox
    if state.sees_positions:
        outbox.format = outbox.format.with_positions
    for topic in _permitted(broker, subscriber, state.topics):
        is_first = broker.subscriptions.add(subscriber, topic)
        if is_first and broker.interest is not None:
            broker.interest.on_first(topic)
    broker.memory.restore(subscriber, state.kept)
    permissions = broker.policy.permissions
    if permissions is not None and state.rates:
        subscriber.buckets = permissions.restore_rates(state.rates)
    if broker.gaps is not None and state.tracked is not None:
        broker.gaps.restore(subscriber, state.tracked)
    if state.application is not None:
        subscriber.handle = KeptHandle(state.application)
    if broker.presence is not None:
        broker.presence.take(subscriber)


def _permitted(broker: Broker, subscriber: Subscriber, topics: Sequence[str]) -> Sequence[str]:
    policy, identity = broker.policy, subscriber.identity
    if policy.permissions is None:
        return topics
    automatic = frozenset[str]() if broker.automatic is None else broker.automatic.topics(identity)
    return [each for each in topics if each in automatic or policy.may_subscribe(identity, each)]


def snapshot_node(broker: Broker, is_moved: Callable[[Subscriber], bool]) -> NodeState:
    """Return what another process needs besides the sessions that have moved there.

    Other nodes hear nothing more from this process, because the other one speaks for the node.
    """
    history = None if broker.replays is None else broker.replays.history
    return NodeState(
        presence=PresenceState() if broker.presence is None else broker.presence.snapshot(is_moved),
        occupied=_occupied(broker, is_moved),
        kept=KeptState() if broker.gaps is None else broker.gaps.snapshot_kept(),
        epoch=None if history is None else history.next_epoch,
        nodes=NodesState() if broker.nodes is None else broker.nodes.hand_over(),
    )


def _occupied(broker: Broker, is_moved: Callable[[Subscriber], bool]) -> list[str]:
    occupancy, subscriptions = broker.occupancy, broker.subscriptions
    if occupancy is None:
        return []
    staying = [
        topic
        for topic in subscriptions.occupied_topics
        if occupancy.is_watched(topic) and not any(map(is_moved, subscriptions.subscribers(topic)))
    ]
    return [*staying, *[each for each in occupancy.waiting if each not in staying]]


def resume_node(broker: Broker, state: NodeState) -> None:
    """Go on alone: all sessions that could move have."""
    history = None if broker.replays is None else broker.replays.history
    if history is not None and state.epoch is not None:
        history.take_epoch(state.epoch)
    if broker.mirrors is not None:
        broker.mirrors.adopt()
    if broker.gaps is not None:
        broker.gaps.restore_kept(state.kept)
    if broker.nodes is not None:
        broker.nodes.take_over(state.nodes)
    if broker.presence is not None:
        broker.presence.resume(state.presence)
    if broker.occupancy is not None:
        for topic in state.occupied:
            broker.occupancy.resume(topic, not broker.subscriptions.subscribers(topic))
