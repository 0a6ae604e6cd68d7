"""Problem details: the JSON of responses that refuse a request (RFC 9457).

Owns: their members, and the status of each reason. Pure.
Must not import: anything of wampush but ``errors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from wampush.errors import ClientError, InputRefused, Refusal

PROBLEM_TYPE: Final = "application/problem+json"

_STATUSES: Final = {
    Refusal.NO_ACCESS: 401,
    Refusal.FOREIGN_PAGE: 403,
    Refusal.STALE: 409,
    Refusal.ID_REUSED: 409,
    Refusal.TOO_LARGE: 413,
    Refusal.CLIENTS_BEHIND: 503,
    Refusal.NOT_STORED: 503,
    Refusal.BACKPLANE_AWAY: 503,
    Refusal.BACKPLANE_AWAY: 503,
    Refusal.STOPPING: 503,
}


class RequestRefused(ClientError):
    """A request over HTTP asks for something that it cannot get.

    :param status: of the response.
    :param detail: what is wrong, safe to show.
    :param code: stable identifier of the problem; "" for none but the status.
    """

    def __init__(self, status: int, detail: str, code: str = "") -> None:
        self.status = status
        self.detail = detail
        self.code = code
        super().__init__(detail)

    def as_json(self) -> Mapping[str, object]:
        """Return what is wrong, as JSON."""
        # Clients that are older than problem details read ``error``.
        members = {"error": self.detail}
        if self.code:
            members["code"] = self.code
        return problem(self.status, self.detail, members)


class NodesSilent(RequestRefused):
    """Some nodes have not said in time what was asked of all.

    :param detail: what is known.
    :param unanswered: the names of these nodes.
    :param ended: how many sessions end at the others; None where none were to end.
    """

    def __init__(self, detail: str, unanswered: tuple[str, ...], ended: int | None = None) -> None:
        self.unanswered = unanswered
        self.ended = ended
        super().__init__(504, detail, "nodes-silent")

    def as_json(self) -> Mapping[str, object]:
        """Return what is wrong, as JSON."""
        ended = {} if self.ended is None else {"ended": self.ended}
        return {**super().as_json(), **ended, "unanswered": self.unanswered}


def problem(status: int, detail: str, members: Mapping[str, object]) -> Mapping[str, object]:
    """Return what is wrong with a request, as JSON.

    Its type is "about:blank", which stands for what the status says; ``code`` is the identifier for
    programs.

    :param status: of the response.
    :param detail: what is wrong.
    :param members: further members.
    """
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return {**document, **members}


def status_of(refusal: Refusal) -> int:
    """Return the status of the response to a refused input."""
    return _STATUSES.get(refusal, 400)


def refused_input(error: InputRefused) -> Mapping[str, object]:
    """Return what is wrong with a refused input, as JSON."""
    refusal = error.refusal
    members = {"code": refusal.code, "sentence": refusal.sentence}
    return problem(status_of(refusal), error.detail, members)
