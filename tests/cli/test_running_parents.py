"""Finding parent processes, and asking one of them."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wampush.cli import running_parents as module
from wampush.cli.running_parents import Outcome, ask, chosen_parent, running_parents
from wampush.errors import OperatorError
from wampush.parent.command_socket import PREFIX


@contextmanager
def parent(answer: bytes) -> Iterator[list[bytes]]:
    """A parent with the id of this process, which gives one answer; yields the questions."""
    questions: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(f"\0{PREFIX}{os.getpid()}")
        listening.listen()
        listening.settimeout(20)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                questions.append(connection.recv(1000))
                connection.send(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield questions
        thread.join()


def test_a_parent_carries_a_command_out() -> None:
    with parent(b'{"done": true, "text": "it serves"}') as questions:
        assert os.getpid() in running_parents()
        assert ask(os.getpid(), "upgrade") == Outcome(True, "it serves")
    assert json.loads(questions[0])["command"] == "upgrade"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"done": false, "text": "no"}', "no"),
        (b'{"done": 1, "text": 2}', "no answer"),
        (b"[]", "no answer"),
        (b'{"done": false, "text": "\\u001b[2J"}', "\\u001b[2J"),
    ],
)
def test_an_answer_that_is_no_success(answer: bytes, expected: str) -> None:
    with parent(answer):
        assert ask(os.getpid(), "reload") == Outcome(False, expected)


def test_an_answer_that_is_none() -> None:
    with parent(b"nonsense"), pytest.raises(OperatorError, match="does not answer as a parent"):
        ask(os.getpid(), "upgrade")


def test_a_process_that_is_no_parent() -> None:
    with pytest.raises(OperatorError, match="process 1 does not answer as a parent"):
        ask(1, "upgrade")


def test_a_stranger_with_the_name_of_a_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "peer_of", lambda _: (1, 0))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(f"\0{PREFIX}{os.getpid()}")
        listening.listen()
        with pytest.raises(OperatorError, match="process 1 answers instead of process"):
            ask(os.getpid(), "upgrade")


def test_root_may_command_the_parents_of_all_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "peer_of", lambda _: (os.getpid(), 12345))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with parent(b'{"done": true, "text": "it serves"}'):
        assert ask(os.getpid(), "upgrade").is_done


def test_other_users_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "peer_of", lambda _: (os.getpid(), 12345))
    monkeypatch.setattr(os, "geteuid", lambda: 12346)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(f"\0{PREFIX}{os.getpid()}")
        listening.listen()
        with pytest.raises(OperatorError, match="belongs to another user"):
            ask(os.getpid(), "upgrade")


def test_names_that_others_have_taken_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = {12: 1000, 13: 1001}
    table = tmp_path / "unix"
    names = "".join(f"0: 00 @{PREFIX}{each}\n" for each in (12, 13, 14))
    table.write_text(names, encoding="ascii")
    monkeypatch.setattr(module, "_SOCKETS", table)
    monkeypatch.setattr(module, "owner_of", owners.get)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert running_parents() == [12]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert running_parents() == [12, 13]


def test_the_owner_of_a_process() -> None:
    assert module.owner_of(os.getpid()) == os.geteuid()
    assert module.owner_of(2**22 + 1) is None


def test_the_only_parent_need_not_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "unix"
    monkeypatch.setattr(module, "_SOCKETS", table)
    monkeypatch.setattr(module, "owner_of", lambda _: os.geteuid())
    with pytest.raises(OperatorError, match="cannot be read"):
        running_parents()
    assert chosen_parent(7) == 7
    table.write_text("Num RefCount\n0: 00 @other\n", encoding="ascii")
    with pytest.raises(OperatorError, match="no wampush with a parent process"):
        chosen_parent(None)
    table.write_text(f"0: 00 @{PREFIX}12\n0: 00 @{PREFIX}12\n0: 00 @{PREFIX}x\n", encoding="ascii")
    assert chosen_parent(None) == 12
    table.write_text(f"0: 00 @{PREFIX}12\n0: 00 @{PREFIX}9\n", encoding="ascii")
    with pytest.raises(OperatorError, match="several run here: 9, 12; choose one with --pid"):
        chosen_parent(None)
