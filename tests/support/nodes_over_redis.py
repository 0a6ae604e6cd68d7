"""Two daemons that a real Redis joins."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemon import Daemon, running_daemon
from tests.support.redis_server import RedisServer, running_redis


@dataclass(frozen=True)
class Nodes:
    """The daemons and their Redis, whose files are in a folder."""

    redis: RedisServer
    first: Daemon
    second: Daemon
    folder: Path


@contextlib.contextmanager
def running_nodes(folder: Path, topics: str = "") -> Iterator[Nodes]:
    """Start Redis and two daemons in an empty folder, stop them at the end.

    :param topics: TOML of the ``[[topics]]`` that both have.
    """
    with contextlib.ExitStack() as stack:
        for name in ("redis", "first", "second"):
            (folder / name).mkdir()
        redis = stack.enter_context(running_redis(folder / "redis"))
        config = folder / "wampush.toml"
        config.write_text(f'[backplane]\nurl = "{redis.url}"\n{topics}', encoding="utf-8")
        daemons = []
        for name in ("first", "second"):
            daemon = running_daemon(folder / name, extra=["--config", str(config)])
            daemons.append(stack.enter_context(daemon))
            daemons[-1].wait_for_line("joined the other nodes")
        first, second = daemons
        yield Nodes(redis, first, second, folder)
