"""``wampush listen``: the events of topics, as a page gets them.

Owns: its arguments, and what is printed. Must not import at module level: Twisted, which would make
``wampush --help`` wait.
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
#: HTTP statuses of a refusal that would be the same each time.
_FINAL: Final = (401, 403)

_EPILOG = """\
examples:
  wampush listen MainCategory
  wampush listen prices news --url wss://push.example.org/ws
  wampush listen MainCategory | cut -f2 | jq .title

One line an event: topic, tab, JSON. Changes of the connection go to stderr. It goes on until
Ctrl-C, and comes back by itself when the server was away.
"""


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "listen",
        help="print the events of topics, as a page gets them",
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
    """Topic, tab, JSON, in one line whatever the two hold."""
    topic = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in event.topic
    )
    # In valid JSON these two only occur between values; inside strings they are escaped.
    payload = event.event.replace(b"\r", b" ").replace(b"\n", b" ")
    return topic.encode() + b"\t" + payload + b"\n"


class _Printer:
    """Prints what comes until nobody reads it any more, or the server refuses for good."""

    def __init__(self, reactor: ReactorBase) -> None:
        self._reactor = reactor
        self.status = 0
        #: Whether nothing more is worth saying.
        self.ending = False

    def show(self, event: Event) -> None:
        """Print an event."""
        try:
            sys.stdout.buffer.write(_line(event))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # The reader has what it wanted, as in "| head -1".
            give_up_stdout()
            self.end()

    def tell(self, state: ClientState, detail: str) -> None:
        """Say how the connection is."""
        if not self.ending:
            complain(detail)
            if state.value == "closed":
                self.status = 1
                self.end()

    def end(self) -> None:
        """End the command."""
        self.ending = True
        if self._reactor.running:
            self._reactor.stop()


def run(arguments: argparse.Namespace) -> int:
    """Listen until Ctrl-C.

    :returns: 0, or 1 when the server let us in no longer.
    """
    from twisted.internet import reactor as installed
    from twisted.internet.defer import CancelledError

    from wampush.client import ServerRefused, WampClient

    reactor = cast("ReactorBase", installed)
    printer = _Printer(reactor)
    client = WampClient(arguments.url, reactor, on_state=printer.tell, give_up_on=_FINAL)
    for each in dict.fromkeys(arguments.topics):
        client.subscribe(each, printer.show)
    # What it gives up for, the printer is told as well.
    client.connect().addErrback(lambda failure: failure.trap(CancelledError, ServerRefused))

    def close() -> Deferred[None]:
        printer.ending = True
        return client.close()

    reactor.addSystemEventTrigger("before", "shutdown", close)
    reactor.run()
    return printer.status
