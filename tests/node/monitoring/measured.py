"""What the metrics of a server in memory are read from."""

from __future__ import annotations

from typing import Any

from tests.edges.websocket.in_memory import MemoryNode
from wampush.durations import Durations
from wampush.node.monitoring.node_state import NodeState
from wampush.node.monitoring.replacements import Replacements
from wampush.testing import InMemoryServer


def state_of(server: InMemoryServer, **changes: Any) -> NodeState:
    """The state of a server in memory, as far as it has one."""
    core = server._core
    values: dict[str, Any] = {
        "broker": core.broker,
        "durable": core.durable,
        "backplane": core.backplane,
        "backpressure": core.backpressure,
        "queued_limit": 5000,
        "connections": lambda: 1,
        "http_connections": lambda: 0,
        "backends": lambda: 0,
        "redis": list,
        "failed_tls_handshakes": lambda: 0,
        "held_pushes": lambda: 0,
        "push_ids": MemoryNode().node.acknowledged_pushes.ids,
        "ready": dict,
        "replacements": Replacements(),
        "worker": 1,
        "workers": 1,
        "loop_lag": Durations(),
        "collector_pauses": Durations(),
    }
    known = NodeState.__dataclass_fields__
    return NodeState(
        **{name: each for name, each in {**values, **changes}.items() if name in known}
    )
