"""Listing topics and sessions over HTTP, page by page, and ending sessions.

Owns: the queries of these requests and their responses.
Must not import: wampush.wamp, wampush.broker, the other edges; what is listed is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from twisted.internet.defer import Deferred

from wampush.edges.http.responses import (
    respond_json,
    respond_no_access,
    respond_problem,
    respond_refused,
)
from wampush.edges.problems import NodesSilent, RequestRefused
from wampush.edges.queries import limit, parameters
from wampush.errors import PushRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from twisted.web.server import Request

    from wampush.edges.http.operator_access import HttpAccess

Response: TypeAlias = "bytes | Deferred[bytes]"

#: Entries of a page, unless the request says otherwise.
DEFAULT_LIMIT: Final = 100
#: Entries of the longest page.
MAX_LIMIT: Final = 1000


class Ended(Protocol):
    """How many sessions end, as an integer."""

    unanswered: tuple[str, ...]
    """The names of the nodes that have not answered."""

    def __int__(self) -> int:
        """Return the number."""


class Listed(Protocol):
    """What is listed, and the sessions that can be ended, at all nodes.

    Each calls a function with what it has found, perhaps later.
    """

    def topics(
        self, prefix: str, after: str, limit: int, done: Callable[[Mapping[str, object]], object]
    ) -> None:
        """Find a page of the topics with subscribers.

        :param prefix: of the topics.
        :param after: the topics of the page are greater than this one.
        :param limit: how many the page has at most.
        """

    def sessions(
        self,
        user: str | None,
        after: str,
        limit: int,
        done: Callable[[Mapping[str, object]], object],
    ) -> None:
        """Find a page of the sessions.

        :param user: whose; None for all.
        :param after: the ids of the page are greater than this one.
        :param limit: how many the page has at most.
        """

    def session(
        self,
        session_id: str,
        done: Callable[[Mapping[str, object] | None, tuple[str, ...]], object],
    ) -> None:
        """Find a session.

        :param done: gets it, or None, and the names of the nodes that have not answered.
        """

    def end_session(self, session_id: str, done: Callable[[Ended], object]) -> None:
        """End a session, if there is an open one with this id."""

    def end_user_sessions(self, user: str, done: Callable[[Ended], object]) -> None:
        """End all sessions of a user."""


class ListingRoutes:
    """Responds to requests about topics and sessions.

    :param access: decides who may list, and who may end sessions.
    :param listed: what is listed.
    """

    def __init__(self, access: HttpAccess, listed: Listed) -> None:
        self._access = access
        self._listed = listed

    def topics(self, request: Request) -> Response:
        """List topics."""

        def start(done: Callable[[Mapping[str, object]], object]) -> None:
            query = _query(request, ("prefix", "after", "limit"))
            after = query.get("after", "")
            self._listed.topics(query.get("prefix", ""), after, _limit(query), done)

        return self._respond_page(request, start)

    def sessions(self, request: Request) -> Response:
        """List sessions."""

        def start(done: Callable[[Mapping[str, object]], object]) -> None:
            query = _query(request, ("user", "after", "limit"))
            user, after = query.get("user"), query.get("after", "")
            self._listed.sessions(user, after, _limit(query), done)

        return self._respond_page(request, start)

    def session(self, request: Request, session_id: str) -> Response:
        """Show one session."""
        if not self._access.permits(request):
            return respond_no_access(request)
        found: Deferred[bytes] = Deferred()

        def on_found(session: Mapping[str, object] | None, unanswered: tuple[str, ...]) -> None:
            if session is not None:
                found.callback(respond_json(request, 200, session))
            else:
                found.callback(_respond_none(request, unanswered))

        self._listed.session(session_id, on_found)
        return found

    def end_session(self, request: Request, session_id: str) -> Response:
        """End one session."""
        refusal = self._access.refuses_change(request)
        if refusal is not None:
            return respond_refused(request, PushRefused(refusal))
        done: Deferred[bytes] = Deferred()

        def on_ended(ended: Ended) -> None:
            if int(ended):
                done.callback(respond_json(request, 200, {"ended": int(ended)}))
            else:
                done.callback(_respond_none(request, ended.unanswered))

        self._listed.end_session(session_id, on_ended)
        return done

    def end_user_sessions(self, request: Request) -> Response:
        """End the sessions of a user."""
        refusal = self._access.refuses_change(request)
        if refusal is not None:
            return respond_refused(request, PushRefused(refusal))
        try:
            user = _query(request, ("user",)).get("user")
        except RequestRefused as error:
            return respond_problem(request, error)
        if not user:
            text = "the query must name the user, as in ?user=7"
            return respond_problem(request, RequestRefused(400, text))
        done: Deferred[bytes] = Deferred()
        self._listed.end_user_sessions(
            user, lambda ended: done.callback(_respond_ended(request, ended))
        )
        return done

    def _respond_page(
        self,
        request: Request,
        start: Callable[[Callable[[Mapping[str, object]], object]], None],
    ) -> Response:
        if not self._access.permits(request):
            return respond_no_access(request)
        page: Deferred[bytes] = Deferred()
        try:
            start(lambda found: page.callback(respond_json(request, 200, found)))
        except RequestRefused as error:
            return respond_problem(request, error)
        return page


def _respond_none(request: Request, unanswered: tuple[str, ...]) -> bytes:
    """Respond that no session has this id, as far as the nodes have answered."""
    if not unanswered:
        return respond_problem(request, RequestRefused(404, "no session has this id"))
    text = f"no session of the other nodes has this id; no answer from {', '.join(unanswered)}"
    return respond_problem(request, NodesSilent(text, unanswered))


def _respond_ended(request: Request, ended: Ended) -> bytes:
    if not ended.unanswered:
        return respond_json(request, 200, {"ended": int(ended)})
    names = ", ".join(ended.unanswered)
    text = f"{int(ended)} sessions end; no answer from {names}, where more of them may be open"
    return respond_problem(request, NodesSilent(text, ended.unanswered, int(ended)))


def _query(request: Request, known: Collection[str]) -> dict[str, str]:
    return parameters(request.uri.partition(b"?")[2].decode("latin-1"), known)


def _limit(query: Mapping[str, str]) -> int:
    return limit(query, DEFAULT_LIMIT, MAX_LIMIT)
