"""The parts of one node, put together.

Owns: which object gets which other one. Only ``service`` may import it, late: importing txzmq
installs the reactor, and making a ZeroMQ context starts threads, neither of which may happen before
twistd has chosen its reactor and forked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

from twisted.logger import Logger
from txzmq import ZmqFactory

from wampush.broker.broker import Broker
from wampush.broker.fanout import Fanout
from wampush.broker.hub import Hub
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Ledger
from wampush.broker.outbox import SlowClient
from wampush.broker.permissions import Permissions, usual
from wampush.broker.policy import Policy, TopicRule
from wampush.broker.pressure import Pressure
from wampush.broker.subscriber import Subscriber
from wampush.edges.admission import Admission
from wampush.edges.authentication import Authenticator
from wampush.edges.framing import encode
from wampush.edges.origins import Origins, Proxies
from wampush.edges.websocket import ClientLimits, WebSocketEdge
from wampush.edges.zmq_pull import PullBridge
from wampush.edges.zmq_security import ZmqSecurity
from wampush.settings import Settings
from wampush.wamp.session import PrefixLimits

_log = Logger(namespace="wampush")


@dataclass(frozen=True, slots=True)
class Node:
    """The parts that a service starts and stops.

    :param broker: the use cases.
    :param pressure: when sources pause.
    :param authenticator: who clients are.
    :param websocket: the factory for WebSocket listeners.
    :param pull: the ZeroMQ sockets.
    """

    broker: Broker
    pressure: Pressure
    authenticator: Authenticator
    websocket: WebSocketEdge
    pull: PullBridge

    def status(self) -> Mapping[str, object]:
        """Counts for a health check."""
        return {
            "sessions": len(self.broker.sessions),
            "topics": self.broker.hub.topic_count,
            "connections": len(self.websocket.connections),
            "refusals": self.broker.ledger.refusals(),
        }

    def refusals(self) -> list[Mapping[str, object]]:
        """The last refused inputs, newest first."""
        return [each.as_json() for each in reversed(self.broker.ledger.recent)]

    def session(self, session_id: str) -> Mapping[str, object] | None:
        """What is known of a session; None when none has this id."""
        subscriber = self.broker.sessions.get(session_id)
        if subscriber is None:
            return None
        identity = subscriber.identity
        origin = self.broker.origin_of(subscriber)
        return {
            "session": session_id,
            "user": identity.user,
            "groups": sorted(identity.groups),
            "language": identity.language,
            "source": identity.source,
            "expires": identity.expires,
            "topics": sorted(self.broker.hub.topics(subscriber)),
            "prefixes": dict(subscriber.session.prefixes),
            "waiting_bytes": subscriber.outbox.queued if subscriber.outbox.blocked else 0,
            "refusals": [each for each in self.refusals() if each["origin"] == origin],
        }

    def let_clients_publish(self) -> None:
        """From now on clients may PUBLISH."""
        self.broker.policy = self.broker.policy.letting_clients_publish()


def build(settings: Settings, reactor: Any, most: int) -> Node:
    """Make a node; its clients may not publish until :meth:`Node.let_clients_publish` says so.

    :param settings: what is in force.
    :param reactor: for timers and the end of a turn (``IReactorTime``).
    :param most: connections at the same time.
    """
    pressure = Pressure(settings.limits.queued_bytes, reactor.callLater)
    broker = _broker(settings, reactor, pressure)
    authenticator = Authenticator(settings, reactor, time)
    broker.procedures = authenticator.procedures(broker.effective_permissions)
    websocket = _websocket(settings, reactor, most, authenticator, broker, pressure)
    pull = _pull(settings, broker, pressure)
    return Node(broker, pressure, authenticator, websocket, pull)


def _broker(settings: Settings, reactor: Any, pressure: Pressure) -> Broker:
    def report(line: str) -> None:
        _log.warn("{line}", line=line)

    def end_of_turn(flush: Callable[[], None]) -> None:
        reactor.callLater(0, flush)

    ledger = Ledger(time, report)
    fanout = Fanout(encode, end_of_turn, pressure, ledger)
    rules = [TopicRule(each.match, SlowClient(each.slow_client)) for each in settings.topics]
    hub: Hub[Subscriber] = Hub()
    limits = settings.limits
    return Broker(
        hub,
        fanout,
        Policy(clients_publish=False, rules=rules, permissions=_permissions(settings)),
        ledger,
        limits.topic_bytes,
        limits.subscriptions_per_session,
        limits.topics,
    )


def _permissions(settings: Settings) -> Permissions | None:
    """The permissions to ask; None where everybody may do the same, so that nobody has to."""
    clients = settings.clients
    if not settings.permissions and clients.subscribe == clients.call == "allow":
        return None
    usually = usual(clients.subscribe, clients.publish, clients.call)
    _log.info(
        "{count} entries of [[permissions]]; where none decides, {usually}",
        count=len(settings.permissions),
        usually=", ".join(decision.why for decision in usually.values()),
    )
    return Permissions(settings.permissions, usually, monotonic)


def _websocket(
    settings: Settings,
    reactor: Any,
    most: int,
    authenticator: Authenticator,
    broker: Broker,
    pressure: Pressure,
) -> WebSocketEdge:
    limits = settings.limits
    admission = Admission(
        most,
        limits.connections_per_address,
        limits.connections_per_user,
        Origins(settings.websocket.origins, settings.websocket.allow_null_origin),
        Proxies.of(settings.proxy.trusted),
    )
    client_limits = ClientLimits(
        settings.clients.queue_bytes,
        limits.messages_per_second,
        limits.message_burst,
        PrefixLimits(limits.prefixes_per_session, limits.topic_bytes),
    )
    return WebSocketEdge(
        settings.websocket, client_limits, admission, authenticator, broker, pressure, reactor
    )


def _pull(settings: Settings, broker: Broker, pressure: Pressure) -> PullBridge:
    zmq = settings.zmq
    return PullBridge(
        zmq.pull,
        zmq.high_water_mark,
        Ingest(zmq.topic_key, zmq.max_message_bytes, settings.limits.topic_bytes),
        broker,
        pressure,
        settings.clients.queue_bytes,
        ZmqFactory(),
        ZmqSecurity(zmq, broker.ledger),
    )
