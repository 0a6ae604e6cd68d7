"""Listing topics and sessions over HTTP, page by page, and ending sessions.

Owns: the queries of these requests and their responses.
Must not import: wampush.wamp, wampush.broker, the other edges; what is listed is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from wampush.edges.http.responses import (
    respond_json,
    respond_no_access,
    respond_problem,
    respond_refused,
)
from wampush.edges.problems import RequestRefused
from wampush.edges.queries import limit, parameters
from wampush.errors import PushRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from twisted.web.server import Request

    from wampush.edges.http.operator_access import HttpAccess

#: Entries of a page, unless the request says otherwise.
DEFAULT_LIMIT: Final = 100
#: Entries of the longest page.
MAX_LIMIT: Final = 1000


class Listed(Protocol):
    """What is listed, and the sessions that can be ended."""

    def topics(self, prefix: str, after: str, limit: int) -> Mapping[str, object]:
        """Return a page of the topics with subscribers.

        :param prefix: of the topics.
        :param after: the topics of the page are greater than this one.
        :param limit: how many the page has at most.
        """

    def sessions(self, user: str | None, after: str, limit: int) -> Mapping[str, object]:
        """Return a page of the sessions.

        :param user: whose; None for all.
        :param after: the ids of the page are greater than this one.
        :param limit: how many the page has at most.
        """

    def end_session(self, session_id: str) -> bool:
        """End a session; return whether there was an open one with this id."""

    def end_user_sessions(self, user: str) -> int:
        """End all sessions of a user; return how many."""


class ListingRoutes:
    """Responds to requests about topics and sessions.

    :param access: decides who may list, and who may end sessions.
    :param listed: what is listed.
    """

    def __init__(self, access: HttpAccess, listed: Listed) -> None:
        self._access = access
        self._listed = listed

    def topics(self, request: Request) -> bytes:
        """List topics."""

        def page() -> Mapping[str, object]:
            query = _query(request, ("prefix", "after", "limit"))
            after = query.get("after", "")
            return self._listed.topics(query.get("prefix", ""), after, _limit(query))

        return self._respond_page(request, page)

    def sessions(self, request: Request) -> bytes:
        """List sessions."""

        def page() -> Mapping[str, object]:
            query = _query(request, ("user", "after", "limit"))
            return self._listed.sessions(query.get("user"), query.get("after", ""), _limit(query))

        return self._respond_page(request, page)

    def end_session(self, request: Request, session_id: str) -> bytes:
        """End one session."""
        refusal = self._access.refuses_change(request)
        if refusal is not None:
            return respond_refused(request, PushRefused(refusal))
        if not self._listed.end_session(session_id):
            return respond_problem(request, RequestRefused(404, "no session has this id"))
        return respond_json(request, 200, {"ended": 1})

    def end_user_sessions(self, request: Request) -> bytes:
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
        return respond_json(request, 200, {"ended": self._listed.end_user_sessions(user)})

    def _respond_page(self, request: Request, page: Callable[[], Mapping[str, object]]) -> bytes:
        if not self._access.permits(request):
            return respond_no_access(request)
        try:
            found = page()
        except RequestRefused as error:
            return respond_problem(request, error)
        return respond_json(request, 200, found)


def _query(request: Request, known: Collection[str]) -> dict[str, str]:
    return parameters(request.uri.partition(b"?")[2].decode("latin-1"), known)


def _limit(query: Mapping[str, str]) -> int:
    return limit(query, DEFAULT_LIMIT, MAX_LIMIT)
