"""What users whose sessions have ended are known to have received."""

from __future__ import annotations

from wampush.broker.history.kept_positions import MOST_POSITIONS, KeptPositions
from wampush.broker.publication import Position


class Kept:
    def __init__(self, max_bytes: int = 1_000_000, per_address: int = 1000) -> None:
        self.now = 1000.0
        self.positions = KeptPositions(100.0, max_bytes, lambda: self.now, per_address)

    def keep(
        self,
        offset: int,
        user: str = "7",
        topic: str = "t",
        epoch: str = "e",
        address: str | None = None,
    ) -> None:
        self.positions.keep(user, topic, Position(epoch, offset), address)

    def offsets(self, user: str = "7", topic: str = "t") -> list[int]:
        return [each.offset for each in self.positions.of(user, topic)]


def test_positions_are_kept_for_a_while_by_user_and_topic() -> None:
    kept = Kept()
    kept.keep(5)
    kept.now += 60
    kept.keep(8)
    kept.keep(1, user="8")
    kept.keep(2, topic="u")
    assert kept.offsets() == [5, 8]
    kept.now += 41
    assert kept.offsets() == [8]
    kept.now += 60
    assert kept.offsets() == []
    kept.keep(9, user="9")
    # What is over goes with the next one that is kept.
    assert len(kept.positions._kept) == 1


def test_a_later_and_smaller_position_replaces_larger_ones() -> None:
    kept = Kept()
    for offset in (3, 5, 8, 5):
        kept.keep(offset)
    assert kept.offsets() == [3, 5]
    kept.keep(1, epoch="other")
    assert kept.offsets() == [3, 5, 1]


def test_of_many_positions_the_oldest_are_joined_to_the_smaller_one() -> None:
    kept = Kept()
    for offset in range(MOST_POSITIONS + 10):
        kept.keep(offset)
        kept.now += 1
    offsets = kept.offsets()
    assert len(offsets) == MOST_POSITIONS
    assert offsets[0] == 0
    assert offsets[-1] == MOST_POSITIONS + 9


def test_memory_is_limited_and_the_oldest_go_first() -> None:
    kept = Kept(max_bytes=10_000)
    for number in range(100):
        kept.keep(number, user=str(number))
        assert kept.positions.size <= 10_000
    assert kept.offsets(user="0") == []
    assert kept.offsets(user="99") == [99]
    kept.now += 101
    kept.keep(1)
    one = kept.positions.size
    kept.now += 101
    kept.keep(1)
    assert kept.positions.size == one


def test_an_address_has_so_many_entries() -> None:
    kept = Kept(per_address=2)
    kept.keep(1, user="local")
    for number, user in enumerate("abcb"):
        kept.keep(number, user=user, address="x")
    kept.keep(1, user="d", address="y")
    assert [kept.offsets(user) for user in "abcd"] == [[], [1, 3], [2], [1]]
    assert kept.offsets("local") == [1]
    # Somebody moves to another address.
    kept.keep(2, user="c", address="y")
    kept.keep(3, user="e", address="y")
    assert [kept.offsets(user) for user in "bcde"] == [[1, 3], [2], [], [3]]
    kept.now += 200
    kept.keep(1, user="f", address="z")
    assert set(kept.positions._of_address) == {"z"}
    assert len(kept.positions._address_of) == 1


def test_positions_go_on_in_another_process_as_long_as_before() -> None:
    kept, other = Kept(), Kept(per_address=1)
    kept.keep(5)
    kept.now += 60
    kept.keep(8, address="192.0.2.1")
    kept.keep(1, user="8", address="192.0.2.1")
    other.now = 7.0
    other.positions.restore(kept.positions.snapshot())
    assert other.offsets("8") == [1]
    # The limit by address holds here as well.
    assert other.offsets() == []
    third = Kept()
    third.now = 7.0
    third.positions.restore(kept.positions.snapshot())
    assert third.offsets() == [5, 8]
    third.now += 41
    assert third.offsets() == [8]
    assert third.positions.size == kept.positions.size
