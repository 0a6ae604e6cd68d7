"""What has become of a hand-over, as the old node sees it.

Owns: its success and its failure. Must not import: Twisted, the rest of the node.
"""

from __future__ import annotations

from dataclasses import dataclass

from wampush.node.handover.records import StreamBroken


class HandOverFailed(StreamBroken):
    """The other node has not taken everything over.

    :param problem: why.
    :param lost: sessions that had moved, and are lost.
    :param goes_on: whether this node goes on with the others.
    """

    def __init__(self, problem: str, lost: int, *, goes_on: bool) -> None:
        self.lost = lost
        self.goes_on = goes_on
        super().__init__(f"{problem}; {lost} sessions had moved and are lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """What the other node has got.

    :param sessions: that have moved.
    :param staying: connections that have not, because they cannot.
    :param publications: that were published meanwhile.
    :param seconds: that it took.
    """

    sessions: int
    staying: int
    publications: int
    seconds: float
