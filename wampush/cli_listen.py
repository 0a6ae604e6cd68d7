"""``wampush listen``: the events of topics, as a page gets them.

Owns: its arguments, and what is printed. Must not import at module level: Twisted, which would make
``wampush --help`` wait.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from wampush.cli_support import complain, give_up_stdout, topic_text

if TYPE_CHECKING:
    from twisted.internet.base import ReactorBase

    from wampush.wamp.messages import Event

LISTEN_URL: Final = "ws://127.0.0.1:8080/"

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


def run(arguments: argparse.Namespace) -> int:
    """Listen until Ctrl-C."""
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
            give_up_stdout()
            if reactor.running:
                reactor.stop()

    def tell(state: ClientState, detail: str) -> None:
        if state is not ClientState.CLOSED:
            complain(detail)

    client = WampClient(arguments.url, reactor, on_state=tell)
    for topic in dict.fromkeys(arguments.topics):
        client.subscribe(topic, show)
    client.connect().addErrback(lambda failure: failure.trap(CancelledError))
    reactor.addSystemEventTrigger("before", "shutdown", client.close)
    reactor.run()
    return 0
