"""What peers can cost in memory, from the defaults of the settings.

Owns: the sums in ``docs/explanation/limits.md`` and the measured constants in them. Each sum is a
list of terms; a test holds the sums against what the page promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from wampush.broker import memory_costs
from wampush.broker.delivery.address_shares import LOOKS
from wampush.broker.memory import RESERVE_SHARE
from wampush.config.settings import Settings
from wampush.edges.push_ids import MAX_BYTES

MIB: Final = 2**20
#: Bytes of the process before anybody connects.
PROCESS: Final = 64 * MIB
#: Bytes of a connection and its session that keep nothing; 2,110 to 2,720 measured.
CONNECTION: Final = 2720
#: Bytes that TLS adds to a connection.
TLS: Final = 25 * 1024
#: Sockets beyond ``limits.connections_per_address`` that are accepted to be answered.
ANSWERED_BEYOND: Final = 64


#: Parts by which queues can grow before they are looked at, even within a turn.
GROWTH: Final = 3


@dataclass(frozen=True, slots=True)
class Term:
    """One line of a sum.

    :param what: the memory is for.
    :param formula: of settings and constants.
    :param size: in bytes.
    """

    what: str
    formula: str
    size: int


def session(settings: Settings) -> list[Term]:
    """Return what one client can cost."""
    limits, clients = settings.limits, settings.clients
    unfinished = memory_costs.unfinished_bytes(2 * settings.websocket.max_message_bytes)
    return [
        Term(
            "what is kept for it", "`limits.kept_bytes_per_session`", limits.kept_bytes_per_session
        ),
        Term(
            "a message that has not arrived whole, and what follows it",
            "4 times `websocket.max_message_bytes` + 1 KiB",
            min(unfinished, limits.kept_bytes_per_session),
        ),
        Term("its queue", "`clients.queue_bytes`", clients.queue_bytes),
        Term("the connection", "2.7 KiB, and 25 KiB with TLS", CONNECTION + TLS),
    ]


def address(settings: Settings) -> list[Term]:
    """Return what all clients of one address can cost."""
    limits, http = settings.limits, settings.http
    sockets = limits.connections_per_address + ANSWERED_BEYOND
    return [
        Term(
            "what is kept for its clients",
            "`limits.kept_bytes_per_address`",
            limits.kept_bytes_per_address,
        ),
        Term(
            "the reserve for unfinished input",
            "a quarter of it",
            limits.kept_bytes_per_address // RESERVE_SHARE,
        ),
        Term(
            "its queues",
            f"`limits.queued_bytes_per_address` + {GROWTH}/{LOOKS} of `limits.queued_bytes`",
            limits.queued_bytes_per_address + GROWTH * limits.queued_bytes // LOOKS,
        ),
        Term(
            "the connections",
            "(`limits.connections_per_address` + 64) times 2.7 KiB",
            sockets * CONNECTION,
        ),
        Term("TLS, if wampush serves it", "(the same) times 25 KiB", sockets * TLS),
        Term(
            "HTTP bodies, only with the token",
            "`http.connections_per_address` times `pushes.max_message_bytes`",
            http.connections_per_address * settings.pushes.max_message_bytes,
        ),
    ]


def everybody(settings: Settings) -> list[Term]:
    """Return what all clients together can cost, without TLS."""
    limits, http = settings.limits, settings.http
    return [
        Term("the process", "64 MiB", PROCESS),
        Term("what is kept", "`limits.kept_bytes`", limits.kept_bytes),
        Term(
            "the reserve for unfinished input",
            "a quarter of it",
            limits.kept_bytes // RESERVE_SHARE,
        ),
        Term(
            "the queues",
            f"`limits.queued_bytes` times {LOOKS + GROWTH}/{LOOKS}",
            limits.queued_bytes + GROWTH * limits.queued_bytes // LOOKS,
        ),
        Term(
            "the connections",
            "`websocket.max_connections` times 2.7 KiB",
            settings.websocket.max_connections * CONNECTION,
        ),
        Term("ids of pushes over HTTP", "128 MiB", MAX_BYTES),
        Term(
            "HTTP bodies",
            "`http.max_connections` times `pushes.max_message_bytes`",
            http.max_connections * settings.pushes.max_message_bytes,
        ),
    ]


SUMS: Final = {"session": session, "address": address, "everybody": everybody}


def total(terms: Iterable[Term]) -> int:
    """Return a sum in bytes."""
    return sum(term.size for term in terms)


def in_mib(size: int) -> str:
    """Return a size as text with one decimal."""
    return f"{size / MIB:.1f} MiB"


def _pending() -> str:
    text = f"{memory_costs.COPIES} times its bytes + its text"
    json = f"{memory_costs.LIST} per `[` + {memory_costs.OBJECT} per `{{` + {memory_costs.ITEM}"
    return f"{memory_costs.PENDING} + {text} + {json} per `,`"


def _handshake() -> str:
    header = f"{memory_costs.HEADER} per header once it is read"
    return f"{memory_costs.UNFINISHED} + {header} + twice its bytes"


#: What is kept, and what it counts as: the formula in words, by kind.
COSTS: Final[Mapping[str, str]] = {
    "a subscription": f"{memory_costs.SUBSCRIPTION} + the text of the topic",
    "a prefix": f"{memory_costs.PREFIX} + the text of prefix and URI",
    "a call, action, subscription or publication until the application has answered": _pending(),
    "a message that waits for a component": f"{memory_costs.COMPONENT_MESSAGE} + its text",
    "a handshake until it is answered; for a component, as long as the connection": _handshake(),
    "a message that has not arrived whole": f"{memory_costs.UNFINISHED} + twice its bytes",
}
