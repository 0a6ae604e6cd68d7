"""An app whose procedure answers when a test says so."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from wampush.apps import App

app = App()
#: What the calls that have no answer yet wait for.
waiting: list[Deferred[Any]] = []


@app.procedure("slow")
def slow(ctx: Any, value: int) -> Deferred[int]:  # noqa: ARG001 - the context
    """Answer later, with the argument."""
    answer: Deferred[int] = Deferred()
    waiting.append(answer)
    return answer.addCallback(lambda _: value)


judge = App()


@judge.on_subscribe("judged")
def decide(ctx: Any, topic: str) -> Deferred[None]:  # noqa: ARG001 - of the interface
    """Allow it later."""
    answer: Deferred[None] = Deferred()
    waiting.append(answer)
    return answer
