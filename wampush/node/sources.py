"""What brings pushes and the publications of other nodes, as the settings say.

Owns: the translation of ``[zmq]``, ``[[redis_source]]`` and ``[backplane]``.
Must not import: ``node.build``.
"""

from __future__ import annotations

from typing import Any

from txzmq import ZmqFactory

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.history.rule import HistoryRules
from wampush.broker.ledger import Source
from wampush.broker.mirrors.contract import SharedStore
from wampush.config.settings import Settings
from wampush.edges.acknowledged_pushes import AcknowledgedPushes
from wampush.edges.redis.sources import RedisSources
from wampush.edges.zeromq.pull_sockets import PullSockets
from wampush.edges.zeromq.security import ZmqSecurity
from wampush.node.backplane import Joint, max_message_bytes, new_node_id
from wampush.node.core import Core


def join_over_redis(
    settings: Settings, reactor: Any, fanout: Fanout, backpressure: Backpressure
) -> Joint:
    """Return what joins a node to others over Redis; see :class:`~.backplane.JoinNodes`."""
    # Single nodes, which are the most, start without these.
    from wampush.edges.backplane.redis_bus import RedisBus
    from wampush.edges.storage.history_commands import HistoryCommands
    from wampush.edges.storage.redis_history import RedisHistory

    node = new_node_id()
    bus = RedisBus(
        settings.backplane,
        node=node,
        max_message_bytes=max_message_bytes(settings),
        topic_bytes=settings.limits.topic_bytes,
        keeps_history=any(each.keeps_something for each in settings.topics),
        fanout=fanout,
        backpressure=backpressure,
        reactor=reactor,
    )

    def open_store(rules: HistoryRules) -> SharedStore:
        # Under a name of its own: what it sends has numbers of its own.
        prefix = settings.backplane.key_prefix
        commands = HistoryCommands(f"{node}h", prefix, rules, max_message_bytes(settings))
        return RedisHistory(bus, commands)

    return Joint(node=node, bus=bus, open_store=open_store)


def pull_sockets(core: Core) -> PullSockets:
    """Return the ZeroMQ sockets."""
    zmq = core.settings.zmq
    return PullSockets(
        zmq.pull,
        high_water_mark=zmq.high_water_mark,
        ingest=core.ingest,
        broker=core.broker,
        backpressure=core.backpressure,
        queue_bytes=core.settings.clients.queue_bytes,
        factory=ZmqFactory(),
        security=ZmqSecurity(zmq, core.broker.ledger),
        max_connections=zmq.max_connections,
        seconds=core.reactor.seconds,
    )


def redis_sources(core: Core) -> RedisSources:
    """Return the sources in Redis."""
    return RedisSources(
        core.settings.redis_source,
        ingest=core.ingest,
        broker=core.broker,
        backpressure=core.backpressure,
        queue_bytes=core.settings.clients.queue_bytes,
        reactor=core.reactor,
    )


def acknowledged_pushes(core: Core) -> AcknowledgedPushes:
    """Return what publishes pushes over HTTP."""
    return AcknowledgedPushes(
        Source.HTTP,
        ingest=core.ingest,
        broker=core.broker,
        backpressure=core.backpressure,
        clock=core.reactor,
    )
