"""The audience of a stored publication, as JSON.

Owns: both directions, and whether a publication can be stored at all.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import orjson

from wampush.broker.publication import EVERYONE, Audience, Publication, Targets
from wampush.errors import PublicationRefused, Refusal
from wampush.excerpts import shown_json


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


def check_storable(publication: Publication) -> None:
    """Check that topic and audience are text; applications can name anything.

    :raises PublicationRefused: NOT_STORED.
    """
    if publication.audience is EVERYONE and publication.topic.isascii():
        return
    try:
        publication.topic.encode()
        audience_text(publication.audience)
    except UnicodeEncodeError as error:
        raise PublicationRefused(Refusal.NOT_STORED, "Its topic is not valid text.") from error
    except TypeError as error:
        raise PublicationRefused(Refusal.NOT_STORED, f"Its audience: {error}.") from error


def audience_from(text: bytes | None) -> Audience:
    """Return the audience of :func:`audience_text`.

    :raises ValueError: the text is not one.
    """
    if text is None:
        return EVERYONE
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"this is not a stored audience: {text[:100]!r}") from error
    return audience_of(found)


def audience_of(found: Any) -> Audience:
    """Return the audience that the JSON value of :func:`audience_text` describes.

    :param found: any JSON value, however deeply it is nested.
    :raises ValueError: it does not describe one.
    """
    try:
        eligible = found.get("eligible")
        to = found.get("to")
        return Audience(
            _names(found["exclude"]),
            None if eligible is None else _names(eligible),
            None if to is None else _targets_from(to),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"this is not a stored audience: {shown_json(found)}") from error


def _targets_as_json(targets: Targets) -> dict[str, object]:
    found: dict[str, object] = {}
    for field in fields(targets):
        value = getattr(targets, field.name)
        if value is not None:
            found[field.name] = sorted(value) if isinstance(value, frozenset) else value
    return found


def _targets_from(found: dict[str, Any]) -> Targets:
    values: dict[str, Any] = {
        name: value is True if name == "registered" else _names(value)
        for name, value in found.items()
    }
    return Targets(**values)


def _names(values: list[object]) -> frozenset[str]:
    names = [each for each in values if isinstance(each, str)]
    if not isinstance(values, list) or len(names) < len(values):
        raise ValueError("names must be a list of strings")
    return frozenset(names)
