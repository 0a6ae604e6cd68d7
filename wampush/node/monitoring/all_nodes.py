"""What the HTTP port shows of all nodes together.

Owns: how the pages of the nodes make one page, and where a session is looked for.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from heapq import nsmallest
from typing import Any, Final

from wampush.broker.nodes.node_payloads import is_count, refused
from wampush.broker.nodes.questions import NodeAnswers
from wampush.broker.nodes.registry import Nodes
from wampush.broker.session_ends import EndedSessions, SessionEnds
from wampush.errors import CloseReason
from wampush.node.monitoring.inspection import Inspection

Page = Mapping[str, object]
OnPage = Callable[[Page], object]
#: Of a page of sessions or topics, and of one session.
_TOPICS: Final = "topics"
_SESSIONS: Final = "sessions"
_SESSION: Final = "session"
#: What a page may have at most, whoever asks.
_MOST: Final = 1000


class AllNodes:
    """Lists topics and sessions of all nodes, and ends sessions at all of them.

    :param inspection: of this node.
    :param ends: ends sessions.
    :param nodes: the other nodes; None for a single node.
    """

    def __init__(self, inspection: Inspection, ends: SessionEnds, nodes: Nodes | None) -> None:
        self._inspection = inspection
        self._ends = ends
        self._nodes = nodes
        if nodes is not None:
            nodes.show("connections", inspection.connections)
            nodes.show("topics", inspection.topic_count)
            nodes.questions.answer_with(_TOPICS, self._on_topics)
            nodes.questions.answer_with(_SESSIONS, self._on_sessions)
            nodes.questions.answer_with(_SESSION, self._on_session)

    def topics(self, prefix: str, after: str, limit: int, done: OnPage) -> None:
        """List topics with the numbers of their subscribers at all nodes.

        :param done: gets ``topics``, ``next``, and with several nodes ``unanswered``.
        """
        own = self._inspection.topics(prefix, after, limit)
        arguments = {"prefix": prefix, "after": after, "limit": limit}
        self._ask(_TOPICS, arguments, own, partial(_join_topics, limit), done)

    def sessions(self, user: str | None, after: str, limit: int, done: OnPage) -> None:
        """List sessions of all nodes; with several, each says at which node it is.

        :param done: gets ``sessions``, ``next``, and with several nodes ``unanswered``.
        """
        own = self._inspection.sessions(user, after, limit)
        arguments = {"user": user, "after": after, "limit": limit}
        self._ask(_SESSIONS, arguments, own, partial(_join_sessions, limit), done)

    def session(
        self, session_id: str, done: Callable[[Page | None, tuple[str, ...]], object]
    ) -> None:
        """Look for a session at all nodes.

        :param done: gets it, or None, and the nodes that have not answered.
        """
        nodes, found = self._nodes, self._inspection.session(session_id)
        if nodes is None:
            done(found, ())
        elif found is not None:
            done({**found, "node": nodes.name}, ())
        else:
            nodes.questions.ask(
                _SESSION,
                {"session": session_id},
                partial(_on_session_found, session_id, done),
                can_ask=nodes.is_joined,
            )

    def end_session(self, session_id: str, done: Callable[[EndedSessions], object]) -> None:
        """End a session at whichever node it is."""
        self._ends.end_session(session_id, CloseReason.ENDED_BY_OPERATOR, done)

    def end_user_sessions(self, user: str, done: Callable[[EndedSessions], object]) -> None:
        """End the sessions of a user at all nodes."""
        self._ends.end_user(user, CloseReason.ENDED_BY_OPERATOR, "", done)

    def _ask(
        self,
        name: str,
        arguments: Mapping[str, object],
        own: Page,
        join: Callable[[Mapping[str, Page]], Page],
        done: OnPage,
    ) -> None:
        nodes = self._nodes
        if nodes is None:
            done(own)
            return

        def on_answers(answers: NodeAnswers) -> None:
            pages, unanswered = {nodes.name: own}, list(answers.unanswered)
            for node, page in answers.values.items():
                if _is_page(page, name):
                    pages[_free_name(answers.names[node], pages)] = page
                elif page is not None:
                    unanswered.append(answers.names[node])
            done({**join(pages), "unanswered": unanswered})

        nodes.questions.ask(name, arguments, on_answers, can_ask=nodes.is_joined)

    # Answers to other nodes.

    def _on_topics(self, arguments: Mapping[str, Any]) -> Page:
        prefix, after = arguments.get("prefix"), arguments.get("after")
        if not isinstance(prefix, str):
            raise refused("prefix", prefix)
        if not isinstance(after, str):
            raise refused("after", after)
        return self._inspection.topics(prefix, after, _limit(arguments))

    def _on_sessions(self, arguments: Mapping[str, Any]) -> Page:
        user, after = arguments.get("user"), arguments.get("after")
        if not (user is None or isinstance(user, str)):
            raise refused("user", user)
        if not isinstance(after, str):
            raise refused("after", after)
        return self._inspection.sessions(user, after, _limit(arguments))

    def _on_session(self, arguments: Mapping[str, Any]) -> Page | None:
        session_id = arguments.get("session")
        if not isinstance(session_id, str):
            raise refused("session", session_id)
        return self._inspection.session(session_id)


def _limit(arguments: Mapping[str, Any]) -> int:
    limit = arguments.get("limit")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= _MOST:
        raise refused("limit", limit)
    return limit


def _on_session_found(
    session_id: str,
    done: Callable[[Page | None, tuple[str, ...]], object],
    answers: NodeAnswers,
) -> None:
    unanswered = list(answers.unanswered)
    for node, found in answers.values.items():
        if isinstance(found, dict) and found.get(_SESSION) == session_id:
            done({**found, "node": answers.names[node]}, ())
            return
        if found is not None:
            unanswered.append(answers.names[node])
    done(None, tuple(unanswered))


def _is_page(page: object, name: str) -> bool:
    """Return whether a node has answered with a page."""
    if not isinstance(page, dict) or not isinstance(page.get(name), list):
        return False
    key = "topic" if name == _TOPICS else "session"
    return all(
        isinstance(each, dict)
        and isinstance(each.get(key), str)
        and (name != _TOPICS or is_count(each.get("subscribers")))
        for each in page[name]
    )


def _free_name(name: str, taken: Container[str]) -> str:
    """Return the name of a node, with a number if another one has the same."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}#{number}", number + 1
    return free


def _join_topics(limit: int, pages: Mapping[str, Any]) -> Page:
    counts: dict[str, int] = {}
    for page in pages.values():
        # A topic counts once for each node, whatever its page says.
        for topic, count in {each["topic"]: each["subscribers"] for each in page[_TOPICS]}.items():
            counts[topic] = counts.get(topic, 0) + count
    names, following = _first(counts, limit, pages)
    return {
        _TOPICS: [{"topic": each, "subscribers": counts[each]} for each in names],
        "next": following,
    }


def _join_sessions(limit: int, pages: Mapping[str, Any]) -> Page:
    found = {
        each["session"]: {**each, "node": node}
        for node, page in pages.items()
        for each in page[_SESSIONS]
    }
    names, following = _first(found, limit, pages)
    return {_SESSIONS: [found[each] for each in names], "next": following}


def _first(
    names: Iterable[str], limit: int, pages: Mapping[str, Any]
) -> tuple[list[str], str | None]:
    """Return the first names, and the last of them if any node has more."""
    found = nsmallest(limit + 1, names)
    has_more = len(found) > limit or any(page.get("next") is not None for page in pages.values())
    first = found[:limit]
    return first, first[-1] if has_more and first else None
