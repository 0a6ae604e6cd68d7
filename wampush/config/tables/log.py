"""The tables ``[log]`` and ``[log_levels]``: which events are logged, and in which form.

Owns: the levels, the parts that have one of their own, and the forms. Must not import: the other
tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

LogLevelName = Literal["debug", "info", "warn", "error", "critical"]
PartLevel = Literal["default", "debug", "info", "warn", "error", "critical"]
LogFormat = Literal["text", "json", "auto"]

#: A part has the level of ``log.level``.
DEFAULT_LEVEL: Final = "default"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``[log]``: the log that twistd's options send to a file, standard output or syslog.

    :param level: Events of this level and above are logged; ``warn`` leaves out what is normal.
    :param format: For people; ``json`` is one JSON object per line, for a log collector, and
        ``auto`` is text on a terminal and JSON everywhere else.
    :param access: Health checks and pages that reconnect would fill the log; ``true`` adds a line
        for each ended connection and each HTTP request, whatever the level.
    """

    level: LogLevelName = "info"
    format: LogFormat = "text"
    access: bool = False


@dataclass(frozen=True, slots=True)
class LogLevelSettings:
    """``[log_levels]``: the level of single parts; ``default`` is the one of ``log.level``.

    :param node: Start, stop and reload of the server.
    :param parent: Start, end and replacement of the server's process.
    :param broker: Refused inputs, ends of connections, durable topics.
    :param websocket: Defects while connections open.
    :param zeromq: ZeroMQ sockets, their keys and backends.
    :param redis: Connections to Redis.
    :param auth: Keys of tokens and of WAMP-CRA, the callback to the web application.
    :param apps: Errors in Python applications and components, and what these log themselves with
        ``ctx.log`` or a logger named like their package.
    :param webhooks: Requests to the web application.
    :param net: TLS certificates and handshakes, errors about accepting.
    """

    node: PartLevel = "default"
    parent: PartLevel = "default"
    broker: PartLevel = "default"
    websocket: PartLevel = "default"
    zeromq: PartLevel = "default"
    redis: PartLevel = "default"
    auth: PartLevel = "default"
    apps: PartLevel = "default"
    webhooks: PartLevel = "default"
    net: PartLevel = "default"
