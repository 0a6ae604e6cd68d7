"""The application of docs/howto/webhooks.md: PHP that wampush asks over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemon import Daemon, running_daemon
from tests.support.php import UNHURRIED, PhpServer, php_server

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "webhooks.md"
LOGIN = (
    "<?php session_start(); $_SESSION['user'] = $_GET['user']; "
    "echo session_name(), '=', session_id();"
)
CART = "<?php session_start(); echo json_encode($_SESSION['cart'] ?? []);"
SECRET = "0123456789abcdef" * 4


def example(language: str, words: str) -> str:
    """The one block of the guide in a language that holds these words."""
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if words in block]
    return str(found)


@dataclass
class Shop:
    """The web application with its login, its cart and ``hooks.php``, and the daemon that asks it.

    :param online: the folder with a file for each session.
    """

    php: PhpServer
    daemon: Daemon
    online: Path
    key: Path


@contextmanager
def shop(folder: Path, more: str = "") -> Iterator[Shop]:
    """Run both, with the configuration of the guide.

    :param more: further lines of ``[webhooks]``, and further tables.
    """
    web, sessions, online = (folder / name for name in ("web", "sessions", "online"))
    for each in (web, sessions, online):
        each.mkdir()
    key = folder / "hooks.key"
    key.write_text(f"{SECRET}\n", encoding="utf-8")
    script = example("php", "question()")
    for place, path in (("/etc/wampush/hooks.key", key), ("/var/lib/shop/online", online)):
        assert place in script
        script = script.replace(place, str(path))
    for name, text in (("hooks.php", script), ("login.php", LOGIN), ("cart.php", CART)):
        (web / name).write_text(text, encoding="utf-8")
    with php_server(sessions, web) as php:
        settings = example("toml", "[webhooks]").replace("http://127.0.0.1:8000", php.url)
        settings = settings.replace('"hooks.key"', json.dumps(str(key)))
        path = folder / "wampush.toml"
        path.write_text(f"{settings}{more}\n", encoding="utf-8")
        with running_daemon(folder, extra=["--config", str(path), *UNHURRIED]) as daemon:
            yield Shop(php, daemon, online, key)
