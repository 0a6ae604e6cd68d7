"""Redis as the bus that joins nodes.

Owns: what is followed, when the link is made again, and the log lines about it.
Must not import: the other edges.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from random import random
from time import monotonic, time
from typing import Any, Final

import hiredis
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wampush.broker.backplane.contract import CONTROL_CHANNEL, BusListener, OnSent
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.clock import Clock
from wampush.config.tables.backplane import BackplaneSettings
from wampush.edges.backplane.bus_state import MOVES, BusState
from wampush.edges.backplane.following import Following
from wampush.edges.backplane.link import LinkOptions, RedisLink
from wampush.edges.backplane.probe import Probe
from wampush.log_limit import LogLimiter
from wampush.net.redis.endpoints import redis_endpoint
from wampush.net.redis.error_descriptions import is_unreachable, problem_of_error_reply
from wampush.net.redis.login import login_of
from wampush.net.redis.pipelined import OnReply, publish_command
from wampush.net.redis.retries import retry_delay
from wampush.net.redis.sentinel import MasterWatch, SentinelEndpoint, Server
from wampush.net.redis.server_facts import ServerFacts
from wampush.state_machine import moved

_log = Logger(namespace="wampush.redis")

PLACE: Final = "backplane"
#: Seconds until the next attempt: after the first failure, and at most. They are short, because
#: nodes deliver to their own clients only until the link is back; up to half is left out at random.
FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 0.5
#: Seconds that the end of the process waits for answers.
STOP_SECONDS: Final = 2.0
_END: Final = "the process ends"
#: Seconds between two questions to the sentinels whether the master is still the same.
WATCH_SECONDS: Final = 1.0
# Read with each publication; reading a member from its enumeration takes as long as a call.
_JOINED: Final = BusState.JOINED
#: Bytes of a message besides channel and content.
_FRAME_BYTES: Final = 64


class RedisBus:
    """The bus of a node over Redis; see :class:`~wampush.broker.backplane.contract.Bus`.

    :param settings: of the backplane.
    :param node: names this process, for operators of Redis.
    :param max_message_bytes: of the longest message between nodes.
    :param topic_bytes: of the longest topic.
    :param keeps_history: whether Redis keeps what must not get lost.
    :param fanout: flushed after each share of messages.
    :param backpressure: says when messages may not be read, because clients are behind.
    :param reactor: for connections and timers.
    :raises OperatorError: a file cannot be used.
    """

    def __init__(
        self,
        settings: BackplaneSettings,
        *,
        node: str,
        max_message_bytes: int,
        topic_bytes: int,
        keeps_history: bool,
        fanout: Fanout,
        backpressure: Backpressure,
        reactor: Any,
    ) -> None:
        self._settings = settings
        prefix = settings.key_prefix.encode()
        self._name_at = len(prefix)
        self._node = node
        self._probe_channel = f"{CONTROL_CHANNEL}probe:{node}"
        self._message_bytes = max_message_bytes + topic_bytes + len(prefix) + _FRAME_BYTES
        self._keeps_history = keeps_history
        self._fanout = fanout
        self._may_read = lambda: not backpressure.clients_behind
        self._reactor = reactor
        self._clock = Clock(reactor.seconds, reactor.callLater)
        self._limiter = LogLimiter(monotonic)
        self._options, self._endpoint = self._read_files()
        self._listener: BusListener | None = None
        self._state = BusState.NEW
        self._link: RedisLink | None = None
        self._following = Following(prefix, self._probe_channel)
        self._is_change_scheduled = False
        self._probe: Probe | None = None
        self._watch: MasterWatch | None = None
        self._retry: Any = None
        self._deadline: Any = None
        self._stopped: Deferred[None] = Deferred()
        self._failures = 0
        self._problem = self._logged_problem = ""
        self._since = self._changed_at = 0.0
        #: Messages sent and received, links lost, and commands that Redis has refused.
        self.published = self.received = self.losses = self.refused = 0
        backpressure.call_when_ready(self._wake)

    # The contract.

    @property
    def is_joined(self) -> bool:
        """See :class:`~wampush.broker.backplane.contract.Bus`."""
        return self._state is _JOINED and self._link is not None and self._link.is_open

    @property
    def problem(self) -> str:
        """See :class:`~wampush.broker.backplane.contract.Bus`."""
        return "" if self.is_joined else self._problem or "it is not connected yet"

    def start(self, listener: BusListener) -> None:
        """Connect, and retry until it succeeds."""
        self._listener = listener
        self._mark_change()
        self._connect()

    def publish(self, channel: str, message: bytes, on_sent: OnSent) -> None:
        """See :class:`~wampush.broker.backplane.contract.Bus`."""
        self.published += 1
        command = publish_command(self._following.name_at_redis(channel), message)
        if self._link is None:
            RedisLink.refuse(self._reactor, partial(self._on_published, on_sent))
        else:
            self._link.call_packed(command, partial(self._on_published, on_sent))

    def follow(self, channels: Collection[str]) -> None:
        """See :class:`~wampush.broker.backplane.contract.Bus`."""
        self._following.add(channels)
        self._send_changes_soon()

    def unfollow(self, channels: Collection[str]) -> None:
        """See :class:`~wampush.broker.backplane.contract.Bus`."""
        self._following.remove(channels)
        self._send_changes_soon()

    # Others.

    @property
    def address(self) -> str:
        """The URL of the server, without user and password."""
        return self._settings.address

    def call(self, words: Sequence[bytes], on_reply: OnReply) -> None:
        """Send a command to Redis, after all commands before.

        :param on_reply: called once, after this call; see
            :data:`~wampush.net.redis.pipelined.OnReply`.
        """
        if self._link is None:
            RedisLink.refuse(self._reactor, on_reply)
        else:
            self._link.call(words, on_reply)

    def status(self) -> Mapping[str, object]:
        """Return the state, for a health check."""
        return {
            "redis": self.address,
            "state": self._state.value,
            "since": self._since,
            "problem": self.problem or None,
            "channels": len(self._following),
            "published": self.published,
            "received": self.received,
            "losses": self.losses,
        }

    def reload(self) -> None:
        """Read password and certificates again, for the next connection.

        :raises OperatorError: a file cannot be used; then nothing changes.
        """
        self._options, self._endpoint = self._read_files()
        if self._retry is not None:
            self._retry.reset(0)

    def stop(self) -> Deferred[None]:
        """End the link once Redis has everything that was published before.

        :returns: fires when there is no link.
        """
        if self._state is BusState.STOPPED:
            return self._stopped
        self._move(BusState.STOPPED)
        self._stop_watching()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        link = self._link
        if link is None:
            self._stopped.callback(None)
        elif link.is_open:
            self._deadline = self._reactor.callLater(STOP_SECONDS, self.fail, _END)
            link.call((b"QUIT",), lambda _: self.fail(_END))
        else:
            link.fail(_END)
        return self._stopped

    # The link.

    def _read_files(self) -> tuple[LinkOptions, Any]:
        options = LinkOptions(
            login=login_of(self._settings, PLACE),
            database=self._settings.url.database,
            name=f"wampush-{self._node}",
            max_message_bytes=self._message_bytes,
            keeps_history=self._keeps_history,
            may_read=self._may_read,
            write_later=self._fanout.call_at_flush,
        )
        return options, redis_endpoint(self._settings, PLACE, self._reactor)

    def _move(self, state: BusState) -> None:
        self._state = moved(MOVES, self._state, state)

    def _mark_change(self) -> None:
        """Take the time of a change; operators read the time of day, which may be set back."""
        self._since = time()
        self._changed_at = monotonic()

    def _connect(self) -> None:
        self._retry = None
        self._move(BusState.CONNECTING)
        self._link = RedisLink(self, self._endpoint, self._options, self._reactor)
        self._link.open()

    def on_open(self, facts: ServerFacts) -> None:
        """Follow everything again."""
        link = self._link
        if link is None:
            return
        if not facts.version:
            _log.info("{redis}: INFO is not allowed, so nothing is checked", redis=self.address)
        self._move(BusState.FOLLOWING)
        self._following.begin_again()
        self._send_changes()
        link.ask_subscriptions(self._on_all_followed)

    def _on_all_followed(self, reply: object) -> None:
        link = self._link
        if link is None or self._state is not BusState.FOLLOWING or not isinstance(reply, list):
            return
        self._tell_confirmed()
        self._move(BusState.JOINED)
        if self._failures or self.losses:
            _log.info(
                "{redis}: joined the other nodes again after {seconds:.1f} s; {count} channels",
                redis=self.address,
                seconds=monotonic() - self._changed_at,
                count=len(self._following),
            )
        else:
            _log.info("{redis}: joined the other nodes", redis=self.address)
        self._mark_change()
        self._failures, self._problem, self._logged_problem = 0, "", ""
        self._probe = Probe(link, self._send_probe, self._clock)
        if isinstance(self._endpoint, SentinelEndpoint):
            self._watch = MasterWatch(
                self._endpoint, self._reactor, self._on_master_moved, WATCH_SECONDS
            )
        if self._listener is not None:
            self._listener.on_joined()

    def on_lost(self, problem: str) -> None:
        """Connect again later, unless the process ends."""
        before, self._link = self._state, None
        if before is BusState.STOPPED:
            if self._deadline is not None and self._deadline.active():
                self._deadline.cancel()
            self._stopped.callback(None)
            return
        self._stop_watching()
        self._move(BusState.WAITING)
        self._problem = problem
        if before is BusState.JOINED:
            self.losses += 1
            self._mark_change()
        self._log_problem(problem)
        self._failures += 1
        seconds = retry_delay(self._failures, random(), FIRST_DELAY, MAX_DELAY)  # noqa: S311 (nothing secret)
        self._retry = self._reactor.callLater(seconds, self._connect)
        if before in (BusState.JOINED, BusState.FOLLOWING) and self._listener is not None:
            self._listener.on_left(problem)

    def _log_problem(self, problem: str) -> None:
        # After a loss, refused connections are no news; nor is the same problem once more.
        if problem == self._logged_problem or (self._logged_problem and is_unreachable(problem)):
            return
        self._logged_problem = problem
        _log.warn(
            "{redis}: {problem}; until it is back, publications reach the clients of this node "
            "only, and topics with a history take none",
            redis=self.address,
            problem=problem,
        )

    def _on_master_moved(self, master: Server) -> None:
        self.fail(f"the master is {master} now")

    def _stop_watching(self) -> None:
        probe, self._probe = self._probe, None
        if probe is not None:
            self.refused += probe.refused
            probe.stop()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    # Probes.

    def _send_probe(self, on_reply: OnReply) -> None:
        """Publish a message that comes back to this node."""
        self.call((b"PUBLISH", self._following.name_at_redis(self._probe_channel), b""), on_reply)

    def fail(self, problem: str) -> None:
        """End the link, and make another one."""
        if self._link is not None:
            self._link.fail(problem)

    # Subscriptions.

    def _send_changes_soon(self) -> None:
        if self._state not in (BusState.FOLLOWING, BusState.JOINED):
            # Everything that is wanted will be sent with the next link.
            self._following.forget_changes()
        elif not self._is_change_scheduled:
            self._is_change_scheduled = True
            self._reactor.callLater(0, self._send_changes)

    def _send_changes(self) -> None:
        """Send what has changed in this turn."""
        self._is_change_scheduled = False
        if self._link is not None:
            for words in self._following.commands():
                self._link.send(words)

    def on_confirmed(self, kind: bytes, channel: bytes) -> None:
        """Take note of the beginning of a subscription."""
        self._following.on_confirmed(kind, channel)

    def _tell_confirmed(self) -> None:
        confirmed = self._following.take_confirmed()
        if confirmed and self._listener is not None:
            self._listener.on_followed(confirmed)

    # Messages.

    def on_channel_message(self, channel: bytes, message: bytes) -> None:
        """Hand on a message."""
        if self._following.confirmed:
            self._tell_confirmed()
        name = channel[self._name_at :].decode()
        if name == self._probe_channel:
            if self._probe is not None:
                self._probe.on_message()
        elif self._listener is not None:
            self.received += 1
            self._listener.on_message(name, message)

    def on_share_begun(self) -> None:
        """Publish now, and flush once."""
        self._fanout.defer_flush()

    def on_share_read(self) -> None:
        """Hand on what is confirmed, and send what was published."""
        if self._following.confirmed:
            self._tell_confirmed()
        self._fanout.flush()

    def _on_published(self, on_sent: OnSent, reply: Any) -> None:
        if type(reply) is int:
            on_sent(reply)
            return
        if isinstance(reply, hiredis.ReplyError):
            self.refused += 1
            suffix = self._limiter.suffix()
            if suffix is not None:
                _log.warn(
                    "{redis}: a publication was refused: {problem}{suffix}",
                    redis=self.address,
                    problem=problem_of_error_reply(str(reply)),
                    suffix=suffix,
                )
        on_sent(None)

    def _wake(self) -> None:
        if self._link is not None:
            self._link.wake()
