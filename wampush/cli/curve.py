"""The keys that ``wampush push`` needs where a server takes encrypted connections only.

Owns: the arguments about keys, and what they do to a socket. Must not import: Twisted; nor ZeroMQ
at module level, which would make ``wampush --help`` wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wampush.errors import OperatorError

if TYPE_CHECKING:
    import argparse

    import zmq


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two files."""
    parser.add_argument(
        "--server-key",
        metavar="FILE",
        help="the server's public CURVE key, where it takes encrypted connections only",
    )
    parser.add_argument(
        "--secret-key",
        metavar="FILE",
        help="our secret CURVE key; its public key is among zmq.curve_client_keys of the server",
    )


def missing(arguments: argparse.Namespace) -> str:
    """What is wrong with the arguments, or ""."""
    if bool(arguments.server_key) != bool(arguments.secret_key):
        return "--server-key and --secret-key go together"
    return ""


def apply(arguments: argparse.Namespace, socket: zmq.Socket[bytes]) -> None:
    """Make a socket that is about to connect speak CURVE, when there are keys.

    :raises OperatorError: when a file holds no usable key.
    """
    import zmq

    from wampush.edges.zeromq.keys import public_key_of, read_public_keys, read_secret_key

    if not arguments.server_key:
        return
    server = read_public_keys("--server-key", arguments.server_key)
    if len(server) != 1:
        raise OperatorError(
            f"--server-key {arguments.server_key!r} holds {len(server)} public keys; "
            "it must hold exactly one"
        )
    secret = read_secret_key("--secret-key", arguments.secret_key)
    try:
        socket.set(zmq.CURVE_SERVERKEY, next(iter(server)))
    except zmq.ZMQError:
        raise OperatorError(f"--server-key {arguments.server_key!r} holds no usable key") from None
    socket.set(zmq.CURVE_SECRETKEY, secret)
    socket.set(zmq.CURVE_PUBLICKEY, public_key_of(secret))
