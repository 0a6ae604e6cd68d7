"""What a node writes to its standard streams, line by line.

Owns: reading a pipe, and the last lines, which say why a node has ended.
Must not import: anything of wampush.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

#: Lines that are kept, and the characters that are kept of each.
KEPT: Final = 40
KEPT_CHARACTERS: Final = 2000
_READ_BYTES: Final = 65_536
#: What a pipe may hold (``/proc/sys/fs/pipe-max-size``).
_MOST_REST: Final = 1_048_576
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
        """Read a share of what has arrived, so that a node that writes all the time waits, too.

        :returns: whether more may come.
        """
        if self.descriptor < 0:
            return False
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
        return True

    def read_rest(self) -> None:
        """Read what a process that has ended has left.

        Processes that it has started may write to the same pipe as long as they like.
        """
        for _ in range(_MOST_REST // _READ_BYTES):
            if not self.read():
                return

    def close(self) -> None:
        """Close the pipe."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _take(self, data: bytes) -> None:
        if data:
            text = data.decode("utf-8", "backslashreplace")
            self.last.extend(line[:KEPT_CHARACTERS] for line in text.splitlines()[-KEPT:])
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
