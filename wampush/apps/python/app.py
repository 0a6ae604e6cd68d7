"""The object that application code in Python registers its handlers with.

Owns: App, its decorators, and what they were given. Must not import: Twisted, the edges.

A decorator gives back the function as it is, so that it can be called and tested like any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Final, TypeVar, overload

from wampush.apps.python.context import ConnectContext, Context
from wampush.apps.python.handlers import Handler, handler
from wampush.apps.python.values import CraSecret, Rewrite
from wampush.errors import shown
from wampush.topics import is_reserved
from wampush.wamp.cra import PROCEDURE_AUTH, PROCEDURE_AUTHREQ, Salting

Procedure = Callable[Concatenate[Context, ...], object]
Nothing = Awaitable[None] | None
"""What most handlers return: nothing, now (plain) or later (``async def``, a Deferred)."""
ConnectHandler = Callable[[ConnectContext], Nothing]
AuthenticatedHandler = Callable[[Context], Nothing]
DisconnectHandler = Callable[[Context, str], Nothing]
SubscribeHandler = Callable[[Context, str], Nothing]
PublishHandler = Callable[[Context, str, Any], Awaitable[Rewrite | None] | Rewrite | None]
ActionHandler = Callable[[Context, Any], object]
CraKeyHandler = Callable[[Context, str], Awaitable[CraSecret | None] | CraSecret | None]

P = TypeVar("P", bound=Procedure)
C = TypeVar("C", bound=ConnectHandler)
A = TypeVar("A", bound=AuthenticatedHandler)
D = TypeVar("D", bound=DisconnectHandler)
S = TypeVar("S", bound=SubscribeHandler)
U = TypeVar("U", bound=PublishHandler)
E = TypeVar("E", bound=ActionHandler)
K = TypeVar("K", bound=CraKeyHandler)

#: Run by the server itself; clients can not send these actions.
AUTHENTICATION: Final = "Client/authentication"
DISCONNECTION: Final = "Client/disconnection"
SYSTEM_ACTIONS: Final = frozenset((AUTHENTICATION, DISCONNECTION))


@dataclass(frozen=True, slots=True)
class CraKeys:
    """Where an app's keys of WAMP-CRA come from, and what stands in for those it does not have.

    :param handler: gives the key of a name.
    :param salting: what the app's own saltings look like; None when it has none.
    :param seed: secret; salts for names without a key are made of it.
    """

    handler: Handler
    salting: Salting | None
    seed: bytes | None


@dataclass(slots=True)
class Registered:
    """What an app has registered, in its order."""

    procedures: dict[str, Handler] = field(default_factory=dict)
    actions: dict[str, Handler] = field(default_factory=dict)
    connect: list[Handler] = field(default_factory=list)
    authenticated: list[Handler] = field(default_factory=list)
    disconnect: list[Handler] = field(default_factory=list)
    subscribe: list[Handler] = field(default_factory=list)
    publish: list[Handler] = field(default_factory=list)
    cra_keys: CraKeys | None = None


class App:
    """Application code in the server: procedures, hooks and actions.

    Handlers may be plain functions, ``async def`` (awaiting Deferreds), or return a Deferred. What
    blocks is marked ``threaded=True`` and runs in a thread. ``timeout`` is in seconds; without it
    ``application.timeout`` holds.

    Decorators raise TypeError or ValueError for what can not work, which stops the start.
    """

    def __init__(self) -> None:
        #: For the server.
        self.registered: Final = Registered()

    # Calls.

    def procedure(
        self, uri: str, *, timeout: float | None = None, threaded: bool = False
    ) -> Callable[[P], P]:
        """Answer calls of a URI: ``def add(ctx, a, b)``; what it returns is the result.

        A call with a wrong number of arguments is answered with an error. Raise WampError for any
        other error that the caller shall see.
        """
        _check_name("procedure", uri)
        if uri in (PROCEDURE_AUTHREQ, PROCEDURE_AUTH):
            raise ValueError(f"procedure {uri!r}: this name is the server's own; choose another")

        def register(function: P) -> P:
            made = handler(f'procedure "{uri}"', function, None, timeout, threaded)
            self._add(self.registered.procedures, uri, made)
            return function

        return register

    def action(
        self, name: str, *, timeout: float | None = None, threaded: bool = False
    ) -> Callable[[E], E]:
        """Take what clients publish under this topic: ``def order(ctx, details)``.

        Nobody else gets it. What is returned and not None goes back as an event of the same topic,
        ``ActionError`` as one of ``NAME:error``. ``Client/authentication`` and
        ``Client/disconnection`` are run by the server, with None for details.
        """
        _check_name("action", name)

        def register(function: E) -> E:
            made = handler(f'action "{name}"', function, ("details",), timeout, threaded)
            self._add(self.registered.actions, name, made)
            return function

        return register

    # Sessions.

    @overload
    def on_connect(self, function: C, /) -> C: ...

    @overload
    def on_connect(
        self, /, *, timeout: float | None = None, threaded: bool = False
    ) -> Callable[[C], C]: ...

    def on_connect(
        self, function: Any = None, /, *, timeout: float | None = None, threaded: bool = False
    ) -> Any:
        """Before a client is let in: ``def check(ctx)``; raise Refuse to keep it out.

        It waits for its WebSocket meanwhile; ``ctx.request`` holds the handshake. Without a timeout
        of its own ``application.connect_timeout`` holds.
        """
        into = self.registered.connect
        return self._hook(function, "on_connect", (), into, timeout, threaded)

    @overload
    def on_authenticated(self, function: A, /) -> A: ...

    @overload
    def on_authenticated(
        self, /, *, timeout: float | None = None, threaded: bool = False
    ) -> Callable[[A], A]: ...

    def on_authenticated(
        self, function: Any = None, /, *, timeout: float | None = None, threaded: bool = False
    ) -> Any:
        """It is known who a client is, from the start or by now: ``def welcome(ctx)``.

        Raise Refuse to end the session.
        """
        into = self.registered.authenticated
        return self._hook(function, "on_authenticated", (), into, timeout, threaded)

    @overload
    def on_disconnect(self, function: D, /) -> D: ...

    @overload
    def on_disconnect(
        self, /, *, timeout: float | None = None, threaded: bool = False
    ) -> Callable[[D], D]: ...

    def on_disconnect(
        self, function: Any = None, /, *, timeout: float | None = None, threaded: bool = False
    ) -> Any:
        """A session has ended: ``def goodbye(ctx, reason)``.

        The reason is a word of the table of connection ends, such as ``peer-closed``.
        """
        into = self.registered.disconnect
        return self._hook(function, "on_disconnect", ("reason",), into, timeout, threaded)

    # Topics.

    @overload
    def on_subscribe(self, match: S, /) -> S: ...

    @overload
    def on_subscribe(
        self, match: str = "*", /, *, timeout: float | None = None, threaded: bool = False
    ) -> Callable[[S], S]: ...

    def on_subscribe(
        self, match: Any = "*", /, *, timeout: float | None = None, threaded: bool = False
    ) -> Any:
        """Before a subscription takes effect: ``def check(ctx, topic)``; raise Refuse to refuse it.

        :param match: a topic, or a prefix of topics that ends in ``*``; all topics by default.
        """
        into, names = self.registered.subscribe, ("topic",)
        function, topics = (None, match) if isinstance(match, str) else (match, "*")
        return self._hook(function, "on_subscribe", names, into, timeout, threaded, topics)

    @overload
    def on_publish(self, match: U, /) -> U: ...

    @overload
    def on_publish(
        self, match: str = "*", /, *, timeout: float | None = None, threaded: bool = False
    ) -> Callable[[U], U]: ...

    def on_publish(
        self, match: Any = "*", /, *, timeout: float | None = None, threaded: bool = False
    ) -> Any:
        """Before what a client publishes goes out: ``def check(ctx, topic, data)``.

        Return nothing to let it pass as it is, ``Rewrite(value)`` to publish something else, raise
        Refuse to refuse it.

        :param match: a topic, or a prefix of topics that ends in ``*``; all topics by default.
        """
        into, names = self.registered.publish, ("topic", "data")
        function, topics = (None, match) if isinstance(match, str) else (match, "*")
        return self._hook(function, "on_publish", names, into, timeout, threaded, topics)

    # Who clients are.

    @overload
    def cra_key(self, function: K, /) -> K: ...

    @overload
    def cra_key(
        self,
        /,
        *,
        salting: Salting | None = None,
        seed: bytes | None = None,
        timeout: float | None = None,
        threaded: bool = False,
    ) -> Callable[[K], K]: ...

    def cra_key(
        self,
        function: Any = None,
        /,
        *,
        salting: Salting | None = None,
        seed: bytes | None = None,
        timeout: float | None = None,
        threaded: bool = False,
    ) -> Any:
        """Give the key that a client names in WAMP-CRA: ``def key(ctx, name)``.

        Return CraSecret, or None when there is no such key. ``auth.order`` must contain ``cra``.

        :param salting: where keys are salted, an example of it: the challenge for a name without a
            key must look as the others do, else it tells which names there are.
        :param seed: secret; salts for names without a key are made of it. Without it they differ
            from start to start, which tells which names there are, too.
        """

        def register(registered: CraKeyHandler) -> CraKeyHandler:
            if self.registered.cra_keys is not None:
                raise ValueError("cra_key: there is one already")
            made = handler("cra_key", registered, ("name",), timeout, threaded)
            self.registered.cra_keys = CraKeys(made, salting, seed)
            return registered

        return register if function is None else register(function)

    # Registering.

    @staticmethod
    def _add(table: dict[str, Handler], name: str, made: Handler) -> None:
        if name in table:
            raise ValueError(f"{made.name}: there is {table[name].name} already")
        table[name] = made

    @staticmethod
    def _hook(
        function: Callable[..., object] | None,
        purpose: str,
        names: Sequence[str],
        into: list[Handler],
        timeout: float | None,
        threaded: bool,
        match: str = "*",
    ) -> object:
        """Register a hook, or give the decorator that will."""

        def register(registered: Callable[..., object]) -> Callable[..., object]:
            into.append(handler(purpose, registered, names, timeout, threaded, match))
            return registered

        return register if function is None else register(function)


def _check_name(kind: str, name: object) -> None:
    """Whether something can be called that.

    :raises TypeError: when it is no text, such as the function of ``@app.procedure`` without name.
    :raises ValueError: when it is empty, or the server's own.
    """
    if not isinstance(name, str):
        raise TypeError(f'{kind}: write @app.{kind}("NAME"), with text in place of {shown(name)}')
    if not name:
        raise ValueError(f'{kind} "": the name must not be empty')
    if is_reserved(name):
        raise ValueError(f"{kind} {name!r}: this name is the server's own; choose another")
