"""How long a node may take for what it does.

Owns: these limits, and reading them from what a node says about its configuration.
Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds.

    :param ready: a start.
    :param hang: between two signs of life of a node that serves; 0 is for ever.
    :param drain: the end of the connections of a node.
    """

    ready: float
    hang: float
    drain: float


def limits_of(values: object, before: Limits) -> Limits:
    """Return the limits in a message of a node.

    :param values: by name; nodes of other releases may leave some out.
    :param before: counts for what is missing.
    """
    found = values if isinstance(values, Mapping) else {}
    return Limits(
        ready=_seconds(found.get("ready"), before.ready),
        hang=_seconds(found.get("hang"), before.hang),
        drain=_seconds(found.get("drain"), before.drain),
    )


def wanted_workers(values: object) -> int:
    """Return how many workers the configuration of a node wants; 0 where it does not say that.

    :param values: the limits in a message of a node.
    """
    wanted = values.get("workers") if isinstance(values, Mapping) else None
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        return 0
    return max(wanted, 0)


def _seconds(value: object, before: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        return before
    return float(value)
