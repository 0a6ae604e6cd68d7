"""The daemon as a process of its own: started, watched through its log, stopped by its id."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.fork_server.client import CopiedProcess
from wampush.testing.ports import reserved_ports
from wampush.testing.running_server import RunningServer


def twistd_command() -> list[str]:
    """The twistd of the environment that runs the tests."""
    return [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile="]


class Daemon(CopiedProcess, RunningServer):
    """A running ``twistd wampush`` on ports of its own.

    :param ports: the ports for WebSocket, ZeroMQ and HTTP.
    :param cwd: folder to start it in.
    :param extra: further options of the plugin.
    :param twistd: the twistd command with its own options.
    :param environment: see Process.
    :param tls: whether the WebSocket listener speaks TLS; the key comes from ``extra``.
    :param has_parent: whether it has a parent process, whose id is the one of the daemon then.
    """

    def __init__(
        self,
        ports: Sequence[int],
        *,
        cwd: Path,
        extra: Sequence[str] = (),
        twistd: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        tls: bool = False,
        has_parent: bool = False,
    ) -> None:
        self.is_copy = twistd is None and not has_parent
        super().__init__(
            ports,
            cwd=cwd,
            options=extra,
            twistd=twistd_command() if twistd is None else twistd,
            environment=environment,
            tls=tls,
            has_parent=has_parent,
        )

    def counts(self) -> tuple[int, int, int]:
        """How many sessions, topics and connections ``/healthz`` reports."""
        health = self.health()
        return health["sessions"], health["topics"], health["connections"]

    def descriptors(self) -> int:
        """How many descriptors the process has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def stop(self, *, traceback_expected: bool = False) -> None:
        """Stop it as a supervisor does; it must end in order and without a traceback."""
        super().stop()
        assert "Server Shut Down" in self.log
        if not traceback_expected:
            assert "Traceback" not in self.log, self.log


@contextlib.contextmanager
def running_daemon(
    cwd: Path,
    *,
    extra: Sequence[str] = (),
    twistd: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    traceback_expected: bool = False,
    tls: bool = False,
) -> Iterator[Daemon]:
    """Start a daemon on free ports, yield it when it is ready, stop it at the end."""
    with reserved_ports(3) as ports:
        daemon = Daemon(
            ports, cwd=cwd, extra=extra, twistd=twistd, environment=environment, tls=tls
        )
        try:
            daemon.wait_until_ready()
            yield daemon
            daemon.stop(traceback_expected=traceback_expected)
        finally:
            daemon.kill()
