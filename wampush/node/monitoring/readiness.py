"""Whether a node is ready for clients and pushes, and which part is not.

Owns: the contents of ``/readyz``. Must not import: Twisted, the edges; each part is asked by a
function that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from wampush.node.monitoring.serving import Serving, ServingState

#: Returns the members of a part, each with why it is not ready; "" if it is.
Problems = Callable[[], Iterable[tuple[str, str]]]


class Readiness:
    """What a node answers when it is asked whether it is ready.

    :param serving: whether it drains or stops.
    :param parts: the parts of the node by name, in the order in which they are shown.
    :param worker: the number of this one of several workers.
    """

    def __init__(self, serving: Serving, parts: Mapping[str, Problems], worker: int = 1) -> None:
        self._serving = serving
        self._parts = dict(parts)
        self._worker = worker

    @property
    def parts(self) -> Collection[str]:
        """The names of all parts."""
        return self._parts.keys()

    def report(self, excluded: Collection[str] = ()) -> Mapping[str, object]:
        """Return the state of the node and of each member of its parts.

        :param excluded: parts that are left out, and need not be ready.
        :returns: ``status`` is "ready", "not-ready", "draining" or "stopping".
        """
        members = [
            {"part": part, "name": name, "ready": not problem, "problem": problem or None}
            for part, problems in self._parts.items()
            if part not in excluded
            for name, problem in problems()
        ]
        state = self._serving.state
        if state is not ServingState.SERVING:
            status = state.value
        else:
            status = "ready" if all(each["ready"] for each in members) else "not-ready"
        return {"status": status, "worker": self._worker, "parts": members}

    def by_part(self) -> Mapping[str, bool]:
        """Return whether all members of each part are ready."""
        return {
            part: not any(problem for _, problem in problems())
            for part, problems in self._parts.items()
        }
