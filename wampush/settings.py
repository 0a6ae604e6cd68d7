"""Every setting of wampush: its default, its unit, why it is what it is, and what it may be.

Owns: the frozen settings classes, with ``unit``, ``reason`` and ``checker`` in the metadata of
each field.
Must not import: Twisted, Autobahn, or anything of wampush but ``config_checkers``. Where values
come from is the business of ``config.py``; other modules import these classes from there.

The tables of ``docs/reference/configuration.md`` repeat what stands here; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from wampush.config_checkers import (
    Addresses,
    Checker,
    Choice,
    Endpoint,
    FilePath,
    Flag,
    Number,
    PullAddress,
    Text,
    TopicPattern,
    WholeNumber,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Dialect = Literal["wamp1", "ratchet"]
PublishPolicy = Literal["auto", "always", "never"]
SlowClientPolicy = Literal["disconnect", "drop-newest", "latest"]

_DAY = 86_400
_GIB = 2**30


def _about(unit: str, reason: str, checker: Checker) -> Mapping[str, Any]:
    return {"unit": unit, "reason": reason, "checker": checker}


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """``[websocket]``: the listeners that browsers connect to, and what one client may cost.

    Times are in seconds, sizes in bytes.
    """

    listen: tuple[str, ...] = field(
        default=("tcp:8080:interface=127.0.0.1",),
        metadata=_about(
            "",
            "Existing pages connect to this port; loopback, so that nothing is public unasked.",
            Addresses(Endpoint(), at_least=1),
        ),
    )
    dialect: Dialect = field(
        default="wamp1",
        metadata=_about(
            "",
            "WAMP v1 as specified; `ratchet` is for apps that rely on its differences.",
            Choice(("wamp1", "ratchet")),
        ),
    )
    require_subprotocol: bool = field(
        default=True,
        metadata=_about(
            "",
            "A client that does not offer `wamp` most likely came to the wrong server.",
            Flag(),
        ),
    )
    ping_interval: float = field(
        default=30.0,
        metadata=_about(
            "s",
            "Half of the 60 s after which common proxies cut an idle connection.",
            Number(0.01, _DAY),
        ),
    )
    silence_timeout: float = field(
        default=60.0,
        metadata=_about(
            "s",
            "Two pings unanswered: the client is gone. Must be longer than `ping_interval`.",
            Number(0.01, _DAY),
        ),
    )
    handshake_timeout: float = field(
        default=5.0,
        metadata=_about(
            "s",
            "Ample for a slow link, and half-open connections do not pile up.",
            Number(0.01, _DAY),
        ),
    )
    max_header_bytes: int = field(
        default=8192,
        metadata=_about(
            "bytes",
            "Room for long cookies, as much as common web servers allow.",
            WholeNumber(512, 2**20),
        ),
    )
    max_message_bytes: int = field(
        default=65_536,
        metadata=_about(
            "bytes",
            "Clients send subscriptions and small events; larger is a mistake or an attack.",
            WholeNumber(64, _GIB),
        ),
    )
    max_connections: int = field(
        default=100_000,
        metadata=_about(
            "connections",
            "Ends a flood before memory does; the system's limit of open files may end it earlier.",
            WholeNumber(1, 10_000_000),
        ),
    )
    compression: bool = field(
        default=False,
        metadata=_about(
            "",
            "Small events gain little from permessage-deflate (RFC 7692), and it costs CPU.",
            Flag(),
        ),
    )
    compression_min_bytes: int = field(
        default=512,
        metadata=_about(
            "bytes",
            "Below this, compressing costs more than the bytes it saves.",
            WholeNumber(0, _GIB),
        ),
    )


@dataclass(frozen=True, slots=True)
class ZmqSettings:
    """``[zmq]``: the ZeroMQ PULL sockets that backends push to. Sizes are in bytes."""

    pull: tuple[str, ...] = field(
        default=("tcp://127.0.0.1:5555",),
        metadata=_about(
            "",
            "Existing backends push to this address; loopback, because a push is trusted.",
            Addresses(PullAddress()),
        ),
    )
    topic_key: str = field(
        default="category",
        metadata=_about(
            "", "The key under which existing backends name the topic of a push.", Text()
        ),
    )
    high_water_mark: int = field(
        default=1000,
        metadata=_about(
            "messages",
            "ZeroMQ's own default: a short burst fits, and memory stays bounded (0 would not be).",
            WholeNumber(1, 10_000_000),
        ),
    )
    max_message_bytes: int = field(
        default=1_048_576,
        metadata=_about(
            "bytes",
            "Far above any event for a page; every receiver may have to queue it.",
            WholeNumber(64, _GIB),
        ),
    )


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """``[http]``: the port for health, the demo page and static files."""

    listen: str = field(
        default="tcp:8081:interface=127.0.0.1",
        metadata=_about(
            "",
            "Next to the WebSocket port; loopback, because it is for operators. `off`: no HTTP.",
            Endpoint(off=True),
        ),
    )
    token_file: str = field(
        default="",
        metadata=_about(
            "",
            "File with the bearer token for counts and refusals; without one, only this machine.",
            FilePath(),
        ),
    )


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """``[clients]``: what clients may do, and how much may wait for one. Sizes are in bytes."""

    publish: PublishPolicy = field(
        default="auto",
        metadata=_about(
            "",
            "`auto`: clients may publish only while every WebSocket listener is on loopback.",
            Choice(("auto", "always", "never")),
        ),
    )
    queue_bytes: int = field(
        default=1_048_576,
        metadata=_about(
            "bytes",
            "Seconds of events for a client that stalls; one that needs more is dropped.",
            WholeNumber(1024, _GIB),
        ),
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """``[limits]``: limits of the whole node. Sizes are in bytes."""

    queued_bytes: int = field(
        default=268_435_456,
        metadata=_about(
            "bytes",
            "All queues together; above it pulling pauses. Must not be less than "
            "`clients.queue_bytes`.",
            WholeNumber(1024, 1024 * _GIB),
        ),
    )
    topic_bytes: int = field(
        default=1024,
        metadata=_about(
            "bytes",
            "Longer than any sensible URI, and each subscription keeps its topic in memory.",
            WholeNumber(1, 65_535),
        ),
    )


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """One entry of ``[[topics]]``: what holds for some topics. The first that matches wins."""

    match: str = field(
        metadata=_about(
            "",
            "Which topics the entry is about: one topic, or all that begin with what precedes `*`.",
            TopicPattern(),
        ),
    )
    slow_client: SlowClientPolicy = field(
        default="disconnect",
        metadata=_about(
            "",
            "A page that reconnects is right again; with events left out it is wrong unnoticed.",
            Choice(("disconnect", "drop-newest", "latest")),
        ),
    )

    def matches(self, topic: str) -> bool:
        """Tell whether this entry is about a topic.

        :param topic: the resolved topic, not a CURIE.
        """
        if self.match.endswith("*"):
            return topic.startswith(self.match[:-1])
        return topic == self.match


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; without arguments, the defaults."""

    websocket: WebSocketSettings = field(default_factory=WebSocketSettings)
    zmq: ZmqSettings = field(default_factory=ZmqSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    clients: ClientSettings = field(default_factory=ClientSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    topics: tuple[TopicSettings, ...] = field(
        default=(),
        metadata={"unit": "", "reason": "No topic needs anything else than the defaults."},
    )


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "websocket": WebSocketSettings,
        "zmq": ZmqSettings,
        "http": HttpSettings,
        "clients": ClientSettings,
        "limits": LimitSettings,
    }
)
"""The tables of the file, in the order of :class:`Settings`."""
