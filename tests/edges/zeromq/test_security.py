"""Who may connect to bound ZeroMQ sockets: CURVE keys, addresses, modes of files, accounts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.auth
import zmq.utils.z85
from twisted.logger import Logger, capturedLogs, formatEvent

from tests.edges.zeromq.key_files import Keys
from tests.edges.zeromq.pull_world import bridge
from tests.support.daemon import Daemon, running_daemon, twistd_command
from tests.support.log_lines import reporting_to
from tests.support.php import php_command
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually
from wampush.broker.ledger import Ledger
from wampush.config.tables.zeromq import ZmqSettings
from wampush.edges.zeromq import security as module
from wampush.edges.zeromq.security import ZmqSecurity, is_allowed
from wampush.errors import OperatorError
from wampush.testing.process import Process
from wampush.testing.running_server import READY

#: As twistd and a group that is not ours would have it; without root, our own.
ACCOUNT = (65_534, 65_534) if os.getuid() == 0 else (os.getuid(), os.getgid())


#: Backends that connect at once; at most what ``ZMQ_BACKLOG`` is set to.
WAVE = 10


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


def secured(folder: Path, lines: str) -> contextlib.AbstractContextManager[Daemon]:
    path = folder / "wampush.toml"
    path.write_text(f"[zmq]\n{lines}", encoding="utf-8")
    return running_daemon(folder, extra=["--config", str(path)])


def push(
    address: str, *options: str, topic: str = "t", timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run ``wampush push``."""
    command = [sys.executable, "-m", "wampush.cli", "push", topic, "1", "--to", address]
    return subprocess.run(
        [*command, "--timeout", str(timeout), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# Settings.


@pytest.mark.parametrize("name", ["curve_secret_key_file", "curve_client_keys"])
def test_keys_of_one_side_only_stop_the_start(keys: Keys, name: str) -> None:
    files = {"curve_secret_key_file": keys.server_secret, "curve_client_keys": keys.backend}
    settings = ZmqSettings(**{name: files[name]})  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="set both, or neither"):
        ZmqSecurity(settings, Ledger(lambda: 0.0, reporting_to(print)))


# Decisions.


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_addresses(address: str, allowed: bool) -> None:
    networks = [ip_network(each) for each in ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")]
    assert is_allowed(address, networks) is allowed


def test_requests_that_libzmq_never_makes_are_refused(keys: Keys) -> None:
    settings = ZmqSettings(curve_secret_key_file=keys.server_secret, curve_client_keys=keys.backend)
    lines: list[str] = []
    security = ZmqSecurity(settings, Ledger(lambda: 0.0, reporting_to(lines.append)))

    def status(*request: bytes) -> bytes:
        reply = security.answer(request)
        assert len(reply) == 6
        return reply[2]

    head = (b"1.0", b"7", b"wampush", b"10.0.0.1", b"")
    assert status() == b"500"
    assert status(b"1.0", b"7") == b"500"
    assert status(b"2.0", *head[1:], b"NULL") == b"500"
    assert status(*head, b"NULL") == b"400"
    assert status(*head, b"PLAIN", b"admin", b"secret") == b"400"
    assert status(*head, b"CURVE") == b"400"
    assert status(*head, b"CURVE", bytes(32)) == b"400"
    assert len(lines) == 1
    assert "backend-key" in lines[0]
    assert "secret" not in "".join(lines)


# Keys, with the daemon.


def test_only_authorised_keys_may_push(keys: Keys, tmp_path: Path) -> None:
    own = ["--server-key", keys.server, "--secret-key", keys.backend_secret]
    strange = ["--server-key", keys.server, "--secret-key", keys.stranger_secret]
    with (
        secured(tmp_path, keys.lines()) as daemon,
        RawClient(daemon.websocket_port) as client,
    ):
        client.subscribe("t")
        # On a busy machine, a second may be too short for the handshake.
        status, _ = eventually(
            lambda: (
                push(daemon.zmq_address, *strange, timeout=1).returncode,
                daemon.health()["refusals"].get("backend-key", 0),
            ),
            lambda seen: seen[1] > 0,
        )
        assert status == 1
        refused = push(daemon.zmq_address, timeout=1)
        assert refused.returncode == 1
        assert "accepts this address and key" in refused.stderr
        done = push(daemon.zmq_address, *own)
        assert done.returncode == 0, done.stderr
        assert client.receive() == [8, "t", 1]
        public = zmq.auth.load_certificate(keys.stranger)[0].decode()
        daemon.wait_for_line(f"Its public key is {public}")
        for path in (keys.server_secret, keys.backend_secret):
            secret = zmq.auth.load_certificate(path)[1]
            assert secret is not None
            assert secret.decode() not in daemon.log


def test_one_key_without_the_other_is_an_error_of_arguments(keys: Keys) -> None:
    done = push("tcp://127.0.0.1:1", "--server-key", keys.server)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "wampush push: --server-key and --secret-key must be used together; "
        "see wampush push --help\n"
    )
    done = push("tcp://127.0.0.1:1", "--server-key", keys.server, "--secret-key", keys.server)
    assert done.returncode == 1
    assert (
        done.stderr
        == f"wampush: --secret-key {keys.server!r} holds 0 secret keys; it must hold exactly one\n"
    )


def test_a_php_backend_with_a_key(keys: Keys, tmp_path: Path) -> None:
    with (
        secured(tmp_path, keys.lines()) as daemon,
        RawClient(daemon.websocket_port) as client,
    ):
        client.subscribe("prices")
        public, secret = zmq.auth.load_certificate(keys.backend_secret)
        assert secret is not None
        server = zmq.auth.load_certificate(keys.server)[0]
        command = php_command("push_curve.php", daemon.zmq_address)
        done = subprocess.run(
            [*command, server.decode(), public.decode()],
            input=secret.decode(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        assert client.receive() == [8, "prices", {"category": "prices", "price": 101.25}]


def test_new_client_keys_on_hangup(keys: Keys, tmp_path: Path) -> None:
    strange = ["--server-key", keys.server, "--secret-key", keys.stranger_secret]
    with secured(tmp_path, keys.lines()) as daemon:
        added = keys.known / "stranger.key"
        added.write_bytes(Path(keys.stranger).read_bytes())
        assert push(daemon.zmq_address, *strange, timeout=1).returncode == 1
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line("client keys reloaded; 2 may connect")
        assert push(daemon.zmq_address, *strange).returncode == 0
        added.write_text("half a k")
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line("could not reload the client keys")
        assert push(daemon.zmq_address, *strange).returncode == 0


# Addresses, with the daemon.


def refusals(daemon: Daemon, least: int) -> Counter[str]:
    """Wait for refusals of backends; return how many there were for each reason."""
    # A connection that is reset before its greeting is a handshake that failed.
    return eventually(
        lambda: Counter(daemon.health()["refusals"]),
        lambda counts: counts["backend-address"] + counts["backend-handshake"] >= least,
    )


def test_a_flood_of_refused_backends_has_few_lines_and_harms_nobody(tmp_path: Path) -> None:
    flood = 200
    with (
        secured(tmp_path, 'allow = ["192.0.2.0/24"]\n') as daemon,
        RawClient(daemon.websocket_port) as client,
        zmq.Context() as context,
        contextlib.ExitStack() as stack,
    ):
        # libzmq gives up when it reads the refusal, but connects again when the connection is
        # reset before that, as on a busy machine. Without reconnects, each connects once.
        # Never more at once than fit into the queue of the listening socket: TCP would try again
        # with the others, for half a minute in the end.
        for asked in range(WAVE, flood + 1, WAVE):
            for _ in range(WAVE):
                backend = stack.enter_context(context.socket(zmq.PUSH))
                backend.set(zmq.LINGER, 0)
                backend.set(zmq.RECONNECT_IVL, -1)
                backend.connect(daemon.zmq_address)
            refused = refusals(daemon, asked)
        assert refused.total() == flood
        assert refused["backend-address"] > flood / 2
        daemon.wait_for_line("backend-address")
        lines = [line for line in daemon.lines if "backend-address" in line]
        assert 0 < len(lines) < flood / 4
        assert "refused backend connection from 127.0.0.1: backend-address" in lines[0]
        assert "It began with" not in lines[0]
        client.subscribe("t")


def test_an_allowed_address_may_push(tmp_path: Path) -> None:
    with (
        secured(tmp_path, 'allow = ["192.0.2.0/24", "127.0.0.0/8"]\n') as daemon,
        RawClient(daemon.websocket_port) as client,
    ):
        client.subscribe("t")
        assert push(daemon.zmq_address).returncode == 0
        assert client.receive() == [8, "t", 1]
        assert daemon.health()["refusals"] == {}


def daemon_on(folder: Path, *options: str) -> Process:
    """A daemon that pulls from where the options say."""
    command = [*twistd_command(), "wampush", "--listen", "tcp:0:interface=127.0.0.1"]
    return Process([*command, "--http", "off", *options], cwd=folder)


WARNING = "may push: set zmq.allow"


@pytest.mark.parametrize(
    ("address", "allow", "warned"),
    [
        ("tcp://0.0.0.0:*", (), True),
        ("tcp://0.0.0.0:*", ("127.0.0.1",), False),
        ("tcp://127.0.0.1:*", (), False),
        ("tcp://[::1]:*", (), False),
        ("ipc://*", (), False),
    ],
)
def test_a_warning_says_how_to_close_an_open_address(
    address: str, allow: tuple[str, ...], warned: bool
) -> None:
    with capturedLogs() as events, bridge(address, allow=allow):
        lines = [formatEvent(each) for each in events]
    found = [line for line in lines if WARNING in line]
    assert bool(found) is warned
    assert all("zmq.allow" in line and "zmq.curve_client_keys" in line for line in found)


# Files and accounts.


@pytest.mark.parametrize(("lines", "mode"), [("", 0o600), ('ipc_mode = "0660"', 0o660)])
def test_the_mode_of_ipc_files(tmp_path: Path, lines: str, mode: int) -> None:
    config = tmp_path / "wampush.toml"
    config.write_text(f"[zmq]\n{lines}\n")
    path = tmp_path / "push"
    daemon = daemon_on(tmp_path, "--pull", f"ipc://{path}", "--config", str(config))
    try:
        daemon.wait_for_line(READY)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert push(f"ipc://{path}").returncode == 0
    finally:
        daemon.terminate()
    assert "Traceback" not in daemon.log


def free_privileged_port() -> int:
    """A port below 1024 that nothing listens on; where only root may bind them, ours if we are."""
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except PermissionError:
                return 0
            except OSError:
                continue
            return port
    message = "no port below 1024 is free"
    raise AssertionError(message)


@pytest.fixture
def run() -> Iterator[Path]:
    """A folder of the other account; each start of pytest closes its own to other accounts."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, *ACCOUNT)
        yield Path(name)


def test_sockets_are_bound_before_the_account_changes(run: Path) -> None:
    user, group = ACCOUNT
    port = free_privileged_port()
    command = [*twistd_command(), "--uid", str(user), "--gid", str(group), "wampush"]
    listeners = [f"tcp:{port}:interface=127.0.0.1", f"unix:{run / 'ws'}"]
    options = [word for each in listeners for word in ("--listen", each)]
    address = f"ipc://{run / 'push'}"
    options += ["--pull", address, "--http", "off", "--set=process.parent=false"]
    daemon = Process([*command, *options], cwd=run)
    try:
        daemon.wait_for_log(lambda log: "set uid/gid" in log or READY in log)
        eventually(lambda: Path(f"/proc/{daemon.pid}").stat().st_uid, lambda owner: owner == user)
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        assert f"Uid:\t{user}\t{user}\t{user}\t{user}\n" in status
        (line,) = [line for line in daemon.lines if "WAMP v1 on ws://127.0.0.1" in line]
        with RawClient(int(line.rpartition(":")[2].strip("/"))) as client:
            client.subscribe("t")
            assert push(address).returncode == 0
            assert client.receive() == [8, "t", 1]
        for name in ("push", "ws"):
            assert ((run / name).stat().st_uid, (run / name).stat().st_gid) == (user, group)
        daemon.terminate()
        assert "Traceback" not in daemon.log, daemon.log
        assert "Error" not in daemon.log, daemon.log
        # libzmq leaves its file behind; the next start replaces it.
        assert not (run / "ws").exists()
    finally:
        daemon.kill()


# Decisions and sockets, without a daemon.


class Log:
    """The lines that the module logs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[Any] = []
        observe: Any = self.events.append
        monkeypatch.setattr(module, "_log", Logger(namespace="wampush.zeromq", observer=observe))

    @property
    def lines(self) -> list[str]:
        return [formatEvent(event) for event in self.events]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(monkeypatch)


def security_with(**settings: Any) -> ZmqSecurity:
    return ZmqSecurity(ZmqSettings(**settings), Ledger(lambda: 0.0, reporting_to(lambda _: None)))


def test_a_known_key_from_an_allowed_address_is_named(keys: Keys) -> None:
    security = security_with(
        curve_secret_key_file=keys.server_secret,
        curve_client_keys=keys.backend,
        allow=("192.0.2.0/24",),
    )
    key = zmq.auth.load_certificate(keys.backend)[0]
    head = (b"1.0", b"7", b"wampush")
    raw = zmq.utils.z85.decode(key)
    admitted = security.answer((*head, b"192.0.2.1", b"", b"CURVE", raw))
    assert admitted == [b"1.0", b"7", b"200", b"", key, b""]
    refused = security.answer((*head, b"198.51.100.1", b"", b"CURVE", raw))
    assert refused == [b"1.0", b"7", b"400", b"", b"", b""]


def test_without_keys_an_allowed_address_has_no_name() -> None:
    security = security_with(allow=("192.0.2.0/24",))
    assert security.is_restricted
    reply = security.answer((b"1.0", b"7", b"wampush", b"192.0.2.1", b"", b"NULL"))
    assert reply == [b"1.0", b"7", b"200", b"", b"", b""]


def test_only_tcp_sockets_are_protected(keys: Keys) -> None:
    security = security_with(
        curve_secret_key_file=keys.server_secret, curve_client_keys=keys.backend
    )
    with zmq.Context() as context, context.socket(zmq.PULL) as tcp, context.socket(zmq.PULL) as ipc:
        security.protect(tcp, "tcp://127.0.0.1:*")
        security.protect(ipc, "ipc:///run/x")
        assert (tcp.get(zmq.CURVE_SERVER), ipc.get(zmq.CURVE_SERVER)) == (1, 0)
        domain: Any = tcp.get(zmq.ZAP_DOMAIN)
        assert domain.rstrip(b"\0") == b"wampush"


def test_files_are_private_until_they_have_their_mode(tmp_path: Path) -> None:
    security = security_with(ipc_mode="0660")
    path = tmp_path / "socket"
    with security.private_files():
        path.touch()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    security.on_bound(f"ipc://{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    path.unlink()
    with pytest.raises(OperatorError, match=r"zmq\.ipc_mode cannot be set for .*No such file"):
        security.on_bound(f"ipc://{path}")


@pytest.mark.parametrize(
    ("address", "allow", "line"),
    [
        ("tcp://0.0.0.0:5555", (), "anyone who can reach tcp://0.0.0.0:5555 may push: set zmq.al"),
        ("tcp://0.0.0.0:5555", ("192.0.2.1",), ""),
        ("tcp://127.0.0.1:5555", (), ""),
        ("ipc://@abstract", (), "any program on this machine may push to ipc://@abstract"),
    ],
)
def test_an_open_socket_is_logged(
    logged: Log, address: str, allow: tuple[str, ...], line: str
) -> None:
    security_with(allow=allow).on_bound(address)
    assert [each[: len(line)] for each in logged.lines] == ([line] if line else [])


def test_client_keys_are_reloaded_or_kept(keys: Keys, logged: Log) -> None:
    security_with().reload()
    assert logged.lines == []
    security = security_with(
        curve_secret_key_file=keys.server_secret, curve_client_keys=str(keys.known)
    )
    added = keys.known / "stranger.key"
    added.write_bytes(Path(keys.stranger).read_bytes())
    security.reload()
    known = security._client_keys
    added.write_text("half a k")
    security.reload()
    assert len(known) == 2
    assert security._client_keys == known
    assert logged.lines[0] == "ZeroMQ: client keys reloaded; 2 may connect"
    assert logged.lines[1].startswith(
        "ZeroMQ: could not reload the client keys, keeping the old ones: zmq.curve_client_keys "
    )
