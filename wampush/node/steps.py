"""Steps of a node's start and end, beyond its sockets, and the summary that is logged then.

Owns: their order. Must not import: ``node.service``; ``node.build`` for its types only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from wampush.broker.ledger import Ledger, Source
from wampush.config.settings import Settings
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from wampush.node.build import Node

_log = Logger(namespace="wampush.node")

_PUSHES: Final = (Source.ZEROMQ, Source.HTTP, Source.REDIS, Source.WEBHOOK)
_MESSAGES: Final = (Source.CLIENT, Source.COMPONENT)


def look_at_redis(settings: Settings) -> None:
    """Refuse a Redis server that cannot join nodes; one that does not answer is waited for.

    It blocks, for two seconds at most: no reactor runs yet.

    :raises OperatorError: the server may drop what topics keep, or is too old; or a file of the
        settings cannot be used.
    """
    backplane = settings.backplane
    if not backplane.url:
        return
    # Single nodes start without it.
    from wampush.net.redis.first_look import NotReached, unfitness

    keeps_history = any(each.keeps_something for each in settings.topics)
    try:
        problem = unfitness(backplane, "backplane", keeps_history=keeps_history)
    except NotReached as error:
        _log.warn(
            "{redis}: {problem}; starting without the other nodes",
            redis=backplane.address,
            problem=str(error),
        )
        return
    if problem:
        raise OperatorError(f"backplane.url {backplane.address}: {problem}")


def pull(node: Node) -> None:
    """Bind and connect the ZeroMQ sockets.

    :raises ListenError: an address cannot be used.
    """
    for address in node.pull.start():
        _log.info("pulling pushes from {address}", address=address)


def serve(node: Node) -> None:
    """Start what clients and sources need besides sockets."""
    if node.backplane is not None:
        node.backplane.start()
    node.websocket.start()
    node.redis.start()
    if node.broker.nodes is not None:
        node.broker.nodes.start()


def stop_clients(node: Node, patience: float) -> Deferred[None]:
    """End the connections of clients once they have got what was published.

    :param patience: seconds that they have for that.
    """
    node.broker.flush()
    return node.websocket.stop(patience)


def leave_others(node: Node) -> Deferred[None]:
    """Say goodbye to the other nodes, which have got what was published, and end the link.

    Topics that are still occupied are theirs from now on; those without subscribers are vacated.

    :returns: fires when there is no link.
    """
    if node.broker.occupancy is not None:
        node.broker.occupancy.stop()
    if node.broker.nodes is not None:
        node.broker.nodes.stop()
    if node.backplane is not None:
        node.backplane.stop()
    return succeed(None) if node.redis_bus is None else node.redis_bus.stop()


def summary(ledger: Ledger, seconds: float) -> str:
    """Return what a node did in its life.

    :param ledger: what it has counted.
    :param seconds: since its start.
    """
    accepted = ledger.accepted
    return (
        f"{sum(accepted[source] for source in _PUSHES)} pushes and "
        f"{sum(accepted[source] for source in _MESSAGES)} messages of clients accepted, "
        f"{ledger.refused.total()} inputs refused, {ledger.ended.total()} connections ended "
        f"in {_duration(seconds)}"
    )


def _duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as ``3 h 20 min``."""
    whole = round(seconds)
    days, hours = whole // 86_400, whole // 3_600 % 24
    minutes, rest = whole // 60 % 60, whole % 60
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((index for index, (number, _) in enumerate(units) if number), len(units) - 1)
    return " ".join(f"{number} {unit}" for number, unit in units[first : first + 2])
