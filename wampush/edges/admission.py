"""Whether one more WebSocket may open.

Owns: the count of connections in all and by address, and the order of the checks.
Must not import: Twisted, Autobahn, the broker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from wampush.edges.handshake import HandshakeRefused
from wampush.edges.origins import Origins, Proxies, is_ip_address, is_loopback_name
from wampush.errors import CloseReason

#: Connections beyond the limit that are accepted only to be told so.
_REFUSED_AT_ONCE = 64


class Admission:
    """Counts what is open and judges what wants to open.

    :param most: connections at the same time.
    :param most_per_address: of these from one address, 0 for no limit of its own.
    :param origins: the pages that may connect.
    :param proxies: whose word on a client's address is believed.
    """

    def __init__(
        self, most: int, most_per_address: int, origins: Origins, proxies: Proxies
    ) -> None:
        self.most = most
        self._most_per_address = most_per_address
        self._origins = origins
        self._proxies = proxies
        self._open: Counter[str] = Counter()
        self.stopping = False

    def takes(self, connections: int) -> bool:
        """Whether an accepted socket is looked at; far beyond the limit it is closed at once.

        :param connections: how many there are.
        """
        return connections < self.most + _REFUSED_AT_ONCE

    def address(self, peer: str, headers: Mapping[str, str]) -> str:
        """The address of the client behind a connection.

        :param peer: the address at the other end of it.
        :param headers: of the handshake, by lower-case name.
        """
        return self._proxies.client(peer, headers)

    def admit(self, connections: int, address: str, headers: Mapping[str, str]) -> bool:
        """Let a WebSocket open.

        :param connections: how many there are, this one included.
        :param address: of the client.
        :param headers: of the handshake, by lower-case name.
        :returns: whether the address was counted, and :meth:`left` must be called.
        :raises HandshakeRefused: with the reason why not.
        """
        if self.stopping:
            raise HandshakeRefused(CloseReason.SHUTTING_DOWN)
        if connections > self.most:
            raise HandshakeRefused(CloseReason.TOO_MANY_CONNECTIONS, f"{self.most} are allowed.")
        if not self._origins.permit(headers):
            origin = headers.get("origin", "")[:100]
            raise HandshakeRefused(CloseReason.ORIGIN_FORBIDDEN, f"The origin is {origin!r}.")
        if not self._counts(address):
            return False
        if self._open[address] >= self._most_per_address:
            raise HandshakeRefused(
                CloseReason.TOO_MANY_FROM_ADDRESS, f"{self._most_per_address} are allowed."
            )
        self._open[address] += 1
        return True

    def _counts(self, address: str) -> bool:
        """Whether an address has a limit: not loopback, a trusted proxy or a UNIX socket."""
        return bool(
            self._most_per_address
            and is_ip_address(address)
            and not is_loopback_name(address)
            and not self._proxies.trusts(address)
        )

    def left(self, address: str) -> None:
        """A counted client is gone."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]
