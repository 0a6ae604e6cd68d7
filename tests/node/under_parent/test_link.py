"""The node's end of the control channel."""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from twisted.internet.testing import MemoryReactorClock

from wampush.config.tables.process import ProcessSettings
from wampush.control_channel import VARIABLE, ControlChannel, Message
from wampush.errors import ListenError
from wampush.node.under_parent import link as link_module
from wampush.node.under_parent.link import HEARTBEAT, Handlers, ParentGone, ParentLink


class Parent:
    """The other end, which answers in advance.

    :ivar channel: of the parent.
    :ivar link: of the node.
    """

    def __init__(self) -> None:
        self.channel, theirs = ControlChannel.pair()
        self.link = ParentLink(theirs)
        self.reactor = MemoryReactorClock()
        self.calls: list[str] = []

    def start(self) -> None:
        def call(name: str) -> Callable[[], None]:
            return lambda: self.calls.append(name)

        handlers = Handlers(
            serve=call("serve"),
            hand_over=lambda stream: self._take("hand over", stream),
            take_over=lambda stream: self._take("take over", stream),
            reload=call("reload"),
            note_outcome=lambda kind, is_done: self.calls.append(f"{kind} {is_done}"),
            stop=call("stop"),
        )
        self.link.start(self.reactor, handlers)

    def _take(self, name: str, stream: socket.socket) -> None:
        self.calls.append(name)
        stream.close()

    def heard(self) -> list[Message]:
        """What the node has said."""
        messages = []
        while (message := self.channel.receive()) is not None:
            messages.append(message)
        return messages


@pytest.fixture
def parent() -> Iterator[Parent]:
    made = Parent()
    yield made
    made.link.close()
    made.channel.close()
    faulthandler.unregister(signal.SIGQUIT)


def test_a_process_without_a_parent_has_no_link() -> None:
    assert ParentLink.of({}) is None
    assert ParentLink.of({VARIABLE: "none"}) is None


def test_the_link_of_a_process_is_not_passed_on() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {VARIABLE: str(other.detach()), "PATH": "/bin"}
    before = {each: signal.getsignal(each) for each in (signal.SIGUSR1, signal.SIGUSR2)}
    try:
        link = ParentLink.of(environment)
        # Both would end a process that does not handle them.
        for each in before:
            os.kill(os.getpid(), each)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert link is not None
    assert environment == {"PATH": "/bin"}
    with one:
        link.ready()
        assert b'"ready"' in one.recv(1000)
    link.close()


# Questions.


def test_sockets_are_asked_for_one_by_one(parent: Parent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        parent.channel.send("listening", {}, descriptors=[server.fileno()])
        parent.channel.send("listening", {"is_unmanaged": True})
        got = parent.link.listening_socket("websocket", "tcp:0")
        assert got is not None
        with got:
            assert got.getsockname() == server.getsockname()
    assert parent.link.listening_socket("websocket", "tcp:0") is None
    first, second = parent.heard()
    assert (first.kind, first.text("use"), first.text("address")) == (
        "listen",
        "websocket",
        "tcp:0",
    )
    assert (first.number("number"), second.number("number")) == (0, 1)


def test_a_socket_that_cannot_be_opened_raises_what_the_system_said(parent: Parent) -> None:
    parent.channel.send("listening", {"errno": 98, "problem": "Address already in use"})
    with pytest.raises(OSError, match="Address already in use") as raised:
        parent.link.listening_socket("http", "tcp:1")
    assert raised.value.errno == 98
    parent.channel.send("listening", {"errno": -2, "problem": "not known", "is_name": True})
    with pytest.raises(socket.gaierror):
        parent.link.listening_socket("http", "tcp:1")
    parent.channel.send("listening", {"errno": 98, "problem": "Address already in use"})
    with pytest.raises(ListenError, match="Address already in use"):
        parent.link.pull_socket("tcp://127.0.0.1:1")
    parent.channel.send("listening", {"is_unmanaged": True})
    assert parent.link.pull_socket("ipc://*") is None


def test_a_node_asks_whether_it_takes_sessions_over(parent: Parent) -> None:
    parent.channel.send("role", {"takes_over": True})
    parent.channel.send("role", {})
    assert parent.link.takes_over(3, ProcessSettings(drain=2.5))
    assert not parent.link.takes_over(0, ProcessSettings())
    said = parent.heard()
    assert [each.number("hand_over") for each in said] == [3, 0]
    limits = {"ready": 60.0, "hang": 15.0, "drain": 2.5, "workers": 1}
    assert said[0].fields["limits"] == limits


def test_a_node_waits_until_it_is_alone(parent: Parent) -> None:
    parent.channel.send("another kind")
    parent.channel.send("alone")
    parent.link.wait_until_alone()
    assert [each.kind for each in parent.heard()] == ["exclusive"]


def test_a_parent_that_is_gone_or_silent(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "PATIENCE", 0.01)
    with pytest.raises(ParentGone, match="has not answered 'listen'"):
        parent.link._ask("listen", "listening", patience=0.01)
    parent.channel.close()
    with pytest.raises(ParentGone, match="has ended"):
        parent.link.wait_until_alone()


# With the reactor.


def test_it_gives_signs_of_life_and_reports(parent: Parent) -> None:
    parent.start()
    assert parent.link in parent.reactor.readers
    parent.reactor.advance(HEARTBEAT)
    parent.link.ready()
    parent.link.serving("wampush on ws://")
    parent.link.failed("cannot listen")
    parent.link.reloaded(changed="websocket.listen")
    parent.link.handed_over(1.5)
    parent.link.hand_over_failed("it is gone", goes_on=True)
    said = parent.heard()
    assert [each.kind for each in said] == [
        *("heartbeat", "heartbeat", "ready", "serving", "failed", "reloaded"),
        *("handed_over", "hand_over_failed"),
    ]
    assert (said[3].text("status"), said[4].text("reason")) == (
        "wampush on ws://",
        "cannot listen",
    )
    assert (said[5].text("changed"), said[5].text("problem")) == ("websocket.listen", "")


def test_it_does_what_the_parent_says(parent: Parent) -> None:
    parent.channel.send("serve")
    parent.channel.send("a kind of another release")
    parent.channel.send("outcome", {"of": "reload", "is_done": False})
    parent.channel.send("reload")
    with socket.socket() as stream:
        parent.channel.send("hand_over", {}, descriptors=[stream.fileno()])
        parent.channel.send("take_over", {}, descriptors=[stream.fileno()])
    parent.channel.send("take_over")
    parent.link._on_message(Message("serve", {}))
    parent.start()
    parent.link.doRead()
    assert parent.calls == ["serve", "reload False", "reload", "hand over", "take over"]
    assert parent.link.logPrefix() == "parent"
    parent.link.connectionLost()


def test_a_mistake_does_not_cut_it_off(parent: Parent, log: list[str]) -> None:
    def fail() -> None:
        raise RuntimeError("a mistake")

    parent.start()
    assert parent.link._handlers is not None
    parent.link._handlers = replace(parent.link._handlers, serve=fail, reload=fail)
    parent.channel.send("serve")
    parent.channel.send("reload")
    parent.link.doRead()
    assert log == [
        "could not do what the parent process says: serve",
        "could not do what the parent process says: reload",
    ]
    assert parent.heard()[-1].text("problem") == "the server could not reload; its log says why"


def test_signs_of_life_are_due_with_what_else_happens_each_second(parent: Parent) -> None:
    parent.reactor.advance(0.25)
    parent.start()
    parent.heard()
    for seconds in (0.75, HEARTBEAT):
        parent.reactor.advance(seconds - 0.125)
        assert parent.heard() == []
        parent.reactor.advance(0.125)
        assert [each.kind for each in parent.heard()] == ["heartbeat"]


def test_it_stops_when_the_parent_is_gone(parent: Parent, log: list[str]) -> None:
    parent.start()
    parent.channel.close()
    parent.reactor.advance(HEARTBEAT)
    parent.link.ready()
    assert "the parent process cannot be reached" in log[0]
    parent.link.doRead()
    assert parent.calls == ["stop"]
    assert log[-1] == "the parent process has ended; stopping"
    parent.link.ready()
    parent.reactor.advance(HEARTBEAT)
    assert parent.link.fileno() == -1
    assert parent.reactor.getDelayedCalls() == []
