"""A node in a process of its own, which hands over or takes over when it is told to.

Its arguments are ``old`` or ``new``, and the descriptor of its end of the stream. It writes one
JSON object per line, and reads orders likewise; it ends when its input ends.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineOnlyReceiver

from wampush.broker.access.policy import Publishing
from wampush.broker.publication import Publication
from wampush.config.settings import Settings
from wampush.config.tables.limits import LimitSettings
from wampush.config.tables.topics import TopicSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.net import descriptor_limit
from wampush.node.build import build
from wampush.node.handover import HandingOver, TakingOver

reactor: Any = installed
SETTINGS = Settings(
    zmq=ZmqSettings(pull=()),
    limits=LimitSettings(connections_per_address=0),
    topics=(TopicSettings(match="kept", history=100),),
)


def tell(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


class Orders(LineOnlyReceiver):
    """Reads what to do from standard input."""

    delimiter = b"\n"

    def __init__(self, role: str, descriptor: int) -> None:
        self.node = build(SETTINGS, reactor, 20_000)
        self.node.set_publishing(Publishing.EVERYBODY)
        self.node.websocket.start()
        self.stream = socket.socket(fileno=descriptor)
        self.port: Any = None
        if role == "old":
            self.port = reactor.listenTCP(0, self.node.websocket, 4096, "127.0.0.1")
            tell(port=self.port.getHost().port)
        else:
            taking = TakingOver(self.stream, self.node, reactor)
            taking.start().addCallbacks(
                lambda done: tell(
                    sessions=done.sessions,
                    lost=done.lost,
                    seconds=done.seconds,
                    cpu=time.process_time(),
                ),
                lambda failure: tell(problem=str(failure.value)),
            )
            tell(ready=True)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        order, *rest = json.loads(line)
        if order == "publish":
            topic, value = rest
            self.node.broker.publish(Publication(topic, json.dumps(value).encode()))
        elif order == "hand over":
            self.port.stopListening()
            self.begun = time.process_time()
            self.giving = HandingOver(self.stream, self.node, reactor)
            self.giving.start().addCallbacks(
                lambda done: tell(
                    sessions=done.sessions,
                    staying=done.staying,
                    seconds=done.seconds,
                    cpu=time.process_time() - self.begun,
                ),
                lambda failure: tell(problem=str(failure.value)),
            )

        elif order == "drain":
            self.giving.drain(0.0, silence=0.1).addCallback(lambda _: tell(drained=True))

    def connectionLost(self, reason: Any = None) -> None:  # noqa: N802, ARG002 - Twisted's
        if reactor.running:
            reactor.stop()


if __name__ == "__main__":
    descriptor_limit.raise_descriptor_limit()
    StandardIO(Orders(sys.argv[1], int(sys.argv[2])))
    reactor.run()
    os._exit(0)
