"""The ids of events in a stream, by which a client continues where it was.

Owns: how the positions of all topics of a stream become one id, and back. Pure.
Must not import: anything of wampush but ``broker.publication``.

A browser sends back the last id that it has received and nothing else, so each id says where the
client is in *every* topic of its stream: ``EPOCH:OFFSET`` for each topic, joined by commas, in the
order of the topics. An epoch that is the one before is left out; a topic without history is ``-``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from wampush.broker.publication import Position

#: The position of a client that may have missed anything: no history has it.
UNKNOWN: Final = Position("", 0)
_NONE: Final = "-"
_ENTRY: Final = re.compile(r"(?:([A-Za-z0-9_-]{1,64}):)?([0-9]{1,16})")


def write_id(positions: Iterable[Position | None]) -> bytes:
    """Return the id of a client that knows everything up to these positions.

    :param positions: of each topic; None for one that is not known.
    """
    entries = []
    epoch = ""
    for position in positions:
        if position is None:
            entries.append(_NONE)
        elif position.epoch == epoch:
            entries.append(str(position.offset))
        else:
            epoch = position.epoch
            entries.append(f"{epoch}:{position.offset}")
    return ",".join(entries).encode()


def read_id(text: str, count: int) -> Sequence[Position]:
    """Return the positions in an id; UNKNOWN for each one that is not known.

    :param text: as a client sent it; anything that is not the id of such a stream means that
        nothing is known.
    :param count: how many topics the stream has.
    """
    entries = text.split(",")
    if len(entries) != count:
        return [UNKNOWN] * count
    positions = []
    epoch: str | None = None
    for entry in entries:
        if entry == _NONE:
            positions.append(UNKNOWN)
            continue
        match = _ENTRY.fullmatch(entry)
        epoch = epoch if match is None else match[1] or epoch
        if match is None or epoch is None:
            return [UNKNOWN] * count
        positions.append(Position(epoch, int(match[2])))
    return positions
