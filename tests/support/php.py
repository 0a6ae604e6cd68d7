"""PHP backends as the migrating teams have them: PHP CLI with ext-zmq."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "e2e" / "php"


def php_command(script: str, *arguments: str) -> list[str]:
    """The command that runs one of the backends in tests/e2e/php.

    :raises AssertionError: PHP is not installed; says how to install it.
    """
    php = shutil.which("php")
    assert php, "PHP is missing: apt-get install php-cli php-zmq"
    return [php, str(SCRIPTS / script), *arguments]


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
