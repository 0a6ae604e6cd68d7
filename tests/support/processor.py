"""What a process has used of the processor, which no other process makes longer or shorter."""

from __future__ import annotations

import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """How long a process has computed; its children do not count."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    # The name of the program, in parentheses, may have spaces.
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
