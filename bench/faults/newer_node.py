"""twistd of a later version: its messages to other nodes have fields that the present one does not
know.

Owns: these fields. It changes the code of wampush in this process, and nothing else does so.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from twisted.scripts.twistd import run

_FIELDS: Final = b'{"later":{"shard":[1,"}"]},'


def _change() -> None:
    """Have all messages begin with fields of a later version."""
    message: Any = import_module("wampush.broker.backplane.node_message")
    header = message.header

    def later(text: bytes) -> bytes:
        return text.replace(b"{", _FIELDS, 1)

    # Before other modules take the function out of this one.
    message.header = lambda each: later(header(each))
    topics: Any = import_module("wampush.broker.backplane.plain_topics").PlainTopics
    begin = topics.__init__

    def begin_later(self: Any, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self.beginning = later(self.beginning)

    topics.__init__ = begin_later


if __name__ == "__main__":
    _change()
    run()
