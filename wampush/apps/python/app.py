"""The object with which application code in Python registers its handlers.

Owns: App, its decorators, and what was registered. Must not import: Twisted, the edges.

A decorator returns the function unchanged, so that it can be called and tested like any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Final, TypeVar, Unpack, overload

from wampush.apps.python.context import ConnectContext, Context, ServerContext
from wampush.apps.python.handlers import Handler, HandlerOptions, handler
from wampush.apps.python.values import CraSecret, Rewrite
from wampush.excerpts import shown
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
TopicHandler = Callable[[ServerContext, str], Nothing]
CraKeyHandler = Callable[[Context, str], Awaitable[CraSecret | None] | CraSecret | None]

P = TypeVar("P", bound=Procedure)
C = TypeVar("C", bound=ConnectHandler)
A = TypeVar("A", bound=AuthenticatedHandler)
D = TypeVar("D", bound=DisconnectHandler)
S = TypeVar("S", bound=SubscribeHandler)
U = TypeVar("U", bound=PublishHandler)
E = TypeVar("E", bound=ActionHandler)
T = TypeVar("T", bound=TopicHandler)
K = TypeVar("K", bound=CraKeyHandler)

#: Actions that the server runs; clients cannot send them.
AUTHENTICATION: Final = "Client/authentication"
DISCONNECTION: Final = "Client/disconnection"
SYSTEM_ACTIONS: Final = frozenset((AUTHENTICATION, DISCONNECTION))


@dataclass(frozen=True, slots=True)
class CraKeyRegistration:
    """The handler that gives WAMP-CRA keys, and how names without a key are disguised.

    :param handler: returns the key of a name.
    :param salting: an example of the app's saltings; None when its keys are not salted.
    :param seed: secret; salts for names without a key are made from it.
    """

    handler: Handler
    salting: Salting | None
    seed: bytes | None


@dataclass(slots=True)
class Registered:
    """The handlers of an app, in the order of their registration."""

    procedures: dict[str, Handler] = field(default_factory=dict)
    actions: dict[str, Handler] = field(default_factory=dict)
    connect: list[Handler] = field(default_factory=list)
    authenticated: list[Handler] = field(default_factory=list)
    disconnect: list[Handler] = field(default_factory=list)
    subscribe: list[Handler] = field(default_factory=list)
    publish: list[Handler] = field(default_factory=list)
    occupied: list[Handler] = field(default_factory=list)
    vacated: list[Handler] = field(default_factory=list)
    cra_key: CraKeyRegistration | None = None


class App:
    """Application code in the server: procedures, hooks and actions.

    Handlers may be plain functions, ``async def`` (awaiting Deferreds), or return a Deferred.
    Handlers that block are marked ``threaded=True`` and run in a thread. ``async def`` handlers
    that await what asyncio offers are marked ``asyncio=True`` and run in an event loop of asyncio.
    ``timeout`` is in seconds; the default is ``application.timeout``.

    Decorators raise TypeError or ValueError for handlers that cannot work; then wampush does not
    start.
    """

    def __init__(self) -> None:
        #: For the server.
        self.registered: Final = Registered()

    # Calls.

    def procedure(self, uri: str, **options: Unpack[HandlerOptions]) -> Callable[[P], P]:
        """Register the procedure of a URI: ``def add(ctx, a, b)``; what it returns is the result.

        A call with a wrong number of arguments gets an error. Raise WampError for any other error
        that the caller should see.
        """
        _check_name("procedure", uri)
        if uri in (PROCEDURE_AUTHREQ, PROCEDURE_AUTH):
            raise ValueError(
                f"procedure {uri!r}: this name is reserved for the server; choose another"
            )

        def register(function: P) -> P:
            made = handler(f'procedure "{uri}"', function, None, **options)
            self._add(self.registered.procedures, uri, made)
            return function

        return register

    def action(self, name: str, **options: Unpack[HandlerOptions]) -> Callable[[E], E]:
        """Register the action that clients publish on a topic: ``def order(ctx, details)``.

        Subscribers do not receive such publications. A return value other than None goes back as an
        event on the same topic, an ``ActionError`` as an event on ``NAME:error``. The server runs
        ``Client/authentication`` and ``Client/disconnection``, with None for details.
        """
        _check_name("action", name)

        def register(function: E) -> E:
            made = handler(f'action "{name}"', function, ("details",), **options)
            self._add(self.registered.actions, name, made)
            return function

        return register

    # Sessions.

    @overload
    def on_connect(self, function: C, /) -> C: ...

    @overload
    def on_connect(self, /, **options: Unpack[HandlerOptions]) -> Callable[[C], C]: ...

    def on_connect(self, function: Any = None, /, **options: Unpack[HandlerOptions]) -> Any:
        """Decide whether a client may connect: ``def check(ctx)``; raise Refuse to refuse it.

        The client waits for its WebSocket meanwhile; ``ctx.request`` is the handshake. The default
        of the timeout is ``application.connect_timeout``.
        """
        into = self.registered.connect
        return self._hook(function, "on_connect", (), into, options)

    @overload
    def on_authenticated(self, function: A, /) -> A: ...

    @overload
    def on_authenticated(self, /, **options: Unpack[HandlerOptions]) -> Callable[[A], A]: ...

    def on_authenticated(self, function: Any = None, /, **options: Unpack[HandlerOptions]) -> Any:
        """Handle a session that has a user, from the start or later: ``def welcome(ctx)``.

        Raise Refuse to end the session.
        """
        into = self.registered.authenticated
        return self._hook(function, "on_authenticated", (), into, options)

    @overload
    def on_disconnect(self, function: D, /) -> D: ...

    @overload
    def on_disconnect(self, /, **options: Unpack[HandlerOptions]) -> Callable[[D], D]: ...

    def on_disconnect(self, function: Any = None, /, **options: Unpack[HandlerOptions]) -> Any:
        """Handle the end of a session: ``def goodbye(ctx, reason)``.

        The reason is a code from the table of connection ends, such as ``peer-closed``.
        """
        into = self.registered.disconnect
        return self._hook(function, "on_disconnect", ("reason",), into, options)

    # Topics.

    @overload
    def on_subscribe(self, match: S, /) -> S: ...

    @overload
    def on_subscribe(
        self, match: str = "*", /, **options: Unpack[HandlerOptions]
    ) -> Callable[[S], S]: ...

    def on_subscribe(self, match: Any = "*", /, **options: Unpack[HandlerOptions]) -> Any:
        """Decide about a subscription: ``def check(ctx, topic)``; raise Refuse to refuse it.

        :param match: a topic, or a prefix of topics that ends in ``*``; all topics by default.
        """
        into, names = self.registered.subscribe, ("topic",)
        function, topics = (None, match) if isinstance(match, str) else (match, "*")
        return self._hook(function, "on_subscribe", names, into, options, topics)

    @overload
    def on_publish(self, match: U, /) -> U: ...

    @overload
    def on_publish(
        self, match: str = "*", /, **options: Unpack[HandlerOptions]
    ) -> Callable[[U], U]: ...

    def on_publish(self, match: Any = "*", /, **options: Unpack[HandlerOptions]) -> Any:
        """Decide about a client's publication: ``def check(ctx, topic, data)``.

        Return nothing to publish the data as it is, ``Rewrite(value)`` to publish something else,
        or raise Refuse to refuse it.

        :param match: a topic, or a prefix of topics that ends in ``*``; all topics by default.
        """
        into, names = self.registered.publish, ("topic", "data")
        function, topics = (None, match) if isinstance(match, str) else (match, "*")
        return self._hook(function, "on_publish", names, into, options, topics)

    @overload
    def on_occupied(self, match: T, /) -> T: ...

    @overload
    def on_occupied(
        self, match: str = "*", /, **options: Unpack[HandlerOptions]
    ) -> Callable[[T], T]: ...

    def on_occupied(self, match: Any = "*", /, **options: Unpack[HandlerOptions]) -> Any:
        """Handle a topic that has got its first subscriber: ``def start(ctx, topic)``.

        :param match: a topic, or a prefix of topics that ends in ``*``; all topics by default.
        """
        into, names = self.registered.occupied, ("topic",)
        function, topics = (None, match) if isinstance(match, str) else (match, "*")
        return self._hook(function, "on_occupied", names, into, options, topics)

    @overload
    def on_vacated(self, match: T, /) -> T: ...

    @overload
    def on_vacated(
        self, match: str = "*", /, **options: Unpack[HandlerOptions]
    ) -> Callable[[T], T]: ...

    def on_vacated(self, match: Any = "*", /, **options: Unpack[HandlerOptions]) -> Any:
        """Handle a topic that has lost its last subscriber: ``def stop(ctx, topic)``.

        It runs ``presence.topic_grace`` seconds later, unless the topic is occupied again by then.

        :param match: as for :meth:`on_occupied`.
        """
        into, names = self.registered.vacated, ("topic",)
        function, topics = (None, match) if isinstance(match, str) else (match, "*")
        return self._hook(function, "on_vacated", names, into, options, topics)

    # Authentication.

    @overload
    def cra_key(self, function: K, /) -> K: ...

    @overload
    def cra_key(
        self,
        /,
        *,
        salting: Salting | None = None,
        seed: bytes | None = None,
        **options: Unpack[HandlerOptions],
    ) -> Callable[[K], K]: ...

    def cra_key(
        self,
        function: Any = None,
        /,
        *,
        salting: Salting | None = None,
        seed: bytes | None = None,
        **options: Unpack[HandlerOptions],
    ) -> Any:
        """Return the key that a client names in WAMP-CRA: ``def key(ctx, name)``.

        Return CraSecret, or None when there is no such key. ``auth.order`` must contain ``cra``.

        :param salting: an example, if keys are salted: the challenge for a name without a key must
            look like the others, or it would reveal which names exist.
        :param seed: secret; salts for names without a key are made from it. Without it these
            salts change with every start, which reveals which names exist, too.
        """

        def register(registered: CraKeyHandler) -> CraKeyHandler:
            if self.registered.cra_key is not None:
                raise ValueError("cra_key: this app has a cra_key handler already; remove one")
            made = handler("cra_key", registered, ("name",), **options)
            self.registered.cra_key = CraKeyRegistration(made, salting, seed)
            return registered

        return register if function is None else register(function)

    # Registering.

    @staticmethod
    def _add(table: dict[str, Handler], name: str, made: Handler) -> None:
        if name in table:
            raise ValueError(f"{made.name}: {table[name].name} is registered already; rename one")
        table[name] = made

    @staticmethod
    def _hook(
        function: Callable[..., object] | None,
        purpose: str,
        names: Sequence[str],
        into: list[Handler],
        options: HandlerOptions,
        match: str = "*",
    ) -> object:
        """Register a hook, or return the decorator that will."""

        def register(registered: Callable[..., object]) -> Callable[..., object]:
            into.append(handler(purpose, registered, names, match=match, **options))
            return registered

        return register if function is None else register(function)


def _check_name(kind: str, name: object) -> None:
    """Check the name of a procedure or an action.

    :raises TypeError: when it is not a string, such as the function of a bare ``@app.procedure``.
    :raises ValueError: when it is empty, or reserved for the server.
    """
    if not isinstance(name, str):
        raise TypeError(
            f'{kind}: write @app.{kind}("NAME") with a string as name, not {shown(name)}'
        )
    if not name:
        raise ValueError(f'{kind} "": the name must not be empty')
    if is_reserved(name):
        raise ValueError(f"{kind} {name!r}: this name is reserved for the server; choose another")
