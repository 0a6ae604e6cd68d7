"""Limits on how many WebSocket connections are open.

Owns: the counts of connections in total, per address and per user, and the order of the checks.
Must not import: Twisted, Autobahn, the broker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

from wampush.edges.access_log import AccessRecord
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.edges.websocket.message_budgets import MessageBudgets
from wampush.errors import CloseReason
from wampush.known_fields import known_fields
from wampush.net.addresses import counting_key
from wampush.net.origins import Origins, is_direct_from_loopback, objection_without_origin
from wampush.net.trusted_proxies import Proxies

#: Sockets beyond a limit that are still accepted, so that their requests can be answered.
_ANSWERED_BEYOND_LIMIT: Final = 64


# Not frozen, which would take a tenth of the time of a move.
@dataclass(slots=True, kw_only=True)
class TicketState:
    """What one connection counts for, as JSON values.

    :param peer: the address at the other end of the connection.
    :param address: the client's address.
    :param user: None for nobody.
    :param allowance: messages that it may send before it has earned more; None before it opens.
    :param record: for the access log; None where there is none.
    """

    peer: str
    address: str
    user: str | None = None
    allowance: float | None = None
    record: Mapping[str, Any] | None = None


class Admission:
    """Counts open connections and decides whether one more may open.

    :param max_connections: connections at the same time.
    :param max_per_address: connections from one address, 0 for no limit per address.
    :param max_per_user: connections of one user, 0 for no limit per user.
    :param origins: the pages that may connect where a route names none.
    :param budgets: how many messages the clients of an address may send.
    :param proxies: reverse proxies whose forwarding headers are trusted.
    """

    def __init__(
        self,
        *,
        max_connections: int,
        max_per_address: int,
        max_per_user: int,
        origins: Origins,
        proxies: Proxies,
        budgets: MessageBudgets,
    ) -> None:
        self._max_connections = max_connections
        self._max_per_address = max_per_address
        self._max_per_user = max_per_user
        self._origins = origins
        self.proxies: Final = proxies
        self.budgets: Final = budgets
        self._stopping = False
        self._loopback_only = True
        #: Accepted sockets, whether their handshake is complete or not.
        self.connections = 0
        self._sockets: Counter[str] = Counter()
        self._admitted: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        #: See :meth:`_counted_as`; asked three times for each connection.
        self.counted_as: Final = lru_cache(maxsize=4096)(self._counted_as)

    def stop(self) -> None:
        """Refuse every handshake from now on."""
        self._stopping = True

    def allow_public_names(self) -> None:
        """Let same-host pages have any name, because other machines can connect as well.

        Before, only pages of names of loopback can have the same host, unless a proxy forwards for
        them: the owner of a site can make its name resolve to 127.0.0.1 (DNS rebinding).
        """
        self._loopback_only = False

    def rejects(self, peer: str) -> CloseReason | None:
        """Return why a new socket is closed before its request is read; None to go on.

        That is so far beyond a limit only. Without the check per address, one machine could take
        all places before any handshake.

        :param peer: the address at the other end of the socket.
        """
        if self.connections >= self._max_connections + _ANSWERED_BEYOND_LIMIT:
            return CloseReason.TOO_MANY_CONNECTIONS
        name = self.counted_as(peer)
        if name and self._sockets.get(name, 0) >= self._max_per_address + _ANSWERED_BEYOND_LIMIT:
            return CloseReason.TOO_MANY_FROM_ADDRESS
        return None

    def arrive(self, peer: str) -> Ticket:
        """Count one more socket, whatever its request will be.

        :param peer: the address at the other end of the socket.
        :returns: what the connection counts for; give it back when the connection is lost.
        """
        self.connections += 1
        name = self.counted_as(peer)
        if name is not None:
            self._sockets[name] += 1
        return Ticket(self, peer, name)

    def resume(self, state: TicketState, now: float) -> Ticket:
        """Count a connection that another process had, whatever the limits are here.

        :param state: see :meth:`Ticket.snapshot`.
        :param now: the time in seconds, as for tickets.
        """
        ticket = self.arrive(state.peer)
        ticket.resume(state, now)
        return ticket

    def enter(self, address: str, user: str | None) -> str | None:
        """Count a connection that is open already for its address and its user.

        :returns: the name under which the address is counted, if it is.
        """
        name = self.counted_as(address)
        if name is not None:
            self._admitted[name] += 1
        if user is not None:
            self._users[user] += 1
        return name

    def _counted_as(self, address: str) -> str | None:
        """Return the name under which an address is counted; None where no limit applies to it.

        Loopback, trusted proxies and UNIX sockets have no limit per address.
        """
        if not self._max_per_address:
            return None
        name = counting_key(address)
        return None if name is None or self.proxies.trusts(address) else name

    def has_one(self, name: str | None) -> bool:
        """Whether an address has a single connection."""
        return name is None or self._admitted[name] <= 1

    # For tickets.

    def depart(self, name: str | None) -> None:
        """Count one socket less.

        :param name: under which its address is counted, if it is.
        """
        self.connections -= 1
        if name is not None:
            _decrement(self._sockets, name)

    def enter_address(
        self, peer: str, headers: Mapping[str, str], origins: Origins | None, *, is_plain: bool
    ) -> tuple[str, str | None]:
        """Check a handshake, and count it for the address of its client.

        :param peer: the address at the other end of the socket.
        :param headers: by lower-case name.
        :param origins: the pages that may connect; None for those of ``[websocket]``.
        :param is_plain: whether it is an ordinary request, which may lack the header Origin.
        :returns: the client's address, and the name under which it was counted, if it was.
        :raises HandshakeRefused: when the connection must not open.
        """
        if self._stopping:
            raise HandshakeRefused(CloseReason.SHUTTING_DOWN)
        most = self._max_connections
        if self.connections > most:
            raise HandshakeRefused(CloseReason.TOO_MANY_CONNECTIONS, f"{most} are allowed.")
        origins = origins or self._origins
        restricted = (
            self._loopback_only
            and (is_plain or "origin" in headers)
            and is_direct_from_loopback(peer, headers)
        )
        if is_plain:
            objection = objection_without_origin(headers, loopback_only=restricted)
            if objection is not None:
                raise HandshakeRefused(CloseReason.ORIGIN_FORBIDDEN, objection)
        if not origins.permits(headers, loopback_only=restricted):
            detail = origins.objection(headers, loopback_only=restricted)
            raise HandshakeRefused(CloseReason.ORIGIN_FORBIDDEN, detail)
        address = self.proxies.client_address(peer, headers)
        name = self.counted_as(address)
        if name is not None:
            most = self._max_per_address
            if self._admitted[name] >= most:
                detail = f"{most} are allowed from {name}."
                raise HandshakeRefused(CloseReason.TOO_MANY_FROM_ADDRESS, detail)
            self._admitted[name] += 1
        return address, name

    def leave_address(self, name: str) -> None:
        """Count one connection less for an address.

        :param name: under which the address is counted.
        """
        _decrement(self._admitted, name)

    def enter_user(self, user: str) -> None:
        """Count one more connection of a user.

        :raises HandshakeRefused: when the user has too many.
        """
        most = self._max_per_user
        if most and self._users[user] >= most:
            raise HandshakeRefused(CloseReason.TOO_MANY_OF_USER, f"{most} are allowed.")
        self._users[user] += 1

    def leave_user(self, user: str) -> None:
        """Count one connection of a user less."""
        _decrement(self._users, user)


class Ticket:
    """What one connection counts for: a socket, an address, a user.

    :param admission: keeps the counts.
    :param peer: the address at the other end of the socket.
    :param socket_name: the name under which the socket is counted, if it is.
    """

    __slots__ = (
        "_address_name",
        "_admission",
        "_renewed_at",
        "_socket_name",
        "_used",
        "_user",
        "address",
        "peer",
        "record",
    )

    def __init__(self, admission: Admission, peer: str, socket_name: str | None) -> None:
        self._admission = admission
        self._socket_name = socket_name
        self._address_name: str | None = None
        self._user: str | None = None
        # Messages of its burst that the client has used; None before it opens. Mostly a small
        # whole number, of which there is one object.
        self._used: float | None = None
        self._renewed_at = 0.0
        #: The address at the other end of the connection.
        self.peer = peer
        #: The client's address: the peer's until a trusted proxy reports another one.
        self.address = peer
        #: For the access log; None where there is none.
        self.record: AccessRecord | None = None

    @property
    def name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""
        return self._address_name or self._socket_name

    def admit(
        self,
        peer: str,
        headers: Mapping[str, str],
        origins: Origins | None = None,
        *,
        is_plain: bool = False,
    ) -> None:
        """Let the WebSocket open, or an ordinary request be answered.

        :param peer: the address at the other end of the connection; with the PROXY protocol, it is
            known only by now.
        :param headers: of the handshake, by lower-case name.
        :param origins: the pages that may connect; None for those of ``[websocket]``.
        :param is_plain: whether it is an ordinary request, which may lack the header Origin.
        :raises HandshakeRefused: when it must not open.
        """
        self.peer = self.address = peer
        admission = self._admission
        self.address, self._address_name = admission.enter_address(
            peer, headers, origins, is_plain=is_plain
        )

    def on_request(self, method: str, target: str) -> None:
        """Note for the access log what the client asks for.

        :param method: of the request, or "WebSocket".
        :param target: path and query as sent.
        """
        if self.record is not None:
            self.record.on_request(method, target)

    def scheme(self, headers: Mapping[str, str], secure: bool) -> str:
        """Return how the client connected: ``ws``, or ``wss`` through TLS.

        :param headers: of the handshake, by lower-case name.
        :param secure: whether the socket itself is TLS.
        """
        return self._admission.proxies.scheme(self.peer, headers, secure)

    def belong_to(self, user: str | None) -> None:
        """Count for a user, and no longer for the one before.

        :param user: None for nobody.
        :raises HandshakeRefused: when the user has too many connections; the ticket then counts
            for nobody.
        """
        if user == self._user:
            return
        if self._user is not None:
            self._admission.leave_user(self._user)
            self._user = None
        if user is not None:
            self._admission.enter_user(user)
            self._user = user

    def on_open(self, now: float) -> None:
        """Let the client send messages.

        :param now: the time in seconds, for all of these.
        """
        name, budgets = self._address_name, self._admission.budgets
        allowance = budgets.on_open(name, self._admission.has_one(name), now)
        self._used = budgets.limits.message_burst - allowance or 0
        self._renewed_at = now

    def spend(self, now: float) -> bool:
        """Count one message; return whether the client may send it."""
        budgets = self._admission.budgets
        self._used = used = self._still_used(now) + 1
        return used <= budgets.limits.message_burst and budgets.spend(self._address_name, now)

    def _still_used(self, now: float) -> float:
        used = self._used or 0
        if now != self._renewed_at:
            used = self._admission.budgets.limits.still_used(used, now - self._renewed_at)
            self._renewed_at = now
        return used

    def _left(self, now: float) -> float:
        return self._admission.budgets.limits.message_burst - self._still_used(now)

    def snapshot(self, now: float) -> dict[str, Any]:
        """Return what the connection counts for, for another process.

        :param now: the time in seconds, as for the other methods.
        :returns: the values of a :class:`TicketState`.
        """
        values: dict[str, Any] = {"peer": self.peer, "address": self.address, "user": self._user}
        if self._used is not None:
            values["allowance"] = self._left(now)
        if self.record is not None:
            values["record"] = asdict(self.record)
        return values

    def resume(self, state: TicketState, now: float) -> None:
        """Count for the same as in another process."""
        self.address = state.address
        self._address_name = self._admission.enter(state.address, state.user)
        self._user = state.user
        self.record = record_of(state)
        if state.allowance is not None:
            most = self._admission.budgets.limits.message_burst
            self._used = max(0, most - state.allowance)
        self._renewed_at = now

    def give_back(self, now: float) -> None:
        """Count for nothing any more; call it once, when the connection is lost."""
        self.belong_to(None)
        if self._used is not None:
            self._admission.budgets.on_closed(self._address_name, self._left(now), now)
        if self._address_name is not None:
            self._admission.leave_address(self._address_name)
            self._address_name = None
        self._admission.depart(self._socket_name)


def record_of(state: TicketState) -> AccessRecord | None:
    """Return what another process has noted for the access log; None where it had none."""
    if state.record is None:
        return None
    return AccessRecord(**known_fields(AccessRecord, state.record))


def _decrement(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
