"""Files with secrets or keys.

Owns: reading such files, and the errors about them, which never repeat their content.
Must not import: Autobahn, the broker.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from wampush.errors import OperatorError

_MAX_BYTES: Final = 2**20
_MIN_TOKEN_BYTES: Final = 16
#: The length of the hash in signatures (RFC 2104 section 3).
_MIN_SECRET_BYTES: Final = 32
_REMEDIES: Final[Mapping[int | None, str]] = MappingProxyType(
    {
        errno.ENOENT: "name an existing file",
        errno.EACCES: "the user of the daemon must be able to read it and to enter its folders",
        errno.EISDIR: "name a file in that folder",
    }
)


def read(path: str, setting: str) -> bytes:
    """Return the content of a file of at most 1 MiB.

    :param path: of the file.
    :param setting: the setting that names it, for errors.
    :raises OperatorError: the file cannot be read, or is larger.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a valid path"
        remedy = _REMEDIES.get(getattr(error, "errno", None), "name a readable file")
        # The daemon may have been started in another folder than expected.
        where = "" if path.startswith("/") else f"; relative to {str(Path.cwd())!r}"
        raise OperatorError(f"{setting} {path!r} cannot be read: {why}; {remedy}{where}") from error
    if len(content) > _MAX_BYTES:
        raise OperatorError(f"{setting} {path!r} is larger than {_MAX_BYTES} bytes")
    return content


def http_token(path: str) -> bytes | None:
    """Return the bearer token of the HTTP port; None when no file is configured.

    :param path: of the file, "" for none.
    :raises OperatorError: the file cannot be read, or holds no sufficiently long token.
    """
    return _long_secret(path, "http.token_file", "token", _MIN_TOKEN_BYTES) if path else None


def webhook_secret(path: str) -> bytes:
    """Return the secret that signs webhooks.

    :param path: of the file.
    :raises OperatorError: the file cannot be read, or holds no sufficiently long secret.
    """
    return _long_secret(path, "webhooks.secret_file", "secret", _MIN_SECRET_BYTES)


def _long_secret(path: str, setting: str, what: str, min_bytes: int) -> bytes:
    found = read(path, setting).strip()
    if len(found) < min_bytes:
        raise OperatorError(
            f"{setting} {path!r} holds {len(found)} bytes; a {what} needs at least "
            f"{min_bytes}, for example from: openssl rand -hex 32"
        )
    return found


def password(path: str, setting: str) -> bytes:
    """Return the password in a file, without white space around it.

    :param path: of the file.
    :param setting: the setting that names it, for errors.
    :raises OperatorError: the file cannot be read, or is empty.
    """
    found = read(path, setting).strip()
    if not found:
        raise OperatorError(f"{setting} {path!r} holds no password")
    return found
