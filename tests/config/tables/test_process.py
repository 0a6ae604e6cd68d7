"""The table ``[process]``."""

from __future__ import annotations

from pathlib import Path

import pytest

from wampush.config.load import load
from wampush.errors import ConfigErrors


def test_durations_are_numbers_or_texts(tmp_path: Path) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text('[process]\ndrain = "2min"\nready_timeout = 30\n', encoding="utf-8")
    process = load(path, {"WAMPUSH_PROCESS_HANG_TIMEOUT": "5s"}, {}).settings.process
    assert (process.drain, process.ready_timeout, process.hang_timeout) == (120.0, 30.0, 5.0)
    assert process.parent
    assert process.workers == 1
    assert process.send_threads == 1


@pytest.mark.parametrize("seconds", ["0.5", "1", "2.9"])
def test_a_server_that_works_is_not_ended(seconds: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        load(None, {}, {}, [f"process.hang_timeout={seconds}"])
    assert (
        f"process.hang_timeout = {seconds} would end a server that works, which gives a sign of "
        "life each second; use 3 or more, or 0 for never"
    ) in str(raised.value)


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_hangs_may_be_noticed_soon_or_never(seconds: float) -> None:
    process = load(None, {}, {}, [f"process.hang_timeout={seconds}"]).settings.process
    assert process.hang_timeout == seconds


def problems(*assignments: str) -> str:
    with pytest.raises(ConfigErrors) as raised:
        load(None, {}, {}, ["process.workers=4", *assignments])
    return str(raised.value)


@pytest.mark.parametrize("count", [0, 17])
def test_a_few_threads_send(count: int) -> None:
    assert load(None, {}, {}, ["process.send_threads=16"]).settings.process.send_threads == 16
    with pytest.raises(ConfigErrors, match="a whole number from 1 to 16"):
        load(None, {}, {}, [f"process.send_threads={count}"])


def test_several_workers_need_what_joins_them() -> None:
    assert (
        "process.workers = 4 needs backplane.url, the Redis server that joins the workers; "
        "otherwise a publication would reach the clients of one worker only"
    ) in problems()
    url = ["backplane.url=redis://127.0.0.1", "process.workers=4"]
    assert load(None, {}, {}, url).settings.process.workers == 4


def test_several_workers_need_a_parent() -> None:
    assert "process.workers = 4 needs the parent process" in problems("process.parent=false")


@pytest.mark.parametrize("setting", ["http.listen='onion:80'", "websocket.listen=['onion:80']"])
def test_several_workers_listen_where_each_can_have_a_socket(setting: str) -> None:
    assert "only one process can listen on 'onion:80'" in problems(setting)
    assert "onion" not in problems("http.listen=off", "websocket.listen=['unix:/run/ws']")
