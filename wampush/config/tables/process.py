"""The table ``[process]``: the parent process, and how long starts and ends may take.

Owns: these settings. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from wampush.config.checks.check import whole
from wampush.config.checks.durations import duration
from wampush.config.checks.endpoints import arguments_of, parts_of
from wampush.config.checks.redis import RedisUrl
from wampush.config.rules import rule

#: The shortest time without a sign of life after which a server may be ended. Three are due in it,
#: so that one that is late on a busy machine does not end the server.
LEAST_HANG_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """``[process]``: the processes that a server consists of.

    :param parent: A small parent process keeps the listening sockets and runs the server in a
        process of its own, which it starts again after a crash and replaces for an upgrade.
        ``false`` is a single process.
    :param workers: How many processes serve clients side by side, for a machine with more cores
        than one; the parent process spreads new connections over them. More than one needs
        ``[backplane]``, which joins them. Limits count for each worker.
    :param send_threads: How many threads send an event to a topic with many clients. More than one
        shortens the time until the last client has it, where a core is free, and takes more CPU
        time; it needs the extension in C, and does not speed up TLS.
    :param drain: How long a server that stops, or is replaced, takes to end its connections, a few
        at a time, so that not all clients come back at once; a number of seconds, or a text such as
        ``"10s"``.
    :param ready_timeout: How long a server may take to start; a new one that takes longer does not
        replace the old one.
    :param hang_timeout: A server whose event loop does not turn for so long is ended and started
        again; 3 seconds or more, because it gives a sign of life each second. 0 is never.
    """

    parent: bool = True
    workers: Annotated[int, whole(1, 64, "workers")] = 1
    send_threads: Annotated[int, whole(1, 16, "threads")] = 1
    drain: Annotated[float, duration(0, 3600)] = 10.0
    ready_timeout: Annotated[float, duration(1, 3600)] = 60.0
    hang_timeout: Annotated[float, duration(0, 3600)] = 15.0


@rule("process.hang_timeout")
def hangs_are_longer_than_signs_of_life_are_apart(hang_timeout: float) -> Iterator[str]:
    """A server that works is not ended because it has just given its sign of life."""
    if 0 < hang_timeout < LEAST_HANG_SECONDS:
        yield (
            f"process.hang_timeout = {hang_timeout:g} would end a server that works, which gives a "
            f"sign of life each second; use {LEAST_HANG_SECONDS:g} or more, or 0 for never"
        )


@rule("backplane.url", "process.workers")
def workers_are_joined(url: RedisUrl, workers: int) -> Iterator[str]:
    """Several workers need what joins them."""
    if workers > 1 and not url:
        yield (
            f"process.workers = {workers} needs backplane.url, the Redis server that joins the "
            "workers; otherwise a publication would reach the clients of one worker only"
        )


@rule("process.parent", "process.workers")
def workers_have_a_parent(parent: bool, workers: int) -> Iterator[str]:
    """Several workers need the process that keeps their listening sockets."""
    if workers > 1 and not parent:
        yield (
            f"process.workers = {workers} needs the parent process, which keeps the listening "
            "sockets of the workers; remove process.parent = false"
        )


@rule("websocket.listen", "http.listen", "process.workers")
def workers_can_listen(websocket: Sequence[str], http: str, workers: int) -> Iterator[str]:
    """Several workers listen only where the parent process can open a socket for each."""
    if workers == 1:
        return
    for endpoint in (*websocket, *(() if http == "off" else (http,))):
        parts = parts_of(endpoint.removeprefix("haproxy:"))
        if arguments_of(parts) is None:
            yield (
                f"process.workers = {workers} needs endpoints of the kinds tcp, tcp6, ssl, unix "
                f"and systemd; only one process can listen on {endpoint!r}"
            )
