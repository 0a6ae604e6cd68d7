"""Durable topics on each variant of the journal, against a plain model: restarts and crashes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.edges.storage.durable_world import DurableWorld
from wampush.broker.publication import EVERYONE, Audience
from wampush.errors import PublicationRefused
from wampush.testing.clock import ThreadedClock

LOGS = ("log.a", "log.b")
KEPT = 5
EXCLUDING = Audience(frozenset("s"))


class _Model(RuleBasedStateMachine):
    """What is pushed becomes visible in order, and stays."""

    has_database = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = ThreadedClock()
        self.starts = 0
        self.world = self._open()
        self.number = 0
        #: Payloads that were pushed, by topic.
        self.pushed: dict[str, list[bytes]] = {topic: [] for topic in LOGS}
        #: The newest version of each row.
        self.rows: dict[bytes, int] = {}
        self.epochs: dict[str, str] = {}

    def _open(self) -> DurableWorld:
        path = self.folder / str(self.starts) / "history.sqlite"
        path.parent.mkdir(exist_ok=True)
        return DurableWorld(path if self.has_database else None, self.clock)

    def teardown(self) -> None:
        self.world.stop()
        shutil.rmtree(self.folder)

    @rule(topic=st.sampled_from(LOGS), count=st.integers(1, 8), is_for_all=st.booleans())
    def push(self, topic: str, count: int, is_for_all: bool) -> None:
        for _ in range(count):
            self.number += 1
            payload = b"%d" % self.number
            self.world.push(topic, payload, EVERYONE if is_for_all else EXCLUDING)
            self.pushed[topic].append(payload)

    @rule(count=st.integers(1, 3))
    def push_to_both(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            payload = b"%d" % self.number
            self.world.push(LOGS[0], payload, EVERYONE, LOGS[1])
            for topic in LOGS:
                self.pushed[topic].append(payload)

    @rule(key=st.integers(0, 3), rev=st.integers(0, 9))
    def push_row(self, key: int, rev: int) -> None:
        known = self.rows.get(b"%d" % key, 0)
        try:
            self.world.push("table", b'{"id":%d,"rev":%d}' % (key, rev))
        except PublicationRefused:
            assert rev < known
        else:
            assert rev >= known
            self.rows[b"%d" % key] = rev

    @rule()
    def settle(self) -> None:
        self.world.settle()
        self.compare()

    @precondition(lambda self: self.has_database)
    @rule()
    def restart(self) -> None:
        self.world.stop()
        self.world = self._open()
        self.compare()

    @precondition(lambda self: self.has_database)
    @rule()
    def crash(self) -> None:
        """Go on with the files as they are, as after kill -9."""
        visible = self.visible()
        before = self.folder / str(self.starts)
        self.starts += 1
        shutil.copytree(before, self.folder / str(self.starts))
        self.world.stop()
        self.world = self._open()
        for topic in LOGS:
            position = self.world.history.position(topic)
            assert position is not None
            # What was visible is there, and of the rest the beginning.
            assert visible[topic] <= position.offset <= len(self.pushed[topic])
            del self.pushed[topic][position.offset :]
        self.rows = versions(self.world)
        self.compare()

    def visible(self) -> dict[str, int]:
        """The number of visible events by topic."""
        positions = {topic: self.world.history.position(topic) for topic in LOGS}
        return {topic: each.offset if each else 0 for topic, each in positions.items()}

    def compare(self) -> None:
        """Compare everything; nothing is in flight."""
        for topic in LOGS:
            all_events = [*enumerate(self.pushed[topic], 1)]
            assert self.world.kept(topic) == all_events[-KEPT:]
        assert versions(self.world) == self.rows

    @invariant()
    def what_is_visible_is_the_beginning_of_what_was_pushed(self) -> None:
        for topic in LOGS:
            position = self.world.history.position(topic)
            assert position is not None
            if position.offset:
                assert self.epochs.setdefault(topic, position.epoch) == position.epoch
            visible = [*enumerate(self.pushed[topic][: position.offset], 1)]
            assert self.world.kept(topic) == visible[-KEPT:]


def versions(world: DurableWorld) -> dict[bytes, int]:
    """The version of each row of the table."""
    return {each[6:7]: int(each[14:-1]) for each in world.values("table")}


class _InMemory(_Model):
    """The journal in memory."""


class _InSqlite(_Model):
    """The journal in a database."""

    has_database = True


TestInMemory = _InMemory.TestCase
TestInSqlite = _InSqlite.TestCase
TestInMemory.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
TestInSqlite.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
