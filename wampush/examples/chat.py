"""A chat: who connects is announced to all others, and so is each message.

Owns: the chat component. Must not import: anything of wampush but ``apps.component``.

Start it with a configuration that holds::

    [[routes]]
    path = "/chat"
    component = "wampush.examples.chat:Chat"
"""

from __future__ import annotations

from wampush.apps.component import Component, ComponentConnection


class Chat(Component):
    """Relays every message to everybody else. An error ends the connection it came up on."""

    def __init__(self) -> None:
        self._clients: set[ComponentConnection] = set()

    def on_open(self, conn: ComponentConnection) -> None:
        """Tell the others who has come."""
        self._clients.add(conn)
        self._send_to_others(conn, f"Client {conn.id} connected.")

    def on_message(self, conn: ComponentConnection, data: str | bytes) -> None:
        """Pass a message on, text as text and binary as binary."""
        self._send_to_others(conn, data)

    def on_close(self, conn: ComponentConnection) -> None:
        """Nothing goes to this one any more."""
        self._clients.discard(conn)

    def _send_to_others(self, conn: ComponentConnection, data: str | bytes) -> None:
        for client in self._clients:
            if client is not conn:
                client.send(data)
