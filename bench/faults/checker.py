"""What must hold of the records of a run.

Owns: the promises to clients and publishers. Pure. Must not import: I/O.

- What is acknowledged is delivered to whoever was subscribed.
- All readers get the events of a topic in the same order, that of the positions or that of Redis,
  and those of a publisher in the order in which it has published.
- Nothing comes twice, and no hole is silent.
- What goes into a node equals the sum of its outcomes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from bench.faults.records import (
    Acknowledged,
    Allowed,
    Count,
    Kept,
    Phase,
    Place,
    Plain,
    Records,
    Segment,
    Stamp,
)


def breaches(records: Records, allowed: Allowed) -> list[str]:
    """Return a sentence for everything that does not hold.

    :param allowed: what the fault may do.
    """
    found = [
        *_positions(records),
        *_acknowledged_is_kept(records, allowed),
        *_stored(records, allowed),
    ]
    for kept in records.kept:
        found += _kept(kept, records, allowed)
    for plain in records.plain:
        found += _plain(plain, records, allowed)
    for count in records.counts:
        found += _count(count)
    return found


def _positions(records: Records) -> Iterator[str]:
    """Check that a position means the same event for everybody."""
    meaning: dict[tuple[str, Place], tuple[Stamp, str]] = {}
    claims: list[tuple[str, Place, Stamp, str]] = [
        (each.topic, each.place, each.stamp, "the answer to its publisher")
        for each in records.acknowledged
        if each.place is not None
    ]
    for topic, segment in records.stored.items():
        claims += _claims(topic, segment, "what is stored")
    for kept in records.kept:
        for segment in kept.segments:
            claims += _claims(kept.topic, segment, f"reader {kept.reader}")
    for topic, place, stamp, source in claims:
        known, first = meaning.setdefault((topic, place), (stamp, source))
        if known != stamp:
            yield f"{topic}: {place} is {known} in {first}, and {stamp} in {source}"


def _claims(topic: str, segment: Segment, source: str) -> list[tuple[str, Place, Stamp, str]]:
    return [
        (topic, Place(segment.epoch, segment.start + index), stamp, source)
        for index, stamp in enumerate(segment.stamps, 1)
    ]


def _acknowledged_is_kept(records: Records, allowed: Allowed) -> Iterator[str]:
    """Check that every acknowledged publication is stored."""
    offsets = {
        topic: {stamp: segment.start + index for index, stamp in enumerate(segment.stamps, 1)}
        for topic, segment in records.stored.items()
    }
    for each in records.acknowledged:
        stored = records.stored.get(each.topic)
        if stored is None:
            continue
        name = f"{each.topic}: {each.stamp} was acknowledged by node {each.node}"
        offset = offsets[each.topic].get(each.stamp)
        if each.place is None:
            if not allowed.hides_positions:
                yield f"{name} without a position"
            if offset is None and not allowed.loses_kept:
                yield f"{name}, and is not stored"
        elif each.place.epoch != stored.epoch:
            if not allowed.loses_kept:
                yield f"{name} in epoch {each.place.epoch}, and the topic is in {stored.epoch}"
        elif offset != each.place.offset:
            where = "is not stored" if offset is None else f"is stored at {offset}"
            yield f"{name} at {each.place.offset}, and {where}"


def _stored(records: Records, allowed: Allowed) -> Iterator[str]:
    """Check what the server keeps in the end."""
    for topic, segment in records.stored.items():
        yield from _doubles(f"{topic}: stored", segment.stamps)
        yield from _disorder(f"{topic}: stored", segment.stamps)
        if not allowed.loses_kept:
            missing = set(records.unacknowledged.get(topic, ())) - set(segment.stamps)
            yield from _listed(f"{topic}: pushed, and not stored", missing)


def _kept(kept: Kept, records: Records, allowed: Allowed) -> Iterator[str]:
    """Check what one reader has got of a topic that keeps events."""
    name = f"{kept.topic}: reader {kept.reader}"
    for sentence in kept.breaches:
        yield f"{name}: {sentence}"
    if not allowed.loses_kept:
        for sentence in kept.losses:
            yield f"{name}: {sentence}, although nothing may be missing"
    stored = records.stored.get(kept.topic)
    if stored is None:
        return
    if not kept.segments:
        yield f"{name} was never subscribed"
        return
    by_epoch: dict[str, list[Stamp]] = defaultdict(list)
    for segment in kept.segments:
        by_epoch[segment.epoch] += segment.stamps
    for epoch, stamps in by_epoch.items():
        yield from _doubles(f"{name} in epoch {epoch}", stamps)
        yield from _disorder(f"{name} in epoch {epoch}", stamps)
    yield from _doubles_over_epochs(name, by_epoch, records)
    last = kept.segments[-1]
    if (last.epoch, last.end) != (stored.epoch, stored.end):
        ends = f"{last.epoch} {last.end}, and the topic at {stored.epoch} {stored.end}"
        yield f"{name} ends at {ends}"


def _doubles_over_epochs(
    name: str, by_epoch: dict[str, list[Stamp]], records: Records
) -> Iterator[str]:
    """Check that only what was sent twice is in two epochs.

    An emptied Redis has forgotten the ids of pushes as well, so that it takes for new what is sent
    again.
    """
    again = {each.stamp for each in records.acknowledged if each.attempts > 1}
    seen: set[Stamp] = set()
    for stamps in by_epoch.values():
        twice = seen & set(stamps) - again
        yield from _listed(f"{name} got in two epochs", twice)
        seen.update(stamps)


def _plain(plain: Plain, records: Records, allowed: Allowed) -> Iterator[str]:
    """Check what one reader has got of a topic that keeps nothing."""
    name = f"{plain.topic}: reader {plain.reader}"
    again: set[Stamp] = set()
    missing = set()
    got = set(plain.stamps)
    for each in records.acknowledged:
        if each.topic != plain.topic:
            continue
        if each.attempts > 1:
            again.add(each.stamp)
        if each.stamp not in got and _is_owed(each, plain, allowed):
            missing.add(each.stamp)
    doubled = [each for each in plain.stamps if not (allowed.loses_kept and each in again)]
    yield from _doubles(name, doubled)
    # What was sent to two nodes has two places in the order of its publisher, but one at Redis.
    yield from _disorder(name, [each for each in doubled if each not in again])
    yield from _other_order(name, plain.stamps, records.sent.get(plain.topic, ()))
    yield from _listed(f"{name} lacks", missing)


def _is_owed(event: Acknowledged, plain: Plain, allowed: Allowed) -> bool:
    """Return whether a reader must have got an event of a topic that keeps nothing."""
    visit = next((each for each in plain.visits if each.is_open), None)
    if visit is None or visit.begun > event.sent:
        return False
    if event.phase is Phase.CALM or not allowed.loses_plain:
        return True
    # An earlier attempt may have reached the readers of another node.
    return visit.node == event.node and event.attempts == 1


def _count(count: Count) -> Iterator[str]:
    if count.received != count.accepted + count.refused:
        yield (
            f"{count.what}: {count.received} received, but {count.accepted} accepted and "
            f"{count.refused} refused"
        )
    if not count.answered <= count.received <= count.answered + count.unanswered:
        yield (
            f"{count.what}: {count.received} received, but {count.answered} answered and "
            f"{count.unanswered} without an answer"
        )


def _doubles(name: str, stamps: Iterable[Stamp]) -> Iterator[str]:
    seen: set[Stamp] = set()
    for each in stamps:
        if each in seen:
            yield f"{name}: {each} twice"
        seen.add(each)


def _disorder(name: str, stamps: Iterable[Stamp]) -> Iterator[str]:
    newest: dict[str, int] = {}
    for publisher, number in stamps:
        if number < newest.get(publisher, 0):
            yield f"{name}: {number} of {publisher} after {newest[publisher]}"
        newest[publisher] = number


def _other_order(name: str, stamps: Iterable[Stamp], sent: Sequence[Stamp]) -> Iterator[str]:
    """Check that events have come in the order in which Redis has sent them."""
    times = Counter(sent)
    places = {each: place for place, each in enumerate(sent) if times[each] == 1}
    newest, before = -1, None
    for each in stamps:
        place = places.get(each)
        if place is None:
            continue
        if place < newest:
            yield f"{name}: {each} after {before}, and Redis has sent it before"
        else:
            newest, before = place, each


def _listed(what: str, stamps: set[Stamp]) -> Iterator[str]:
    if stamps:
        first, *others = sorted(stamps)
        more = f" and {len(others)} more" if others else ""
        yield f"{what}: {first}{more}"
