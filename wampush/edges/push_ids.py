"""Pushes with an id, which are published once, however often they are sent.

Owns: which ids are known, for how long, what they take in memory, and the answer for a push that is
sent again.
Must not import: the other edges.

A backend that gets no answer does not know whether its push was published. With an id it can send
the push again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from twisted.internet.defer import Deferred, succeed

from wampush.broker.memory_costs import push_id_bytes
from wampush.errors import PushRefused, Refusal
from wampush.excerpts import shown_json

if TYPE_CHECKING:
    from twisted.python.failure import Failure

#: Seconds for which an id is known.
KNOWN_SECONDS: Final = 300.0
#: Ids that are known at a time; beyond it, the oldest are forgotten early.
MAX_IDS: Final = 200_000
#: Bytes that they may take, with the outcomes of their pushes; beyond it as well.
MAX_BYTES: Final = 128 * 1024 * 1024
#: The longest id, in characters.
MAX_LENGTH: Final = 200

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class KnownPush(Generic[Outcome]):
    """A push that is known by its id.

    :param digest: of the push.
    :param seconds: after which it is forgotten.
    :param outcome: of the push.
    """

    digest: bytes
    seconds: float
    outcome: Outcome


@dataclass(slots=True, eq=False)
class _Entry(Generic[Outcome]):
    """What is known about an id.

    :param expires: when it is forgotten.
    :param digest: of the push.
    :param size: what it takes, in bytes.
    :param outcome: of the push; None while it waits.
    :param waiting: the same push, sent again meanwhile.
    """

    expires: float
    digest: bytes
    size: int
    outcome: Outcome | None = None
    waiting: list[Deferred[Outcome]] = field(default_factory=list)


class PushIds(Generic[Outcome]):
    """Publishes each push with an id once.

    :param seconds: returns the time in seconds; a clock that never goes back.
    :param repeated: returns the outcome for a push that is sent again, from that of the first.
    :param size_of: returns what an outcome takes more than the least, in bytes.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        repeated: Callable[[Outcome], Outcome],
        size_of: Callable[[Outcome], int],
    ) -> None:
        self._seconds = seconds
        self._repeated = repeated
        self._size_of = size_of
        #: What all ids take, in bytes.
        self.size = 0
        #: Ids that were forgotten early.
        self.forgotten = 0
        # In the order in which they expire.
        self._entries: OrderedDict[str, _Entry[Outcome]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def once(
        self, push_id: str, parts: Sequence[bytes], publish: Callable[[], Deferred[Outcome]]
    ) -> Deferred[Outcome]:
        """Publish a push unless that was done.

        :param push_id: chosen by the sender.
        :param parts: of the push, which must be the same each time.
        :param publish: called the first time; if it fails, the id is forgotten, so that the sender
            may try again.
        :raises PushRefused: ID_REUSED.
        """
        now = self._seconds()
        self._forget(now)
        digest = digest_of(parts)
        entry = self._entries.get(push_id)
        if entry is None:
            entry = _Entry(now + KNOWN_SECONDS, digest, push_id_bytes(push_id))
            self._entries[push_id] = entry
            self.size += entry.size
            self._make_room()
            # A Deferred of its own: when the sender goes away, the push goes on.
            first: Deferred[Outcome] = Deferred()
            self._publish(push_id, entry, publish, first)
            return first
        if entry.digest != digest:
            raise PushRefused(Refusal.ID_REUSED, f"It is {shown_json(push_id)}.")
        if entry.outcome is not None:
            return succeed(self._repeated(entry.outcome))
        again: Deferred[Outcome] = Deferred()
        entry.waiting.append(again)
        return again

    # Another process goes on knowing them.

    def ids_after(self, push_id: str) -> list[str]:
        """Return the ids that have come after one, oldest first; all if that one is not known."""
        found = []
        for each in reversed(self._entries):
            if each == push_id:
                break
            found.append(each)
        found.reverse()
        return found

    def known(self, push_id: str) -> KnownPush[Outcome] | None:
        """Return what is known of a push; None as long as it has no outcome."""
        entry = self._entries.get(push_id)
        if entry is None or entry.outcome is None:
            return None
        return KnownPush(entry.digest, entry.expires - self._seconds(), entry.outcome)

    def restore(self, push_id: str, known: KnownPush[Outcome]) -> None:
        """Take note of a push that another process has published; the oldest come first."""
        if push_id in self._entries:
            return
        size = push_id_bytes(push_id) + self._size_of(known.outcome)
        expires = self._seconds() + known.seconds
        self._entries[push_id] = _Entry(expires, known.digest, size, known.outcome)
        self.size += size
        self._make_room()

    def _publish(
        self,
        push_id: str,
        entry: _Entry[Outcome],
        publish: Callable[[], Deferred[Outcome]],
        first: Deferred[Outcome],
    ) -> None:
        def on_published(outcome: Outcome) -> None:
            entry.outcome = outcome
            if self._entries.get(push_id) is entry:
                size = self._size_of(outcome)
                entry.size += size
                self.size += size
                self._make_room()
            first.callback(outcome)
            waiting, entry.waiting = entry.waiting, []
            for each in waiting:
                each.callback(self._repeated(outcome))

        def on_refused(failure: Failure) -> None:
            if self._entries.get(push_id) is entry:
                del self._entries[push_id]
                self.size -= entry.size
            waiting, entry.waiting = entry.waiting, []
            for each in (first, *waiting):
                each.errback(failure)

        publish().addCallbacks(on_published, on_refused)

    def _forget(self, now: float) -> None:
        while self._entries:
            push_id, entry = next(iter(self._entries.items()))
            if entry.expires > now:
                return
            del self._entries[push_id]
            self.size -= entry.size

    def _make_room(self) -> None:
        while len(self._entries) > MAX_IDS or self.size > MAX_BYTES:
            _, entry = self._entries.popitem(last=False)
            self.size -= entry.size
            self.forgotten += 1


def check_id(push_id: str) -> None:
    """Check the id that a sender has chosen; "" for none is valid.

    :raises PushRefused: BAD_ID.
    """
    if len(push_id) > MAX_LENGTH:
        raise PushRefused(Refusal.BAD_ID, f"It is {shown_json(push_id)}.")


def digest_of(parts: Sequence[bytes]) -> bytes:
    """Return what is the same for the same push, and for no other one."""
    digest = hashlib.blake2b(digest_size=16)
    for each in parts:
        digest.update(b"%d:" % len(each))
        digest.update(each)
    return digest.digest()
