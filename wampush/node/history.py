"""What topics keep, as the settings say.

Owns: the translation of ``[[topics]]`` and ``[history]``. Must not import: the edges.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from wampush.broker.backplane.interest import Interest
from wampush.broker.broker import Broker
from wampush.broker.delivery.backlog import Timer
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.durable_publishing import DurablePublishing
from wampush.broker.history.gaps import GapReplays
from wampush.broker.history.journal import Journal
from wampush.broker.history.kept_positions import KEY_BYTES, POSITION_BYTES, KeptPositions
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.reading import HistoryReader
from wampush.broker.history.replays import Replays
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.history.visitors import Visitors
from wampush.broker.ledger import Ledger
from wampush.broker.mirrors.announcements import Announcements
from wampush.broker.mirrors.contract import SharedStore
from wampush.broker.mirrors.mirrors import Mirrors
from wampush.broker.mirrors.plain_parts import PlainParts
from wampush.broker.mirrors.publishing import StorePublishing
from wampush.broker.mirrors.shared_topics import SharedTopics
from wampush.broker.mirrors.top_check import TopCheck
from wampush.broker.requests.history import HistoryProcedures
from wampush.broker.requests.procedures import MayLearn, Procedures
from wampush.broker.router import Router
from wampush.choices import CatchUpGap
from wampush.clock import Clock
from wampush.config.settings import Settings
from wampush.config.tables.topics import TopicSettings

#: Addresses that together may use up what is kept for browsers without a user.
_ADDRESSES: Final = 8


def history_rules(topics: Sequence[TopicSettings]) -> HistoryRules:
    """Return the rules of topics that keep something."""
    return HistoryRules([(each.match, _rule(each)) for each in topics])


def memory_history(
    settings: Settings,
    now: Callable[[], float],
    seconds: Callable[[], float],
    on_forgotten: Callable[[str], None] | None = None,
    *,
    is_mirror: bool = False,
) -> MemoryHistory | None:
    """Return the history of all topics; None for a single node where no topic keeps anything.

    :param now: the time in seconds since 1970.
    :param seconds: the time in seconds of a clock that never goes back.
    :param on_forgotten: see :class:`MemoryHistory`.
    :param is_mirror: likewise.
    """
    rules = history_rules(settings.topics)
    if not rules.any and not is_mirror:
        return None
    return MemoryHistory(
        rules, settings.history.max_bytes, now, seconds, on_forgotten, is_mirror=is_mirror
    )


def shared_topics(
    store: SharedStore,
    interest: Interest,
    *,
    replays: Replays,
    gaps: GapReplays | None,
    router: Router,
    backpressure: Backpressure,
    ledger: Ledger,
    clock: Clock,
) -> SharedTopics:
    """Return what has the topics with history of a node that shares them with others.

    :param store: keeps topics for all nodes.
    :param interest: follows topics.
    """
    mirrors = Mirrors(
        store,
        interest,
        history=replays.history,
        router=router,
        announcements=Announcements(replays, gaps, ledger),
        ledger=ledger,
        clock=clock,
    )
    plain_parts = PlainParts(
        store,
        lambda topic: mirrors.rule(topic) is not None,
        interest=interest,
        router=router,
    )
    publishing = StorePublishing(
        plain_parts,
        backpressure=backpressure,
        ledger=ledger,
        seconds=clock.seconds,
        call_later=clock.call_later,
    )
    return SharedTopics(
        store,
        mirrors,
        publishing=publishing,
        top_check=TopCheck(store, mirrors, clock.call_later, random.random),
        plain_parts=plain_parts,
        router=router,
        ledger=ledger,
    )


def durable_publishing(
    journal: Journal,
    router: Router,
    backpressure: Backpressure,
    ledger: Ledger,
    call_later: Callable[[float, Callable[[], None]], Timer],
) -> DurablePublishing | None:
    """Return what stores publications, with what is stored loaded; None without durable topics.

    :raises OperatorError: what is stored cannot be read.
    """
    history = router.history
    if history is None or not history.rules.any_durable:
        return None
    durable = DurablePublishing(
        journal,
        history=history,
        router=router,
        backpressure=backpressure,
        ledger=ledger,
        call_later=call_later,
    )
    durable.start()
    return durable


def database_files(settings: Settings) -> list[str]:
    """Return the paths of the files of the database; none without durable topics."""
    if not any(each.durable for each in settings.topics):
        return []
    path = settings.history.database
    return [each for each in (path, f"{path}-wal") if Path(each).exists()]


def replays(settings: Settings, router: Router, ledger: Ledger) -> Replays | None:
    """Return what queues stored events for sessions; None where no topic keeps anything."""
    if router.history is None:
        return None
    return Replays(
        router.history,
        fanout=router.fanout,
        ledger=ledger,
        users=router.users,
        sessions=router.sessions,
        max_bytes=_replay_bytes(settings),
    )


def gap_replays(
    settings: Settings, replays: Replays | None, router: Router, seconds: Callable[[], float]
) -> GapReplays | None:
    """Return what continues where earlier sessions of users were; None where no topic has that.

    :param seconds: the time in seconds of a clock that never goes back.
    """
    if replays is None or not replays.history.rules.any_gap_replay:
        return None
    history = settings.history
    # Anyone can be as many browsers as they like, so these have a part for themselves.
    part = history.gap_bytes // 2
    per_address = max(1, part // _ADDRESSES // (KEY_BYTES + POSITION_BYTES))
    kept = KeptPositions(history.gap_grace, history.gap_bytes - part, seconds)
    of_visitors = KeptPositions(history.gap_grace, part, seconds, per_address)
    return GapReplays(replays, router.users, kept, Visitors(of_visitors, seconds))


def history_procedures(settings: Settings, broker: Broker, may_learn: MayLearn) -> Procedures:
    """Return the procedures about what topics keep; none where no topic keeps anything."""
    if broker.replays is None:
        return {}
    limit = _replay_bytes(settings)
    is_current = _current if broker.mirrors is None else broker.mirrors.is_current
    return HistoryProcedures(broker.replays, broker.fanout, may_learn, limit, is_current).procedures


def history_reader(
    settings: Settings, broker: Broker, *, marks_restricted: bool = False
) -> HistoryReader | None:
    """Return what reads topics for requests over HTTP; None where no topic keeps anything.

    :param marks_restricted: whether it says which events are not for everyone.
    """
    if broker.replays is None:
        return None
    limit = settings.history.replay_bytes
    return HistoryReader(
        broker.replays.history,
        limit,
        marks_restricted=marks_restricted,
        is_current=_current if broker.mirrors is None else broker.mirrors.is_current,
    )


def _current(_: str) -> bool:
    """Return True: of a single node, everything is up to date."""
    return True


def _replay_bytes(settings: Settings) -> int:
    # More would make a new subscriber a slow client at once.
    return min(settings.history.replay_bytes, settings.clients.queue_bytes // 4)


def _rule(topic: TopicSettings) -> HistoryRule | None:
    if not topic.keeps_something:
        return None
    return HistoryRule(
        last=topic.last,
        last_by=topic.last_by,
        tombstone=topic.tombstone,
        keys=topic.max_keys,
        # A single value is enough to fill a gap of one event.
        events=max(topic.history, int(topic.last)),
        replay=topic.replay,
        max_age=topic.max_age,
        max_bytes=topic.max_bytes,
        version_by=topic.version_by,
        durable=topic.durable,
        gap_replay=topic.gap_replay,
        skips_gaps=topic.catch_up_gap is CatchUpGap.SKIP,
    )
