"""The service in this process: the order of starting and stopping, and signals."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import pytest
from twisted.application.service import Application, IServiceCollection
from twisted.internet.defer import Deferred, FirstError
from twisted.logger import ILogObserver

from tests.node.local_reactor import LocalReactor
from tests.support.service_manager import notify_socket
from wampush import __version__
from wampush.broker.access.policy import Publishing
from wampush.config.load import load
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.errors import ListenError
from wampush.net import descriptor_limit, listeners
from wampush.node import steps
from wampush.node.build import Node
from wampush.node.listening import ListeningSockets
from wampush.node.monitoring.serving import ServingState
from wampush.node.options import Account
from wampush.node.service import WampushService

pytestmark = pytest.mark.usefixtures("frozen_again")
LISTEN = 'listen = ["tcp:8080:interface=127.0.0.1"]'
Start = Callable[..., WampushService]


@pytest.fixture
def reactor(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = LocalReactor()
    monkeypatch.setattr("twisted.internet.reactor", made, raising=False)
    return made


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """What a service changes about its process is changed back."""
    before, hook = signal.getsignal(signal.SIGHUP), sys.excepthook
    yield
    signal.signal(signal.SIGHUP, before)
    sys.excepthook = hook
    gc.unfreeze()


@pytest.fixture
def service(tmp_path: Path, reactor: Any) -> Iterator[Start]:
    """Makes services of configurations; all are stopped at the end."""
    made: list[WampushService] = []

    def make(text: str = "", account: Account | None = None) -> WampushService:
        path = tmp_path / "wampush.toml"
        path.write_text(f"[zmq]\npull = []\n[websocket]\n{LISTEN}\n{text}", encoding="utf-8")
        made.append(WampushService(load(path, {}, {}), account))
        return made[-1]

    yield make
    for each in made:
        if each.running:
            each.stopService()
            reactor.advance(10)
        # One with a parent leaves this to the end of its process.
        each._garbage_collection.stop()


def node_of(service: WampushService) -> Node:
    running = service._running_node
    assert running is not None
    return running.node


def test_it_listens_as_configured(service: Start, reactor: Any, log: list[str]) -> None:
    started = service('[http]\nlisten = "tcp:8081:interface=127.0.0.1"\n')
    started.startService()
    assert [port for port, *_ in reactor.tcpServers] == [8080, 8081]
    # A signal ends the process at once before that.
    assert not any(line.startswith("ready") for line in log)
    reactor.begin()
    assert "WAMP v1 on ws://127.0.0.1:8080/" in log
    assert "health on http://127.0.0.1:8081/healthz, demo on http://127.0.0.1:8081/demo/" in log
    assert log[-1] == f"ready: wampush {__version__}, process {os.getpid()}"
    assert log[-2] == (
        "clients of this machine may publish: every WebSocket listener is on loopback"
    )
    assert node_of(started).broker.policy.publishing is Publishing.LOCAL


@pytest.mark.parametrize(("more", "is_permitted"), [("", False), (', "tcp:8082"', True)])
def test_pages_of_the_same_host_have_names_of_loopback_while_only_this_machine_connects(
    tmp_path: Path, reactor: Any, more: str, is_permitted: bool
) -> None:
    path = tmp_path / "wampush.toml"
    listen = LISTEN.replace("]", f"{more}]")
    path.write_text(f'zmq.pull = []\nhttp.listen = "off"\n[websocket]\n{listen}\n', "utf-8")
    started = WampushService(load(path, {}, {}))
    started.startService()
    ticket = node_of(started).websocket.shared.admission.arrive("127.0.0.1")
    headers = {"origin": "http://shop.test", "host": "shop.test:8080"}
    with nullcontext() if is_permitted else pytest.raises(HandshakeRefused, match="loopback only"):
        ticket.admit("127.0.0.1", headers)
    ticket.give_back(0.0)
    started.stopService()
    reactor.advance(10)


def test_identities_expire_by_the_time_of_day(service: Start) -> None:
    started = service('[http]\nlisten = "off"\n')
    started.startService()
    assert node_of(started).websocket.shared.now is time


def test_twistd_logs_where_the_settings_say(tmp_path: Path) -> None:
    class Output:
        observer = object()

    path = tmp_path / "wampush.toml"
    path.write_text("zmq.pull = []\n", encoding="utf-8")
    output: Any = Output()
    application: Any = Application("wampush")
    service = WampushService(load(path, {}, {}), log_output=output)
    service.setServiceParent(application)
    assert application.getComponent(ILogObserver) is output.observer
    assert service.parent is IServiceCollection(application)


def test_privileges_are_needed_once(service: Start, reactor: Any) -> None:
    started = service('[http]\nlisten = "off"\n')
    started.privilegedStartService()
    node = node_of(started)
    started.startService()
    assert node_of(started) is node
    assert [port for port, *_ in reactor.tcpServers] == [8080]


def test_permissions_come_before_the_choice(service: Start, reactor: Any, log: list[str]) -> None:
    service(
        '[http]\nlisten = "off"\n[clients]\npublish = "never"\n'
        '[[permissions]]\nmatch = "chat.*"\nactions = ["publish"]\nto = ["authenticated"]\n'
    ).startService()
    reactor.begin()
    assert log[-2] == (
        'where no permission decides, clients may not publish: clients.publish = "never"'
    )


def test_the_limit_of_open_files_bounds_the_clients(
    service: Start, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptor_limit, "raise_descriptor_limit", lambda: (64, 700))
    service('[http]\nlisten = "tcp:8081"\nmax_connections = 200\n').startService()
    assert log[0] == (
        "open descriptors: the limit is 700, it was 64; at most 429 clients, 143 HTTP connections "
        "and 0 backends over ZeroMQ"
    )


def test_at_least_one_client_is_accepted(
    service: Start, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptor_limit, "raise_descriptor_limit", lambda: (64, 64))
    service('[http]\nlisten = "off"\n').startService()
    assert log[0].endswith("at most 1 clients, 0 HTTP connections and 0 backends over ZeroMQ")


@pytest.mark.parametrize(("allowed", "warnings"), [(511, 1), (512, 0)])
def test_too_few_open_files_for_an_ipc_address(
    service: Start, log: list[str], monkeypatch: pytest.MonkeyPatch, allowed: int, warnings: int
) -> None:
    monkeypatch.setattr(descriptor_limit, "raise_descriptor_limit", lambda: (64, allowed))
    monkeypatch.setattr(descriptor_limit, "needed_for_ipc", lambda *_: 512)
    service('[http]\nlisten = "off"\n').startService()
    found = [line for line in log if "too few for an ipc:// address" in line]
    assert len(found) == warnings
    assert all(line.endswith("raise the limit to 512") for line in found)


def test_files_of_sockets_are_handed_over(
    service: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    handed: list[tuple[str, int, int]] = []
    monkeypatch.setattr(listeners, "change_owner", lambda *arguments: handed.append(arguments))
    started = service(f'[http]\nlisten = "unix:{tmp_path}/http"\n', account=Account(4, 5))
    monkeypatch.setattr(
        "wampush.edges.zeromq.pull_sockets.PullSockets.socket_files", lambda _: ["/run/pull"]
    )
    started.startService()
    assert [each[1:] for each in handed] == [(4, 5), (4, 5)]
    assert handed[1][0] == "/run/pull"


def test_an_endpoint_that_cannot_be_used_stops_the_start(service: Start) -> None:
    with pytest.raises(ListenError):
        service('[http]\nlisten = "nonsense:1"\n').startService()


# The end.


def test_the_order_of_the_end(
    service: Start, reactor: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("0123456789abcdef" * 2, encoding="utf-8")
    started = service(
        f'[http]\nlisten = "tcp:8081"\n[webhooks]\nurl = "http://127.0.0.1:1/"\n'
        f'secret_file = "{tmp_path}/key"\nevents = ["call"]\nprocedures = ["cart.*"]\n'
    )
    started.startService()
    handler = signal.getsignal(signal.SIGHUP)
    calls: list[str] = []

    def record(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def recorded(self: Any, *arguments: Any) -> Any:
            calls.append(f"{kind.__name__}.{name}")
            return original(self, *arguments)

        monkeypatch.setattr(kind, name, recorded)

    node = node_of(started)
    for part, name in (
        (node.pull, "drain"),
        (node.redis, "stop"),
        (node.websocket, "stop"),
        (node.pull, "stop"),
        (node.apps, "stop"),
        (node.webhooks, "stop"),
    ):
        record(type(part), name)
    record(ListeningSockets, "close_websocket")
    record(ListeningSockets, "close_http")
    ended: list[Any] = []
    started.stopService().addCallback(ended.append)
    assert node.inspection.status()["connections"] == 0
    assert started.serving.state is ServingState.STOPPING
    reactor.advance(10)
    assert ended == [None]
    assert calls == [
        "PullSockets.drain",
        "ListeningSockets.close_websocket",
        "RedisSources.stop",
        "WebSocketEdge.stop",
        "PullSockets.stop",
        "ListeningSockets.close_http",
        "NodeApps.stop",
        "NodeWebhooks.stop",
    ]
    # Its default would end the process before its end is complete.
    assert signal.getsignal(signal.SIGHUP) is handler


def test_a_service_that_did_not_start_ends_at_once(service: Start) -> None:
    ended: list[Any] = []
    service().stopService().addCallback(ended.append)
    assert ended == [None]


# SIGHUP.


def test_hangup_reloads_in_the_reactor(service: Start, reactor: Any, log: list[str]) -> None:
    service('[http]\nlisten = "off"\n').startService()
    signal.raise_signal(signal.SIGHUP)
    assert "SIGHUP: reloading keys and certificates" not in log
    reactor.run_calls()
    assert "SIGHUP: reloading keys and certificates" in log


def test_hangup_reloads_the_secret_of_webhooks(
    service: Start, reactor: Any, log: list[str], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("0123456789abcdef" * 2, encoding="utf-8")
    service(
        '[http]\nlisten = "off"\n[webhooks]\nurl = "http://127.0.0.1:1/"\n'
        f'secret_file = "{tmp_path}/key"\nevents = ["call"]\nprocedures = ["cart.*"]\n'
    ).startService()
    signal.raise_signal(signal.SIGHUP)
    reactor.run_calls()
    assert "webhooks: secret reloaded" in log


def test_the_service_manager_is_notified(
    service: Start, reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with notify_socket(tmp_path) as systemd:
        monkeypatch.setenv("NOTIFY_SOCKET", systemd.name)
        monkeypatch.setenv("WATCHDOG_USEC", "8000000")
        started = service('[http]\nlisten = "off"\n')
        started.startService()
        assert "NOTIFY_SOCKET" not in os.environ
        reactor.begin()
        status = f"STATUS=wampush {__version__} on ws://127.0.0.1:8080/"
        assert systemd.receive() == ["READY=1", status]
        assert systemd.receive() == ["WATCHDOG=1"]
        # The reactor feeds it from its turns.
        reactor.advance(4)
        assert systemd.receive() == ["WATCHDOG=1"]
        os.kill(os.getpid(), signal.SIGHUP)
        reactor.run_calls()
        assert systemd.receive()[0] == "RELOADING=1"
        assert systemd.receive() == ["READY=1"]
        started.stopService()
        assert systemd.receive() == ["STOPPING=1", "STATUS=stopping"]
        reactor.advance(10)


def test_a_service_manager_that_is_gone_is_logged(
    service: Start, reactor: Any, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/notify")
    service('[http]\nlisten = "off"\n').startService()
    reactor.begin()
    assert log[-1] == (
        "systemd: cannot send READY=1 to NOTIFY_SOCKET '/nowhere/notify': No such file or directory"
    )


class Parent:
    """Notes what a node reports."""

    def __init__(self) -> None:
        self.reports: list[str] = []

    def serving(self, status: str, report: str) -> None:
        assert status
        self.reports.append(report)


@pytest.mark.parametrize(("report", "is_frozen"), [("3 sessions taken over", True), ("", False)])
def test_the_collector_no_longer_looks_at_sessions_that_were_taken_over(
    service: Start, monkeypatch: pytest.MonkeyPatch, report: str, is_frozen: bool
) -> None:
    made, parent = service(), Parent()
    made.privilegedStartService()
    made.startService()
    # Without a parent, it has begun to pull and to serve already.
    monkeypatch.setattr(steps, "pull", lambda _: None)
    monkeypatch.setattr(steps, "serve", lambda _: None)
    made._link = parent  # type: ignore[assignment]
    session = [object()]
    made._on_serve(report)
    assert parent.reports == [report]
    assert is_frozen is not any(each is session for each in gc.get_objects())


@pytest.mark.parametrize("report", ["3 sessions taken over", ""])
def test_a_node_that_serves_collects_garbage(
    service: Start, monkeypatch: pytest.MonkeyPatch, report: str
) -> None:
    made = service()
    # As the plugin of twistd has left it.
    gc.disable()
    made.privilegedStartService()
    made.startService()
    assert gc.isenabled()
    monkeypatch.setattr(steps, "pull", lambda _: None)
    monkeypatch.setattr(steps, "serve", lambda _: None)
    made._link = Parent()  # type: ignore[assignment]
    made._garbage_collection.pause()
    assert not gc.isenabled()
    made._on_serve(report)
    assert gc.isenabled()


@pytest.mark.parametrize("has_parent", [True, False])
def test_the_last_collection_of_a_process_of_its_own_does_not_look_at_everything(
    service: Start, monkeypatch: pytest.MonkeyPatch, reactor: Any, has_parent: bool
) -> None:
    made = service()
    made.privilegedStartService()
    made.startService()
    if has_parent:
        monkeypatch.setattr(made, "_link", Parent())
    made.stopService()
    reactor.advance(10)
    assert (gc.get_freeze_count() > 0) is has_parent


def test_hangup_during_the_end_does_no_harm(service: Start, reactor: Any, log: list[str]) -> None:
    started = service('[http]\nlisten = "off"\n')
    started.startService()
    started.stopService()
    signal.raise_signal(signal.SIGHUP)
    reactor.run_calls()
    assert log[-1] == "SIGHUP: nothing to reload, because wampush is stopping"


def test_hangup_names_settings_that_need_a_restart(
    tmp_path: Path, reactor: Any, log: list[str]
) -> None:
    path = tmp_path / "wampush.toml"
    text = f'[zmq]\npull = []\n[http]\nlisten = "off"\n[websocket]\n{LISTEN}\n'
    path.write_text(text, encoding="utf-8")
    started = WampushService(load(path, {}, {}), load_again=partial(load, path, {}, {}))
    started.startService()
    path.write_text(f'{text}ping_interval = 20\n[clients]\npublish = "never"\n', encoding="utf-8")
    signal.raise_signal(signal.SIGHUP)
    reactor.run_calls()
    assert log[-1] == (
        "SIGHUP: these settings have changed and need a restart: websocket.ping_interval, "
        "clients.publish"
    )
    started.stopService()
    reactor.advance(10)


# An end that takes long.


@pytest.fixture
def slow(service: Start, monkeypatch: pytest.MonkeyPatch) -> tuple[WampushService, Deferred[None]]:
    """A service that is being stopped, whose connections do not end before the Deferred fires."""
    started = service('[http]\nlisten = "off"\n')
    started.startService()
    all_lost: Deferred[None] = Deferred()
    monkeypatch.setattr(type(node_of(started).websocket), "stop", lambda *_: all_lost)
    return started, all_lost


def test_the_end_says_what_it_waits_for(
    slow: tuple[WampushService, Deferred[None]], log: list[str]
) -> None:
    started, all_lost = slow
    ended: list[Any] = []
    started.stopService().addCallback(ended.append)
    assert log[-1] == (
        "stopping: 0 connections have 10 s to read what was published; "
        "a second signal ends them at once"
    )
    assert ended == []
    all_lost.callback(None)
    assert ended == [None]
    assert log[-1].startswith(
        "stopped: 0 pushes and 0 messages of clients accepted, 0 inputs refused, "
        "0 connections ended in "
    )


def test_an_impatient_operator_waits_no_longer(
    slow: tuple[WampushService, Deferred[None]], log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, all_lost = slow
    ended: list[Any] = []
    started.stopService().addCallback(ended.append)
    started._on_impatience()
    started._on_impatience()
    assert ended == [None]
    assert log[-2] == "a second signal: ending at once, with 0 connections open"
    assert log[-1].startswith("stopped: ")
    # The reactor closes the sockets now, and closing them once more would fail.
    closed: list[object] = []
    monkeypatch.setattr(ListeningSockets, "close_http", closed.append)
    all_lost.callback(None)
    assert ended == [None]
    assert closed == []


def test_the_end_waits_for_applications(
    slow: tuple[WampushService, Deferred[None]], log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, all_lost = slow
    handled: Deferred[None] = Deferred()
    monkeypatch.setattr(type(node_of(started).apps), "stop", lambda *_: handled)
    ended: list[Any] = []
    started.stopService().addCallback(ended.append)
    all_lost.callback(None)
    assert log[-1] == (
        "stopping: all connections have ended; applications have 10.5 s to handle that"
    )
    assert ended == []
    handled.callback(None)
    assert ended == [None]


def test_topics_without_subscribers_are_vacated_before_applications_end(
    slow: tuple[WampushService, Deferred[None]],
) -> None:
    started, all_lost = slow
    occupancy = node_of(started).broker.occupancy
    assert occupancy is not None
    seen: list[tuple[str, bool]] = []
    occupancy.watch(("a",), lambda *change: seen.append(change))
    occupancy.on_first("a")
    started.stopService()
    occupancy.on_last("a")
    assert seen == [("a", True)]
    all_lost.callback(None)
    assert seen == [("a", True), ("a", False)]


def test_a_part_that_does_not_stop_is_reported(
    slow: tuple[WampushService, Deferred[None]],
) -> None:
    started, all_lost = slow
    failures: list[Any] = []
    started.stopService().addErrback(failures.append)
    all_lost.errback(ValueError("a defect"))
    (failure,) = failures
    assert failure.check(FirstError)
