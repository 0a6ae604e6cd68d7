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
from pathlib import Path

from tests.support.ports import reserved_ports
from tests.support.waiting import eventually

SCRIPTS = Path(__file__).resolve().parents[1] / "e2e" / "php"
WEB = SCRIPTS / "web"


def php_program() -> str:
    """Where PHP is.

    :raises AssertionError: it is not installed; says how to install it.
    """
    php = shutil.which("php")
    assert php, "PHP is missing: apt-get install php-cli php-zmq php-redis"
    return php


def php_command(script: str, *arguments: str) -> list[str]:
    """The command that runs one of the backends in tests/e2e/php."""
    return [php_program(), str(SCRIPTS / script), *arguments]


def php_push(address: str, *messages: Mapping[str, object]) -> None:
    """Push each message in order from one PHP process, which ends when ZeroMQ has sent them."""
    text = "".join(json.dumps(message) + "\n" for message in messages)
    done = subprocess.run(
        php_command("push.php", address),
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout + done.stderr == ""


class PhpServer:
    """A web application in PHP: the scripts in tests/e2e/php/web, with sessions of its own.

    :param url: where it is, without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def log_in(self, user: str) -> str:
        """Log in as a user; the cookie that a browser would send from then on."""
        address = f"{self.url}/login.php?{urllib.parse.urlencode({'user': user})}"
        with urllib.request.urlopen(address, timeout=10) as response:
            cookie: str = response.read().decode()
        return cookie


@contextlib.contextmanager
def php_server(folder: Path, scripts: Path = WEB) -> Iterator[PhpServer]:
    """Run PHP's own web server on a free port; its sessions are kept in ``folder``."""
    php = shutil.which("php")
    assert php, "PHP is missing: apt-get install php-cli"
    with reserved_ports(1) as (port,):
        address = f"127.0.0.1:{port}"
        command = [php, "-d", f"session.save_path={folder}", "-S", address, "-t", str(scripts)]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                eventually(lambda: _listens(port), lambda listens: listens)
                assert process.poll() is None
                yield PhpServer(f"http://{address}")
            finally:
                process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
