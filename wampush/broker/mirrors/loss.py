"""Whether events of a topic are lost, by comparing what a node knows with the store.

Owns: the comparison. Pure. Must not import: Twisted, the edges.

A store that goes on from a copy may lack its newest events and give their offsets to others. Then a
node that has such events has a position in a run of the store that lies after the begin of the next
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from wampush.broker.mirrors.contract import Run, Slice
from wampush.broker.publication import Position


class Known(NamedTuple):
    """What a node knows of a topic.

    :ivar position: of the newest event.
    :ivar run: in which that was counted; "" if the node does not know.
    """

    position: Position
    run: str


class Comparison(NamedTuple):
    """How the store is related to what a node knows.

    :ivar goes_on: whether what comes after the node's position can simply be added.
    :ivar must_renew: whether the epoch has to end, because its positions are ambiguous.
    :ivar new_after: the offset at the store after which events are new to the node; None where
        that is not known.
    :ivar is_lossless: whether the node has missed nothing but what is new.
    """

    goes_on: bool
    must_renew: bool
    new_after: int | None
    is_lossless: bool


#: After all offsets.
_END: Final = 2**63
_GOES_ON: Final = Comparison(True, False, None, True)


def compare(known: Known, found: Slice) -> Comparison:
    """Compare what a node knows with what the store has."""
    offset = known.position.offset
    begin = _next_run(known.run, found.runs)
    if found.position.epoch == known.position.epoch:
        if begin is None:
            # Without events, nothing can be lost.
            return _GOES_ON if offset == 0 else Comparison(False, True, None, False)
        common = min(offset, begin, found.position.offset)
        return _GOES_ON if common == offset else Comparison(False, True, common, False)
    if found.previous == known.position.epoch and begin is not None:
        common = min(offset, begin)
        return Comparison(False, False, common, common == offset)
    # A store that was emptied has nothing that the node has seen.
    return Comparison(False, False, None if found.previous else 0, False)


def _next_run(name: str, runs: Sequence[Run]) -> int | None:
    """Return the offset at which the run after one began.

    :param name: "" if it is not known; then nothing is known to be lost.
    :returns: None if the run is not among them.
    """
    if not name:
        return _END
    for index, run in enumerate(runs):
        if run.name == name:
            return runs[index + 1].offset if index + 1 < len(runs) else _END
    return None
