"""CURVE keys in files: the server's own, and those of the backends that may connect.

Owns: the formats of such files, and what is wrong with one.
Must not import: Twisted, txzmq, anything of wampush but ``errors`` and ``secret_files``; the
command line uses it too.

Two formats are read. One key a line: 40 characters of Z85 (ZeroMQ RFC 32), with anything behind
it. And the certificates that ``zmq.auth.create_certificates`` writes (ZPL, ZeroMQ RFC 4), where it
stands in quotes after ``public-key =`` or ``secret-key =``.
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
#: Files of a folder of public keys; ``.key_secret``, as zmq.auth names the other kind, is none.
SUFFIXES: Final = frozenset({".key", ".pub"})
_Z85: Final = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_ZPL: Final = re.compile(rf"\s*(public|secret)-key\s*=\s*[\"']({_Z85.pattern})[\"']\s*")
#: What else a certificate holds: comments, names of tables, other values.
_OTHER: Final = re.compile(r"\s*(#.*|metadata|curve|[A-Za-z][\w/-]*\s*=.*)?\s*")


def _lines(what: str, path: Path) -> list[str]:
    try:
        return secret_files.read(str(path), what).decode().splitlines()
    except UnicodeDecodeError:
        raise OperatorError(f"{what} {str(path)!r} is no text file") from None


def _keys(what: str, path: Path) -> Iterator[tuple[str, bytes]]:
    """The keys of a file with their kinds: "public", "secret", or "" where the file does not say.

    No error repeats a line, which may hold a secret.
    """
    for number, line in enumerate(_lines(what, path), 1):
        labelled = _ZPL.fullmatch(line)
        if labelled is not None:
            yield labelled[1], labelled[2].encode()
            continue
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if _Z85.fullmatch(word):
            yield "", word.encode()
        elif not _OTHER.fullmatch(line):
            raise OperatorError(
                f"{what} {str(path)!r}, line {number}: is no key of 40 characters (Z85), and no "
                "line of a certificate of zmq.auth"
            )


def secret_key(what: str, path: str) -> bytes:
    """The secret key of a file.

    :param what: the setting or option that names the file, for errors.
    :raises OperatorError: when the file can not be read or does not hold exactly one.
    """
    found = [key for kind, key in _keys(what, Path(path)) if kind != "public"]
    if len(found) != 1:
        raise OperatorError(f"{what} {path!r} holds {len(found)} secret keys; it must be one")
    try:
        public_of(found[0])
    except (zmq.ZMQError, ValueError):
        raise OperatorError(f"{what} {path!r} holds no usable key") from None
    return found[0]


def public_of(secret: bytes) -> bytes:
    """The public key that belongs to a secret key."""
    public: bytes = zmq.curve_public(secret)
    return public


def public_keys(what: str, path: str) -> frozenset[bytes]:
    """The public keys of a file, or of the files in a folder that end in ``.key`` or ``.pub``.

    :param what: the setting or option that names them, for errors.
    :raises OperatorError: when one can not be read, or there is no key at all.
    """
    place = Path(path)
    files = [place]
    if place.is_dir():
        try:
            files = sorted(each for each in place.iterdir() if each.suffix in SUFFIXES)
        except OSError as error:
            raise OperatorError(f"{what} {path!r} cannot be read: {error.strerror}") from error
    found = {key for each in files for kind, key in _keys(what, each) if kind != "secret"}
    if not found:
        raise OperatorError(f"{what} {path!r} holds no public key, so that nobody could connect")
    return frozenset(found)


def check_pair(secret: str, clients: str) -> None:
    """Whether both files are configured, or none.

    :raises OperatorError: when there is only one of them.
    """
    if bool(secret) != bool(clients):
        both = KEY_SETTING, CLIENTS_SETTING
        unset, other = both if clients else reversed(both)
        raise OperatorError(f"{unset} is not set, but {other} is; set both, or neither")
