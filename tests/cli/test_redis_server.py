"""What ``wampush check`` says about the Redis server of the backplane."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.redis_server import running_redis
from wampush import cli
from wampush.cli.redis_server import findings
from wampush.config.settings import Settings


def check(capsys: pytest.CaptureFixture[str], *assignments: str) -> tuple[int, str]:
    """The exit status, and the lines on standard error."""
    status = cli.main(["check", *(word for each in assignments for word in ("--set", each))])
    return status, capsys.readouterr().err


def test_a_single_node_needs_none() -> None:
    assert findings(Settings()) == ([], [])


def test_a_server_that_may_drop_what_topics_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wampush.toml"
    with running_redis(tmp_path, "--maxmemory-policy", "allkeys-lru") as server:
        assert check(capsys, f"backplane.url={server.url}") == (0, "")
        text = f'[backplane]\nurl = "{server.url}"\n[[topics]]\nmatch = "a"\nlast = true\n'
        path.write_text(text, encoding="utf-8")
        status = cli.main(["check", "--config", str(path)])
        error = capsys.readouterr().err
        assert status == 1
        assert f"backplane.url {server.url}: its maxmemory-policy allkeys-lru may drop" in error
        assert "redis-cli CONFIG SET maxmemory-policy noeviction" in error
    status, error = check(capsys, f"backplane.url={server.url}")
    assert status == 0
    assert f"note: backplane.url {server.url}: Connection refused; the server starts" in error


def test_a_file_that_cannot_be_used_is_reported_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, error = check(
        capsys, "backplane.url=redis://127.0.0.1:1", "backplane.password_file=/missing"
    )
    assert status == 1
    assert error.count("backplane.password_file") == 1
