"""The contract between a node and what joins it to others, and the names of channels.

Owns: the protocols. Must not import: Twisted, the edges.

A bus carries messages on channels. All nodes get messages in the same order, those of different
channels included. The variants are :class:`~.memory_bus.MemoryLink`, which joins brokers of one
process, and Redis in ``edges/backplane``; one contract test runs on each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from wampush.broker.backplane.node_message import NodeMessage
from wampush.broker.publication import Position, Publication
from wampush.errors import PublicationRefused

#: What channels of topics begin with; the topic follows.
TOPIC_CHANNEL: Final = "t:"
#: What channels begin with on which nodes talk to each other; a name follows.
CONTROL_CHANNEL: Final = "c:"
#: The control channel that all nodes follow.
EVERY_NODE: Final = f"{CONTROL_CHANNEL}all"


class Accepted(NamedTuple):
    """A publication to topics of which one at least has a history.

    :ivar receivers: on this node; None if only other nodes may have some.
    :ivar positions: by topic; without topics that have no history.
    :ivar is_repeated: whether it was published before, and not again.
    """

    receivers: int | None
    positions: Sequence[tuple[str, Position]]
    is_repeated: bool = False


OnOutcome = Callable[[int | Accepted | PublicationRefused | None], None]
"""Gets the number of receivers on this node, None if only other nodes may have some, or why
nobody got the publication."""

OnSent = Callable[[int | None], None]
"""Gets how many nodes follow the channel; None when the message was not sent, or when the link was
lost before the answer came, so that nobody knows."""


def topic_channel(topic: str) -> str:
    """Return the channel of a topic."""
    return TOPIC_CHANNEL + topic


def node_channel(node: str) -> str:
    """Return the control channel that one node follows.

    :param node: its id.
    """
    return f"{CONTROL_CHANNEL}node:{node}"


class BusListener(Protocol):
    """What a node does with what its link brings."""

    def on_message(self, channel: str, message: bytes) -> None:
        """Take a message of a channel that this node follows.

        :param message: as it came; not checked.
        """

    def on_followed(self, channels: Collection[str]) -> None:
        """Take note that messages published from now on to these channels arrive here."""

    def on_joined(self) -> None:
        """Take note that messages go both ways; everything followed is confirmed."""

    def on_left(self, problem: str) -> None:
        """Take note that other nodes get nothing from here and this one nothing from them.

        What other nodes publish until :meth:`on_joined` does not arrive here. It may come without
        ``on_joined`` before, when the link is lost while channels are being followed again.

        :param problem: why, for the log.
        """


class Bus(Protocol):
    """The link of one node to the others."""

    @property
    def is_joined(self) -> bool:
        """Whether messages go both ways."""

    @property
    def problem(self) -> str:
        """Why they do not; "" while they do."""

    @property
    def address(self) -> str:
        """What joins the nodes, for people; without secrets."""

    def status(self) -> Mapping[str, object]:
        """Return the state, for people."""

    def start(self, listener: BusListener) -> None:
        """Join the other nodes, and again after each loss.

        :param listener: learns of all that happens, not before the turn after this call.
        """

    def publish(self, channel: str, message: bytes, on_sent: OnSent) -> None:
        """Send a message to all nodes that follow a channel, this one included.

        :param on_sent: called once, after this call; the answers come in the order of the calls.
        """

    def follow(self, channels: Collection[str]) -> None:
        """Have the messages of channels sent to this node; ``on_followed`` confirms it.

        Lasts until :meth:`unfollow`, across losses of the link. A channel that is followed already
        is confirmed again.
        """

    def unfollow(self, channels: Collection[str]) -> None:
        """Have the messages of channels sent no longer; some may still arrive."""


class LinkWatcher(Protocol):
    """Learns when the node joins the others, and when it has lost them."""

    def on_joined(self) -> None:
        """See :meth:`BusListener.on_joined`."""

    def on_left(self, problem: str) -> None:
        """See :meth:`BusListener.on_left`."""


class KeptTopics(LinkWatcher, Protocol):
    """The topics with a history, whose publications get their positions at the bus."""

    def takes(self, topic: str) -> bool:
        """Return whether a topic has a history."""

    def publish(
        self, publication: Publication, on_done: OnOutcome, *, is_awaited: bool = False
    ) -> None:
        """Publish to topics of which one at least has a history, or a push with an id.

        It reaches all of the topics, or none of them.

        :param on_done: called once, after this call.
        :param is_awaited: whether its publisher waits for the outcome, so that it must come soon.
        :raises PublicationRefused: it is not taken; ``on_done`` is not called.
        """

    def on_message(self, topic: str, message: NodeMessage) -> None:
        """Take what a node has published to a topic with a history, this one included."""

    def on_plain_message(
        self, topic: str, message: NodeMessage, deliver: Callable[[str, NodeMessage], object]
    ) -> bool:
        """Take note of a message to a topic without history.

        :param deliver: takes it later, if it has to wait for what comes before it.
        :returns: whether it is to be delivered now; False also if that was done before.
        """

    def is_waiting(self, topic: str) -> bool:
        """Return whether messages to a topic without history wait for what comes before them."""

    def give_way(self) -> None:
        """Let no message wait that has come until now to a topic without history."""

    def deliver_plain(self) -> None:
        """Deliver what the bus has sent to topics without history and will not bring any more.

        Called before :meth:`on_left`, and before anything else is published.
        """

    def flush(self) -> None:
        """Deliver what can be delivered at once; for the end of the process."""

    def stop(self) -> None:
        """Deliver or refuse everything that is under way, and take no more."""
