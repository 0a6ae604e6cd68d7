"""The data of a Redis server in memory, as far as wampush uses it.

Owns: keys, their types and their expiry. Must not import: wampush, Twisted.

The scripts are the real ones, run by Lua 5.1 as Redis does. A command that wampush begins to use
has to be added here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Final

Value = Any
"""bytes for a string, a dict for a hash, a _Stream or a _SortedSet."""


class RedisError(Exception):
    """An error that the server answers."""


class _Stream(dict[tuple[int, int], tuple[bytes, ...]]):
    """Entries by id, in their order; an id is larger than all before."""

    newest = (0, 0)


class _SortedSet(dict[bytes, float]):
    """Members with their scores."""

    def in_order(self) -> list[tuple[bytes, float]]:
        """Return members and scores from the lowest score on."""
        return sorted(self.items(), key=lambda each: (each[1], each[0]))


class RedisData:
    """All keys.

    :param now: the server's time, in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._values: dict[bytes, Value] = {}
        self._expiry: dict[bytes, float] = {}
        self._commands: Final[dict[bytes, Callable[..., Any]]] = {
            name.removeprefix("do_").upper().encode(): getattr(self, name)
            for name in dir(self)
            if name.startswith("do_")
        }

    def copy(self) -> RedisData:
        """Return what a replica has now."""
        twin = RedisData(self._now)
        # What the values hold cannot be changed, so that it may be shared.
        twin._values = {key: copy.copy(value) for key, value in self._values.items()}
        twin._expiry = dict(self._expiry)
        return twin

    def execute(self, name: bytes, arguments: Sequence[bytes]) -> Any:
        """Carry out a command.

        :raises RedisError: the server answers an error.
        """
        command = self._commands.get(name.upper())
        if command is None:
            raise RedisError(f"ERR unknown command '{name.decode()}'")
        return command(*arguments)

    def _get(self, key: bytes, kind: type[Any]) -> Any:
        value = self._values.get(key)
        if value is None:
            return None
        if key in self._expiry and self._expiry[key] <= self._now():
            self.do_del(key)
            return None
        if type(value) is not kind:
            raise RedisError("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def _make(self, key: bytes, kind: type[Any]) -> Any:
        value = self._get(key, kind)
        if value is None:
            value = self._values[key] = kind()
        return value

    def _tidy(self, key: bytes) -> None:
        if not self._values[key]:
            self.do_del(key)

    # Keys.

    def do_del(self, *keys: bytes) -> int:
        """Remove keys."""
        count = 0
        for key in keys:
            count += self._values.pop(key, None) is not None
            self._expiry.pop(key, None)
        return count

    do_unlink = do_del

    def do_exists(self, *keys: bytes) -> int:
        """Count the keys that are there."""
        return sum(self._is_there(key) for key in keys)

    def _is_there(self, key: bytes) -> bool:
        if key not in self._values:
            return False
        return self._get(key, type(self._values[key])) is not None

    def do_pexpire(self, key: bytes, milliseconds: bytes) -> int:
        """Set when a key goes."""
        if not self._is_there(key):
            return 0
        self._expiry[key] = self._now() + float(milliseconds) / 1000
        return 1

    def do_expire(self, key: bytes, seconds: bytes) -> int:
        """Set when a key goes."""
        return self.do_pexpire(key, b"%d" % (int(seconds) * 1000))

    def do_time(self) -> list[bytes]:
        """Return the time."""
        seconds, rest = divmod(round(self._now() * 1_000_000), 1_000_000)
        return [b"%d" % seconds, b"%d" % rest]

    # Strings.

    def do_get(self, key: bytes) -> bytes | None:
        """Return a string."""
        found: bytes | None = self._get(key, bytes)
        return found

    def do_mget(self, *keys: bytes) -> list[bytes | None]:
        """Return several strings."""
        return [self.do_get(key) for key in keys]

    def do_set(self, key: bytes, value: bytes, *options: bytes) -> Any:
        """Set a string, with PX, EX, NX or XX."""
        words = [each.upper() for each in options]
        is_there = self._is_there(key)
        if (b"NX" in words and is_there) or (b"XX" in words and not is_there):
            return None
        self.do_del(key)
        self._values[key] = value
        for word, per_second in ((b"PX", 1000), (b"EX", 1)):
            if word in words:
                self._expiry[key] = self._now() + int(options[words.index(word) + 1]) / per_second
        return "OK"

    # Hashes.

    def do_hget(self, key: bytes, field: bytes) -> bytes | None:
        """Return a field."""
        found: bytes | None = (self._get(key, dict) or {}).get(field)
        return found

    def do_hmget(self, key: bytes, *fields: bytes) -> list[bytes | None]:
        """Return several fields."""
        value = self._get(key, dict) or {}
        return [value.get(each) for each in fields]

    def do_hgetall(self, key: bytes) -> list[bytes]:
        """Return all fields and their values."""
        return [part for pair in (self._get(key, dict) or {}).items() for part in pair]

    def do_hset(self, key: bytes, *pairs: bytes) -> int:
        """Set fields; return how many are new."""
        value = self._make(key, dict)
        before = len(value)
        value.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(value) - before

    def do_hdel(self, key: bytes, *fields: bytes) -> int:
        """Remove fields."""
        value = self._get(key, dict)
        if value is None:
            return 0
        count = sum(value.pop(each, None) is not None for each in fields)
        self._tidy(key)
        return count

    def do_hlen(self, key: bytes) -> int:
        """Count the fields."""
        return len(self._get(key, dict) or ())

    # Sorted sets.

    def do_zadd(self, key: bytes, score: bytes, member: bytes) -> int:
        """Add a member."""
        value = self._make(key, _SortedSet)
        is_new = member not in value
        value[member] = float(score)
        return int(is_new)

    def do_zrem(self, key: bytes, *members: bytes) -> int:
        """Remove members."""
        value = self._get(key, _SortedSet)
        if value is None:
            return 0
        count = sum(value.pop(each, None) is not None for each in members)
        self._tidy(key)
        return count

    def do_zcard(self, key: bytes) -> int:
        """Count the members."""
        return len(self._get(key, _SortedSet) or ())

    def do_zrange(self, key: bytes, start: bytes, stop: bytes) -> list[bytes]:
        """Return members by rank; the last one is included."""
        members = [each for each, _ in (self._get(key, _SortedSet) or _SortedSet()).in_order()]
        last = int(stop)
        return members[int(start) : None if last == -1 else last + 1]

    def do_zrangebyscore(
        self, key: bytes, least: bytes, most: bytes, *options: bytes
    ) -> list[bytes]:
        """Return members by score, with WITHSCORES and LIMIT."""
        low, high = _bound(least), _bound(most)
        found = [
            (member, score)
            for member, score in (self._get(key, _SortedSet) or _SortedSet()).in_order()
            if (score > low[0] or (score == low[0] and not low[1]))
            and (score < high[0] or (score == high[0] and not high[1]))
        ]
        words = [each.upper() for each in options]
        if b"LIMIT" in words:
            at = words.index(b"LIMIT")
            begin, count = int(options[at + 1]), int(options[at + 2])
            found = found[begin : begin + count if count >= 0 else None]
        if b"WITHSCORES" in words:
            return [part for member, score in found for part in (member, b"%.17g" % score)]
        return [member for member, _ in found]

    # Streams.

    def do_xadd(self, key: bytes, entry: bytes, *fields: bytes) -> bytes:
        """Add an entry with an id of its own."""
        stream = self._make(key, _Stream)
        number = _entry_id(entry, 0)
        if number <= stream.newest:
            raise RedisError(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            )
        stream[number] = fields
        stream.newest = number
        return entry

    def do_xlen(self, key: bytes) -> int:
        """Count the entries."""
        return len(self._get(key, _Stream) or ())

    def do_xrange(self, key: bytes, start: bytes, end: bytes, *count: bytes) -> list[Any]:
        """Return entries by id."""
        low = (0, 0) if start == b"-" else _entry_id(start.removeprefix(b"("), 0)
        high = (2**64, 0) if end == b"+" else _entry_id(end.removeprefix(b"("), 2**64)
        most = int(count[1]) if count else None
        found: list[Any] = []
        for number, fields in (self._get(key, _Stream) or {}).items():
            if number > high or (number == high and end[:1] == b"("):
                break
            if number > low or (number == low and start[:1] != b"("):
                found.append([b"%d-%d" % number, list(fields)])
                if len(found) == most:
                    break
        return found

    def do_xdel(self, key: bytes, *entries: bytes) -> int:
        """Remove entries; a stream without entries stays, as in Redis."""
        stream = self._get(key, _Stream)
        if stream is None:
            return 0
        return sum(stream.pop(_entry_id(each, 0), None) is not None for each in entries)


def _bound(text: bytes) -> tuple[float, bool]:
    """Return a bound of scores, and whether it is left out."""
    return float(text.removeprefix(b"(")), text[:1] == b"("


def _entry_id(text: bytes, default: int) -> tuple[int, int]:
    first, _, second = text.partition(b"-")
    return int(first), int(second) if second else default
