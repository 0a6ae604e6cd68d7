"""The comparison of what a node knows with what the store has."""

from __future__ import annotations

import pytest

from wampush.broker.mirrors.contract import Run, Slice
from wampush.broker.mirrors.loss import Comparison, Known, compare
from wampush.broker.publication import Position

GOES_ON = Comparison(True, False, None, True)
#: Two servers; the second one lacked what the first had counted after 3.
TWO = (("a", 0), ("b", 3))


def found(epoch: str, offset: int, *runs: tuple[str, int], previous: str = "") -> Slice:
    return Slice(
        Position(epoch, offset), [Run(*run) for run in runs], previous, 0.0, (), (), is_whole=True
    )


@pytest.mark.parametrize(
    ("run", "offset", "there", "expected"),
    [
        # The same server, with as many events or more.
        ("a", 5, found("e", 5, ("a", 0)), GOES_ON),
        ("a", 5, found("e", 9, ("a", 0)), GOES_ON),
        # Another one, which had all events of the one before, or all that are known here.
        ("a", 5, found("e", 9, ("a", 0), ("b", 5)), GOES_ON),
        ("a", 5, found("e", 9, ("a", 0), ("b", 7)), GOES_ON),
        # One that lacked some, and has gone on with the same offsets.
        ("a", 5, found("e", 9, ("a", 0), ("b", 3)), Comparison(False, True, 3, False)),
        ("a", 5, found("e", 3, ("a", 0), ("b", 3)), Comparison(False, True, 3, False)),
        # After that yet another one.
        ("a", 5, found("e", 9, ("a", 0), ("b", 3), ("c", 8)), Comparison(False, True, 3, False)),
        ("b", 5, found("e", 9, ("a", 0), ("b", 3), ("c", 8)), GOES_ON),
        # One that goes back without a new run.
        ("a", 5, found("e", 3, ("a", 0)), Comparison(False, True, 3, False)),
        # The run is too long ago.
        ("old", 5, found("e", 9, ("b", 7)), Comparison(False, True, None, False)),
        ("old", 0, found("e", 9, ("b", 7)), GOES_ON),
        # The run is not known here, as after a hand-over.
        ("", 5, found("e", 9, ("b", 7)), GOES_ON),
        ("", 5, found("e", 3, ("b", 7)), Comparison(False, True, 3, False)),
        # Another node has ended the epoch.
        (
            "a",
            5,
            found("f", 9, ("a", 0), ("b", 3), previous="e"),
            Comparison(False, False, 3, False),
        ),
        (
            "a",
            3,
            found("f", 9, ("a", 0), ("b", 3), previous="e"),
            Comparison(False, False, 3, True),
        ),
        (
            "a",
            2,
            found("f", 9, ("a", 0), ("b", 3), previous="e"),
            Comparison(False, False, 2, True),
        ),
        ("old", 5, found("f", 9, ("b", 7), previous="e"), Comparison(False, False, None, False)),
        # The store was emptied: all that it has is new. Or it was emptied and has lost events.
        ("a", 5, found("f", 9, ("b", 0)), Comparison(False, False, 0, False)),
        ("a", 5, found("g", 9, ("b", 0), previous="f"), Comparison(False, False, None, False)),
    ],
)
def test_compare(run: str, offset: int, there: Slice, expected: Comparison) -> None:
    assert compare(Known(Position("e", offset), run), there) == expected
