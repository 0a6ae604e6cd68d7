"""The settings of the ZeroMQ sockets.

Owns: the table ``[zmq]``.
Must not import: Twisted, Autobahn, other tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wampush.config.checks.common import (
    FileMode,
    FilePath,
    ListOf,
    Network,
    PullAddress,
    Text,
    WholeNumber,
)

if TYPE_CHECKING:
    pass
from wampush.config.setting import GIB, about


@dataclass(frozen=True, slots=True)
class ZmqSettings:
    """``[zmq]``: the ZeroMQ PULL sockets that backends push to. Sizes are in bytes."""

    pull: tuple[str, ...] = field(
        default=("tcp://127.0.0.1:5555",),
        metadata=about(
            "",
            "Existing backends push to this address; loopback, because a push is trusted.",
            ListOf(PullAddress()),
        ),
    )
    topic_key: str = field(
        default="category",
        metadata=about(
            "", "The key under which existing backends name the topic of a push.", Text()
        ),
    )
    high_water_mark: int = field(
        default=1000,
        metadata=about(
            "messages",
            "ZeroMQ's own default: a short burst fits, and memory stays bounded (0 would not be).",
            WholeNumber(1, 10_000_000),
        ),
    )
    max_message_bytes: int = field(
        default=1_048_576,
        metadata=about(
            "bytes",
            "Far above any event for a page; every receiver may have to queue it.",
            WholeNumber(64, GIB),
        ),
    )
    curve_secret_key_file: str = field(
        default="",
        metadata=about(
            "",
            "The server's CURVE key: bound TCP sockets then take encrypted connections only.",
            FilePath(),
        ),
    )
    curve_client_keys: str = field(
        default="",
        metadata=about(
            "",
            "File or folder with the public keys of backends; a key that is not there is refused.",
            FilePath(),
        ),
    )
    allow: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "Who may connect to bound TCP sockets; empty: everybody that reaches them.",
            ListOf(Network()),
        ),
    )
    ipc_mode: str = field(
        default="0600",
        metadata=about(
            "",
            "Who may connect to bound `ipc://` sockets: the daemon's user; `0660` adds its group.",
            FileMode(),
        ),
    )
