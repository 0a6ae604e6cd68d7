"""A chat in which everybody has a name, and sees who joins and who leaves.

Owns: the component, and its messages. Must not import: anything of wampush but ``apps.component``.

Start it with this configuration::

    [[routes]]
    path = "/chat"
    component = "wampush.examples.named_chat:NamedChat"

A page connects to ``/chat?name=Ann`` and sends each message as a text. It receives JSON objects;
``time`` is in milliseconds since 1970, and ``people`` lists the names of those who are here::

    {"type": "welcome", "id": 3, "name": "Ann", "people": ["Ann", "Bob"]}
    {"type": "join", "name": "Carol", "time": 1790000000000, "people": [...]}
    {"type": "message", "id": 3, "name": "Ann", "time": 1790000000000, "text": "hello"}
    {"type": "leave", "name": "Bob", "time": 1790000000000, "people": [...]}

Everybody receives each message, its sender too; ``id`` shows which ones are one's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Final

from wampush.apps.component import Component, ComponentConnection

_NAME_LENGTH: Final = 40
_TEXT_LENGTH: Final = 2000
_UNSUPPORTED_DATA: Final = 1003
_TOO_LONG: Final = 4000


class NamedChat(Component):
    """Sends every message to all clients, with its sender's name and the time.

    :param now: returns the time in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._names: dict[ComponentConnection, str] = {}

    def on_open(self, conn: ComponentConnection) -> None:
        """Give the client its name, and announce it to the others."""
        wanted = conn.identity.user or _clean(conn.request.parameters.get("name", ""))
        name = self._free(wanted or f"Guest {conn.id}")
        self._announce("join", name, [*self._names.values(), name])
        self._names[conn] = name
        people = list(self._names.values())
        conn.send(_text({"type": "welcome", "id": conn.id, "name": name, "people": people}))

    def on_message(self, conn: ComponentConnection, data: str | bytes) -> None:
        """Send a text to everybody; end the connection of a client that sends anything else."""
        if isinstance(data, bytes):
            conn.close(_UNSUPPORTED_DATA, "Only text messages are accepted.")
        elif len(data) > _TEXT_LENGTH:
            conn.close(_TOO_LONG, f"A message has at most {_TEXT_LENGTH} characters.")
        elif data.strip():
            message = {"type": "message", "id": conn.id, "name": self._names[conn]}
            self._send({**message, "time": self._milliseconds(), "text": data})

    def on_close(self, conn: ComponentConnection) -> None:
        """Announce that the client has left."""
        name = self._names.pop(conn)
        self._announce("leave", name, list(self._names.values()))

    def _free(self, wanted: str) -> str:
        """Return the name, with a number if somebody else has it."""
        taken = {name.casefold() for name in self._names.values()}
        name, number = wanted, 1
        while name.casefold() in taken:
            number += 1
            name = f"{wanted} ({number})"
        return name

    def _announce(self, kind: str, name: str, people: list[str]) -> None:
        self._send({"type": kind, "name": name, "time": self._milliseconds(), "people": people})

    def _send(self, message: dict[str, object]) -> None:
        text = _text(message)
        for client in self._names:
            client.send(text)

    def _milliseconds(self) -> int:
        return round(self._now() * 1000)


def _clean(name: str) -> str:
    """Return a name on one line, without control characters and of limited length."""
    printable = "".join(each if each.isprintable() else " " for each in name)
    return " ".join(printable.split())[:_NAME_LENGTH].rstrip()


def _text(message: dict[str, object]) -> str:
    return json.dumps(message, ensure_ascii=False)
