"""How often a node was replaced by a new process, and what became of its sessions.

Owns: these counters, and their way to the next process. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: What a replacement is asked for as.
KINDS: Final = ("upgrade", "reload")
DONE: Final = "done"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementCounts:
    """What has been counted, as JSON values; see :class:`Replacements`."""

    done: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    moved: int = 0
    not_moved: int = 0


class Replacements:
    """Counts upgrades and reloads of this process and of those before it."""

    def __init__(self) -> None:
        self._outcomes: Counter[tuple[str, str]] = Counter()
        #: Sessions that went on in a new process.
        self.moved = 0
        #: Sessions and other connections that did not.
        self.not_moved = 0

    def note(self, kind: str, *, is_done: bool) -> None:
        """Count the outcome of a replacement; a kind that is not known is ignored.

        :param kind: one of :data:`KINDS`.
        """
        if kind in KINDS:
            self._outcomes[kind, DONE if is_done else FAILED] += 1

    def note_sessions(self, *, moved: int, not_moved: int) -> None:
        """Count what became of the sessions of a process."""
        self.moved += moved
        self.not_moved += not_moved

    def outcomes(self) -> Mapping[tuple[str, str], int]:
        """Return how often there was each outcome of each kind, those included that never were."""
        return {
            (kind, outcome): self._outcomes[kind, outcome]
            for kind in KINDS
            for outcome in (DONE, FAILED)
        }

    def snapshot(self) -> ReplacementCounts:
        """Return what has been counted so far."""
        return ReplacementCounts(
            done={kind: self._outcomes[kind, DONE] for kind in KINDS},
            failed={kind: self._outcomes[kind, FAILED] for kind in KINDS},
            moved=self.moved,
            not_moved=self.not_moved,
        )

    def resume(self, counts: ReplacementCounts) -> None:
        """Go on from what another process has counted."""
        for outcome, by_kind in ((DONE, counts.done), (FAILED, counts.failed)):
            for kind in KINDS:
                self._outcomes[kind, outcome] += by_kind.get(kind, 0)
        self.note_sessions(moved=counts.moved, not_moved=counts.not_moved)
