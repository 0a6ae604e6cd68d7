"""twistd -n wampush --reload restarts the server when its application changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from tests.support.raw_client import RawClient
from wampush.testing.ports import reserved_ports

SHOP = """
from wampush.apps import App

app = App()


@app.procedure("shop.version")
def version(ctx):
    return {value}
"""


def answer(daemon: Daemon) -> Any:
    """What the application answers."""
    with RawClient(daemon.websocket_port) as client:
        client.send(2, "1", "shop.version")
        return client.receive()


def test_an_edited_application_is_in_use_and_a_mistake_does_not_end_the_watching(
    tmp_path: Path,
) -> None:
    shop = tmp_path / "reloaded_shop.py"
    shop.write_text(SHOP.format(value="(1"), encoding="utf-8")
    config = tmp_path / "wampush.toml"
    config.write_text('apps = ["reloaded_shop:app"]\n', encoding="utf-8")
    with reserved_ports(3) as ports:
        daemon = Daemon(ports, cwd=tmp_path, extra=["--reload", "--config", str(config)])
        try:
            daemon.wait_for_line("SyntaxError", "the server has ended (status 1)")
            shop.write_text(SHOP.format(value="'first'"), encoding="utf-8")
            daemon.wait_until_ready()
            assert answer(daemon) == [3, "1", "first"]
            shop.write_text(SHOP.format(value="'the second'"), encoding="utf-8")
            daemon.wait_for_log(lambda log: log.count(" ready: ") == 2)
            assert answer(daemon) == [3, "1", "the second"]
            assert f"wampush: {shop} changed; restarting" in daemon.lines
            assert daemon.terminate() == 0
            assert "Traceback" not in daemon.log
            assert daemon.log.count("Server Shut Down") == 2
        finally:
            daemon.kill()
