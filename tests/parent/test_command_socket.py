"""The socket of ``wampush upgrade``."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator

import pytest

from wampush.parent import command_socket
from wampush.parent.command_socket import PREFIX, Answer, CommandSocket, peer_of

Asked = list[tuple[str, Answer]]


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture
def commands(asked: Asked) -> Iterator[CommandSocket]:
    made = CommandSocket(lambda *question: asked.append(question))
    yield made
    made.close()


@pytest.fixture
def client(commands: CommandSocket) -> Iterator[socket.socket]:
    assert commands.fileno() >= 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as made:
        made.settimeout(20)
        made.connect(f"\0{PREFIX}{os.getpid()}")
        yield made


def test_a_command_gets_its_answer(
    commands: CommandSocket, client: socket.socket, asked: Asked
) -> None:
    assert peer_of(client) == (os.getpid(), os.geteuid())
    client.send(b'{"command": "upgrade"}')
    connection = commands.accept()
    assert connection is not None
    commands.read(connection)
    ((command, answer),) = asked
    assert command == "upgrade"
    answer(True, "it serves")
    assert json.loads(client.recv(1000)) == {"version": 1, "done": True, "text": "it serves"}
    assert client.recv(1000) == b""


@pytest.mark.parametrize("data", [b"no JSON", b"[]", b"{}", b'{"command": 1}', b"[" * 60_000])
def test_what_is_not_a_command_is_refused(
    commands: CommandSocket, client: socket.socket, asked: Asked, data: bytes
) -> None:
    client.send(data)
    connection = commands.accept()
    assert connection is not None
    commands.read(connection)
    assert json.loads(client.recv(1000))["text"] == "this is not a command"
    assert asked == []


def test_other_users_are_refused(
    commands: CommandSocket, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_socket, "peer_of", lambda _: (1, os.geteuid() + 1))
    assert commands.accept() is None
    answer = json.loads(client.recv(1000))
    assert (answer["done"], answer["text"]) == (
        False,
        "only the user that started wampush, and root, may do that",
    )


def test_somebody_who_has_gone_does_no_harm(commands: CommandSocket, client: socket.socket) -> None:
    client.close()
    connection = commands.accept()
    assert connection is not None
    commands.read(connection)
    assert commands.accept() is None


def test_another_program_may_have_the_name(commands: CommandSocket, asked: Asked) -> None:
    assert commands.fileno() >= 0
    with pytest.raises(OSError, match="in use"):
        CommandSocket(lambda *question: asked.append(question))
