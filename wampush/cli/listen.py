"""``wampush listen``: print the events of topics, as a page receives them.

Owns: its arguments, and its output. Must not import at module level: Twisted, which would make
``wampush --help`` slow.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from wampush.cli.support import complain, give_up_stdout, topic_text

if TYPE_CHECKING:
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
    parser.add_argument("topics", metavar="TOPIC", type=topic_text, nargs="+", help="topic or URI")
    parser.add_argument(
        "--url", default=LISTEN_URL, help="the WebSocket of the server (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def _line(event: Event) -> bytes:
    """Return topic, tab and JSON as one line, whatever they contain."""
    topic = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in event.topic
    )
    # In valid JSON, line breaks occur only between values; inside strings they are escaped.
    payload = event.event.replace(b"\r", b" ").replace(b"\n", b" ")
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

    def on_event(self, event: Event) -> None:
        """Print an event."""
        try:
            sys.stdout.buffer.write(_line(event))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # The reader has read enough, as in "| head -1".
            give_up_stdout()
            self.end()

    def on_state(self, state: ClientState, detail: str) -> None:
        """Report a change of the connection."""
        if not self.is_ending:
            complain(detail)
            if state.value == "closed":
                self.status = 1
                self.end()

    def end(self) -> None:
        """End the command."""
        self.is_ending = True
        if self._reactor.running:
            self._reactor.stop()


def run(arguments: argparse.Namespace) -> int:
    """Listen until Ctrl-C.

    :returns: 0, or 1 if the server refused the client for good.
    :raises OperatorError: the URL is not one of a WebSocket.
    """
    from twisted.internet import reactor as installed
    from twisted.internet.defer import CancelledError

    from wampush.client import ServerRefused, WampClient

    reactor = cast("ReactorBase", installed)
    printer = Printer(reactor)
    client = WampClient(arguments.url, reactor, on_state=printer.on_state, give_up_on=_PERMANENT)
    for each in dict.fromkeys(arguments.topics):
        client.subscribe(each, printer.on_event)
    # The printer reports these errors, because they are changes of the connection, too.
    client.connect().addErrback(lambda failure: failure.trap(CancelledError, ServerRefused))

    def close() -> Deferred[None]:
        printer.is_ending = True
        return client.close()

    reactor.addSystemEventTrigger("before", "shutdown", close)
    reactor.run()
    return printer.status
