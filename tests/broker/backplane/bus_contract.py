"""What every bus does; each variant has a test that runs these steps on it.

A variant gives a ``Setting``: it makes links, lets time pass until something holds, and can lose
the links and bring them back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from wampush.broker.backplane.contract import Bus


class Setting(Protocol):
    """One bus under test."""

    def link(self) -> Bus:
        """A link of one more node."""

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Let time pass until something holds; fails if it takes too long."""

    def cut(self) -> None:
        """Have all links lost."""

    def restore(self) -> None:
        """Let links be joined again."""


class Node:
    """Records what a link brings."""

    def __init__(self, setting: Setting) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.followed: list[str] = []
        self.events: list[str] = []
        self.sent: list[int | None] = []
        self._setting = setting
        self.link = setting.link()
        self.link.start(self)

    def on_message(self, channel: str, message: bytes) -> None:
        self.messages.append((channel, message))

    def on_followed(self, channels: Collection[str]) -> None:
        self.followed.extend(channels)

    def on_joined(self) -> None:
        self.events.append("joined")

    def on_left(self, problem: str) -> None:
        assert problem
        self.events.append("left")

    def join(self) -> Node:
        self._setting.wait_until(lambda: self.link.is_joined)
        return self

    def follow(self, *channels: str) -> None:
        before = len(self.followed)
        self.link.follow(channels)
        self._setting.wait_until(lambda: len(self.followed) >= before + len(channels))
        assert set(self.followed[before:]) == set(channels)

    def publish(self, channel: str, message: bytes) -> int | None:
        before = len(self.sent)
        self.link.publish(channel, message, self.sent.append)
        assert len(self.sent) == before, "answered within the call"
        self._setting.wait_until(lambda: len(self.sent) > before)
        return self.sent[before]


def nodes_that_follow_get_a_message_the_sender_included(setting: Setting) -> None:
    first, second, third = (Node(setting).join() for _ in range(3))
    first.follow("t:a")
    second.follow("t:a", "t:ä b")
    assert first.publish("t:a", b"one\r\n\0") == 2
    assert third.publish("t:ä b", b"two") == 1
    assert third.publish("t:nobody", b"three") == 0
    setting.wait_until(lambda: first.messages and len(second.messages) == 2)
    assert first.messages == [("t:a", b"one\r\n\0")]
    assert second.messages == [("t:a", b"one\r\n\0"), ("t:ä b", b"two")]
    assert not third.messages


def all_nodes_get_the_messages_of_a_channel_in_the_same_order(setting: Setting) -> None:
    nodes = [Node(setting).join() for _ in range(3)]
    for each in nodes:
        each.follow("t:a")
    for number in range(50):
        for name, each in enumerate(nodes):
            each.link.publish("t:a", b"%d.%d" % (name, number), each.sent.append)
    setting.wait_until(lambda: all(len(each.messages) == 150 for each in nodes))
    assert nodes[0].messages == nodes[1].messages == nodes[2].messages
    for name in range(3):
        own = [text for _, text in nodes[0].messages if text.startswith(b"%d." % name)]
        assert own == [b"%d.%d" % (name, number) for number in range(50)]
    setting.wait_until(lambda: all(each.sent == [3] * 50 for each in nodes))


def messages_of_different_channels_keep_their_order(setting: Setting) -> None:
    nodes = [Node(setting).join() for _ in range(2)]
    for each in nodes:
        each.follow("t:a", "t:b", "c:all")
    for number in range(50):
        for name, each in enumerate(nodes):
            channel = ("t:a", "t:b", "c:all")[(number + name) % 3]
            each.link.publish(channel, b"%d.%d" % (name, number), each.sent.append)
    setting.wait_until(lambda: all(len(each.messages) == 100 for each in nodes))
    assert nodes[0].messages == nodes[1].messages
    for name in range(2):
        own = [text for _, text in nodes[0].messages if text.startswith(b"%d." % name)]
        assert own == [b"%d.%d" % (name, number) for number in range(50)]


def unfollowed_channels_bring_nothing(setting: Setting) -> None:
    node, other = Node(setting).join(), Node(setting).join()
    node.follow("t:a", "t:b")
    node.link.unfollow(["t:a"])
    setting.wait_until(lambda: other.publish("t:a", b"x") == 0)
    node.messages.clear()
    assert other.publish("t:a", b"y") == 0
    assert other.publish("t:b", b"z") == 1
    setting.wait_until(lambda: node.messages)
    assert node.messages == [("t:b", b"z")]


def after_a_loss_everything_is_followed_again(setting: Setting) -> None:
    node, other = Node(setting).join(), Node(setting).join()
    node.follow("t:a", "t:b", "t:gone")
    node.link.unfollow(["t:gone"])
    setting.cut()
    setting.wait_until(lambda: node.events == other.events == ["joined", "left"])
    assert not node.link.is_joined
    assert node.link.problem
    node.followed.clear()
    # What is asked for meanwhile is followed, too.
    node.link.follow(["t:c"])
    assert node.publish("t:a", b"lost") is None
    setting.restore()
    setting.wait_until(lambda: node.events == other.events == ["joined", "left", "joined"])
    assert set(node.followed) == {"t:a", "t:b", "t:c"}
    assert not node.link.problem
    assert other.publish("t:c", b"back") == 1
    assert other.publish("t:gone", b"x") == 0
    setting.wait_until(lambda: node.messages)
    assert node.messages == [("t:c", b"back")]


def many_channels_are_followed(setting: Setting) -> None:
    node, other = Node(setting).join(), Node(setting).join()
    node.follow(*(f"t:{number}" for number in range(1500)))
    assert other.publish("t:0", b"first") == 1
    assert other.publish("t:1499", b"last") == 1
    setting.wait_until(lambda: len(node.messages) == 2)


def a_message_that_is_unanswered_at_the_loss_is_reported_once(setting: Setting) -> None:
    node = Node(setting).join()
    node.follow("t:a")
    node.link.publish("t:a", b"x", node.sent.append)
    setting.cut()
    setting.wait_until(lambda: node.events == ["joined", "left"] and node.sent)
    assert len(node.sent) == 1


CONTRACT = (
    nodes_that_follow_get_a_message_the_sender_included,
    all_nodes_get_the_messages_of_a_channel_in_the_same_order,
    messages_of_different_channels_keep_their_order,
    unfollowed_channels_bring_nothing,
    after_a_loss_everything_is_followed_again,
    many_channels_are_followed,
    a_message_that_is_unanswered_at_the_loss_is_reported_once,
)
