"""A server as a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.raw_client import RawClient
from wampush.testing import RunningServer, running_server

SHOP = """
from wampush.apps import App

app = App()


@app.procedure("shop.add")
def add(ctx, a, b):
    return a + b
"""


def test_a_server_runs_with_the_applications_of_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "shop_of_a_process.py").write_text(SHOP, encoding="utf-8")
    config = tmp_path / "wampush.toml"
    config.write_text('apps = ["shop_of_a_process:app"]\n', encoding="utf-8")
    with running_server(config, options=["--set=presence.grace=0"]) as server:
        with RawClient(server.websocket_port) as client:
            client.send(2, "1", "shop.add", 2, 3)
            assert client.receive() == [3, "1", 5]
        assert server.health()["sessions"] in (0, 1)
        server.kill()
        with pytest.raises(AssertionError, match="ended with status -9; its log:"):
            server.stop()
        server.stop = lambda: None  # type: ignore[method-assign]


def test_a_server_that_does_not_start_shows_why(tmp_path: Path) -> None:
    server = RunningServer((1, 2, 3), cwd=tmp_path, options=["--set=nothing=1"])
    with pytest.raises(AssertionError, match=r"(?s)the process ended.*nothing"):
        server.wait_until_ready()
    assert server.wait() == 1
