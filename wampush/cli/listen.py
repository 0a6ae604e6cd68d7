"""``wampush listen``: print the events of topics, as a page receives them.

Owns: its arguments, and its output. Must not import at module level: Twisted, which would make
``wampush --help`` slow.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from wampush.cli import events, http_port
from wampush.cli.support import Parser, complain, give_up_stdout, topic_text

if TYPE_CHECKING:
    from types import FrameType

    from twisted.internet.base import ReactorBase
    from twisted.internet.defer import Deferred

    from wampush.client import ClientState
    from wampush.wamp.messages import Event

LISTEN_URL: Final = "ws://127.0.0.1:8080/"
#: HTTP statuses of refusals that trying again would not change.
_PERMANENT: Final = (401, 403)

_EPILOG = """\
examples:
  wampush listen MainCategory
  wampush listen prices news --url wss://push.example.org/ws
  wampush listen prices --url wss://localhost:8443/ --ca fullchain.pem
  wampush listen --all
  wampush listen MainCategory | cut -f2 | jq .title

Prints one line per event: topic, tab, JSON. Changes of the connection go to standard error. It runs
until Ctrl-C, and reconnects by itself after the server was unavailable.
"""


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "listen",
        help="print the events of topics, as a page receives them",
        description="Subscribe to topics over WebSocket (WAMP v1) and print their events.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("topics", metavar="TOPIC", type=topic_text, nargs="*", help="topic or URI")
    parser.add_argument(
        "--all",
        action="store_true",
        help="print every publication of the server instead, from its HTTP port",
    )
    parser.add_argument(
        "--http",
        metavar="URL",
        default=http_port.HTTP_URL,
        help="the HTTP port, for --all (default: %(default)s)",
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help="the token of http.token_file, for --all"
    )
    parser.add_argument(
        "--url", default=LISTEN_URL, help="the WebSocket of the server (default: %(default)s)"
    )
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help="a PEM file with the certificates to trust instead of the system's, for wss://",
    )
    parser.set_defaults(run=partial(run, parser))


def _mistake_in(arguments: argparse.Namespace) -> str:
    if arguments.all:
        if arguments.topics:
            return "--all cannot be combined with topics"
        return http_port.mistake_in_url(arguments.http)
    if not arguments.topics:
        return "name a topic, or use --all"
    return "--token-file needs --all" if arguments.token_file else ""


def _line(name: str, text: bytes) -> bytes:
    """Return topic, tab and JSON as one line, whatever they contain."""
    topic = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in name
    )
    # In valid JSON, line breaks occur only between values; inside strings they are escaped.
    payload = text.replace(b"\r", b" ").replace(b"\n", b" ")
    return topic.encode() + b"\t" + payload + b"\n"


class Printer:
    """The output of the command, until its reader is gone or the server refuses for good.

    :param reactor: stopped at the end.
    :ivar status: the exit status so far.
    :ivar is_ending: whether the command is ending, so that nothing more is reported.
    """

    def __init__(self, reactor: ReactorBase) -> None:
        self._reactor = reactor
        self.status = 0
        self.is_ending = False
        # What was reported last; only differences are news.
        self._is_connecting = False
        self._problem = ""

    def on_event(self, event: Event) -> None:
        """Print an event."""
        try:
            sys.stdout.buffer.write(_line(event.topic, event.event))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # The reader has read enough, as in "| head -1".
            give_up_stdout()
            self.end()

    def on_state(self, state: ClientState, detail: str) -> None:
        """Report a change of the connection, but not each attempt that fails like the last one."""
        if self.is_ending or self._is_known(state, detail):
            return
        complain(detail)
        if state.value == "closed":
            self.status = 1
            self.end()

    def _is_known(self, state: ClientState, detail: str) -> bool:
        if state.value == "connecting":
            known, self._is_connecting = self._is_connecting, True
            return known
        if state.value == "waiting":
            # The rest is the time until the next attempt.
            problem = detail.rpartition("; ")[0]
            known, self._problem = problem == self._problem, problem
            return known
        self._is_connecting, self._problem = False, ""
        return False

    def end(self) -> None:
        """End the command; may be called again while it is ending."""
        from twisted.internet.error import ReactorNotRunning

        self.is_ending = True
        with suppress(ReactorNotRunning):
            self._reactor.stop()

    def end_on_signals(self) -> None:
        """End the command on Ctrl-C and SIGTERM, and at once on the second.

        The handlers of Twisted would stop the reactor themselves, and leave a traceback where the
        command is ending already.
        """

        def end(number: int, _: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            self._reactor.callFromThread(self.end)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)


def _listen_to_all(arguments: argparse.Namespace) -> int:
    def on_event(topic: str, payload: bytes) -> None:
        sys.stdout.buffer.write(_line(topic, payload))
        sys.stdout.buffer.flush()

    try:
        events.follow(arguments.http, arguments.token_file, on_event)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        give_up_stdout()
        return 0


def run(parser: Parser, arguments: argparse.Namespace) -> int:
    """Listen until Ctrl-C.

    :returns: 0, or 1 if the server refused the client for good.
    :raises OperatorError: the URL is not one of a WebSocket, or the file of --ca cannot be used.
    """
    if mistake := _mistake_in(arguments):
        parser.error(mistake)
    if arguments.all:
        return _listen_to_all(arguments)
    from twisted.internet import reactor as installed
    from twisted.internet.defer import CancelledError

    from wampush.client import ServerRefused, WampClient

    reactor = cast("ReactorBase", installed)
    printer = Printer(reactor)
    client = WampClient(
        arguments.url,
        reactor,
        on_state=printer.on_state,
        give_up_on=_PERMANENT,
        ca_file=arguments.ca,
    )
    for each in dict.fromkeys(arguments.topics):
        client.subscribe(each, printer.on_event)
    # The printer reports these errors, because they are changes of the connection, too.
    client.connect().addErrback(lambda failure: failure.trap(CancelledError, ServerRefused))

    def close() -> Deferred[None]:
        printer.is_ending = True
        return client.close()

    reactor.addSystemEventTrigger("before", "shutdown", close)
    printer.end_on_signals()
    reactor.run(installSignalHandlers=False)
    return printer.status
