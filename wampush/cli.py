"""The ``wampush`` command: push, listen, check, token.

Owns: arguments, what is printed, exit statuses. Must not import at module level: Twisted's reactor
or ZeroMQ, which would make ``wampush --help`` wait; each command imports what it needs.

Exit statuses: 0 done, 1 it could not be done (one line on stderr says why), 2 wrong arguments,
130 interrupted.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import orjson

from wampush import __version__, cli_curve, cli_permissions, cli_targets
from wampush.apps import loader
from wampush.cli_token import add as add_token
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import zmq
    from twisted.internet.base import ReactorBase

    from wampush.wamp.messages import Event

PUSH_ADDRESS = "tcp://127.0.0.1:5555"
LISTEN_URL = "ws://127.0.0.1:8080/"
PUSH_TIMEOUT = 5.0
_LONGEST_TIMEOUT = 86_400.0
_SHOWN = 80

_TOP_EPILOG = """\
examples:
  wampush push MainCategory '{"title": "hello"}'
  wampush listen MainCategory
  wampush check --config wampush.toml

The server itself is started with: twistd -n wampush
"""
_PUSH_EPILOG = """\
examples:
  wampush push MainCategory '{"title": "hello"}'
  wampush push prices 101.25 --to tcp://10.0.0.5:5555
  wampush push news '"for you"' --user 7 --group staff
  tail -f events.jsonl | wampush push log -

Any JSON value is sent, exactly as written. A string needs its own quotes: '"hello"'.
"""
_LISTEN_EPILOG = """\
examples:
  wampush listen MainCategory
  wampush listen prices news --url wss://push.example.org/ws
  wampush listen MainCategory | cut -f2 | jq .title

One line an event: topic, tab, JSON. Changes of the connection go to stderr. It goes on until
Ctrl-C, and comes back by itself when the server was away.
"""
_CHECK_EPILOG = """\
examples:
  wampush check
  wampush check --config /etc/wampush.toml
  WAMPUSH_HTTP_LISTEN=off wampush check --listen tcp:9000
  wampush check --user alice --groups staff --action subscribe user.alice.inbox

One line a setting: key, value, and where the value comes from. Command line overrides environment
overrides file overrides defaults.

With a TOPIC, one line for each topic and action instead: whether this identity may do it, and which
entry of [[permissions]] or [clients] decides.
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _complain(text: str) -> None:
    print(f"wampush: {text}", file=sys.stderr, flush=True)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of seconds greater than 0, at most {_LONGEST_TIMEOUT:.0f}"
        )
    return seconds


def _topic(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a topic is not empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("a topic is UTF-8") from None
    return text


# push


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


def _push_all(arguments: argparse.Namespace, socket: zmq.Socket[bytes]) -> int:
    """Send each payload with its topic, and for whom it is; how many there were."""
    import zmq

    sent = 0
    topic = arguments.topic.encode()
    options = cli_targets.options(arguments)
    more = [] if options is None else [options]
    for payload in _payloads(arguments.json):
        try:
            socket.send_multipart([topic, payload, *more])
        except zmq.Again:
            if sent == 0:
                raise OperatorError(
                    f"nobody pulls at {arguments.to}: is wampush running, with --pull "
                    f"{arguments.to}, and does it accept this address and key?"
                ) from None
            raise OperatorError(
                f"{arguments.to} took no more for {arguments.timeout:g} s; "
                f"{sent} pushes were handed over before"
            ) from None
        sent += 1
    return sent


def _push(parser: _Parser, arguments: argparse.Namespace) -> int:
    if problem := cli_curve.missing(arguments):
        parser.error(problem)
    import zmq

    milliseconds = max(1, math.ceil(arguments.timeout * 1000))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.PUSH)
    # Without IMMEDIATE a message waits, and is lost at exit, for a server that is not there.
    socket.set(zmq.IMMEDIATE, 1)
    socket.set(zmq.SNDTIMEO, milliseconds)
    # Few, because what waits here is lost when the server stops taking it.
    socket.set(zmq.SNDHWM, 100)
    socket.set(zmq.LINGER, 0)
    try:
        cli_curve.apply(arguments, socket)
        try:
            socket.connect(arguments.to)
        except zmq.ZMQError as error:
            raise OperatorError(
                f"{arguments.to!r} cannot be connected to: {error}; "
                "write tcp://HOST:PORT or ipc://PATH"
            ) from error
        try:
            _push_all(arguments, socket)
        finally:
            # Also after an error: what was handed over before it is still on its way.
            started = time.monotonic()
            socket.close(milliseconds)
            context.term()
            lingered = time.monotonic() - started
    finally:
        context.destroy(0)
    if lingered >= arguments.timeout:
        raise OperatorError(
            f"{arguments.to} did not take everything within {arguments.timeout:g} s; "
            "the last pushes may be lost"
        )
    return 0


# listen


def _line(event: Event) -> bytes:
    """Topic, tab, JSON, in one line whatever the two hold."""
    topic = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in event.topic
    )
    # In valid JSON these two only occur between values; inside strings they are escaped.
    payload = event.event.replace(b"\r", b" ").replace(b"\n", b" ")
    return topic.encode() + b"\t" + payload + b"\n"


def _give_up_stdout() -> None:
    """Let the flush at exit succeed after the reader of a pipe has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _listen(arguments: argparse.Namespace) -> int:
    from twisted.internet import reactor as installed
    from twisted.internet.defer import CancelledError

    from wampush.client import ClientState, WampClient

    reactor = cast("ReactorBase", installed)

    def show(event: Event) -> None:
        try:
            sys.stdout.buffer.write(_line(event))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # The reader has what it wanted, as in "| head -1".
            _give_up_stdout()
            if reactor.running:
                reactor.stop()

    def tell(state: ClientState, detail: str) -> None:
        if state is not ClientState.CLOSED:
            _complain(detail)

    client = WampClient(arguments.url, reactor, on_state=tell)
    for topic in dict.fromkeys(arguments.topics):
        client.subscribe(topic, show)
    client.connect().addErrback(lambda failure: failure.trap(CancelledError))
    reactor.addSystemEventTrigger("before", "shutdown", client.close)
    reactor.run()
    return 0


# check


def _check(parser: _Parser, arguments: argparse.Namespace) -> int:
    from wampush import config

    if not arguments.topics and (arguments.user or arguments.groups or arguments.action):
        parser.error("--user, --groups and --action need a TOPIC")

    overrides: dict[str, object] = {
        "websocket.listen": arguments.listen,
        "zmq.pull": arguments.pull,
        "http.listen": arguments.http,
    }
    loaded = config.load(arguments.config, os.environ, overrides)
    for number, route in enumerate(loaded.settings.routes, 1):
        loader.check(route.component, loaded.folder, f"routes[{number}].component")
    if arguments.topics:
        for line in cli_permissions.explain(arguments, loaded.settings):
            print(line)
        return 0
    rows = config.describe(loaded)
    keys = max(len(row.key) for row in rows)
    values = max(len(config.as_toml(row.value)) for row in rows)
    for row in rows:
        print(f"{row.key:<{keys}} = {config.as_toml(row.value):<{values}}  # {row.origin}")
    return 0


# The command line


def _add_push(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "push",
        help="push JSON to a topic, as a backend does",
        description="Push JSON to everybody who subscribed to a topic, over ZeroMQ.",
        epilog=_PUSH_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("topic", metavar="TOPIC", type=_topic, help="the topic (category)")
    parser.add_argument(
        "json", metavar="JSON", help="a JSON value; - reads one value per line from stdin"
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
        help="how long to wait for somebody who pulls (default: %(default)s)",
    )
    cli_curve.add_arguments(parser)
    cli_targets.add_arguments(parser)
    parser.set_defaults(run=partial(_push, parser))


def _add_listen(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "listen",
        help="print the events of topics, as a page gets them",
        description="Subscribe to topics over WebSocket (WAMP v1) and print their events.",
        epilog=_LISTEN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("topics", metavar="TOPIC", type=_topic, nargs="+", help="topic or URI")
    parser.add_argument(
        "--url", default=LISTEN_URL, help="the WebSocket of the server (default: %(default)s)"
    )
    parser.set_defaults(run=_listen)


def _add_check(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "check",
        help="check the configuration and print what would be in force",
        description="Check the configuration and print what would be in force, or who may do what.",
        epilog=_CHECK_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="a TOML file (default: $WAMPUSH_CONFIG)"
    )
    parser.add_argument(
        "--listen", metavar="ENDPOINT", action="append", help="as given to twistd; repeatable"
    )
    parser.add_argument(
        "--pull", metavar="ADDRESS", action="append", help="as given to twistd; repeatable"
    )
    parser.add_argument("--http", metavar="ENDPOINT|off", help="as given to twistd")
    cli_permissions.add_arguments(parser)
    parser.set_defaults(run=partial(_check, parser))


def _parser() -> _Parser:
    parser = _Parser(
        prog="wampush",
        description="Talk to a wampush server from the command line.",
        epilog=_TOP_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"wampush {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_push(commands)
    _add_listen(commands)
    _add_check(commands)
    add_token(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :param argv: the arguments without the program's name; those of the process when left out.
    :returns: the exit status.
    """
    try:
        arguments = _parser().parse_args(argv)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except OperatorError as error:
        _complain(str(error))
        return 1
    except BrokenPipeError:
        _give_up_stdout()
        return 0
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
