"""Which connections have a place, and which one makes room for another."""

from __future__ import annotations

from dataclasses import dataclass

from wampush.edges.http.connection_places import ConnectionPlaces


@dataclass(eq=False)
class Connection:
    address: str = "192.0.2.1"
    can_give_way: bool = True


def counted_as(address: str) -> str | None:
    return None if address.startswith("127.") else address


def test_places_are_counted_in_total_and_per_address() -> None:
    places: ConnectionPlaces[Connection] = ConnectionPlaces(3, 2, counted_as)
    first, second = Connection(), Connection()
    places.take(first)
    assert not places.address_is_full("192.0.2.1")
    places.take(second)
    assert places.address_is_full("192.0.2.1")
    assert not places.address_is_full("192.0.2.2")
    assert not places.is_full()
    places.take(Connection("192.0.2.2"))
    assert places.is_full()
    places.free(first)
    places.free(first)
    assert len(places) == 2
    assert not places.address_is_full("192.0.2.1")


def test_addresses_without_a_name_have_no_limit() -> None:
    places: ConnectionPlaces[Connection] = ConnectionPlaces(10, 1, counted_as)
    for _ in range(3):
        assert not places.address_is_full("127.0.0.1")
        places.take(Connection("127.0.0.1"))
    unlimited: ConnectionPlaces[Connection] = ConnectionPlaces(10, 0, counted_as)
    for _ in range(3):
        unlimited.take(Connection())
    assert not unlimited.address_is_full("192.0.2.1")


def test_the_oldest_that_may_gives_way() -> None:
    places: ConnectionPlaces[Connection] = ConnectionPlaces(3, 0, counted_as)
    assert places.oldest_that_gives_way() is None
    stays, old, new = Connection(can_give_way=False), Connection(), Connection()
    for each in (stays, old, new):
        places.take(each)
    assert places.oldest_that_gives_way() is old
    old.can_give_way = new.can_give_way = False
    assert places.oldest_that_gives_way() is None
