"""Applications as an editor and mypy see them; ``make lint`` checks the types, and nothing runs.

What is right has no error. What is wrong has one: mypy complains of a ``type: ignore`` that is
not needed.
"""

# ruff: noqa: ARG001

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from twisted.internet.defer import Deferred, succeed

from wampush.apps import App, ConnectContext, Context, CraSecret, Identity, Refuse, Rewrite

if TYPE_CHECKING:
    app = App()

    @app.procedure("add", timeout=2.5)
    def add(ctx: Context, a: int, b: int = 2) -> int:
        ctx.publish("t", {"a": a}, to={"users": ["7"]})
        users = [str(a), str(b)]
        without = {3, 4}
        ctx.publish("t", a, to={"users": users, "registered": False, "exclude": {"users": without}})
        return a + b

    @app.procedure("later")
    async def later(ctx: Context) -> str:
        return await succeed("x")

    @app.procedure("deferred", threaded=False)
    def deferred(ctx: Context) -> Deferred[int]:
        return succeed(1)

    @app.on_connect
    def connect(ctx: ConnectContext) -> None:
        room: str = ctx.request.parameters.get("room", "")
        raise Refuse(room)

    @app.on_connect(timeout=1)
    async def connect_later(ctx: ConnectContext) -> None:
        ctx.session.send("t", 1)

    @app.on_subscribe
    def subscribe(ctx: Context, topic: str) -> None:
        assert_type(ctx.session.user, str | None)

    @app.on_subscribe("a.*")
    async def subscribe_some(ctx: Context, topic: str) -> None:
        pass

    @app.on_publish("a.*", timeout=1)
    def publish(ctx: Context, topic: str, data: object) -> Rewrite | None:
        return Rewrite(None)

    @app.action("a")
    def act(ctx: Context, details: object) -> object:
        return None

    @app.cra_key
    async def key(ctx: Context, name: str) -> CraSecret | None:
        return CraSecret("secret", Identity(user=name))

    total: int = add(Context.__new__(Context), 1)

    # Mistakes.

    @app.procedure("p")  # type: ignore[type-var]
    def wrong_0(ctx: int) -> int:
        return 1

    @app.on_connect  # type: ignore[type-var]
    def wrong_1(ctx: ConnectContext) -> int:
        return 1

    @app.on_connect  # type: ignore[type-var]
    def wrong_2(ctx: ConnectContext, more: int) -> None: ...

    @app.on_subscribe  # type: ignore[type-var]
    def wrong_3(ctx: Context, topic: int) -> None: ...

    @app.on_publish("t")  # type: ignore[type-var]
    def wrong_4(ctx: Context, topic: str, data: object) -> int:
        return 1

    @app.cra_key  # type: ignore[type-var]
    def wrong_5(ctx: Context, name: str) -> str:
        return ""

    def wrong_6(ctx: Context) -> None:
        ctx.publish("t", 1, to={"user": ["7"]})  # type: ignore[arg-type]

    def wrong_7(ctx: Context) -> None:
        ctx.publish("t", 1, to={"registered": "yes"})  # type: ignore[arg-type]

    @app.action("a", wait=2)  # type: ignore[call-arg]
    def wrong_8(ctx: Context, details: object) -> None: ...
