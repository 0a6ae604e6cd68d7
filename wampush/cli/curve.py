"""The CURVE keys of ``wampush push``, for servers that accept encrypted connections only.

Owns: the arguments for keys, and configuring a socket with them. Must not import: Twisted; nor
ZeroMQ at module level, which would make ``wampush --help`` slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wampush.errors import OperatorError

if TYPE_CHECKING:
    import argparse

    import zmq


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the two key files."""
    parser.add_argument(
        "--server-key",
        metavar="FILE",
        help="the server's public CURVE key, if it accepts encrypted connections only",
    )
    parser.add_argument(
        "--secret-key",
        metavar="FILE",
        help="the client's secret CURVE key, whose public key is in the server's "
        "zmq.curve_client_keys",
    )


def mistake_in(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the combination of options, or ""."""
    if bool(arguments.server_key) != bool(arguments.secret_key):
        return "--server-key and --secret-key must be used together"
    return ""


def apply(arguments: argparse.Namespace, socket: zmq.Socket[bytes]) -> None:
    """Configure a socket for CURVE before it connects, if keys are given.

    :raises OperatorError: a file has no usable key.
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
        raise OperatorError(
            f"--server-key {arguments.server_key!r} contains no usable key"
        ) from None
    socket.set(zmq.CURVE_SECRETKEY, secret)
    socket.set(zmq.CURVE_PUBLICKEY, public_key_of(secret))
