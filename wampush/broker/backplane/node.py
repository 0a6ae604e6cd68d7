"""What a node does with what the bus brings.

Owns: the check of each message, and where it goes. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from wampush.broker.backplane.contract import TOPIC_CHANNEL, KeptTopics
from wampush.broker.backplane.control import Control
from wampush.broker.backplane.cut import KIND as CUT
from wampush.broker.backplane.cut import Cut
from wampush.broker.backplane.interest import Interest
from wampush.broker.backplane.node_message import NodeMessage, decoded, number_of
from wampush.broker.backplane.plain_topics import PlainTopics
from wampush.broker.ledger import Ledger, Source
from wampush.broker.publication import Publication
from wampush.broker.router import Router
from wampush.errors import PushRefused
from wampush.excerpts import shown

#: The longest message that nodes send to each other besides publications, in bytes.
CONTROL_BYTES: Final = 1024 * 1024
_TOPIC_AT: Final = len(TOPIC_CHANNEL)
# Read with each message; reading a member from its enumeration takes as long as a call.
_SOURCE: Final = Source.BACKPLANE


class BackplaneNode:
    """Takes what other nodes send; a :class:`~.contract.BusListener`.

    :param control: takes what nodes say to each other.
    :param interest: which topics this node follows.
    :param plain: publishes to topics without history.
    :param kept: has the topics with a history; None where no topic has one.
    :param router: delivers publications.
    :param ledger: counts messages and refusals.
    :param max_bytes: of the longest publication, header included.
    """

    def __init__(
        self,
        control: Control,
        *,
        interest: Interest,
        plain: PlainTopics,
        kept: KeptTopics | None,
        router: Router,
        ledger: Ledger,
        max_bytes: int,
    ) -> None:
        self._control = control
        self._interest = interest
        self._plain = plain
        self._kept = kept
        self._router = router
        self._ledger = ledger
        self._max_bytes = max_bytes
        #: Says which publications another process of this node delivers.
        self.cut: Final = Cut(control, interest, self._deliver)

    def on_message(self, channel: str, message: bytes) -> None:
        """Check a message, and deliver it if it is a publication."""
        is_publication = channel.startswith(TOPIC_CHANNEL)
        if is_publication:
            number = number_of(message, self._plain.beginning)
            if number is not None and self._has_returned(channel[_TOPIC_AT:], number):
                self._ledger.accepted[_SOURCE] += 1
                return
        try:
            known = decoded(message, self._max_bytes if is_publication else CONTROL_BYTES)
            if known.kind or not is_publication:
                if known.kind == CUT and self._kept is not None:
                    # It divides what has come from what comes, so nothing may wait across it.
                    self._kept.give_way()
                self._control.on_message(known)
            else:
                self._on_publication(channel[_TOPIC_AT:], known)
        except PushRefused as error:
            self._ledger.refuse(_SOURCE, shown(channel), error, message)
        else:
            self._ledger.accepted[_SOURCE] += 1

    def on_followed(self, channels: Collection[str]) -> None:
        """Take note of what is followed."""
        self._interest.on_followed(channels)
        self.cut.look()

    def on_joined(self) -> None:
        """Notify the parts."""
        if self._kept is not None:
            self._kept.on_joined()
        self._control.on_joined()
        self.cut.look()

    def on_left(self, problem: str) -> None:
        """Notify the parts; what is under way is delivered here."""
        self._interest.on_left()
        # First what was published before the loss: requests that go on now may publish, too.
        if self._kept is not None:
            self._kept.deliver_plain()
        self._plain.on_left()
        if self._kept is not None:
            self._kept.on_left(problem)
        self._control.on_left(problem)

    def _has_returned(self, topic: str, number: int) -> bool:
        """Take a publication of this node that has come back; return whether it is done with.

        What is delivered is what was published here, so that the message is not read a second time.
        """
        if self._kept is not None and self._kept.is_waiting(topic):
            return False
        self._on_own(topic, number)
        return True

    def _on_own(self, topic: str, number: int) -> None:
        if self.cut.is_here:
            self._plain.on_returned(number, topic)
        else:
            self._plain.on_passed(number, topic)

    def _on_publication(self, topic: str, message: NodeMessage) -> None:
        kept = self._kept
        if kept is None:
            self._on_plain(topic, message)
        elif kept.takes(topic):
            kept.on_message(topic, message)
        elif kept.on_plain_message(topic, message, self._on_plain):
            self._on_plain(topic, message)

    def _on_plain(self, topic: str, message: NodeMessage) -> None:
        if message.node == self._control.node:
            self._on_own(topic, message.number)
        elif self.cut.is_here:
            self._deliver(topic, message)
        else:
            self.cut.keep(topic, message)

    def _deliver(self, topic: str, message: NodeMessage) -> None:
        self._router.deliver(
            Publication(topic, message.payload, message.audience, message.position)
        )
