"""``wampush check``: what is printed, and every mistake."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.puller import one_line
from tests.support.waiting import PATIENCE
from wampush.cli import main

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "wampush.cli"]


def test_check_prints_key_value_and_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wampush.toml"
    file.write_text('[clients]\npublish = "never"\n[zmq]\npull = ["tcp://127.0.0.1:1"]\n')
    monkeypatch.setenv("WAMPUSH_HTTP_LISTEN", "off")
    arguments = ["--config", str(file), "--pull", "ipc:///run/a", "--pull", "connect:tcp://h:2"]
    assert main(["check", *arguments]) == 0
    rows = {}
    for line in capfd.readouterr().out.splitlines():
        setting, _, origin = line.rpartition("  # ")
        key, _, value = setting.partition(" = ")
        rows[key.strip()] = (value.strip(), origin)
    assert rows["clients.publish"] == ('"never"', f"file {file}")
    assert rows["zmq.pull"] == ('["ipc:///run/a", "connect:tcp://h:2"]', "command line")
    assert rows["http.listen"] == ('"off"', "environment WAMPUSH_HTTP_LISTEN")
    assert rows["websocket.compression"] == ("false", "default")


@pytest.mark.parametrize("threads", [1, 2])
def test_check_says_that_threads_do_not_send_without_the_extension(threads: int) -> None:
    command = [*COMMAND, "check", f"--set=process.send_threads={threads}"]
    environment = {"WAMPUSH_PURE_PYTHON": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert "# speedups: Python: WAMPUSH_PURE_PYTHON=1\n" in done.stdout
    expected = (
        "wampush: process.send_threads = 2 has no effect: threads send only with the extension in "
        "C (Python: WAMPUSH_PURE_PYTHON=1)\n"
    )
    assert done.stderr == ("" if threads == 1 else expected)


def test_check_says_in_one_line_what_is_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wampush.toml"
    file.write_text('[clients]\npublsh = "never"\n')
    assert main(["check", "--config", str(file)]) == 1
    complaint = one_line(capfd)
    assert str(file) in complaint
    assert 'did you mean "' in complaint


def test_check_lists_every_mistake(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wampush.toml"
    file.write_text('[clients]\npublsh = "never"\nqueue_bytes = 0\n')
    assert main(["check", "--config", str(file), "--set", "auth.order=cra"]) == 1
    assert [line.partition(" = ")[0] for line in capfd.readouterr().err.splitlines()] == [
        f"wampush: {file}:2: clients.publsh",
        f"wampush: {file}:3: clients.queue_bytes",
        "wampush: command line: auth.order",
    ]


def test_check_prints_what_set_gives(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--set", "websocket.dialect=ratchet", "--set", "apps=[]"]) == 0
    assert re.search(
        r'^websocket.dialect += "ratchet" +# command line$', capfd.readouterr().out, re.MULTILINE
    )


def test_check_survives_a_reader_that_has_gone() -> None:
    process = subprocess.Popen(
        [*COMMAND, "check"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(PATIENCE) == 0


def test_check_names_every_missing_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / "wampush.toml"
    file.write_text(
        'apps = ["missing_shop:app", "missing_chat:app"]\n'
        '[[routes]]\npath = "/chat"\ncomponent = "missing_room:Room"\n'
    )
    assert main(["check", "--config", str(file)]) == 1
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 3
    for line, name in zip(told, ("shop", "chat", "room"), strict=True):
        assert f"missing_{name}" in line


def test_an_identity_needs_a_topic(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", "--user", "7"])
    assert ended.value.code == 2
    assert "--user, --groups and --action need a TOPIC" in one_line(capfd)


def test_permissions_are_explained_instead(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--action", "call", "a.topic"]) == 0
    assert capfd.readouterr().out.startswith("allowed  call       a.topic  # ")
