"""``wampush push`` with CURVE keys: what arrives, and which files are rejected."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
import zmq.auth

from tests.cli.puller import Puller, one_line
from wampush.cli import main


class Keys:
    """Key files of a server and of a client.

    :param folder: where they are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server, self.server_secret = map(Path, zmq.auth.create_certificates(folder, "server"))
        self.client, self.client_secret = map(Path, zmq.auth.create_certificates(folder, "client"))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def encrypted(keys: Keys) -> Iterator[Puller]:
    """A server that accepts encrypted connections only."""
    public, secret = zmq.auth.load_certificate(keys.server_secret)
    made = Puller(curve=(public, secret or b""))
    yield made
    made.close()


def push(address: str, *options: object) -> int:
    return main(["push", "t", "1", "--to", address, "--timeout", "2", *map(str, options)])


def test_a_push_to_a_server_with_keys(encrypted: Puller, keys: Keys) -> None:
    options = ("--server-key", keys.server, "--secret-key", keys.client_secret)
    assert push(encrypted.address, *options) == 0
    assert encrypted.next() == [b"t", b"1"]


def test_a_server_with_other_keys_takes_nothing(
    encrypted: Puller, keys: Keys, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ("--server-key", keys.client, "--secret-key", keys.client_secret)
    arguments = ["push", "t", "1", "--to", encrypted.address, "--timeout", "0.2"]
    assert main([*arguments, *map(str, options)]) == 1
    assert "nobody pulls" in one_line(capfd)
    assert encrypted.is_empty()


@pytest.mark.parametrize("option", ["--server-key", "--secret-key"])
def test_one_key_is_not_enough(keys: Keys, capfd: pytest.CaptureFixture[str], option: str) -> None:
    with pytest.raises(SystemExit) as ended:
        push("tcp://127.0.0.1:1", option, keys.server)
    assert ended.value.code == 2
    assert "--server-key and --secret-key must be used together" in one_line(capfd)


def test_more_than_one_server_key(keys: Keys, capfd: pytest.CaptureFixture[str]) -> None:
    folder = keys.folder / "servers"
    folder.mkdir()
    for each in (keys.server, keys.client):
        shutil.copy(each, folder)
    options = ("--server-key", folder, "--secret-key", keys.client_secret)
    assert push("tcp://127.0.0.1:1", *options) == 1
    assert one_line(capfd) == (
        f"wampush: --server-key {str(folder)!r} holds 2 public keys; it must hold exactly one\n"
    )


def test_a_secret_key_that_is_missing(keys: Keys, capfd: pytest.CaptureFixture[str]) -> None:
    options = ("--server-key", keys.server, "--secret-key", keys.folder / "missing")
    assert push("tcp://127.0.0.1:1", *options) == 1
    complaint = one_line(capfd)
    assert complaint.startswith("wampush: --secret-key ")
    assert "missing" in complaint
