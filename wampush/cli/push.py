"""``wampush push``: push from the command line, as a backend does.

Owns: its arguments, and what is sent. Must not import: Twisted; nor, at module level, ZeroMQ, which
would make ``wampush --help`` slow.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson

from wampush.cli import curve, http_push, targets
from wampush.cli.support import Parser, topic_text
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import zmq

PUSH_ADDRESS: Final = "tcp://127.0.0.1:5555"
PUSH_TIMEOUT: Final = 5.0
_MAX_TIMEOUT: Final = 86_400.0
#: Characters of a wrong value that an error shows.
_SHOWN: Final = 80

_EPILOG = """\
examples:
  wampush push MainCategory '{"title": "hello"}'
  wampush push prices 101.25 --to tcp://10.0.0.5:5555
  wampush push news '"for you"' --user 7 --group staff
  tail -f events.jsonl | wampush push log -
  wampush push news '"hello"' --http http://127.0.0.1:8081   prints the number of receivers

Any JSON value is sent exactly as written. A string needs its own quotes: '"hello"'.
"""


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "push",
        help="push JSON to a topic, as a backend does",
        description="Push JSON to the subscribers of a topic, over ZeroMQ or HTTP.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("topic", metavar="TOPIC", type=topic_text, help="the topic (category)")
    parser.add_argument(
        "json", metavar="JSON", help="a JSON value; - reads one value per line from standard input"
    )
    parser.add_argument(
        "--to",
        metavar="ADDRESS",
        default=PUSH_ADDRESS,
        help="where wampush pulls, tcp://HOST:PORT or ipc://PATH (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=PUSH_TIMEOUT,
        help="how long to wait for a server that pulls (default: %(default)s)",
    )
    curve.add_arguments(parser)
    http_push.add_arguments(parser)
    targets.add_arguments(parser)
    parser.set_defaults(run=partial(run, parser))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MAX_TIMEOUT:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a number of seconds greater than 0 and at most {_MAX_TIMEOUT:.0f}"
        )
    return seconds


def _checked_json(text: bytes, where: str) -> bytes:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        shown = text.decode(errors="backslashreplace")
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        raise OperatorError(f"{where} is not JSON: {error}: {shown!r}") from error
    return text


def _payloads(argument: str) -> Iterator[bytes]:
    if argument != "-":
        yield _checked_json(os.fsencode(argument).strip(), "the value")
        return
    for number, line in enumerate(sys.stdin.buffer, 1):
        text = line.strip()
        if text:
            yield _checked_json(text, f"line {number}")


def _send_all(arguments: argparse.Namespace, socket: zmq.Socket[bytes]) -> None:
    import zmq

    topic = arguments.topic.encode()
    options = targets.options(arguments)
    more = [] if options is None else [options]
    for sent, payload in enumerate(_payloads(arguments.json)):
        try:
            socket.send_multipart([topic, payload, *more])
        except zmq.Again:
            if sent == 0:
                raise OperatorError(
                    f"nobody pulls at {arguments.to}; check that wampush is running with --pull "
                    f"{arguments.to}, and that it accepts this address and key"
                ) from None
            raise OperatorError(
                f"{arguments.to} accepted nothing more for {arguments.timeout:g} s; "
                f"{sent} pushes were handed over before"
            ) from None


def _open_socket(
    arguments: argparse.Namespace, context: zmq.Context[zmq.Socket[bytes]]
) -> zmq.Socket[bytes]:
    """Return a socket that is connected to the server, or is about to be.

    :raises OperatorError: the address or a key cannot be used.
    """
    import zmq

    socket = context.socket(zmq.PUSH)
    # Without IMMEDIATE, a message would be queued for a server that is not there, and lost at exit.
    socket.set(zmq.IMMEDIATE, 1)
    socket.set(zmq.SNDTIMEO, _milliseconds(arguments.timeout))
    # Few, because queued messages are lost if the server stops accepting them.
    socket.set(zmq.SNDHWM, 100)
    socket.set(zmq.LINGER, 0)
    # Only for IPv6 addresses, because the IPv6 address of a host name may be unreachable.
    socket.set(zmq.IPV6, int("[" in arguments.to))
    curve.apply(arguments, socket)
    try:
        socket.connect(arguments.to)
    except zmq.ZMQError as error:
        raise OperatorError(
            f"cannot connect to {arguments.to!r}: {error}; write tcp://HOST:PORT or ipc://PATH"
        ) from error
    return socket


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


def run(parser: Parser, arguments: argparse.Namespace) -> int:
    """Push.

    :raises OperatorError: the server accepts nothing, or a value is not JSON.
    """
    if mistake := curve.mistake_in(arguments) or http_push.mistake_in(arguments):
        parser.error(mistake)
    if arguments.http is not None:
        http_push.send_all(arguments, _payloads(arguments.json), targets.options(arguments))
        return 0
    _send_over_zeromq(arguments)
    return 0


def _send_over_zeromq(arguments: argparse.Namespace) -> None:
    import zmq

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        socket = _open_socket(arguments, context)
        try:
            _send_all(arguments, socket)
        finally:
            # After an error, too: what was handed over before it is still being sent.
            started = time.monotonic()
            socket.close(_milliseconds(arguments.timeout))
            context.term()
            lingered = time.monotonic() - started
    finally:
        context.destroy(0)
    if lingered >= arguments.timeout:
        raise OperatorError(
            f"{arguments.to} did not accept everything within {arguments.timeout:g} s; "
            "the last pushes may be lost"
        )
