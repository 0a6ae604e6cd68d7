"""The procedures about what topics keep.

Owns: ``wampush.last``, ``wampush.history`` and ``wampush.positions``; the arguments and the result
of ``wampush.subscribe``. Must not import: Twisted, the edges. Which sessions may ask about a topic
is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from wampush.broker.broker import Broker
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.history.reading import (
    MAX_EVENTS,
    HistoryReader,
    TopicUnavailable,
    position_as_json,
)
from wampush.broker.history.replays import Replays
from wampush.broker.publication import Position
from wampush.broker.requests.procedures import (
    ERROR_INVALID_ARGUMENT,
    CallRefused,
    MayLearn,
    Procedures,
)
from wampush.broker.subscriber import Subscriber
from wampush.errors import Refusal
from wampush.excerpts import shown_json
from wampush.wamp.messages import Call, Subscribe
from wampush.wamp.uris import (
    ERROR_FORBIDDEN,
    ERROR_UNAVAILABLE,
    PROCEDURE_HISTORY,
    PROCEDURE_LAST,
    PROCEDURE_POSITIONS,
)

ERROR_NO_HISTORY: Final = "http://api.wamp.ws/error#no-history"
NO_HISTORY: Final = "no entry of [[topics]] with last, last_by or history matches this topic"
_SINCE: Final = '{"epoch": "...", "offset": 7}'
_MAX_OFFSET: Final = 2**53


@dataclass(slots=True)
class SubscribeSince(Subscribe):
    """A SUBSCRIBE that is a call: it says what the session knows, and has an answer.

    :param call_id: of the call.
    :param since: the position of the newest event that the session knows; None when it knows none.
    """

    call_id: Final[str]
    since: Final[Position | None]


def subscribe_since_of(call: Call) -> SubscribeSince:
    """Return what ``wampush.subscribe(topic, {since: {epoch, offset}})`` asks for.

    Without ``since``, it is a SUBSCRIBE that is answered.

    :raises CallRefused: when the arguments are others.
    """
    topic, *rest = call.arguments or (None,)
    options = rest[0] if rest else {}
    if isinstance(topic, str) and isinstance(options, dict) and len(rest) < 2:
        if not options:
            return SubscribeSince(topic, call.call_id, None)
        if set(options) == {"since"}:
            return SubscribeSince(topic, call.call_id, _position(options["since"]))
    raise CallRefused(
        ERROR_INVALID_ARGUMENT,
        f'{call.procedure} takes a topic, and maybe {{"since": {_SINCE}}}',
    )


def subscribe_since(
    broker: Broker, subscriber: Subscriber, request: SubscribeSince
) -> Mapping[str, object]:
    """Subscribe a session; return the result of ``wampush.subscribe``.

    :raises MessageRefused: as :meth:`Broker.subscribe`.
    """
    topic, is_complete = request.topic, False
    if request.since is None:
        broker.subscribe(subscriber, topic)
        position = broker.sent_up_to(subscriber, topic)
    else:
        recovery = broker.subscribe_since(subscriber, topic, request.since)
        is_complete, position = (False, None) if recovery is None else recovery
    if position is None:
        return {"recovered": False, "epoch": None, "offset": None}
    return {"recovered": is_complete, **position_as_json(position)}


class HistoryProcedures:
    """The procedures about what topics keep.

    :param replays: knows what topics keep, and what of it a session may see.
    :param fanout: its batch ends before a session gets another format.
    :param may_learn: returns whether a session may subscribe to a topic.
    :param max_bytes: of payloads in one result.
    :param is_current: returns whether what is known of a topic is up to date; see ``mirrors``.
    """

    def __init__(
        self,
        replays: Replays,
        fanout: Fanout,
        may_learn: MayLearn,
        max_bytes: int,
        is_current: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._replays = replays
        self._reader = HistoryReader(replays.history, max_bytes, is_current=is_current)
        self._fanout = fanout
        self._may_learn = may_learn

    @property
    def procedures(self) -> Procedures:
        """The procedures by URI."""
        return {
            PROCEDURE_LAST: self.last,
            PROCEDURE_HISTORY: self.history,
            PROCEDURE_POSITIONS: self.positions,
        }

    def last(self, subscriber: Subscriber, call: Call) -> object:
        """Answer ``wampush.last(topic)``: the values of a topic, and its position.

        :raises CallRefused: when the session may not know them, or the topic has no history.
        """
        topic, options = self._arguments(subscriber, call)
        if options:
            raise CallRefused(ERROR_INVALID_ARGUMENT, f"{call.procedure} takes one argument")
        visible = partial(self._replays.visible, subscriber)
        return _known(lambda: self._reader.values(topic, visible), topic)

    def history(self, subscriber: Subscriber, call: Call) -> object:
        """Answer ``wampush.history(topic, {since, limit})``: events, oldest first.

        Without ``since``, these are the newest. ``complete`` says whether all events after
        ``since`` up to the newest are there, as far as the session may see them.

        :raises CallRefused: as :meth:`last`.
        """
        topic, options = self._arguments(subscriber, call)
        unknown = set(options) - {"since", "limit"}
        if unknown:
            raise CallRefused(
                ERROR_INVALID_ARGUMENT,
                f"unknown option {shown_json(min(unknown))}; known options: since, limit",
            )
        limit = _limit(options.get("limit"))
        since = options.get("since")
        position = None if since is None else _position(since)
        visible = partial(self._replays.visible, subscriber)
        return _known(lambda: self._reader.events(topic, visible, position, limit), topic)

    def positions(self, subscriber: Subscriber, call: Call) -> object:
        """Answer ``wampush.positions()``: from now on, events of this session have offsets.

        :raises CallRefused: when there are arguments.
        """
        if call.arguments:
            raise CallRefused(ERROR_INVALID_ARGUMENT, f"{call.procedure} takes no arguments")
        self._fanout.end_batch()
        subscriber.outbox.format = subscriber.outbox.format.with_positions
        return True

    def _arguments(self, subscriber: Subscriber, call: Call) -> tuple[str, Mapping[str, object]]:
        topic, *rest = call.arguments or (None,)
        options = rest[0] if rest else {}
        if not isinstance(topic, str) or not isinstance(options, dict) or len(rest) > 1:
            raise CallRefused(
                ERROR_INVALID_ARGUMENT, f"{call.procedure} takes a topic, a string, and options"
            )
        if not self._may_learn(subscriber, topic):
            refusal = Refusal.SUBSCRIBE_FORBIDDEN
            raise CallRefused(ERROR_FORBIDDEN, refusal.sentence, {"reason": refusal.code})
        return topic, options


def _known(read: Callable[[], Mapping[str, object] | None], topic: str) -> Mapping[str, object]:
    """Return what is read.

    :raises CallRefused: the topic has no history, or cannot be read now.
    """
    try:
        found = read()
    except TopicUnavailable as error:
        raise CallRefused(ERROR_UNAVAILABLE, str(error), {"topic": topic}) from error
    if found is None:
        raise CallRefused(ERROR_NO_HISTORY, NO_HISTORY, {"topic": topic})
    return found


def topic_to_read(call: Call) -> tuple[str, Position | None] | None:
    """Return the topic that a call is about to read, and the position that its caller knows.

    :returns: None if it reads none, or its arguments are others.
    """
    if call.procedure not in (PROCEDURE_LAST, PROCEDURE_HISTORY) or not call.arguments:
        return None
    topic, *rest = call.arguments
    options = rest[0] if rest else None
    since = options.get("since") if isinstance(options, dict) else None
    try:
        position = None if since is None else _position(since)
    except CallRefused:
        return None
    return (topic, position) if isinstance(topic, str) else None


def _position(value: object) -> Position:
    if isinstance(value, dict):
        epoch, offset = value.get("epoch"), value.get("offset")
        whole = isinstance(offset, int) and not isinstance(offset, bool)
        if whole and isinstance(epoch, str) and len(value) == 2:
            position = Position(epoch, cast("int", offset))
            if 0 <= position.offset <= _MAX_OFFSET:
                return position
    raise CallRefused(
        ERROR_INVALID_ARGUMENT, f"since must be like {_SINCE}, not {shown_json(value)}"
    )


def _limit(value: object) -> int:
    if value is None:
        return MAX_EVENTS
    if type(value) is int and 1 <= value <= MAX_EVENTS:
        return value
    raise CallRefused(
        ERROR_INVALID_ARGUMENT,
        f"limit must be a whole number from 1 to {MAX_EVENTS}, not {shown_json(value)}",
    )
