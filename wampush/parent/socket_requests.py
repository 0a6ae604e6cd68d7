"""Nodes that ask for listening sockets.

Owns: when a node may have one, and the answer. Must not import: Twisted.
"""

from __future__ import annotations

from wampush.control_channel import Message
from wampush.parent.nodes.node_process import NodeProcess, NodeState
from wampush.parent.sockets.listening_sockets import ListeningSockets, NotManaged, description_of


def answer_request(node: NodeProcess, message: Message, sockets: ListeningSockets) -> None:
    """Give a node the listening socket that it asks for, or the reason why there is none."""
    if node.state is not NodeState.STARTING:
        # It has given up its privileges since, so it must not get what only they allow.
        node.send("listening", {"problem": "sockets are given out before a node is ready"})
        return
    address = (message.text("use"), message.text("address"), message.number("number"))
    try:
        listening = sockets.get(*address, worker=node.worker)
    except NotManaged:
        node.send("listening", {"is_unmanaged": True})
    except OSError as error:
        node.send("listening", description_of(error))
    else:
        node.addresses.add(address)
        node.send("listening", {}, (listening.fileno(),))
