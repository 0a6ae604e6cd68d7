"""The procedures about what topics keep.

Owns: ``wampush.last``, ``wampush.history`` and ``wampush.positions``; the arguments and the result
of ``wampush.subscribe``. Must not import: Twisted, the edges. Which sessions may ask about a topic
is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from wampush.broker.delivery.fanout import Fanout
from wampush.broker.history.reading import MAX_EVENTS, HistoryReader, position_as_json
from wampush.broker.history.replays import Recovery, Replays
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
    :param since: the position of the newest event that the session knows.
    """

    call_id: Final[str]
    since: Final[Position]


def subscribe_since_of(call: Call) -> SubscribeSince:
    """Return what ``wampush.subscribe(topic, {since: {epoch, offset}})`` asks for.

    :raises CallRefused: when the arguments are others.
    """
    if len(call.arguments) == 2 and isinstance(call.arguments[1], dict):
        topic, options = call.arguments
        if isinstance(topic, str) and isinstance(options, dict) and set(options) == {"since"}:
            return SubscribeSince(topic, call.call_id, _position(options["since"]))
    raise CallRefused(
        ERROR_INVALID_ARGUMENT,
        f'{call.procedure} takes two arguments: a topic, and {{"since": {_SINCE}}}',
    )


def recovery_result(recovery: Recovery | None) -> Mapping[str, object]:
    """Return the result of ``wampush.subscribe``."""
    if recovery is None:
        return {"recovered": False, "epoch": None, "offset": None}
    return {"recovered": recovery.is_complete, **position_as_json(recovery.position)}


class HistoryProcedures:
    """The procedures about what topics keep.

    :param replays: knows what topics keep, and what of it a session may see.
    :param fanout: its batch ends before a session gets another format.
    :param may_learn: returns whether a session may subscribe to a topic.
    :param max_bytes: of payloads in one result.
    """

    def __init__(
        self,
        replays: Replays,
        fanout: Fanout,
        may_learn: MayLearn,
        max_bytes: int,
    ) -> None:
        self._replays = replays
        self._reader = HistoryReader(replays.history, max_bytes)
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
        found = self._reader.values(topic, partial(self._replays.visible, subscriber))
        return _known(found, topic)

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
        return _known(self._reader.events(topic, visible, position, limit), topic)

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


def _known(found: Mapping[str, object] | None, topic: str) -> Mapping[str, object]:
    """Return what was found.

    :raises CallRefused: the topic has no history.
    """
    if found is None:
        raise CallRefused(ERROR_NO_HISTORY, NO_HISTORY, {"topic": topic})
    return found


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
