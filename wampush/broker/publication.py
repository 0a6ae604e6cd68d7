"""What is published, and who may get it.

Owns: Publication and Audience. Must not import: anything of wampush.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Audience:
    """Which subscribers of the topic may get a publication.

    :param exclude: session ids that do not get it, also when they are eligible.
    :param eligible: the only session ids that may get it; None lifts this restriction, the empty
        set means nobody.
    """

    exclude: frozenset[str] = frozenset()
    eligible: frozenset[str] | None = None


EVERYONE: Final = Audience()


@dataclass(frozen=True, slots=True)
class Publication:
    """An event on its way to the subscribers of a topic.

    :param topic: the resolved URI.
    :param payload: valid JSON text, delivered byte for byte.
    :param audience: who may get it; :data:`EVERYONE` by default.
    """

    topic: str
    payload: bytes
    audience: Audience = EVERYONE
