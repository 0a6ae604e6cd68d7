"""Lines of logs and errors that pages quote are lines that the code writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import zmq
import zmq.auth

from tests.support.certificates import make_certificate
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import blocks_in
from tests.support.raw_client import RawClient
from wampush.cli import main


def sample(name: str, words: str) -> str:
    """The line with these words among the blocks of a page."""
    (line,) = (
        line for block in blocks_in(name, "text") for line in block.splitlines() if words in line
    )
    return line


def with_any_number(line: str) -> re.Pattern[str]:
    """A pattern for a line in which numbers may differ."""
    return re.compile(re.sub(r"\d+", r"\\d+", re.escape(line)))


def test_the_limit_of_open_files(daemon: Daemon) -> None:
    line = sample("docs/howto/more-than-1024-connections.md", "descriptors")
    assert daemon.health()["status"] == "ok"
    assert with_any_number(line).search(daemon.log), daemon.log


def test_a_backend_with_another_key(tmp_path: Path) -> None:
    clients = tmp_path / "clients"
    clients.mkdir()
    server, server_secret = zmq.auth.create_certificates(tmp_path, "server")
    zmq.auth.create_certificates(clients, "backend")
    public, secret = zmq.curve_keypair()
    path = tmp_path / "wampush.toml"
    path.write_text(
        f'[zmq]\ncurve_secret_key_file = "{server_secret}"\ncurve_client_keys = "{clients}"\n',
        encoding="utf-8",
    )
    line = sample("docs/howto/zeromq-across-machines.md", "backend-key")
    line = re.sub(r" [^ ]+…$", f" {public.decode()}", line).replace("10.0.0.9", "127.0.0.1")
    with (
        running_daemon(tmp_path, extra=["--config", str(path)]) as daemon,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as backend,
    ):
        backend.set(zmq.LINGER, 0)
        backend.set(zmq.CURVE_SERVERKEY, zmq.auth.load_certificate(server)[0])
        backend.set(zmq.CURVE_PUBLICKEY, public)
        backend.set(zmq.CURVE_SECRETKEY, secret)
        backend.connect(daemon.zmq_address)
        daemon.wait_for_log(lambda log: line in log)


def test_the_access_log(tmp_path: Path) -> None:
    page = "docs/howto/logging.md"
    over_websocket, over_http = sample(page, "WebSocket /ws"), sample(page, "GET /healthz")
    with running_daemon(tmp_path, extra=["--set", "log.access=true"]) as daemon:
        daemon.health()
        with RawClient(daemon.websocket_port):
            pass
        # The client does not say who it is, and asks for another path.
        line = over_websocket.replace(" user anna,", "").replace("/ws", "/")
        line = line.replace("192.0.2.7", "127.0.0.1").replace("peer-closed", "REASON")
        line = line.partition("] ")[2].partition("session ")[0]
        expected = with_any_number(line).pattern.replace("REASON", "peer-(closed|lost)")
        daemon.wait_for_log(lambda log: re.search(expected, log) is not None)
        http = with_any_number(over_http.partition("] ")[2])
        daemon.wait_for_log(lambda log: http.search(log) is not None)
        assert "[wampush.access#info]" in daemon.log


def test_what_check_says_about_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WAMPUSH_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    first = make_certificate(tmp_path, "first")
    second = make_certificate(tmp_path, "second")
    Path("wampush.toml").write_text(
        '[websocket]\nlisten = ["ssl:0"]\n'
        f'[tls]\ncertificate = "{first.certificate}"\nkey = "{second.key}"\n'
        '[auth]\norder = ["token"]\n[token]\nkey_file = "token.key"\n',
        encoding="utf-8",
    )
    assert main(["check", "--config", "wampush.toml"]) == 1
    page = "docs/reference/command-line.md"
    key = sample(page, "tls.key").replace("/etc/wampush/key.pem", str(second.key))
    key = key.replace("/etc/wampush/cert.pem", str(first.certificate))
    token = sample(page, "token.key_file").replace("/srv/shop", str(tmp_path))
    assert capsys.readouterr().err.splitlines() == [token, key]
