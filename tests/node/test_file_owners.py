"""The files that a node needs after it has changed to another account."""

from __future__ import annotations

from typing import Any

import pytest

from wampush.config.settings import Settings
from wampush.net import listeners
from wampush.node.file_owners import give_files
from wampush.node.options import Account


class Part:
    """Stands for the sockets of a node, and for those of ZeroMQ."""

    def __init__(self) -> None:
        self.pull = self
        self.given: list[tuple[Any, ...]] = []

    def hand_over(self, user: int, group: int) -> None:
        self.given.append(("sockets", user, group))

    def socket_files(self) -> list[str]:
        return ["/run/pull"]


def test_sockets_and_files_get_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    part: Any = Part()
    monkeypatch.setattr(listeners, "change_owner", lambda *given: part.given.append(given))
    give_files(Account(4, 5), Settings(), part, part)
    assert part.given == [("sockets", 4, 5), ("/run/pull", 4, 5)]
