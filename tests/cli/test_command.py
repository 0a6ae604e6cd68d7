"""The command line: called in this process where it ends by itself, else as a child process."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import zmq

from tests.support.certificates import make_certificate
from tests.support.daemon import Daemon, running_daemon
from tests.support.ports import reserved_ports
from tests.support.waiting import eventually
from wampush import __version__
from wampush.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "wampush.cli"]


class Puller:
    """A PULL socket on a free port; ``limit`` is how many messages it takes without reading."""

    def __init__(self, limit: int = 1000, address: str = "tcp://127.0.0.1:*") -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self.socket = self._context.socket(zmq.PULL)
        self.socket.set(zmq.RCVHWM, limit)
        self.socket.set(zmq.RCVTIMEO, 10_000)
        self.socket.set(zmq.IPV6, int("[" in address))
        self.socket.bind(address)
        endpoint = self.socket.get_string(zmq.LAST_ENDPOINT)
        self.address = endpoint.rstrip("\0")

    def next(self) -> list[bytes]:
        parts: list[bytes] = self.socket.recv_multipart()
        return parts

    def is_empty(self) -> bool:
        return self.socket.poll(50) == 0

    def close(self) -> None:
        self._context.destroy(0)


@pytest.fixture
def puller() -> Iterator[Puller]:
    made = Puller()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAMPUSH_CONFIG", "WAMPUSH_HTTP_LISTEN"):
        monkeypatch.delenv(name, raising=False)


def give_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def one_line(capfd: pytest.CaptureFixture[str]) -> str:
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err


# push


@pytest.mark.parametrize(
    "value",
    [
        '{"title": "hello"}',
        '{"n":9007199254740993,"f":1.0,"e":{}}',
        '"gr\u00fc\u00dfe \u2764"',
        "-1",
        "null",
        "[]",
    ],
)
def test_push_sends_topic_and_value_unchanged(
    puller: Puller, capfd: pytest.CaptureFixture[str], value: str
) -> None:
    assert main(["push", "caf\u00e9", value, "--to", puller.address]) == 0
    assert puller.next() == ["caf\u00e9".encode(), value.encode()]
    assert capfd.readouterr() == ("", "")


def test_push_reads_one_value_per_line(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, b'{"a":1}\n\n  2.50 \r\n"last"')
    assert main(["push", "t", "-", "--to", puller.address]) == 0
    assert [puller.next()[1] for _ in range(3)] == [b'{"a":1}', b"2.50", b'"last"']


def test_push_reaches_ipv6_addresses() -> None:
    with contextlib.closing(Puller(address="tcp://[::1]:*")) as puller:
        assert main(["push", "t", "1", "--to", puller.address]) == 0
        assert puller.next() == [b"t", b"1"]


@pytest.mark.parametrize("value", ["hello", "{'a': 1}", "", "NaN", "1 2", '"\udcff"', "x" * 5000])
def test_push_sends_nothing_that_is_not_json(
    puller: Puller, capfd: pytest.CaptureFixture[str], value: str
) -> None:
    assert main(["push", "t", value, "--to", puller.address]) == 1
    complaint = one_line(capfd)
    assert complaint.startswith("wampush: the value is not JSON: ")
    assert len(complaint) < 250
    assert puller.is_empty()


def test_push_names_the_bad_line_and_has_sent_those_before(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    give_stdin(monkeypatch, b"1\n\noops\n2\n")
    assert main(["push", "t", "-", "--to", puller.address]) == 1
    assert "line 3 is not JSON" in one_line(capfd)
    assert puller.next() == [b"t", b"1"]
    assert puller.is_empty()


def test_push_says_when_nobody_pulls(capfd: pytest.CaptureFixture[str]) -> None:
    with reserved_ports(1) as (port,):
        address = f"tcp://127.0.0.1:{port}"
        assert main(["push", "t", "1", "--to", address, "--timeout", "0.05"]) == 1
    assert one_line(capfd) == (
        f"wampush: nobody pulls at {address}: is wampush running, with --pull {address}, "
        "and does it accept this address and key?\n"
    )


def test_push_says_when_the_server_takes_no_more(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(Puller(limit=1)) as puller:
        give_stdin(monkeypatch, (b'"' + b"x" * 200_000 + b'"\n') * 400)
        assert main(["push", "t", "-", "--to", puller.address, "--timeout", "0.1"]) == 1
        assert "took no more for 0.1 s; " in one_line(capfd)


def test_push_says_when_the_last_pushes_may_be_lost(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(Puller(limit=1)) as puller:
        give_stdin(monkeypatch, (b'"' + b"x" * 1_000_000 + b'"\n') * 60)
        assert main(["push", "t", "-", "--to", puller.address, "--timeout", "0.2"]) == 1
        assert "the last pushes may be lost" in one_line(capfd)


@pytest.mark.parametrize("address", ["foo://x", "tcp://*:5", "127.0.0.1:5555", "", "tcp://a:b"])
def test_push_refuses_what_is_no_address(capfd: pytest.CaptureFixture[str], address: str) -> None:
    assert main(["push", "t", "1", "--to", address]) == 1
    assert "write tcp://HOST:PORT or ipc://PATH" in one_line(capfd)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nix"],
        ["push", "t"],
        ["push", "", "1"],
        ["push", "\udcff", "1"],
        ["push", "t", "1", "--timeout", "soon"],
        ["push", "t", "1", "--timeout", "0"],
        ["push", "t", "1", "--timeout", "nan"],
        ["push", "t", "1", "--timeout", "inf"],
        ["listen"],
        ["check", "--nix"],
    ],
)
def test_wrong_arguments_end_with_status_2_and_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "--help" in one_line(capfd)


def test_push_ends_quietly_when_interrupted(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(io.BytesIO):
        def __next__(self) -> bytes:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Interrupted()))
    assert main(["push", "t", "-", "--to", puller.address]) == 130
    assert capfd.readouterr() == ("", "")


# check


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


def test_check_says_in_one_line_what_is_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wampush.toml"
    file.write_text('[clients]\npublsh = "never"\n')
    assert main(["check", "--config", str(file)]) == 1
    complaint = one_line(capfd)
    assert str(file) in complaint
    assert 'did you mean "' in complaint


def test_check_survives_a_reader_that_has_gone() -> None:
    process = subprocess.Popen(
        [*COMMAND, "check"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(20) == 0


# listen


class Listener:
    """A running ``wampush listen``; lines are awaited, the test's own timeout ends a wait."""

    def __init__(self, url: str, *topics: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "listen", *topics, "--url", url],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = self.process.stdout
        self.err = self.process.stderr

    def wait_for_state(self, words: str) -> None:
        for line in self.err:
            if words in line.decode():
                return
        message = f"the listener ended without saying {words!r}"
        raise AssertionError(message)

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C; the exit status and what else it said."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(20)
        return status, self.err.read().decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.out.close()
        self.err.close()


def wait_for_topics(daemon: Daemon, number: int) -> None:
    """SUBSCRIBE has no reply; the daemon's health tells when it has arrived."""
    eventually(lambda: daemon.counts()[1], lambda topics: topics == number)


def push(daemon: Daemon, topic: str, value: str) -> None:
    assert main(["push", topic, value, "--to", daemon.zmq_address]) == 0


def test_listen_ends_when_it_is_refused_for_good_and_shows_no_token(tmp_path: Path) -> None:
    (tmp_path / "token.key").write_text("a shared secret of 32 bytes or more")
    (tmp_path / "wampush.toml").write_text(
        '[auth]\norder = ["token"]\n[token]\nkey_file = "token.key"\n'
    )
    with running_daemon(tmp_path, extra=["--config", "wampush.toml"]) as daemon:
        for query, words in (
            ("", "The request carries no credentials"),
            ("/?token=not.a.token", "The token was not accepted"),
        ):
            with contextlib.closing(Listener(daemon.websocket_url + query, "a")) as listener:
                assert listener.process.wait(20) == 1
                first, second = listener.err.read().decode().splitlines()
                assert first.startswith("wampush: connecting to ")
                assert second.startswith("wampush: the server refused the WebSocket [401]: ")
                assert words in second
                assert "not.a.token" not in first + second


def test_listen_tells_which_port_to_use(daemon: Daemon) -> None:
    address = daemon.http_url.replace("http", "ws")
    with contextlib.closing(Listener(address, "a")) as listener:
        listener.wait_for_state(
            "[400]: This is the HTTP port of wampush; the WebSocket is at "
            f"{daemon.websocket_url}/; next try in"
        )


def test_listen_tells_of_tls_where_there_is_none(daemon: Daemon) -> None:
    address = daemon.websocket_url.replace("ws", "wss")
    with contextlib.closing(Listener(address, "a")) as listener:
        listener.wait_for_state("if this port does not use TLS, write ws://; next try in")
    daemon.wait_for_log(lambda log: "bad-handshake" in log)


def test_listen_tells_of_no_tls_where_there_is(tmp_path: Path) -> None:
    (tmp_path / "wampush.toml").write_text(make_certificate(tmp_path).table())
    with running_daemon(tmp_path, extra=["--config", "wampush.toml"], tls=True) as daemon:
        address = daemon.websocket_url.replace("wss", "ws")
        with contextlib.closing(Listener(address, "a")) as listener:
            listener.wait_for_state("is it a WebSocket server with TLS (wss://)?; next try in")
        with contextlib.closing(Listener(daemon.websocket_url, "a")) as listener:
            listener.wait_for_state("the server is not trusted: certificate verify failed")


def test_listen_prints_what_push_sends_and_ends_with_ctrl_c(daemon: Daemon) -> None:
    with contextlib.closing(Listener(daemon.websocket_url, "a", "tab\there", "a")) as listener:
        listener.wait_for_state(f"connected to {daemon.websocket_url}")
        wait_for_topics(daemon, 2)
        push(daemon, "a", '{"n":9007199254740993, "f": 1.0}')
        push(daemon, "a", '{\n "two":\n "lines"\n}')
        push(daemon, "tab\there", '"\u00e9"')
        assert listener.out.readline() == b'a\t{"n":9007199254740993, "f": 1.0}\n'
        topic, payload = listener.out.readline().split(b"\t")
        assert (topic, orjson.loads(payload)) == (b"a", {"two": "lines"})
        assert listener.out.readline() == b'tab\\there\t"\xc3\xa9"\n'
        assert listener.interrupt() == (0, "")
        assert listener.out.read() == b""


def test_listen_ends_when_its_reader_has_gone(daemon: Daemon) -> None:
    with contextlib.closing(Listener(daemon.websocket_url, "a")) as listener:
        wait_for_topics(daemon, 1)
        listener.out.close()
        push(daemon, "a", "1")
        assert listener.process.wait(20) == 0
        assert b"Traceback" not in listener.err.read()


def test_listen_comes_back_after_the_server(tmp_path: Path) -> None:
    with reserved_ports(3) as ports, contextlib.ExitStack() as stack:
        daemon = Daemon(ports, cwd=tmp_path)
        stack.callback(daemon.kill)
        daemon.wait_until_ready()
        listener = stack.enter_context(contextlib.closing(Listener(daemon.websocket_url, "a")))
        wait_for_topics(daemon, 1)
        daemon.kill()
        listener.wait_for_state("next try in")
        daemon = Daemon(ports, cwd=tmp_path)
        stack.callback(daemon.kill)
        daemon.wait_until_ready()
        wait_for_topics(daemon, 1)
        push(daemon, "a", json.dumps("again"))
        assert listener.out.readline() == b'a\t"again"\n'


def test_listen_refuses_what_is_no_url(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "t", "--url", "http://127.0.0.1/"]) == 1
    assert "write ws://HOST:PORT/" in one_line(capfd)


# help


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capfd.readouterr().out == f"wampush {__version__}\n"


@pytest.mark.parametrize("command", [[], ["push"], ["listen"], ["check"]])
def test_help_has_examples(capfd: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    out = capfd.readouterr().out
    assert "examples:\n" in out
    assert "  wampush " in out
