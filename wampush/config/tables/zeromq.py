"""The table ``[zmq]``: the ZeroMQ PULL sockets.

Must not import: Twisted, other tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from wampush.config.checks.common import Network
from wampush.config.checks.files import CurveClientKeysFile, CurveSecretKeyFile
from wampush.config.checks.zeromq import FileMode, PullAddress
from wampush.config.setting import Count, setting


@dataclass(frozen=True, slots=True)
class ZmqSettings:
    """``[zmq]``: the ZeroMQ PULL sockets that backends push to."""

    pull: tuple[PullAddress, ...] = setting(
        ("tcp://127.0.0.1:5555",),
        "Existing backends push to this address; loopback, because pushes are trusted.",
    )
    high_water_mark: Count = setting(
        1000,
        "The default of ZeroMQ: a short burst fits, and memory stays bounded (0 would be "
        "unbounded).",
        unit="messages",
    )
    curve_secret_key_file: CurveSecretKeyFile = setting(
        "", "The server's CURVE key: bound TCP sockets then accept encrypted connections only."
    )
    curve_client_keys: CurveClientKeysFile = setting(
        "", "File or folder with the public keys of backends; all other keys are refused."
    )
    allow: tuple[Network, ...] = setting(
        (), "Addresses that may connect to bound TCP sockets; empty: all that can reach them."
    )
    ipc_mode: FileMode = setting(
        "0600",
        "Users that may connect to bound `ipc://` sockets: the daemon's user; `0660` adds its "
        "group.",
    )
    max_connections: Count = setting(
        1000,
        "Room for the workers of several web servers; each takes a descriptor, which clients and "
        "health checks then lack.",
        unit="connections",
        most=1_000_000,
    )
