"""What nodes say to each other besides publications.

Owns: the kinds of such messages, and who takes which. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Final

from wampush.broker.backplane.contract import (
    EVERY_NODE,
    Bus,
    LinkWatcher,
    OnSent,
    node_channel,
)
from wampush.broker.backplane.node_message import NodeMessage, encoded

Handler = Callable[[NodeMessage], None]


class Control:
    """Sends messages to other nodes, and hands on those that come.

    :param bus: carries them.
    :param node: the id of this node.
    """

    def __init__(self, bus: Bus, node: str) -> None:
        self._bus = bus
        #: The id of this node.
        self.node: Final = node
        self._handlers: dict[str, Handler] = {}
        self._watchers: list[LinkWatcher] = []
        self._numbers = count(1)
        #: Messages of kinds that nobody here takes, such as those of newer nodes.
        self.unknown = 0
        bus.follow((EVERY_NODE, node_channel(node)))

    @property
    def is_joined(self) -> bool:
        """Whether messages reach other nodes."""
        return self._bus.is_joined

    def take(self, kind: str, handler: Handler) -> None:
        """Hand the messages of one kind to a function, those of this node included.

        :param kind: not "", which stands for publications.
        :param handler: may raise PushRefused; the message then counts as refused.
        """
        self._handlers[kind] = handler

    def watch(self, watcher: LinkWatcher) -> None:
        """Notify a watcher from now on when this node joins the others and when it loses them."""
        self._watchers.append(watcher)

    def send(self, kind: str, payload: bytes, to: str = "", on_sent: OnSent | None = None) -> None:
        """Send a message to all nodes, this one included, or to one.

        It is lost while this node has lost the others.

        :param payload: JSON text.
        :param to: the id of a node; "" for all.
        :param on_sent: see :meth:`~.contract.Bus.publish`.
        """
        message = encoded(NodeMessage(self.node, next(self._numbers), payload, kind))
        channel = node_channel(to) if to else EVERY_NODE
        self._bus.publish(channel, message, _nothing if on_sent is None else on_sent)

    # The bus.

    def on_message(self, message: NodeMessage) -> None:
        """Hand on a message."""
        handler = self._handlers.get(message.kind)
        if handler is None:
            self.unknown += 1
        else:
            handler(message)

    def on_joined(self) -> None:
        """Notify the watchers."""
        for each in self._watchers:
            each.on_joined()

    def on_left(self, problem: str) -> None:
        """Notify the watchers."""
        for each in self._watchers:
            each.on_left(problem)


def _nothing(_: int | None) -> None:
    """Do nothing: nobody waits for it to be sent."""
