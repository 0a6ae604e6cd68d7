"""The places of the HTTP port: which connections it has room for.

Owns: the number of connections in total and per address, and which one makes room for another.
Must not import: the rest of the HTTP port, the broker.

Requests that carry the token must get through however many strangers are connected. Who carries it
is known only after the header. So a full port does not turn the newcomer away: the connection that
has waited longest for its peer, and has not shown the token, makes room for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, Generic, Protocol, TypeVar


class Occupant(Protocol):
    """What a place needs to know of the connection that has it."""

    @property
    def can_give_way(self) -> bool:
        """Whether it waits for its peer, and its last request was not permitted to see state."""

    @property
    def address(self) -> str:
        """The address of its peer."""


Connection = TypeVar("Connection", bound=Occupant)


class ConnectionPlaces(Generic[Connection]):
    """The connections that have a place.

    :param most: connections at the same time.
    :param most_per_address: of these, from one address; 0 for no limit.
    :param counted_as: returns under which name an address is counted; None for one without a limit.
    """

    def __init__(
        self, most: int, most_per_address: int, counted_as: Callable[[str], str | None]
    ) -> None:
        self._most: Final = most
        self._most_per_address: Final = most_per_address
        self._counted_as: Final = counted_as
        #: By age.
        self._connections: dict[Connection, str | None] = {}
        self._addresses: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._connections)

    def address_is_full(self, address: str) -> bool:
        """Whether an address has all the places that one address may have."""
        name = self._name(address)
        return name is not None and self._addresses[name] >= self._most_per_address

    def is_full(self) -> bool:
        """Whether there is no place without an occupant."""
        return len(self._connections) >= self._most

    def oldest_that_gives_way(self) -> Connection | None:
        """Return the connection that makes room for a newcomer; None when all must stay."""
        return next((each for each in self._connections if each.can_give_way), None)

    def take(self, connection: Connection) -> None:
        """Give a connection a place."""
        name = self._connections[connection] = self._name(connection.address)
        if name is not None:
            self._addresses[name] += 1

    def free(self, connection: Connection) -> None:
        """Free the place of a connection; do nothing when it has none."""
        name = self._connections.pop(connection, None)
        if name is not None:
            self._addresses[name] -= 1
            if not self._addresses[name]:
                del self._addresses[name]

    def _name(self, address: str) -> str | None:
        return self._counted_as(address) if self._most_per_address else None
