"""Those that watch the parent: twistd's first process, a service manager, the pid file.

Owns: what is reported to them. Must not import: Twisted; anything of wampush.
"""

from __future__ import annotations

from typing import Protocol


class Surroundings(Protocol):
    """What the parent reports to those that watch it."""

    def on_serving(self, status: str) -> None:
        """Take note that all workers serve, or how many of them do after the first time.

        :param status: about that, in one line.
        """

    def on_sign_of_life(self) -> None:
        """Take note that all nodes that serve have given a sign of life."""

    def on_reloading(self) -> None:
        """Take note that nodes are being replaced, or read their files again."""

    def on_reloaded(self) -> None:
        """Take note that this is over."""

    def on_stopping(self) -> None:
        """Take note that the end has begun."""

    def on_over(self, status: int) -> None:
        """Take note that everything has ended.

        :param status: for the process to end with; negative for a signal.
        """
