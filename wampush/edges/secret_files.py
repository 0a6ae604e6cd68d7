"""Reads files that hold secrets or keys.

Owns: how such a file is read, and that nothing of it gets into an error.
Must not import: Autobahn, the broker.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from wampush.errors import OperatorError

_MOST_BYTES: Final = 2**20


def read(path: str, setting: str) -> bytes:
    """The content of a file, at most 1 MiB.

    :param setting: the key that names it, for the error.
    :raises OperatorError: when it can not be read or is larger.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "this is no path"
        raise OperatorError(f"{setting} {path!r} cannot be read: {why}") from error
    if len(content) > _MOST_BYTES:
        raise OperatorError(f"{setting} {path!r} is larger than {_MOST_BYTES} bytes")
    return content
