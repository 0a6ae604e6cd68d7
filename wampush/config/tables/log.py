"""The table ``[log]``: which events are logged, and in which form.

Owns: the levels and the formats. Must not import: the other tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LogLevelName = Literal["debug", "info", "warn", "error", "critical"]
LogFormat = Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``[log]``: the log that twistd's options send to a file, standard output or syslog.

    :param level: Events of this level and above are logged; ``warn`` leaves out what is normal.
    :param format: For people; ``json`` is one JSON object per line, for a log collector.
    """

    level: LogLevelName = "info"
    format: LogFormat = "text"
