"""The audience of a stored publication, as JSON.

Owns: both directions. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import orjson

from wampush.broker.publication import EVERYONE, Audience, Targets


def audience_text(audience: Audience) -> bytes | None:
    """Return an audience as JSON; None for everyone."""
    if audience is EVERYONE:
        return None
    found: dict[str, object] = {"exclude": sorted(audience.exclude)}
    if audience.eligible is not None:
        found["eligible"] = sorted(audience.eligible)
    if audience.to is not None:
        found["to"] = _targets_as_json(audience.to)
    return orjson.dumps(found)


def audience_from(text: bytes | None) -> Audience:
    """Return the audience of :func:`audience_text`.

    :raises ValueError: the text is not one.
    """
    if text is None:
        return EVERYONE
    try:
        found: dict[str, Any] = orjson.loads(text)
        eligible = found.get("eligible")
        to = found.get("to")
        return Audience(
            frozenset(found["exclude"]),
            None if eligible is None else frozenset(eligible),
            None if to is None else _targets_from(to),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not a stored audience: {text[:100]!r}") from error


def _targets_as_json(targets: Targets) -> dict[str, object]:
    found: dict[str, object] = {}
    for field in fields(targets):
        value = getattr(targets, field.name)
        if value is not None:
            found[field.name] = sorted(value) if isinstance(value, frozenset) else value
    return found


def _targets_from(found: dict[str, Any]) -> Targets:
    values: dict[str, Any] = {
        name: frozenset(value) if isinstance(value, list) else value
        for name, value in found.items()
    }
    return Targets(**values)
