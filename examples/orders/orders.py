"""Orders: placed by customers, shipped by staff, shown to both as they change."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from itertools import count

from wampush.apps import App, Context, WampError

MOST_SHOWN = 50

app = App()


@dataclass
class Order:
    """One order.

    :param updated: when it was placed or shipped, in seconds since 1970.
    """

    number: int
    customer: str
    article: str
    state: str
    updated: float = field(default_factory=time.time)


_numbers = count(1)
_orders: dict[int, Order] = {}


@app.procedure("orders.list")
def list_orders(ctx: Context) -> list[dict[str, object]]:
    """The newest orders: all of them for staff, their own for customers."""
    identity = ctx.session.identity
    mine = [
        order
        for order in _orders.values()
        if "staff" in identity.groups or order.customer == identity.user
    ]
    return [asdict(order) for order in mine[-MOST_SHOWN:]]


@app.procedure("orders.place")
def place(ctx: Context, article: object) -> dict[str, object]:
    """A customer orders something."""
    customer = ctx.session.identity.user
    if customer is None or not isinstance(article, str) or not 0 < len(article) <= 100:
        raise WampError("http://example.com/error#order", "An order names its article.")
    order = Order(next(_numbers), customer, article, "placed")
    _orders[order.number] = order
    tell(ctx, order)
    return asdict(order)


@app.procedure("orders.ship")
def ship(ctx: Context, number: object) -> dict[str, object]:
    """Staff ships an order; the customer sees it on every page that is open."""
    order = _orders.get(number) if isinstance(number, int) else None
    if order is None:
        raise WampError("http://example.com/error#order", "There is no such order.", number)
    order.state, order.updated = "shipped", time.time()
    tell(ctx, order)
    return asdict(order)


def tell(ctx: Context, order: Order) -> None:
    """Everybody who may see an order gets it anew."""
    ctx.publish("orders", asdict(order))
    ctx.publish(f"user.{order.customer}", asdict(order), to={"users": [order.customer]})
