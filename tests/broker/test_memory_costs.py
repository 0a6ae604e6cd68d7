"""The estimates are upper bounds of what things take, measured with tracemalloc."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from functools import partial

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.broker import memory_costs, subscription_index
from wampush.broker.memory_costs import (
    audience_bytes,
    component_message_bytes,
    decoded_bytes,
    handshake_bytes,
    named_bytes,
    pending_bytes,
    prefix_bytes,
    request_bytes,
    subscription_bytes,
    unfinished_bytes,
)
from wampush.broker.publication import Audience, Targets
from wampush.broker.subscription_index import SubscriptionIndex
from wampush.config.tables.limits import LimitSettings
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.websocket import http_upgrade
from wampush.wamp.session import PrefixLimits, WampSession
from wampush.wamp.uris import WAMP1

ASTRAL = "\N{GRINNING FACE}"


def measured(make: Callable[[], object]) -> int:
    """The bytes that the result of a function takes."""
    # Garbage of before that is collected meanwhile would be subtracted.
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = make()
        after = tracemalloc.get_traced_memory()[0]
        del kept
    finally:
        tracemalloc.stop()
        gc.enable()
    return after - before


class SimpleSession:
    """A subscriber."""

    __slots__ = ("topics",)

    def __init__(self) -> None:
        self.topics: frozenset[str] | set[str] = subscription_index.NO_TOPICS


@pytest.mark.parametrize("filling", ["x" * 200, "ü" * 200, "x" * 200 + ASTRAL])
@pytest.mark.parametrize("per_session", [1, 20, 400])
def test_subscriptions(filling: str, per_session: int) -> None:
    sessions = [SimpleSession() for _ in range(2000 // per_session)]

    def subscribe() -> SubscriptionIndex[SimpleSession]:
        index: SubscriptionIndex[SimpleSession] = SubscriptionIndex()
        for number, session in enumerate(sessions):
            for topic in range(per_session):
                index.add(session, f"{number:08}{topic:08}{filling}")
        # The sets that could be shared are kept once for the node, a bounded number of them.
        subscription_index._shared_set.cache_clear()
        return index

    taken = measured(subscribe) / 2000
    estimate = subscription_bytes("0" * 16 + filling)
    assert taken <= estimate, f"{taken} bytes each"
    assert taken > memory_costs.SUBSCRIPTION / 2


@pytest.mark.parametrize("filling", ["x" * 100, "x" * 100 + ASTRAL])
def test_prefixes(filling: str) -> None:
    session = WampSession(WAMP1, "test", PrefixLimits(100, 10_000))
    texts = [
        orjson.dumps([1, f"{number:03}{filling}", f"{number:03}{filling}:"])
        for number in range(100)
    ]

    def define() -> None:
        for text in texts:
            session.receive(text)

    taken = measured(define) / 100
    assert taken <= prefix_bytes("000" + filling, f"000{filling}:"), f"{taken} bytes each"


JSON_TEXTS = {
    "lists": "[]",
    "objects": "{}",
    "lists of one": "[0]",
    "objects of one": '{"":0}',
    "deep lists": "[" * 1000 + "]" * 1000,
    "deep objects": '{"":' * 900 + "0" + "}" * 900,
    "floats": "1.5",
    "integers": "1000",
    "empty strings": '""',
    "strings": '"ab"',
    "wide strings": f'"{"a" * 1000}{ASTRAL}"',
    "escaped wide strings": '"' + "a" * 1000 + '\\ud83d\\ude00"',
    "short wide strings": f'"{ASTRAL}"',
}


@pytest.mark.parametrize("unit", JSON_TEXTS.values(), ids=list(JSON_TEXTS))
def test_decoded_json(unit: str) -> None:
    text = ("[" + ",".join([unit] * (20_000 // len(unit))) + "]").encode()
    taken = measured(lambda: orjson.loads(text))
    assert taken <= decoded_bytes(text)


def test_objects_with_many_keys() -> None:
    keys = ",".join(f'"{number:x}":{number + 1000}' for number in range(2000))
    for text in (f"[{{{keys}}}]", "[" + ",".join(f"{{{each}}}" for each in keys.split(",")) + "]"):
        assert measured(partial(orjson.loads, text)) <= decoded_bytes(text.encode())


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=6), inner, max_size=6)
    ),
    max_leaves=20,
)


@settings(max_examples=25)
@given(VALUES)
def test_any_json(value: object) -> None:
    text = orjson.dumps([value] * 20)
    orjson.loads(text)  # Fills the cache of keys.
    assert measured(lambda: orjson.loads(text)) <= decoded_bytes(text) + 1000


def test_a_message_of_any_content_fits_into_the_default_of_a_session() -> None:
    longest, most = WebSocketSettings().max_message_bytes, LimitSettings().kept_bytes_per_session
    for unit in JSON_TEXTS.values():
        text = ("[" + ",".join([unit] * (longest // (len(unit.encode()) + 1))) + "]").encode()
        assert pending_bytes(text) <= most, unit[:20]


def test_headers() -> None:
    lines = "".join(f"{number:x}:{number}\r\n" for number in range(500))
    head = (
        f"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    ).encode()
    upgrade = http_upgrade.parse(head)
    assert isinstance(upgrade, http_upgrade.UpgradeRequest)
    taken = measured(lambda: http_upgrade.parse(head))
    count = len(upgrade.headers)
    assert taken <= handshake_bytes(len(head), count, is_first=True)
    assert taken <= request_bytes(upgrade.headers)
    assert handshake_bytes(9, 1, is_first=False) < handshake_bytes(9, 1, is_first=True)
    assert handshake_bytes(8000, 0, is_first=True) < 20_000, "lines are not headers yet"


def test_messages_of_components() -> None:
    wide = "x" * 1000 + ASTRAL
    assert measured(lambda: wide[1:]) <= component_message_bytes(wide[1:])
    assert component_message_bytes("x" * 1000) < component_message_bytes(wide) // 3
    data = bytes(1000)
    assert measured(lambda: bytearray(data)) <= component_message_bytes(data)


def test_nothing_unfinished_costs_nothing() -> None:
    assert unfinished_bytes(0) == 0
    assert unfinished_bytes(1) > 1000
    assert unfinished_bytes(65_536) >= 131_072


@pytest.mark.parametrize("filling", ["", "x" * 100, "x" * 100 + ASTRAL])
@pytest.mark.parametrize("count", [1, 20, 1000])
def test_audiences(filling: str, count: int) -> None:
    def audience(number: int) -> Audience:
        names = frozenset(f"{number:08}{each:08}{filling}" for each in range(count))
        return Audience(names, None, Targets(users=frozenset(["somebody" + str(number)])))

    audiences = 1000 // count
    taken = measured(lambda: [audience(number) for number in range(audiences)]) / audiences
    estimate = audience_bytes(audience(0))
    assert taken <= estimate, f"{taken} bytes each"
    assert estimate <= taken * 4


@pytest.mark.parametrize("count", [100, 1000, 10_923])
def test_names_in_a_table(count: int) -> None:
    taken = measured(lambda: {f"{each:040}": each / 7 for each in range(count)})
    assert taken <= count * named_bytes("0" * 40)
