"""Whether one more WebSocket may open.

Owns: the count of connections in all, by address and by user, and the order of the checks.
Must not import: Twisted, Autobahn, the broker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.errors import CloseReason
from wampush.net.addresses import counted_as
from wampush.net.origins import Origins, Proxies

#: Connections beyond a limit that are accepted only to be told so.
_REFUSED_AT_ONCE = 64


class Admission:
    """Counts what is open and judges what wants to open.

    :param most: connections at the same time.
    :param most_per_address: of these from one address, 0 for no limit of its own.
    :param most_per_user: of these of one user, 0 for no limit of its own.
    :param origins: the pages that may connect.
    :param proxies: whose word on a client's address is believed.
    """

    def __init__(
        self,
        most: int,
        most_per_address: int,
        most_per_user: int,
        origins: Origins,
        proxies: Proxies,
    ) -> None:
        self.most = most
        self._most_per_address = most_per_address
        self._most_per_user = most_per_user
        self._origins = origins
        self._proxies = proxies
        self._open: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        self._arrived: Counter[str] = Counter()
        self.stopping = False

    def refuses(self, connections: int, peer: str) -> CloseReason | None:
        """Whether an accepted socket is not even looked at, because it is far beyond a limit.

        Without the limit by address here, one machine could take all places before any handshake.

        :param connections: how many there are.
        :param peer: the address at the other end.
        """
        if connections >= self.most + _REFUSED_AT_ONCE:
            return CloseReason.TOO_MANY_CONNECTIONS
        name = self._counted_as(peer)
        if name and self._arrived.get(name, 0) >= self._most_per_address + _REFUSED_AT_ONCE:
            return CloseReason.TOO_MANY_FROM_ADDRESS
        return None

    def arrive(self, peer: str) -> None:
        """Count one more socket from an address, whatever it is going to ask for."""
        name = self._counted_as(peer)
        if name is not None:
            self._arrived[name] += 1

    def depart(self, peer: str) -> None:
        """Count one socket from an address less."""
        name = self._counted_as(peer)
        if name is not None and name in self._arrived:
            _take_one(self._arrived, name)

    def admit(
        self,
        connections: int,
        peer: str,
        headers: Mapping[str, str],
        origins: Origins | None = None,
    ) -> Ticket:
        """Let a WebSocket open.

        :param connections: how many there are, this one included.
        :param peer: the address at the other end of the connection.
        :param headers: of the handshake, by lower-case name.
        :param origins: the pages that may connect; None for those that may everywhere.
        :returns: what has to be given back when the connection ends.
        :raises HandshakeRefused: with the reason why not.
        """
        if self.stopping:
            raise HandshakeRefused(CloseReason.SHUTTING_DOWN)
        if connections > self.most:
            raise HandshakeRefused(CloseReason.TOO_MANY_CONNECTIONS, f"{self.most} are allowed.")
        if not (origins or self._origins).permit(headers):
            origin = headers.get("origin", "")[:100]
            raise HandshakeRefused(CloseReason.ORIGIN_FORBIDDEN, f"The origin is {origin!r}.")
        address = self._proxies.client(peer, headers)
        name = self._counted_as(address)
        if name is not None:
            self._enter_address(name)
        return Ticket(self, address, name)

    def scheme(self, peer: str, headers: Mapping[str, str], secure: bool) -> str:
        """How a client connected: ``ws``, or ``wss`` through TLS.

        :param secure: whether the connection itself is TLS.
        """
        return self._proxies.scheme(peer, headers, secure)

    def enter_user(self, user: str) -> None:
        """Count one more session of a user.

        :raises HandshakeRefused: when the user has too many.
        """
        if self._most_per_user and self._users[user] >= self._most_per_user:
            raise HandshakeRefused(
                CloseReason.TOO_MANY_OF_USER, f"{self._most_per_user} are allowed."
            )
        self._users[user] += 1

    def leave_user(self, user: str) -> None:
        """Count one session of a user less."""
        _take_one(self._users, user)

    def leave_address(self, name: str) -> None:
        """Count one connection less for the name that an address is counted under."""
        _take_one(self._open, name)

    def _enter_address(self, name: str) -> None:
        if self._open[name] >= self._most_per_address:
            raise HandshakeRefused(
                CloseReason.TOO_MANY_FROM_ADDRESS,
                f"{self._most_per_address} are allowed from {name}.",
            )
        self._open[name] += 1

    def _counted_as(self, address: str) -> str | None:
        """Under which name an address is counted; None where it has no limit of its own.

        Loopback, trusted proxies and UNIX sockets have none.
        """
        if not self._most_per_address:
            return None
        name = counted_as(address)
        return None if name is None or self._proxies.trusts(address) else name


class Ticket:
    """What one connection counts for.

    :param admission: who gave it.
    :param address: of the client, proxies believed.
    :param counted_as: under which name it counts for its address; None when it does not.
    """

    __slots__ = ("_admission", "_counted_as", "_user", "address")

    def __init__(self, admission: Admission, address: str, counted_as: str | None) -> None:
        self._admission = admission
        self._counted_as = counted_as
        self._user: str | None = None
        self.address = address

    def belong_to(self, user: str | None) -> None:
        """Count for a user, and no longer for the one before.

        :param user: None for nobody.
        :raises HandshakeRefused: when the user has too many; then it counts for nobody.
        """
        if user == self._user:
            return
        if self._user is not None:
            self._admission.leave_user(self._user)
            self._user = None
        if user is not None:
            self._admission.enter_user(user)
            self._user = user

    def give_back(self) -> None:
        """The connection has ended."""
        self.belong_to(None)
        if self._counted_as is not None:
            self._admission.leave_address(self._counted_as)
            self._counted_as = None


def _take_one(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
