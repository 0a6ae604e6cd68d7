"""The table ``[zmq]``: the ZeroMQ PULL sockets.

Owns: the addresses, and which backends may connect. Must not import: the other tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from wampush.config.checks.check import Network, whole
from wampush.config.checks.files import CurveClientKeysFile, CurveSecretKeyFile
from wampush.config.checks.zeromq import FileMode, PullAddress


@dataclass(frozen=True, slots=True)
class ZmqSettings:
    """``[zmq]``: the ZeroMQ PULL sockets that backends push to.

    :param pull: Existing backends push to this address; loopback, because pushes are trusted.
    :param high_water_mark: The default of ZeroMQ: a short burst fits, and memory stays bounded (0
        would be unbounded).
    :param curve_secret_key_file: The server's CURVE key: bound TCP sockets then accept encrypted
        connections only.
    :param curve_client_keys: File or folder with the public keys of backends; all other keys are
        refused.
    :param allow: Addresses that may connect to bound TCP sockets; empty: all that can reach them.
    :param ipc_mode: Users that may connect to bound ``ipc://`` sockets: the daemon's user; ``0660``
        adds its group.
    :param max_connections: Room for the workers of several web servers; each takes a descriptor,
        which clients and health checks then lack.
    """

    pull: tuple[PullAddress, ...] = ("tcp://127.0.0.1:5555",)
    high_water_mark: Annotated[int, whole(1, 10_000_000, "messages")] = 1000
    curve_secret_key_file: CurveSecretKeyFile = ""
    curve_client_keys: CurveClientKeysFile = ""
    allow: tuple[Network, ...] = ()
    ipc_mode: FileMode = "0600"
    max_connections: Annotated[int, whole(1, 1_000_000, "connections")] = 1000
