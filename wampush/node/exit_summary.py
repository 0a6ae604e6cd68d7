"""The summary that a node logs at its end.

Owns: its sentence. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from typing import Final

from wampush.broker.ledger import Ledger, Source

_PUSHES: Final = (Source.ZEROMQ, Source.HTTP, Source.REDIS, Source.WEBHOOK)
_MESSAGES: Final = (Source.CLIENT, Source.COMPONENT)


def summary(ledger: Ledger, seconds: float) -> str:
    """Return what a node did in its life.

    :param ledger: what it has counted.
    :param seconds: since its start.
    """
    accepted = ledger.accepted
    return (
        f"{sum(accepted[source] for source in _PUSHES)} pushes and "
        f"{sum(accepted[source] for source in _MESSAGES)} messages of clients accepted, "
        f"{ledger.refused.total()} inputs refused, {ledger.ended.total()} connections ended "
        f"in {_duration(seconds)}"
    )


def _duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as ``3 h 20 min``."""
    whole = round(seconds)
    days, hours = whole // 86_400, whole // 3_600 % 24
    minutes, rest = whole // 60 % 60, whole % 60
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((index for index, (number, _) in enumerate(units) if number), len(units) - 1)
    return " ".join(f"{number} {unit}" for number, unit in units[first : first + 2])
