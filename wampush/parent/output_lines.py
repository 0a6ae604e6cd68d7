"""What a node writes to its standard streams, line by line.

Owns: reading a pipe, and the last lines, which say why a node has ended.
Must not import: anything of wampush.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

#: Lines that are kept.
KEPT: Final = 40
_READ_BYTES: Final = 65_536
#: Bytes of a line; a longer one is written in pieces.
_MAX_LINE: Final = 1_048_576
#: What the lines of errors that operators can mend begin with.
_PREFIX: Final = "wampush: "


class OutputLines:
    """Reads whole lines from a pipe.

    :param descriptor: the end of the pipe that is read; this object closes it.
    :param on_lines: takes lines, each with its line break.
    """

    def __init__(self, descriptor: int, on_lines: Callable[[str], object]) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._on_lines = on_lines
        self._rest = b""
        self.last: deque[str] = deque(maxlen=KEPT)

    def read(self) -> bool:
        """Read what has arrived.

        :returns: whether more may come.
        """
        while self.descriptor >= 0:
            try:
                data = os.read(self.descriptor, _READ_BYTES)
            except BlockingIOError:
                return True
            if not data:
                self._take(self._rest + b"\n" if self._rest else b"")
                self._rest = b""
                return False
            whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
            if len(self._rest) > _MAX_LINE:
                whole, newline, self._rest = whole + newline + self._rest, b"\n", b""
            self._take(whole + newline)
        return False

    def close(self) -> None:
        """Close the pipe."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _take(self, data: bytes) -> None:
        if data:
            text = data.decode("utf-8", "backslashreplace")
            self.last.extend(text.splitlines())
            self._on_lines(text)


def reason_in(lines: Iterable[str]) -> str:
    """Return the line that says why a process has ended; "" when none does.

    That is the first of those for the operator since the last traceback, or the last line.
    """
    kept = [line.strip() for line in lines if line.strip()]
    for line in kept:
        if line.startswith(_PREFIX):
            return line.removeprefix(_PREFIX)
    return kept[-1] if kept else ""
