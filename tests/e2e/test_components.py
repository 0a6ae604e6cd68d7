"""Components in a running daemon: start, refusals to start, TLS, WAMP beside it, the end."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.edges.websocket.in_memory import masked
from tests.support.certificates import make_certificate
from tests.support.daemon import running_daemon, twistd_command
from tests.support.plain_client import PlainClient
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE

SLOW = '''
from twisted.internet import reactor, task

from wampush.apps.component import Component


class Slow(Component):
    """Answers after the next turns of the reactor; says good-bye to a file."""

    def on_open(self, conn):
        conn.send(f"{conn.id} {conn.identity.source} {conn.request.parameters.get('room')}")

    async def on_message(self, conn, data):
        if data == "hang":
            conn.send("hanging")
            await task.deferLater(reactor, 3600)
        conn.send(data)

    async def on_close(self, conn):
        await task.deferLater(reactor, 0.05)
        with open("left.txt", "a") as file:
            print(conn.id, file=file)
'''


def configured(folder: Path, text: str = SLOW, more: str = "") -> list[str]:
    """A configuration file with the class beside it, as options of the daemon."""
    place = folder / "etc"
    place.mkdir()
    (place / "slow_component.py").write_text(text, encoding="utf-8")
    (place / "wampush.toml").write_text(
        f'{more}\n[[routes]]\npath = "/slow"\ncomponent = "slow_component:Slow"\n',
        encoding="utf-8",
    )
    return ["--config", str(place / "wampush.toml")]


def test_a_component_beside_wamp(tmp_path: Path) -> None:
    with running_daemon(tmp_path, extra=configured(tmp_path)) as daemon:
        assert "serving component slow_component:Slow at /slow" in daemon.log
        with (
            RawClient(daemon.websocket_port) as wamp,
            PlainClient(daemon.websocket_port, "/slow?room=7") as plain,
        ):
            assert plain.receive() == "1 anonymous 7"
            plain.send("hang")
            assert plain.receive() == "hanging"
            # A method that hangs delays nobody else.
            wamp.subscribe("t")
            wamp.send(7, "t", {"a": 1}, False)
            assert wamp.receive() == [8, "t", {"a": 1}]
            with PlainClient(daemon.websocket_port, "/slow") as other:
                assert other.receive() == "2 anonymous None"
                other.send(b"\x00\xff")
                assert other.receive() == b"\x00\xff"


def test_on_close_is_done_before_the_daemon_ends(tmp_path: Path) -> None:
    with running_daemon(tmp_path, extra=configured(tmp_path)) as daemon:
        clients = [PlainClient(daemon.websocket_port, "/slow") for _ in range(3)]
        for client in clients:
            client.receive()
        daemon.stop()
        assert sorted((tmp_path / "left.txt").read_text().split()) == ["1", "2", "3"]
        for client in clients:
            client.close()


def test_components_speak_tls(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    extra = configured(tmp_path, more=certificate.table())
    with (
        running_daemon(tmp_path, extra=extra, tls=True) as daemon,
        PlainClient(daemon.websocket_port, "/slow", tls=certificate.context()) as client,
    ):
        assert client.receive() == "1 anonymous None"
        client.send("x" * 60_000)
        assert client.receive() == "x" * 60_000


def test_an_error_is_logged_and_nothing_of_it_goes_out(tmp_path: Path) -> None:
    text = SLOW.replace('if data == "hang":', "if 1 / 0:")
    with (
        running_daemon(
            tmp_path, extra=configured(tmp_path, text), traceback_expected=True
        ) as daemon,
        PlainClient(daemon.websocket_port, "/slow") as client,
    ):
        client.receive()
        client.send("boom")
        code, reason = client.closed()
        assert code == 1011
        number = reason.removeprefix("incident ")
        daemon.wait_for_line("ZeroDivisionError")
        daemon.wait_for_line(f"incident {number}: slow_component:Slow.on_message for client 1")


def test_what_can_not_be_loaded_stops_the_start_with_one_line(tmp_path: Path) -> None:
    options = configured(tmp_path, "x = 1 / 0\n")
    done = subprocess.run(
        [*twistd_command(), "wampush", *options, "--listen=tcp:0", "--pull=tcp://127.0.0.1:*"],
        cwd=tmp_path,
        env={name: each for name, each in os.environ.items() if not name.startswith("WAMPUSH_")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("wampush: ")]
    assert told.startswith('wampush: routes[1].component = "slow_component:Slow": ')
    assert "ZeroDivisionError: division by zero (" in told
    assert "Traceback" not in done.stderr + done.stdout


def test_the_counts_are_those_of_all_connections(tmp_path: Path) -> None:
    with (
        running_daemon(tmp_path, extra=configured(tmp_path)) as daemon,
        PlainClient(daemon.websocket_port, "/slow") as client,
    ):
        client.receive()
        assert daemon.counts() == (0, 0, 1)
        assert json.dumps(daemon.health()["refusals"]) == "{}"
        client.send(masked(b""))
        assert client.receive() == masked(b"")
