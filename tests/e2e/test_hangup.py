"""SIGHUP: what is read again, what the log says of it, and what happens when it can not be."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq.auth

from tests.support.certificates import Certificate, make_certificate
from tests.support.daemon import Daemon, running_daemon
from tests.support.raw_client import RawClient

SECRET = "0123456789abcdef0123456789abcdef"
HANGUP = "SIGHUP: reloading keys and certificates"


@dataclass(frozen=True)
class Running:
    """A daemon with keys of every kind.

    :param files: by kind, what SIGHUP reads.
    """

    daemon: Daemon
    certificate: Certificate
    files: dict[str, Path]

    def hang_up(self, last: str) -> list[str]:
        """Send the signal; the lines that it brought, of which the last holds these words."""
        before = self.daemon.log.count(HANGUP)
        os.kill(self.daemon.pid, signal.SIGHUP)
        self.daemon.wait_for_log(
            lambda log: log.count(HANGUP) > before and last in log.rpartition(HANGUP)[2]
        )
        lines = self.daemon.log.rpartition(HANGUP)[2].splitlines()
        return [line.partition("] ")[2] for line in lines[1:]]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    _, server = zmq.auth.create_certificates(tmp_path, "server")
    clients, _ = zmq.auth.create_certificates(tmp_path, "client")
    token, cra = tmp_path / "token.key", tmp_path / "cra.toml"
    token.write_text(SECRET, encoding="utf-8")
    cra.write_text('[keys.bob]\nsecret = "s"\n', encoding="utf-8")
    certificate = make_certificate(tmp_path)
    path = tmp_path / "wampush.toml"
    path.write_text(
        certificate.table()
        + f'[zmq]\ncurve_secret_key_file = "{server}"\ncurve_client_keys = "{clients}"\n'
        f'[auth]\norder = ["token", "cra", "anonymous"]\n'
        f'[token]\nkey_file = "{token}"\n[cra]\nkeys_file = "{cra}"\n',
        encoding="utf-8",
    )
    files = {
        "zmq.curve_client_keys": Path(clients),
        "token.key_file": token,
        "cra.keys_file": cra,
        "tls.certificate": certificate.certificate,
    }
    with running_daemon(tmp_path, extra=["--config", str(path)], tls=True) as daemon:
        yield Running(daemon, certificate, files)


def test_each_kind_of_keys_has_its_line(running: Running) -> None:
    path = running.certificate.certificate
    assert running.hang_up("TLS: ") == [
        "ZeroMQ: client keys reloaded; 1 may connect",
        "token keys reloaded: 1 keys",
        "WAMP-CRA keys reloaded: 1 keys",
        f"TLS: certificate reloaded from {path}; new connections use it",
    ]


def test_a_file_that_is_gone_is_named_and_nothing_changes(running: Running) -> None:
    trust = running.certificate.context()
    for path in running.files.values():
        path.rename(path.with_suffix(".gone"))
    for _ in range(2):
        lines = running.hang_up("TLS: could not")
        for line, (setting, path) in zip(lines, running.files.items(), strict=True):
            assert f"{setting} '{path}' cannot be read: No such file or directory" in line
    with RawClient(running.daemon.websocket_port, tls=trust) as client:
        client.subscribe("t")
    for path in running.files.values():
        path.with_suffix(".gone").rename(path)
    assert len(running.hang_up("TLS: ")) == 4


def test_an_endpoint_with_its_own_key_is_told_apart(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={made.key}:certKey={made.certificate}"
    with running_daemon(tmp_path, extra=["--listen", endpoint]) as daemon:
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line("no listener uses [tls]")
