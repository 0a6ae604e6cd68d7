"""Where the credentials for Redis come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from wampush.config.checks.redis import RedisUrl
from wampush.config.tables.backplane import BackplaneSettings
from wampush.errors import OperatorError
from wampush.net.redis.login import Login, login_of

SECRET = "correct horse"


def test_a_server_without_a_password_needs_no_login() -> None:
    assert login_of(BackplaneSettings(RedisUrl("h")), "backplane") is None


def test_the_url_has_user_and_password() -> None:
    settings = BackplaneSettings(RedisUrl("h", user="live", password=SECRET))
    login = login_of(settings, "backplane")
    assert login == Login("live", SECRET.encode())
    assert SECRET not in repr(login)


def test_a_file_has_the_password(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(SECRET + "\n", encoding="utf-8")
    path.chmod(0o600)
    settings = BackplaneSettings(RedisUrl("h", user="live"), password_file=str(path))
    assert login_of(settings, "backplane") == Login("live", SECRET.encode())


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    settings = BackplaneSettings(RedisUrl("h"), password_file=str(tmp_path / "missing"))
    with pytest.raises(OperatorError, match=r"backplane\.password_file"):
        login_of(settings, "backplane")
