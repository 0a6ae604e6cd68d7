"""Ending sessions wherever they are.

Owns: the questions to other nodes by which sessions end. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Self

from wampush.broker.broker import Broker
from wampush.broker.nodes.node_payloads import is_count, refused
from wampush.broker.nodes.questions import NodeAnswers
from wampush.broker.nodes.registry import Nodes
from wampush.errors import CloseReason

_END_USER: Final = "end-user"
_END_SESSION: Final = "end-session"


class EndedSessions(int):
    """How many sessions end.

    :ivar unanswered: the names of the nodes that have not answered; they may end more of them.
    """

    unanswered: tuple[str, ...]

    def __new__(cls, count: int, unanswered: tuple[str, ...] = ()) -> Self:
        """Return a count that knows what it lacks."""
        ended = super().__new__(cls, count)
        ended.unanswered = unanswered
        return ended


OnEnded = Callable[[EndedSessions], object]


class SessionEnds:
    """Ends the sessions of a user, or one session, at this node and at all others.

    :param broker: has the sessions of this node.
    :param nodes: the other nodes; None for a single node.
    """

    def __init__(self, broker: Broker, nodes: Nodes | None) -> None:
        self._broker = broker
        self._nodes = nodes
        if nodes is not None:
            nodes.questions.answer_with(_END_USER, self._on_end_user)
            nodes.questions.answer_with(_END_SESSION, self._on_end_session)

    def end_user(self, user: str, reason: CloseReason, detail: str, done: OnEnded) -> EndedSessions:
        """End all sessions of a user once what is queued for them is sent.

        :param detail: for the log and the clients.
        :param done: called once, when all nodes have answered or their time is over.
        :returns: the count so far, without the nodes that have been asked.
        """
        ended = end_user_sessions(self._broker, user, reason, detail)
        return self._ask(
            _END_USER, {"user": user, "reason": reason.code, "detail": detail}, ended, done
        )

    def end_session(self, session_id: str, reason: CloseReason, done: OnEnded) -> EndedSessions:
        """End one session, likewise."""
        if self._end_here(session_id, reason):
            ended = EndedSessions(1)
            done(ended)
            return ended
        return self._ask(_END_SESSION, {"session": session_id, "reason": reason.code}, 0, done)

    def _ask(
        self, name: str, arguments: Mapping[str, object], ended: int, done: OnEnded
    ) -> EndedSessions:
        nodes = self._nodes
        if nodes is None:
            result = EndedSessions(ended)
            done(result)
            return result
        asked = tuple(sorted(each.name for each in nodes.others.there.values()))
        nodes.questions.ask(
            name, arguments, partial(_on_answers, ended, done), can_ask=nodes.is_joined
        )
        return EndedSessions(ended, asked)

    def _on_end_user(self, arguments: Mapping[str, Any]) -> int:
        user, detail = arguments.get("user"), arguments.get("detail", "")
        if not isinstance(user, str):
            raise refused("user", user)
        if not isinstance(detail, str):
            raise refused("detail", detail)
        return end_user_sessions(self._broker, user, _reason(arguments), detail)

    def _on_end_session(self, arguments: Mapping[str, Any]) -> int:
        session_id = arguments.get("session")
        if not isinstance(session_id, str):
            raise refused("session", session_id)
        return int(self._end_here(session_id, _reason(arguments)))

    def _end_here(self, session_id: str, reason: CloseReason) -> bool:
        subscriber = self._broker.sessions.get(session_id)
        if subscriber is None or subscriber.peer is None or subscriber.peer.ended is not None:
            return False
        subscriber.peer.end(reason)
        return True


def end_user_sessions(broker: Broker, user: str, reason: CloseReason, detail: str = "") -> int:
    """End all sessions of a user at one node once what is queued for them is sent.

    :param broker: of the node.
    :param user: the user id.
    :param reason: counted and logged.
    :param detail: for the log and the clients.
    :returns: how many sessions end.
    """
    # A copy: an end may change the index at once.
    peers = [each.peer for each in broker.users.of_user(user) if each.peer is not None]
    open_peers = [each for each in peers if each.ended is None]
    for peer in open_peers:
        peer.end(reason, detail)
    return len(open_peers)


def _reason(arguments: Mapping[str, Any]) -> CloseReason:
    code = arguments.get("reason")
    for reason in (CloseReason.ENDED_BY_OPERATOR, CloseReason.ENDED_BY_APPLICATION):
        if reason.code == code:
            return reason
    raise refused("reason", code)


def _on_answers(ended: int, done: OnEnded, answers: NodeAnswers) -> None:
    unanswered = list(answers.unanswered)
    for node, value in answers.values.items():
        if is_count(value):
            ended += value
        elif value is not None:
            unanswered.append(answers.names[node])
    done(EndedSessions(ended, tuple(unanswered)))
