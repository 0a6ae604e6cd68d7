"""CURVE keys in files: the server's own, and those of the backends that may connect.

Owns: the formats of such files, and what is wrong with one.
Must not import: Twisted, txzmq, anything of wampush but ``errors`` and ``net.secret_files``; the
command line uses this module, too.

Two formats are read. Either one key per line: 40 characters of Z85 (ZeroMQ RFC 32), followed by any
comment. Or certificates as ``zmq.auth.create_certificates`` writes them (ZPL, ZeroMQ RFC 4), with
the key in quotes after ``public-key =`` or ``secret-key =``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zmq

from wampush.errors import OperatorError
from wampush.net import secret_files

KEY_SETTING: Final = "zmq.curve_secret_key_file"
CLIENTS_SETTING: Final = "zmq.curve_client_keys"
#: Files that are read in a folder of public keys. zmq.auth names files with secret keys
#: ``.key_secret``; those are left out.
SUFFIXES: Final = frozenset({".key", ".pub"})
_Z85: Final = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_ZPL: Final = re.compile(rf"\s*(public|secret)-key\s*=\s*[\"']({_Z85.pattern})[\"']\s*")
#: Lines of a certificate without a key: comments, names of tables, other values.
_IGNORED: Final = re.compile(r"\s*(#.*|metadata|curve|[A-Za-z][\w/-]*\s*=.*)?\s*")


def _lines(setting: str, path: Path) -> list[str]:
    try:
        return secret_files.read(str(path), setting).decode().splitlines()
    except UnicodeDecodeError:
        raise OperatorError(f"{setting} {str(path)!r} is not a text file") from None


def _keys(setting: str, path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the keys of a file with their kinds: "public", "secret", or "" where not stated.

    Errors do not repeat the line, because it may hold a secret.
    """
    for number, line in enumerate(_lines(setting, path), 1):
        labelled = _ZPL.fullmatch(line)
        if labelled is not None:
            yield labelled[1], labelled[2].encode()
            continue
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if _Z85.fullmatch(word):
            yield "", word.encode()
        elif not _IGNORED.fullmatch(line):
            raise OperatorError(
                f"{setting} {str(path)!r}, line {number}: expected a key of 40 characters (Z85) or "
                "a line of a zmq.auth certificate"
            )


def read_secret_key(setting: str, path: str) -> bytes:
    """Return the secret key in a file.

    :param setting: the setting or option that names the file, for errors.
    :raises OperatorError: the file cannot be read, or does not hold exactly one secret key.
    """
    found = [key for kind, key in _keys(setting, Path(path)) if kind != "public"]
    if len(found) != 1:
        raise OperatorError(
            f"{setting} {path!r} holds {len(found)} secret keys; it must hold exactly one"
        )
    try:
        public_key_of(found[0])
    except (zmq.ZMQError, ValueError):
        raise OperatorError(f"{setting} {path!r} holds no usable key") from None
    return found[0]


def public_key_of(secret_key: bytes) -> bytes:
    """Return the public key that belongs to a secret key."""
    public_key: bytes = zmq.curve_public(secret_key)
    return public_key


def read_public_keys(setting: str, path: str) -> frozenset[bytes]:
    """Return the public keys in a file, or in the ``.key`` and ``.pub`` files of a folder.

    :param setting: the setting or option that names the path, for errors.
    :raises OperatorError: a file cannot be read, or there is no key at all.
    """
    files = [Path(path)]
    if files[0].is_dir():
        try:
            files = sorted(each for each in files[0].iterdir() if each.suffix in SUFFIXES)
        except OSError as error:
            raise OperatorError(f"{setting} {path!r} cannot be read: {error.strerror}") from error
    found = {key for each in files for kind, key in _keys(setting, each) if kind != "secret"}
    if not found:
        raise OperatorError(f"{setting} {path!r} holds no public key, so no backend could connect")
    return frozenset(found)


def check_key_pair(secret_key_file: str, client_keys: str) -> None:
    """Check that both key settings are set, or neither.

    :raises OperatorError: only one of them is set.
    """
    if bool(secret_key_file) != bool(client_keys):
        both = KEY_SETTING, CLIENTS_SETTING
        unset, other = both if client_keys else reversed(both)
        raise OperatorError(f"{unset} is not set, but {other} is; set both, or neither")
