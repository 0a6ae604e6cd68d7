"""Probes of supervisors and load balancers: is the process alive, is it ready?

Owns: the status of each answer, and what strangers see of it.
Must not import: wampush.wamp, wampush.broker, the other edges; what is ready is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wampush.edges.http.responses import respond_json, respond_problem
from wampush.edges.problems import RequestRefused
from wampush.edges.queries import parameters
from wampush.excerpts import shown_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from twisted.web.server import Request

    from wampush.edges.http.operator_access import HttpAccess


class Probed(Protocol):
    """What is asked whether it is ready."""

    @property
    def parts(self) -> Collection[str]:
        """The names of all parts."""

    def report(self, excluded: Collection[str]) -> Mapping[str, object]:
        """Return the state; its ``status`` is "ready", or a word that says why it is not.

        :param excluded: parts that need not be ready.
        """


class ProbeRoutes:
    """Responds to probes.

    :param access: decides who sees more than the status.
    :param probed: what is asked.
    """

    def __init__(self, access: HttpAccess, probed: Probed) -> None:
        self._access = access
        self._probed = probed

    def live(self, request: Request) -> bytes:
        """Respond, which shows that the event loop turns."""
        return respond_json(request, 200, {"status": "ok"})

    def ready(self, request: Request) -> bytes:
        """Respond with the state, with 503 unless it is "ready"."""
        try:
            report = self._probed.report(self._excluded(request))
        except RequestRefused as error:
            return respond_problem(request, error)
        status = report["status"]
        shown = report if self._access.permits(request) else {"status": status}
        return respond_json(request, 200 if status == "ready" else 503, shown)

    def _excluded(self, request: Request) -> Collection[str]:
        query = parameters(request.uri.partition(b"?")[2].decode("latin-1"), ("exclude",))
        names = [each for each in query.get("exclude", "").split(",") if each]
        for name in names:
            if name not in self._probed.parts:
                known = ", ".join(self._probed.parts)
                text = f"exclude has {shown_json(name)}; the parts are {known}"
                raise RequestRefused(400, text)
        return names
