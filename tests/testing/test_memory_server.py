"""A server in memory: what it is made of, and when things happen."""

# ruff: noqa: ARG001, ARG005 (handlers take what they are called with)

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from wampush.apps import App, ConnectContext, Context, Identity, Refuse, ServerContext
from wampush.errors import ConfigErrors, ConnectionRefused, OperatorError, PushRefused
from wampush.testing import Event, InMemoryServer, NotAnswered, memory_server

PERMISSIONS = """
apps = ["shop_in_memory:app"]

[[permissions]]
match = "orders.*"
actions = ["subscribe", "publish"]
to = ["group:staff"]
"""
SHOP = """
from wampush.apps import App

app = App()


@app.procedure("shop.add")
def add(ctx, a, b):
    return a + b
"""


def test_pushes_reach_whom_they_are_for() -> None:
    with InMemoryServer() as server:
        alice, bob = server.connect(user="alice"), server.connect(user="bob", groups=["staff"])
        for client in (alice, bob):
            client.subscribe("news")
        assert server.push("news", {"n": 1}) == 2
        assert server.push("news", {"n": 2}, to={"groups": ["staff"]}) == 1
        assert alice.events == [Event("news", {"n": 1})]
        assert bob.events == [Event("news", {"n": 1}), Event("news", {"n": 2})]
        with pytest.raises(PushRefused, match="groups must be a list"):
            server.push("news", 1, to={"groups": 7})


def test_the_configuration_decides(tmp_path: Path) -> None:
    config = tmp_path / "wampush.toml"
    config.write_text(PERMISSIONS, encoding="utf-8")
    (tmp_path / "shop_in_memory.py").write_text(SHOP, encoding="utf-8")
    with InMemoryServer(config=config, settings={"clients.subscribe": "deny"}) as server:
        staff, guest = server.connect(groups=["staff"], user="1"), server.connect()
        for client in (staff, guest):
            client.subscribe("orders.new")
        assert server.push("orders.new", 1) == 1
        assert [code for code, _ in guest.refusals] == ["subscribe-forbidden"]
        assert staff.refusals == []
        assert guest.call("shop.add", 2, 3) == 5


def test_mistakes_are_reported_as_at_the_start_of_a_server() -> None:
    with pytest.raises(ConfigErrors, match=r"clients\.publish"):
        InMemoryServer(settings={"clients.publish": "sometimes"})
    one, other = App(), App()
    for app in (one, other):
        app.procedure("shop.add")(lambda ctx: None)
    with pytest.raises(OperatorError, match="app2: app1 has registered the procedure"):
        InMemoryServer(one, other)


def test_only_clients_of_this_machine_may_publish_by_default() -> None:
    with InMemoryServer() as server:
        local, remote = server.connect(), server.connect(address="192.0.2.7")
        local.publish("chat", 1)
        remote.publish("chat", 1)
        assert (local.refusals, [code for code, _ in remote.refusals]) == (
            [],
            ["publish-forbidden"],
        )


def test_connecting_and_leaving() -> None:
    app = App()
    ended: list[tuple[str | None, str]] = []

    @app.on_connect
    def check(ctx: ConnectContext) -> None:
        if ctx.request.parameters.get("room") != "lobby" or ctx.request.headers["cookie"] != "a=b":
            raise Refuse("another room")
        ctx.session.send("chat.room", ctx.session.user)

    @app.on_disconnect
    def goodbye(ctx: Context, reason: str) -> None:
        ended.append((ctx.session.user, reason))

    with InMemoryServer(app) as server:
        headers = {"cookie": "a=b"}
        identity = Identity("7", language="de")
        page = server.connect("/?room=lobby", identity=identity, headers=headers)
        assert page.identity is identity
        assert page.events == [Event("chat.room", "7")]
        with pytest.raises(ConnectionRefused, match="another room"):
            server.connect("/?room=cellar", headers=headers)
        server.connect("/?room=lobby", headers=headers).close()
        assert ended == [(None, "peer-closed")]
    assert ended[1:] == [("7", "peer-closed")]


def test_an_application_that_does_not_decide() -> None:
    app = App()

    @app.on_connect(timeout=5)
    async def check(ctx: ConnectContext) -> None:
        await forever

    from twisted.internet.defer import Deferred

    forever: Deferred[None] = Deferred()
    with (
        InMemoryServer(app) as server,
        pytest.raises(NotAnswered, match="on_connect has not decided"),
    ):
        server.connect()


def test_handlers_in_threads_and_in_asyncio_are_waited_for() -> None:
    app = App()
    threads: list[bool] = []

    @app.procedure("shop.blocks", threaded=True)
    def blocks(ctx: Context) -> float:
        threads.append(threading.current_thread() is threading.main_thread())
        ctx.publish("news", "from a thread")
        return ctx.now()

    @app.procedure("shop.waits", asyncio=True)
    async def waits(ctx: Context) -> int:
        await asyncio.sleep(0.001)
        ctx.publish("news", "from asyncio")
        return 5

    with InMemoryServer(app) as server:
        page = server.connect()
        page.subscribe("news")
        server.advance(2.5)
        assert page.call("shop.blocks") == server.clock.now()
        assert page.call("shop.waits") == 5
        assert [each.data for each in page.events] == ["from a thread", "from asyncio"]
        assert threads == [False]


def test_a_handler_that_never_ends_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App()
    goes_on = threading.Event()

    @app.procedure("shop.hangs", threaded=True)
    def hangs(ctx: Context) -> None:
        goes_on.wait(20)

    monkeypatch.setattr(memory_server, "PATIENCE", 0.01)
    with InMemoryServer(app) as server:
        page = server.connect()
        with pytest.raises(NotAnswered, match=r"running for 0\.01 s"):
            page.start_call("shop.hangs")
        goes_on.set()
        monkeypatch.setattr(memory_server, "PATIENCE", 20)
        server.settle()


def test_time_passes_when_the_test_says_so() -> None:
    with InMemoryServer(settings={"presence.grace": 20}) as server:
        watching = server.connect(user="alice")
        watching.subscribe("wampush.presence.num_online")
        server.connect(user="bob").close()
        server.advance(19)
        assert [each.data for each in watching.take_events()][-1] == 2
        server.advance(2)
        assert [each.data for each in watching.events] == [1]


def test_producers_start_and_stop() -> None:
    app = App()
    running: set[str] = set()

    @app.on_occupied("ticker.*")
    def start(ctx: ServerContext, topic: str) -> None:
        running.add(topic)

    @app.on_vacated("ticker.*")
    def stop(ctx: ServerContext, topic: str) -> None:
        running.discard(topic)

    with InMemoryServer(app, settings={"presence.topic_grace": 5}) as server:
        client = server.connect()
        client.subscribe("ticker.a")
        client.subscribe("other")
        assert running == {"ticker.a"}
        client.close()
        server.advance(4.9)
        assert running == {"ticker.a"}
        server.advance(0.2)
        assert running == set()
        server.connect().subscribe("ticker.b")
        assert running == {"ticker.b"}
    assert running == set()
