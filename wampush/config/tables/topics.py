"""The tables ``[[topics]]`` and ``[history]``: options of topics, and what topics keep.

Owns: the form of an entry, and the limits of all histories. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from wampush.choices import CatchUpGap, SlowClient
from wampush.config.checks.check import OptionalText, TopicPattern, number, whole
from wampush.config.checks.files import DatabaseFile
from wampush.config.checks.redis import RedisUrl
from wampush.config.rules import Conflict, never_reached, rule, too_long
from wampush.config.setting import DAY, GIB, Seconds
from wampush.topics import is_reserved, matches_all_of


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """One entry of ``[[topics]]``: options of some topics. The first match wins.

    :param match: The topics of the entry: one topic, or all topics that begin with the text before
        ``*``.
    :param slow_client: What happens to events that a client is too slow for. ``auto``: ``catch-up``
        where ``history`` keeps events, otherwise ``disconnect``, because a page that reconnects is
        right again, and one that missed events is wrong without noticing.
    :param catch_up_gap: With ``catch-up``, what happens to a client that is so slow that events
        which it has not got are no longer kept. ``skip`` goes on with the oldest event that is
        kept, for sessions that see the gap by positions; others are disconnected.
    :param presence: Whether joins and leaves are announced; who subscribes to a topic may be
        private.
    :param last: Whether the newest event is kept and sent to new subscribers; costs memory.
    :param last_by: The field of events that is their key, such as ``id``: the newest event of each
        key is kept and sent to new subscribers. ``""``: no keys.
    :param tombstone: The field of events that is ``true`` when the value of their key is to be
        removed, such as ``deleted``. ``""``: none.
    :param max_keys: Rows of a large table; beyond it, the value that was published longest ago
        goes.
    :param history: How many events are kept for clients that missed them; costs memory.
    :param replay: How many of the kept events new subscribers get.
    :param max_age: Older events and values are removed. 0: any age.
    :param max_bytes: Of memory for one topic; beyond it, the oldest events go first.
    :param durable: Whether events are on disk before anyone gets them, and survive a restart and a
        crash; costs up to a few milliseconds. Needs ``history.database``.
    :param version_by: The field of events with a number that grows, such as ``rev``: an event with
        a smaller one than published before is refused. ``""``: none.
    :param gap_replay: Whether a user who subscribes again within ``history.gap_grace`` gets the
        events that none of the user's sessions is known to have received; costs memory per session.
    """

    match: TopicPattern
    slow_client: SlowClient = SlowClient.AUTO
    catch_up_gap: CatchUpGap = CatchUpGap.DISCONNECT
    presence: bool = False
    last: bool = False
    last_by: OptionalText = ""
    tombstone: OptionalText = ""
    max_keys: Annotated[int, whole(1, 1_000_000, "keys")] = 1000
    history: Annotated[int, whole(0, 10_000_000, "events")] = 0
    replay: Annotated[int, whole(0, 100_000, "events")] = 0
    max_age: Annotated[float, number(0, 366 * DAY, "s")] = 0.0
    max_bytes: Annotated[int, whole(1024, 64 * GIB, "bytes")] = 16_777_216
    version_by: OptionalText = ""
    durable: bool = False
    gap_replay: bool = False

    @property
    def keeps_something(self) -> bool:
        """Whether the topics have a history."""
        return self.last or bool(self.last_by) or self.history > 0

    @property
    def slow_client_in_force(self) -> SlowClient:
        """What happens to events that a client is too slow for; never ``AUTO``."""
        if self.slow_client is not SlowClient.AUTO:
            return self.slow_client
        return SlowClient.CATCH_UP if self.history else SlowClient.DISCONNECT


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """``[history]``: limits for what topics keep.

    :param max_bytes: Of memory for all topics together; beyond it, the topic that was published to
        longest ago loses its oldest events first.
    :param database: The SQLite database of topics with ``durable = true``. It is created with mode
        600; its folder must exist. Every server needs one of its own.
    :param replay_bytes: Of events that one subscriber gets at once; beyond it, the oldest are left
        out. Never more than a quarter of ``clients.queue_bytes``.
    :param gap_grace: For ``gap_replay``: a page that was cut off is back by then.
    :param gap_bytes: Of memory for what is known of ended sessions; beyond it, those that ended
        longest ago are forgotten. Half of it is for browsers without a user.
    """

    max_bytes: Annotated[int, whole(65_536, 1024 * GIB, "bytes")] = 67_108_864
    replay_bytes: Annotated[int, whole(1024, GIB, "bytes")] = 1_048_576
    database: DatabaseFile = ""
    gap_grace: Seconds = 60.0
    gap_bytes: Annotated[int, whole(65_536, 64 * GIB, "bytes")] = 16_777_216


@rule("topics")
def options_of_history_fit(topics: Mapping[int, TopicSettings]) -> Iterator[Conflict]:
    """What new subscribers get must be kept, and there must be one answer to what that is."""
    for index, topic in topics.items():
        if topic.last and topic.last_by:
            yield Conflict(index, "last", "must be left out where last_by gives the values")
        if topic.replay > topic.history:
            problem = f"must be at most history, which keeps {topic.history} events"
            yield Conflict(index, "replay", problem)
        if topic.replay and (topic.last or topic.last_by):
            problem = "must be left out where last or last_by says what new subscribers get"
            yield Conflict(index, "replay", problem)
        if topic.slow_client is SlowClient.CATCH_UP and not topic.history:
            problem = "must not be catch-up where no events are kept: set history"
            yield Conflict(index, "slow_client", problem)
        if topic.catch_up_gap is CatchUpGap.SKIP and (
            topic.slow_client_in_force is not SlowClient.CATCH_UP
        ):
            problem = "must be left out where slow clients do not catch up"
            yield Conflict(index, "catch_up_gap", problem)
        if topic.tombstone and not topic.last_by:
            yield Conflict(index, "tombstone", "must be left out where no last_by gives keys")
        if topic.version_by and not topic.keeps_something:
            problem = "must be left out where nothing is kept: set last, last_by or history"
            yield Conflict(index, "version_by", problem)
        if topic.durable and not topic.keeps_something:
            problem = "must be left out where nothing is kept: set last, last_by or history"
            yield Conflict(index, "durable", problem)
        if topic.gap_replay and not topic.history:
            problem = "must be left out where no events are kept: set history"
            yield Conflict(index, "gap_replay", problem)
        if topic.keeps_something and is_reserved(topic.match):
            name = "last" if topic.last else "last_by" if topic.last_by else "history"
            problem = "must be left out: the topics of wampush itself have no history"
            yield Conflict(index, name, problem)


@rule("topics", "history.database", "backplane.url")
def durable_topics_have_a_database(
    topics: Mapping[int, TopicSettings], database: str, backplane: RedisUrl
) -> Iterator[Conflict]:
    """What is durable must be stored somewhere; with a backplane, no topic may be durable."""
    for index, topic in topics.items():
        if topic.durable and topic.keeps_something and not database and not backplane:
            problem = "needs history.database, the path of the database"
            yield Conflict(index, "durable", problem)


@rule("topics", "limits.topic_bytes")
def topics_are_reachable(topics: Mapping[int, TopicSettings], most: int) -> Iterator[Conflict]:
    """An entry must match topics that can exist and that no earlier entry matches."""
    for index, topic in topics.items():
        if problem := too_long(topic.match.removesuffix("*"), most):
            yield Conflict(index, "match", problem)
        if topic.presence and is_reserved(topic.match):
            problem = "must be false: clients cannot join the topics of wampush itself"
            yield Conflict(index, "presence", problem)
    yield from never_reached(
        "topics",
        topics,
        lambda earlier, later: matches_all_of(earlier.match, later.match),
        "matches the same topics",
    )
