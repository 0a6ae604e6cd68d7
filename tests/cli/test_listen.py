"""``wampush listen``: in this process where no reactor has to run, otherwise as a child process."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from twisted.internet.error import ReactorNotRunning
from twisted.internet.testing import MemoryReactorClock

from tests.cli.puller import one_line
from tests.support.certificates import make_certificate
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import PATIENCE, eventually
from wampush.cli import main
from wampush.cli.listen import Printer
from wampush.client import ClientState
from wampush.testing.ports import reserved_ports
from wampush.wamp.messages import Event

ROOT = Path(__file__).resolve().parents[2]
CERTIFICATE_OF_NOTHING = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
COMMAND = [sys.executable, "-m", "wampush.cli"]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of this process are put back."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Daemon:
    """One for all tests that leave it as it was."""
    return shared_daemon


class FakeReactor(MemoryReactorClock):
    """A reactor whose run returns at once, as after Ctrl-C."""

    def run(self, **_: bool) -> None:
        for called, args, kwargs in self.triggers["before"]["shutdown"]:
            called(*args, **kwargs)


class StoppableReactor:
    """Knows whether it runs, and can be stopped once, as Twisted's.

    :ivar from_signals: what signals have handed over.
    """

    def __init__(self) -> None:
        self.running = True
        self.from_signals: list[Callable[[], object]] = []

    def stop(self) -> None:
        if not self.running:
            raise ReactorNotRunning
        self.running = False

    def callFromThread(self, function: Callable[[], object]) -> None:  # noqa: N802
        self.from_signals.append(function)


@pytest.fixture
def reactor() -> Any:
    return StoppableReactor()


@pytest.fixture
def printer(reactor: Any) -> Printer:
    return Printer(reactor)


@pytest.mark.parametrize(
    ("topic", "payload", "line"),
    [
        ("a", b'{"n": 1}', b'a\t{"n": 1}\n'),
        ("tab\there", b'"\xc3\xa9"', b'tab\\there\t"\xc3\xa9"\n'),
        ("caf\u00e9", b'{\r\n "two":\n "lines"\n}', b'caf\xc3\xa9\t{   "two":  "lines" }\n'),
        ("\x1b[2J", b"1", b"\\x1b[2J\t1\n"),
    ],
)
def test_an_event_is_one_line(
    printer: Printer,
    capfdbinary: pytest.CaptureFixture[bytes],
    topic: str,
    payload: bytes,
    line: bytes,
) -> None:
    printer.on_event(Event(topic, payload))
    assert capfdbinary.readouterr().out == line


def test_it_ends_when_the_reader_has_gone(
    printer: Printer, reactor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = []

    class Gone:
        def write(self, _: bytes) -> None:
            raise BrokenPipeError

    class Stdout:
        buffer = Gone()

    monkeypatch.setattr("sys.stdout", Stdout())
    monkeypatch.setattr("wampush.cli.listen.give_up_stdout", lambda: given_up.append(True))
    printer.on_event(Event("a", b"1"))
    assert given_up == [True]
    assert not reactor.running
    assert (printer.is_ending, printer.status) == (True, 0)


def test_it_ends_once_whatever_asks_for_it(printer: Printer, reactor: Any) -> None:
    printer.end()
    assert not reactor.running
    printer.end()
    assert (printer.is_ending, printer.status) == (True, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_the_second_one_at_once(
    printer: Printer, reactor: Any, number: signal.Signals
) -> None:
    printer.end_on_signals()
    signal.raise_signal(number)
    assert reactor.running, "a signal arrives between any two instructions"
    assert signal.getsignal(number) is signal.SIG_DFL
    printer.on_state(ClientState.CLOSED, "closed")
    for function in reactor.from_signals:
        function()
    assert not reactor.running


def test_changes_of_the_connection_go_to_standard_error(
    printer: Printer, reactor: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    printer.on_state(ClientState.CONNECTING, "connecting to ws://x/")
    assert one_line(capfd) == "wampush: connecting to ws://x/\n"
    assert reactor.running
    printer.on_state(ClientState.CLOSED, "refused")
    assert one_line(capfd) == "wampush: refused\n"
    assert not reactor.running
    assert printer.status == 1
    printer.on_state(ClientState.CLOSED, "closed")
    assert capfd.readouterr().err == "", "nothing is reported once the command is ending"


def test_what_was_reported_is_not_reported_again(
    printer: Printer, capfd: pytest.CaptureFixture[str]
) -> None:
    for reason in ("refused", "refused", "a; b", "a; b", "refused"):
        printer.on_state(ClientState.CONNECTING, "connecting to ws://x/")
        printer.on_state(ClientState.WAITING, f"{reason}; next try in {len(reason)}.0 s")
    printer.on_state(ClientState.OPEN, "connected")
    printer.on_state(ClientState.WAITING, "refused; next try in 1.0 s")
    printer.on_state(ClientState.CONNECTING, "connecting to ws://x/")
    assert [line.removeprefix("wampush: ") for line in capfd.readouterr().err.splitlines()] == [
        "connecting to ws://x/",
        "refused; next try in 7.0 s",
        "a; b; next try in 4.0 s",
        "refused; next try in 7.0 s",
        "connected",
        "refused; next try in 1.0 s",
        "connecting to ws://x/",
    ]


def test_it_stops_a_reactor_that_runs_only(printer: Printer, reactor: Any) -> None:
    reactor.running = False
    printer.end()
    assert printer.is_ending


def test_ctrl_c_closes_the_client(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake = FakeReactor()
    monkeypatch.setattr("twisted.internet.reactor", fake, raising=False)
    assert main(["listen", "a", "b", "a", "--url", "ws://127.0.0.1:1/"]) == 0
    assert one_line(capfd) == "wampush: connecting to ws://127.0.0.1:1/\n"


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
        status = self.process.wait(PATIENCE)
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


def test_it_ends_when_it_is_refused_for_good_and_shows_no_token(tmp_path: Path) -> None:
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
                assert listener.process.wait(PATIENCE) == 1
                first, second = listener.err.read().decode().splitlines()
                assert first.startswith("wampush: connecting to ")
                assert second.startswith("wampush: the server refused the WebSocket [401]: ")
                assert words in second
                assert "not.a.token" not in first + second


def test_it_suggests_the_websocket_port(daemon: Daemon) -> None:
    address = daemon.http_url.replace("http", "ws")
    with contextlib.closing(Listener(address, "a")) as listener:
        listener.wait_for_state(
            "[400]: This is the HTTP port of wampush; the WebSocket is at "
            f"{daemon.websocket_url}/; next try in"
        )


def test_it_suggests_a_url_without_tls(daemon: Daemon) -> None:
    address = daemon.websocket_url.replace("ws", "wss")
    with contextlib.closing(Listener(address, "a")) as listener:
        listener.wait_for_state("if this port does not use TLS, write ws://; next try in")
    daemon.wait_for_line("wrong-protocol")


def test_it_suggests_a_url_with_tls(tmp_path: Path) -> None:
    (tmp_path / "wampush.toml").write_text(make_certificate(tmp_path).table())
    with running_daemon(tmp_path, extra=["--config", "wampush.toml"], tls=True) as daemon:
        address = daemon.websocket_url.replace("wss", "ws")
        with contextlib.closing(Listener(address, "a")) as listener:
            listener.wait_for_state("is it a WebSocket server with TLS (wss://)?; next try in")
        with contextlib.closing(Listener(daemon.websocket_url, "a")) as listener:
            listener.wait_for_state("the server is not trusted: certificate verify failed")
        authority = "--ca", str(tmp_path / "server.pem")
        with contextlib.closing(Listener(daemon.websocket_url, "a", *authority)) as listener:
            listener.wait_for_state(f"connected to {daemon.websocket_url}")


def test_it_does_not_trust_a_certificate_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "wampush.toml").write_text(make_certificate(tmp_path, names=()).table())
    with running_daemon(tmp_path, extra=["--config", "wampush.toml"], tls=True) as daemon:
        authority = "--ca", str(tmp_path / "server.pem")
        with contextlib.closing(Listener(daemon.websocket_url, "a", *authority)) as listener:
            listener.wait_for_state("the server is not trusted: it has no subjectAltName; next")


def test_it_asks_whether_the_server_runs() -> None:
    with reserved_ports(1) as (port,):
        url = f"ws://127.0.0.1:{port}/"
        with contextlib.closing(Listener(url, "a")) as listener:
            listener.wait_for_state("; is wampush running?; next try in")


@pytest.mark.parametrize("content", [None, "", CERTIFICATE_OF_NOTHING], ids=["no", "empty", "bad"])
def test_certificates_that_cannot_be_used(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    assert main(["listen", "a", "--url", "wss://localhost/", "--ca", str(path)]) == 1
    assert str(path) in one_line(capfd)


def test_it_prints_what_push_sends_and_ends_with_ctrl_c(daemon: Daemon) -> None:
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


def test_the_command_ends_when_its_reader_has_gone(daemon: Daemon) -> None:
    with contextlib.closing(Listener(daemon.websocket_url, "a")) as listener:
        wait_for_topics(daemon, 1)
        listener.out.close()
        push(daemon, "a", "1")
        assert listener.process.wait(PATIENCE) == 0
        assert b"Traceback" not in listener.err.read()


def test_it_reconnects_after_the_server(tmp_path: Path) -> None:
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


def test_it_rejects_what_is_not_a_url(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "t", "--url", "http://127.0.0.1/"]) == 1
    assert "write ws://HOST:PORT/" in one_line(capfd)


def feed(monkeypatch: pytest.MonkeyPatch, outcome: BaseException | None) -> list[tuple[str, str]]:
    """Replace the stream of publications by one event and an end; return what was asked for."""
    asked: list[tuple[str, str]] = []

    def follow(url: str, token_file: str, on_event: Any) -> None:
        asked.append((url, token_file))
        on_event("news", b'{"a":1}')
        if outcome is not None:
            raise outcome

    monkeypatch.setattr("wampush.cli.events.follow", follow)
    return asked


def test_all_publications_are_printed_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    asked = feed(monkeypatch, KeyboardInterrupt())
    assert main(["listen", "--all", "--http", "http://127.0.0.1:1/"]) == 0
    assert len(asked) == 1
    assert capfdbinary.readouterr().out == b'news\t{"a":1}\n'


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (["--all", "news"], "--all cannot be combined with topics"),
        ([], "name a topic, or use --all"),
        (["news", "--token-file", "token"], "--token-file needs --all"),
    ],
)
def test_arguments_that_do_not_go_together(
    capsys: pytest.CaptureFixture[str], arguments: list[str], mistake: str
) -> None:
    with pytest.raises(SystemExit):
        main(["listen", *arguments])
    assert mistake in capsys.readouterr().err
