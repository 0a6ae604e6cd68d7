"""Pushes that come to the new node wait for those that the old one still has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.two_nodes import TwoNodes, two_nodes
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.node.handover.draining import BACKEND_SECONDS
from wampush.node.handover.records import Kind


def is_held(nodes: TwoNodes) -> bool:
    return nodes.new.node.backpressure.paused


def connected_backend(nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A backend that stays connected to the old node until something is put into the list."""
    gone: list[Any] = []
    monkeypatch.setattr(nodes.old.node.pull, "stop_listening", lambda: bool(gone))
    return gone


def test_the_pushes_of_the_old_node_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with two_nodes() as nodes:
        client = nodes.client(topics=["t"])
        gone = connected_backend(nodes, monkeypatch)
        released: list[Any] = []

        def on_release() -> None:
            released.append(None)
            nodes.new.broker.push(Source.ZEROMQ, Publication("t", b"2"))

        nodes.new.node.backpressure.call_on_release(on_release)
        nodes.hand_over()
        assert nodes.giving is not None
        assert is_held(nodes)
        # The sources pause; what is published reaches the clients.
        assert not nodes.new.node.backpressure.clients_behind
        nodes.giving.drain(1.0)
        nodes.old.reactor.advance(0.1)
        nodes.read_all()
        assert is_held(nodes)
        nodes.old.broker.push(Source.ZEROMQ, Publication("t", b"1"))
        gone.append(True)
        nodes.old.reactor.advance(0.1)
        nodes.read_all()
        assert released == [None]
        assert not is_held(nodes)
        assert client.events("t") == [1, 2]


def test_the_end_of_the_old_node_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with two_nodes() as nodes:
        connected_backend(nodes, monkeypatch)
        nodes.hand_over()
        assert nodes.giving is not None
        assert is_held(nodes)
        nodes.giving.close()
        nodes.settle(nodes.new)
        assert not is_held(nodes)


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with two_nodes() as nodes:
        connected_backend(nodes, monkeypatch)
        nodes.hand_over()
        nodes.new.reactor.advance(BACKEND_SECONDS / 2)
        assert is_held(nodes)
        nodes.new.reactor.advance(BACKEND_SECONDS / 2)
        assert not is_held(nodes)
        assert nodes.giving is not None
        nodes.giving.close()
        nodes.settle(nodes.new)


def test_an_older_process_does_not_say_that_it_has_no_backends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with two_nodes() as nodes:
        nodes.begin()
        assert nodes.giving is not None
        send = nodes.giving._stream.send

        def send_as_before(kind: Kind, values: Any, *more: Any) -> None:
            if kind is Kind.END:
                del values["releases"]
            send(kind, values, *more)

        monkeypatch.setattr(nodes.giving._stream, "send", send_as_before)
        nodes.finish()
        assert len(nodes.outcomes) == 2
        assert not is_held(nodes)
