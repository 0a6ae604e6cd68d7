"""The beginning of a push, for the records of refusals.

Owns: how much of a push is kept, and how its parts are joined. Pure.
Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: Bytes of each part.
EXCERPT_BYTES: Final = 200
#: Parts; one more than a push may have.
_PARTS: Final = 4


def excerpt(parts: Sequence[bytes]) -> bytes:
    """Return the beginning of a push, its parts separated by ``|``."""
    return b"|".join([part[:EXCERPT_BYTES] for part in parts[:_PARTS]])
