"""Numbers without a JSON form are found wherever orjson would write null for them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date
from enum import Enum
from math import inf, nan

import orjson
import pytest

from wampush.finite_numbers import has_other_numbers


class Size(Enum):
    ENDLESS = inf
    NONE = None


@dataclass
class Price:
    amount: object


@pytest.mark.parametrize(
    "value",
    [nan, inf, -inf, [1, nan], {"a": {"b": inf}}, (None, nan), Price(nan), Size.ENDLESS],
)
def test_others_are_found(value: object) -> None:
    assert has_other_numbers(value, orjson.dumps(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "null",
        1.5,
        [None, 1e300],
        {"a": None},
        Price(None),
        [Price(Price(1.0)), None],
        [Size.NONE],
        [uuid.UUID(int=1), date(2026, 1, 1), None],
    ],
)
def test_what_json_can_express_passes(value: object) -> None:
    assert not has_other_numbers(value, orjson.dumps(value))
