"""Starting the process of a node."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from wampush.parent.nodes.launcher import Command, Launcher

PROGRAM = """
import os, socket, sys
channel = socket.socket(fileno=int(os.environ["_WAMPUSH_CONTROL"]))
print("to the log", flush=True)
print(os.getcwd(), os.getpgrp() == os.getpid(), file=sys.stderr, flush=True)
print(os.environ["NAME"], os.environ["_WAMPUSH_WORKER"], file=sys.stderr, flush=True)
channel.send(b'{"kind": "ready"}')
"""


def launcher(
    folder: Path, log: list[str], errors: list[tuple[int, str]], program: str = "", **more: bool
) -> Launcher:
    return Launcher(
        Command([program or sys.executable, "-c", PROGRAM], {"NAME": "value"}, str(folder)),
        is_relayed=more.get("is_relayed", True),
        on_log=log.append,
        on_error_lines=lambda *lines: errors.append(lines),
        now=lambda: 3.0,
    )


def test_a_node_has_a_channel_and_its_streams_are_read(tmp_path: Path) -> None:
    log: list[str] = []
    errors: list[tuple[int, str]] = []
    before = Path.cwd()
    node = launcher(tmp_path, log, errors).launch(2)
    assert Path.cwd() == before
    assert node.started == 3.0
    message = node.channel.wait(20)
    assert message is not None
    assert message.kind == "ready"
    assert os.waitpid(node.pid, 0)[1] == 0
    for each in node.outputs:
        each.read()
    assert log == ["to the log\n"]
    assert {worker for worker, _ in errors} == {2}
    assert "".join(text for _, text in errors) == f"{tmp_path} True\nvalue 2\n"
    assert node.worker == 2
    node.close()


def test_standard_output_is_the_node_s_own_where_the_log_is_not_read(tmp_path: Path) -> None:
    errors: list[tuple[int, str]] = []
    node = launcher(tmp_path, [], errors, is_relayed=False).launch()
    os.waitpid(node.pid, 0)
    assert len(node.outputs) == 1
    node.close()


def test_a_program_or_a_folder_that_is_gone_leaves_nothing_open(tmp_path: Path) -> None:
    before = {each.name for each in Path("/proc/self/fd").iterdir()}
    with pytest.raises(OSError):
        launcher(tmp_path / "gone", [], []).launch()
    with pytest.raises(OSError):
        launcher(tmp_path, [], [], program="/no/such/python").launch()
    assert {each.name for each in Path("/proc/self/fd").iterdir()} == before
