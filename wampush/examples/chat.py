"""A chat that relays every message to all other clients, and announces those that connect.

Owns: the chat component. Must not import: anything of wampush but ``apps.component``.

Start it with this configuration::

    [[routes]]
    path = "/chat"
    component = "wampush.examples.chat:Chat"
"""

from __future__ import annotations

from wampush.apps.component import Component, ComponentConnection


class Chat(Component):
    """Relays every message to all other clients. An error ends the connection that caused it."""

    def __init__(self) -> None:
        self._clients: set[ComponentConnection] = set()

    def on_open(self, conn: ComponentConnection) -> None:
        """Announce the client to the others."""
        self._clients.add(conn)
        self._send_to_others(conn, f"Client {conn.id} connected.")

    def on_message(self, conn: ComponentConnection, data: str | bytes) -> None:
        """Relay a message, text as text and binary as binary."""
        self._send_to_others(conn, data)

    def on_close(self, conn: ComponentConnection) -> None:
        """Stop relaying to this client."""
        self._clients.discard(conn)

    def _send_to_others(self, conn: ComponentConnection, data: str | bytes) -> None:
        for client in self._clients:
            if client is not conn:
                client.send(data)
