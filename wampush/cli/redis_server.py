"""The Redis pass of ``wampush check``: whether the server of ``[backplane]`` can join nodes.

Owns: the lines about it. Must not import: the reactor, the composition root; the client is imported
when there is a server to look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wampush.errors import OperatorError

if TYPE_CHECKING:
    from wampush.config.settings import Settings


def findings(settings: Settings) -> tuple[list[str], list[str]]:
    """Return lines about what does not stop the server, and about what does.

    A Redis server that does not answer is no mistake: wampush starts, and waits for it.
    """
    backplane = settings.backplane
    if not backplane.url:
        return [], []
    from wampush.net.redis.first_look import NotReached, unfitness

    keeps_history = any(each.keeps_something for each in settings.topics)
    try:
        problem = unfitness(backplane, "backplane", keeps_history=keeps_history)
    except NotReached as error:
        line = f"note: backplane.url {backplane.address}: {error}; the server starts without it"
        return [line], []
    except OperatorError:
        # The pass of files reports it.
        return [], []
    return [], [f"backplane.url {backplane.address}: {problem}"] if problem else []
