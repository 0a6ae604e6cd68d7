"""A server as a process of its own, on free ports.

Owns: its command line, waiting until it is ready, and its end.
Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wampush.testing.ports import reserved_ports
from wampush.testing.process import PATIENCE, Process

#: In the line that a server writes last when it starts.
READY: Final = " ready: "
#: Written by the parent, if there is one.
_SERVING: Final = "serving: node is process "
_TWISTD: Final = (
    sys.executable,
    "-c",
    "from twisted.scripts.twistd import run; run()",
    "-n",
    "--pidfile=",
)


class RunningServer(Process):
    """A running ``twistd wampush`` on loopback.

    :param ports: the ports for WebSocket, ZeroMQ and HTTP.
    :param cwd: folder to start it in.
    :param options: further options of ``twistd wampush``, such as ``--config=wampush.toml``.
    :param twistd: the twistd command with its own options; None for that of this Python.
    :param environment: see :class:`Process`.
    :param tls: whether the WebSocket listener speaks TLS; the options give the key.
    :param has_parent: whether the server has a parent process, as outside tests; without one it
        starts faster, and the process id is its own.
    """

    def __init__(
        self,
        ports: Sequence[int],
        *,
        cwd: Path,
        options: Sequence[str] = (),
        twistd: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        tls: bool = False,
        has_parent: bool = False,
    ) -> None:
        self._has_parent = has_parent
        self.websocket_port, self.zmq_port, self.http_port = ports
        self.websocket_url = f"{'wss' if tls else 'ws'}://127.0.0.1:{self.websocket_port}"
        self.zmq_address = f"tcp://127.0.0.1:{self.zmq_port}"
        self.http_url = f"http://127.0.0.1:{self.http_port}"
        command = [
            *(_TWISTD if twistd is None else twistd),
            "wampush",
            "--listen",
            f"{'ssl' if tls else 'tcp'}:{self.websocket_port}:interface=127.0.0.1",
            "--pull",
            self.zmq_address,
            "--http",
            f"tcp:{self.http_port}:interface=127.0.0.1",
            *(() if has_parent else ("--set=process.parent=false",)),
            *options,
        ]
        super().__init__(command, cwd=cwd, environment=environment)

    def wait_until_ready(self) -> None:
        """Wait until it listens.

        :raises AssertionError: it has ended, or does not become ready; the message has its log.
        """
        self.wait_for_line(
            f"WAMP v1 on {self.websocket_url}/",
            f"pulling pushes from {self.zmq_address}",
            f"health on {self.http_url}/healthz",
            READY,
            # From here on the parent takes orders.
            *((_SERVING,) if self._has_parent else ()),
        )

    def health(self) -> dict[str, Any]:
        """Return what ``/healthz`` reports."""
        url = f"{self.http_url}/healthz"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:  # noqa: S310 - http
            document: dict[str, Any] = json.load(response)
        return document

    def stop(self) -> None:
        """Stop it as a supervisor does.

        :raises AssertionError: it has ended otherwise; the message has its log.
        """
        # twistd shuts down in order and then raises the signal again, so that this is its status.
        status = self.terminate()
        if status != -signal.SIGTERM:
            raise AssertionError(f"the server ended with status {status}; its log:\n{self.log}")


@contextlib.contextmanager
def running_server(
    config: str | Path | None = None,
    *,
    options: Sequence[str] = (),
    folder: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[RunningServer]:
    """Start a server on free ports of 127.0.0.1, yield it when it is ready, and stop it at the end.

    :param config: a TOML file; its addresses are replaced.
    :param options: further options of ``twistd wampush``, such as ``--set=presence.grace=0``.
    :param folder: to start it in; None for that of the configuration file, or the current one.
    :param environment: the whole environment of the process; None for that of the test, without
        names that begin with ``WAMPUSH_``.
    :raises AssertionError: it does not start, or does not stop in order; the message has its log.
    """
    more = [*options]
    if config is not None:
        path = Path(config).absolute()
        more = ["--config", os.fspath(path), *more]
        folder = path.parent if folder is None else folder
    cwd = Path.cwd() if folder is None else Path(folder)
    with reserved_ports(3) as ports:
        server = RunningServer(ports, cwd=cwd, options=more, environment=environment)
        try:
            server.wait_until_ready()
            yield server
            server.stop()
        finally:
            server.kill()
