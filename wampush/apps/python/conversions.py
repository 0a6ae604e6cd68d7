"""Conversion of what handlers return.

Owns: what a handler of each kind may return, and the errors for developers when it returns
something else. Pure.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from wampush.apps.python import json_values
from wampush.apps.python.values import CraSecret, Rewrite
from wampush.broker.requests.cra_key_store import CraKey
from wampush.excerpts import shown


def as_result(value: object) -> orjson.Fragment:
    """Convert the result of a procedure.

    :raises NotSerialisable: when it has no JSON form.
    """
    return orjson.Fragment(json_values.text_of(value))


def as_event(value: object) -> bytes | None:
    """Convert what an action sends back; None for nothing.

    :raises NotSerialisable: when it has no JSON form.
    """
    return None if value is None else json_values.text_of(value)


def as_nothing(value: object) -> None:
    """Check that a hook returned nothing: ``return False`` is meant to refuse, but would allow.

    :raises TypeError: when it returned something.
    """
    if value is not None:
        raise TypeError(f"it returned {shown(value)}; return nothing, or raise Refuse to refuse")


def as_rewrite(value: object) -> bytes | None:
    """Convert what ``on_publish`` returned to a payload; None for the payload of the client.

    :raises TypeError: when it is neither None nor a Rewrite.
    :raises NotSerialisable: when it has no JSON form.
    """
    if isinstance(value, Rewrite):
        return json_values.text_of(value.value)
    if value is not None:
        raise TypeError(
            f"it returned {shown(value)}; return nothing to publish the data as it is, "
            "Rewrite(value) to publish something else, or raise Refuse to refuse"
        )
    return None


def as_key(value: object) -> CraKey | None:
    """Convert what ``cra_key`` returned to a key; None for no such key.

    :raises TypeError: when it is neither None nor a CraSecret.
    """
    if value is None:
        return None
    if isinstance(value, CraSecret):
        return CraKey(value.secret, replace(value.identity, source="cra"), value.salting)
    # Not the value itself: it is probably a secret.
    raise TypeError(f"it returned a {type(value).__name__}; return a CraSecret, or None")
