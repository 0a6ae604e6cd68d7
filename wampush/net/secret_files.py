"""Reads files that hold secrets or keys.

Owns: how such a file is read, and that nothing of it gets into an error.
Must not import: Autobahn, the broker.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from wampush.errors import OperatorError

_MOST_BYTES: Final = 2**20
_SHORTEST_TOKEN: Final = 16
#: As long as the hash of the signature (RFC 2104 section 3).
_SHORTEST_SECRET: Final = 32
_REMEDIES: Final[Mapping[int | None, str]] = MappingProxyType(
    {
        errno.ENOENT: "name a file that is there",
        errno.EACCES: "let the user of the daemon read it and enter the folders above it",
        errno.EISDIR: "name a file in it",
    }
)


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
        remedy = _REMEDIES.get(getattr(error, "errno", None), "name a file that can be read")
        # A daemon may be started in another folder than the one that its user has in mind.
        where = "" if path.startswith("/") else f"; it was looked for in {str(Path.cwd())!r}"
        raise OperatorError(f"{setting} {path!r} cannot be read: {why}; {remedy}{where}") from error
    if len(content) > _MOST_BYTES:
        raise OperatorError(f"{setting} {path!r} is larger than {_MOST_BYTES} bytes")
    return content


def http_token(path: str) -> bytes | None:
    """The bearer token of the HTTP port, or None when no file is configured.

    :raises OperatorError: when the file can not be read or holds no token.
    """
    return _long_enough(path, "http.token_file", "token", _SHORTEST_TOKEN) if path else None


def webhook_secret(path: str) -> bytes:
    """The secret that signs webhooks.

    :raises OperatorError: when the file can not be read or holds no such secret.
    """
    return _long_enough(path, "webhooks.secret_file", "secret", _SHORTEST_SECRET)


def _long_enough(path: str, setting: str, what: str, least: int) -> bytes:
    found = read(path, setting).strip()
    if len(found) < least:
        raise OperatorError(
            f"{setting} {path!r} holds {len(found)} bytes; a {what} has at least "
            f"{least}, for example from: openssl rand -hex 32"
        )
    return found


def password(path: str, setting: str) -> bytes:
    """The password in a file, without white space around it.

    :param setting: the key that names the file, for the error.
    :raises OperatorError: when the file can not be read or is empty.
    """
    found = read(path, setting).strip()
    if not found:
        raise OperatorError(f"{setting} {path!r} holds no password")
    return found
