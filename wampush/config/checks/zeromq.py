"""Checks of ZeroMQ addresses and of the mode of their socket files.

Owns: their forms. Must not import: Twisted, ZeroMQ, the settings.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from wampush.config.checks.check import string

_TCP: Final = re.compile(
    r"tcp://(?P<host>\*|\[[0-9A-Za-z:.%_-]+\]|[^\s\[\]/:;*]+):(?P<port>\*|[0-9]{1,5})"
)
_LONGEST_SOCKET_PATH: Final = 107  # sun_path of unix(7) has 108 bytes, the last of them NUL.


def _is_pull_address(text: str) -> bool:
    if not text.isprintable() or text != text.strip():
        return False
    address = text.removeprefix("connect:")
    is_bound = address == text
    return _is_tcp(address, is_bound) or _is_ipc(address, is_bound)


def _is_tcp(address: str, is_bound: bool) -> bool:
    found = _TCP.fullmatch(address)
    if found is None:
        return False
    if found["port"] in ("*", "0"):
        return is_bound
    return int(found["port"]) in range(1, 65_536) and (is_bound or found["host"] != "*")


def _is_ipc(address: str, is_bound: bool) -> bool:
    path = address.removeprefix("ipc://")
    if path in (address, "") or (path == "*" and not is_bound):
        return False
    return len(path.encode()) <= _LONGEST_SOCKET_PATH


PullAddress = Annotated[
    str,
    string(
        "tcp://HOST:PORT or ipc://PATH to bind (HOST may be *), or connect:tcp://HOST:PORT or "
        "connect:ipc://PATH to connect to (no *)",
        _is_pull_address,
    ),
]
# A string, because TOML would read a bare 0660 as an error and 660 as decimal.
FileMode = Annotated[
    str, string('an octal mode such as "0660"', re.compile("0?[0-7]{3}").fullmatch)
]
