"""The channel between parent and node: whole messages, with descriptors."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from wampush.control_channel import ControlChannel

Ends = tuple[ControlChannel, ControlChannel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = ControlChannel.pair()
    yield one, other
    one.close()
    other.close()


def test_a_message_arrives_as_a_whole(ends: Ends) -> None:
    one, other = ends
    assert other.receive() is None
    one.send("listen", {"address": "tcp:8080", "number": 3})
    one.send("ready")
    message = other.wait(20)
    assert message is not None
    assert message.kind == "listen"
    assert (message.text("address"), message.number("number")) == ("tcp:8080", 3)
    assert (message.text("number"), message.text("missing"), message.number("address")) == (
        "",
        "",
        0,
    )
    assert message.fields["version"] == 1
    following = other.receive()
    assert following is not None
    assert following.kind == "ready"
    assert other.receive() is None


def test_descriptors_come_with_their_message(ends: Ends) -> None:
    one, other = ends
    with socket.create_server(("127.0.0.1", 0)) as server:
        one.send("listening", descriptors=[server.fileno()])
        one.send("later")
        message = other.wait(20)
        assert message is not None
        (descriptor,) = message.descriptors
        assert not os.get_inheritable(descriptor)
        with socket.socket(fileno=os.dup(descriptor)) as same:
            assert same.getsockname() == server.getsockname()
        message.close_descriptors()
        with pytest.raises(OSError):
            os.fstat(descriptor)
        following = other.receive()
        assert following is not None
        assert following.descriptors == ()


def test_an_end_that_is_closed_is_noticed_on_the_other_side(ends: Ends) -> None:
    one, other = ends
    other.close()
    with pytest.raises(ConnectionError):
        one.send("ready")
    with pytest.raises(ConnectionError):
        one.receive()
    assert other.fileno() == -1


def test_nobody_waits_for_ever_for_an_end_that_does_not_read(ends: Ends) -> None:
    one, _ = ends

    def fill() -> None:
        while True:
            one.send("heartbeat", {"text": "x" * 10_000}, patience=0.0)

    with pytest.raises(ConnectionError, match="cannot send 'heartbeat'"):
        fill()


@pytest.mark.parametrize("data", [b"no JSON", b"[]", b'{"kind": 1}', b'{"version": 1}'])
def test_what_is_not_a_message_breaks_the_channel(data: bytes) -> None:
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = ControlChannel(ours)
    with theirs:
        socket.send_fds(theirs, [data], [theirs.fileno()])
        with pytest.raises(ConnectionError, match="not a message"):
            channel.receive()
    channel.close()


def test_an_end_is_inherited_by_its_number() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.set_inheritable(True)
    descriptor = other.detach()
    channel = ControlChannel.of_descriptor(descriptor)
    assert not os.get_inheritable(descriptor)
    with one:
        channel.send("ready")
        assert b'"ready"' in one.recv(1000)
    channel.close()
