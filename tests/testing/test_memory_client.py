"""Clients in memory: requests, replies, events, the end of a session."""

# ruff: noqa: ARG001 (handlers take what they are called with)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import deferLater

from wampush.apps import App, Context, Identity, Refuse, WampError
from wampush.errors import NotSerialisable
from wampush.testing import CallFailed, Event, InMemoryClient, InMemoryServer, NotAnswered


@pytest.fixture
def server() -> Iterator[InMemoryServer]:
    """A server with an application that does a bit of everything."""
    app = App()

    @app.procedure("shop.echo")
    def echo(ctx: Context, *values: object) -> object:
        return list(values)

    @app.procedure("shop.fail")
    def fail(ctx: Context) -> None:
        raise WampError("http://example.com/error#stock", "only 3 are left", {"left": 3})

    @app.procedure("shop.soon")
    async def soon(ctx: Context) -> str:
        clock: Any = made.clock
        await deferLater(clock, 3.0)
        return "now"

    @app.procedure("shop.leave")
    def leave(ctx: Context) -> None:
        ctx.session.send("shop.bye", None)
        ctx.session.end("enough")

    @app.on_subscribe("secret.*")
    def check(ctx: Context, topic: str) -> None:
        raise Refuse("not for you")

    with InMemoryServer(app) as made:
        yield made


@pytest.fixture
def page(server: InMemoryServer) -> InMemoryClient:
    """A client."""
    return server.connect(user="alice")


def test_calls(page: InMemoryClient) -> None:
    assert page.call("shop.echo", 1, "ü", None) == [1, "ü", None]
    with pytest.raises(CallFailed) as caught:
        page.call("shop.fail")
    assert (caught.value.uri, caught.value.description, caught.value.details) == (
        "http://example.com/error#stock",
        "only 3 are left",
        {"left": 3},
    )
    with pytest.raises(CallFailed, match="no procedure is registered"):
        page.call("shop.other")


def test_a_call_whose_handler_waits(server: InMemoryServer, page: InMemoryClient) -> None:
    with pytest.raises(NotAnswered, match=r"shop\.soon has not replied; move the clock"):
        page.call("shop.soon")
    call = page.start_call("shop.soon")
    server.advance(2.9)
    assert not call.has_reply()
    server.advance(0.2)
    assert call.has_reply()
    assert call.result() == "now"


def test_events_arrive_in_order_until_they_are_taken(
    server: InMemoryServer, page: InMemoryClient
) -> None:
    other = server.connect()
    page.subscribe("chat")
    other.publish("chat", {"text": "hello"})
    page.publish("chat", "not for me")
    page.publish("chat", "for me, too", exclude_me=False)
    other.publish("chat", "for others", exclude=[page.session_id])
    other.publish("chat", "for me alone", eligible=[page.session_id])
    expected = [{"text": "hello"}, "for me, too", "for me alone"]
    assert [each.data for each in page.events] == expected
    assert page.take_events() == [Event("chat", data) for data in expected]
    assert page.events == []
    page.unsubscribe("chat")
    other.publish("chat", "too late")
    assert page.events == []


def test_what_has_no_json_form_is_not_sent(page: InMemoryClient) -> None:
    with pytest.raises(NotSerialisable, match="has no JSON form"):
        page.publish("chat", {1, 2})


def test_refusals_of_a_client_are_its_own(server: InMemoryServer, page: InMemoryClient) -> None:
    page.subscribe("secret.plans")
    other = server.connect()
    other.subscribe("")
    assert page.refusals == [("application-refused", "not for you")]
    assert [code for code, _ in other.refusals] == ["client-topic-empty"]


def test_another_identity(page: InMemoryClient) -> None:
    page.become(Identity("bob", frozenset({"staff"}), source="cra"))
    assert page.identity.user == "bob"
    assert page.end_reason() is None


def test_an_application_ends_the_session(page: InMemoryClient) -> None:
    page.start_call("shop.leave")
    assert page.end_reason() == "ended-by-application"
    assert page.events == [Event("shop.bye", None)]
    page.close()
    assert page.end_reason() == "ended-by-application"


def test_a_client_that_has_gone(server: InMemoryServer, page: InMemoryClient) -> None:
    page.subscribe("chat")
    page.close()
    assert page.end_reason() == "peer-closed"
    assert server.push("chat", 1) == 0
    assert page.events == []


def test_a_client_without_a_server(server: InMemoryServer) -> None:
    with pytest.raises(AssertionError, match="the client is not connected"):
        InMemoryClient(server).subscribe("chat")


def test_positions_of_events(tmp_path: Path) -> None:
    config = tmp_path / "wampush.toml"
    config.write_text('[[topics]]\nmatch = "orders"\nhistory = 10\n', encoding="utf-8")
    with InMemoryServer(config=config) as server:
        server.push("orders", {"n": 1})
        plain, page = server.connect(), server.connect()
        assert page.call("wampush.positions") is True
        page.subscribe("orders")
        plain.subscribe("orders")
        server.push("orders", {"n": 2})
        assert plain.events == [Event("orders", {"n": 2})]
        assert page.events == [Event("orders", {"n": 2}, 2)]
