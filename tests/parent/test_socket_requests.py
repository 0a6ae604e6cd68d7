"""Nodes that ask for listening sockets."""

from __future__ import annotations

import socket

from tests.parent.node_processes import FakeNode, fake_node
from wampush.control_channel import Message
from wampush.parent.nodes.node_process import NodeState
from wampush.parent.socket_requests import answer_request
from wampush.parent.sockets.listening_sockets import ListeningSockets


def asked(node: FakeNode, sockets: ListeningSockets, address: str) -> Message:
    request = {"use": "websocket", "address": address, "number": 0}
    answer_request(node, Message("listen", request), sockets)
    (answer,) = node.heard()
    assert answer.kind == "listening"
    return answer


def test_a_node_that_starts_gets_sockets_or_reasons() -> None:
    sockets = ListeningSockets()
    with fake_node() as node:
        answer = asked(node, sockets, "tcp:0:interface=127.0.0.1")
        with socket.socket(fileno=answer.descriptors[0]) as listening:
            assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert node.addresses == {("websocket", "tcp:0:interface=127.0.0.1", 0)}
        assert asked(node, sockets, "onion:80").fields["is_unmanaged"] is True
        problem = asked(node, sockets, "tcp:0:interface=192.0.2.1")
        assert problem.text("problem") == "Cannot assign requested address"
        assert len(node.addresses) == 1
    sockets.close(("websocket",))


def test_a_node_that_has_started_gets_none() -> None:
    with fake_node() as node:
        node.move(NodeState.READY)
        answer = asked(node, ListeningSockets(), "tcp:0:interface=127.0.0.1")
        assert answer.descriptors == ()
        assert "before a node is ready" in answer.text("problem")
