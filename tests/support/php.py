"""PHP backends as the migrating teams have them: PHP CLI with ext-zmq."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE, eventually
from wampush.testing.ports import reserved_ports

#: Options of a daemon that waits for PHP however busy the machine is; the usual limits are those of
#: people who wait.
UNHURRIED = (
    "--set=websocket.handshake_timeout=100",
    "--set=callback.timeout=40",
    "--set=webhooks.connect_timeout=40",
    "--set=webhooks.timeout=40",
)
ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "e2e" / "php"
WEB = SCRIPTS / "web"


def php_program() -> str:
    """Where PHP is.

    :raises AssertionError: it is not installed; says how to install it.
    """
    php = shutil.which("php")
    assert php, "PHP is missing: apt-get install php-cli php-zmq php-redis"
    return php


def need_zmq() -> None:
    """Skip the test where this version of Debian has no ext-zmq.

    :raises AssertionError: it has one, which is not installed; says how to install it.
    """
    if not _has_zmq():
        packaged = subprocess.run([ROOT / "scripts" / "is_packaged.sh", "php-zmq"], check=False)
        assert packaged.returncode, "PHP's extension zmq is missing: apt-get install php-zmq"
        pytest.skip("this version of Debian has no package php-zmq")


@cache
def _has_zmq() -> bool:
    code = "exit(extension_loaded('zmq') ? 0 : 1);"
    return subprocess.run([php_program(), "-r", code], check=False).returncode == 0


def php_command(script: str, *arguments: str) -> list[str]:
    """The command that runs one of the backends in tests/e2e/php, or a script elsewhere.

    Skips the test if the script needs ext-zmq and there is none: see :func:`need_zmq`.
    """
    path = SCRIPTS / script
    if "ZMQContext" in path.read_text(encoding="utf-8"):
        need_zmq()
    return [php_program(), str(path), *arguments]


def php_push(address: str, *messages: Mapping[str, object]) -> None:
    """Push each message in order from one PHP process, which ends when ZeroMQ has sent them."""
    text = "".join(json.dumps(message) + "\n" for message in messages)
    done = subprocess.run(
        php_command("push.php", address),
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout + done.stderr == ""


class PhpServer:
    """A web application in PHP: the scripts in tests/e2e/php/web, with sessions of its own.

    :param port: where it listens, on 127.0.0.1.
    :param folder: for its sessions.
    :param scripts: the folder of its scripts.
    """

    def __init__(self, port: int, folder: Path, scripts: Path) -> None:
        address = f"127.0.0.1:{port}"
        #: Where it is, without a slash at the end.
        self.url = f"http://{address}"
        self._port = port
        self._command = [
            *(php_program(), "-d", f"session.save_path={folder}"),
            *("-S", address, "-t", str(scripts)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it listens when this returns."""
        none = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdin=none, stdout=none, stderr=none)
        eventually(lambda: _listens(self._port), lambda listens: listens)
        assert self._process.poll() is None

    def stop(self) -> None:
        """End it at once, as a crash would; sessions stay."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def log_in(self, user: str) -> str:
        """Log in as a user; the cookie that a browser would send from then on."""
        address = f"{self.url}/login.php?{urllib.parse.urlencode({'user': user})}"
        with urllib.request.urlopen(address, timeout=PATIENCE) as response:
            cookie: str = response.read().decode()
        return cookie


@contextlib.contextmanager
def php_server(folder: Path, scripts: Path = WEB) -> Iterator[PhpServer]:
    """Run PHP's own web server on a free port; its sessions are kept in ``folder``."""
    with reserved_ports(1) as (port,):
        server = PhpServer(port, folder, scripts)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
