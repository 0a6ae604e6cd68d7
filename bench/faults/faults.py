"""The faults: each does its damage while a load runs.

Owns: what goes wrong, and what that may do to events. Must not import: wampush.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.faults.installation import Installation, Node, until, until_later
from bench.faults.load import Load
from bench.faults.records import Allowed


@dataclass(frozen=True, slots=True)
class Times:
    """How long faults last at least, in seconds; most end once every node has noticed them.

    :ivar pause: of a Redis that is stopped.
    :ivar freeze: of a node that is stopped.
    """

    pause: float = 1.5
    freeze: float = 0.0


Inflict = Callable[[Installation, Load, Times], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    :ivar inflict: does the damage and ends it.
    :ivar allowed: what it may do.
    """

    inflict: Inflict
    allowed: Allowed


@contextlib.asynccontextmanager
async def _noticed(*nodes: Node) -> AsyncIterator[None]:
    """At the end of the block, wait until each of these nodes has lost its link."""
    before = await asyncio.gather(*(asyncio.to_thread(each.losses) for each in nodes))
    yield
    for node, count in zip(nodes, before, strict=True):
        await until_later(partial(_has_lost_more, node, count), f"{node.name} notices the fault")


def _has_lost_more(node: Node, losses: int) -> bool:
    return node.losses() > losses


async def _redis_killed(installation: Installation, _load: Load, _times: Times) -> None:
    """Kill Redis, and start it again with what it has on disk."""
    async with _noticed(*installation.nodes):
        await asyncio.to_thread(installation.redis.kill)
    await asyncio.to_thread(installation.redis.start)


async def _redis_emptied(installation: Installation, _load: Load, _times: Times) -> None:
    """Kill Redis, and start it again with nothing."""
    async with _noticed(*installation.nodes):
        await asyncio.to_thread(installation.redis.kill)
    await asyncio.to_thread(installation.redis.forget)
    await asyncio.to_thread(installation.redis.start)


async def _redis_paused(installation: Installation, _load: Load, times: Times) -> None:
    """Stop Redis with SIGSTOP, and wake it."""
    installation.redis.pause()
    await asyncio.sleep(times.pause)
    installation.redis.resume()


async def _redis_slow(installation: Installation, load: Load, _times: Times) -> None:
    """Delay everything between the nodes and Redis, differently for each node."""
    for number, each in enumerate(installation.nodes):
        each.proxy.slow_down(0.04 * (number + 1))
    await load.some(5)
    for each in installation.nodes:
        each.proxy.mend()


async def _garbage(installation: Installation, load: Load, _times: Times) -> None:
    """Send all nodes messages that are not nodes', and one of them bytes that are not Redis's."""
    for message in _NO_MESSAGES:
        for topic in (load.kept, load.pushed, load.plain):
            await asyncio.to_thread(installation.redis.publish, topic, message)
    node = installation.nodes[0]
    for data in _NO_REPLIES:
        async with _noticed(node):
            node.proxy.inject(data)
        await installation.joined()


async def _link_cut(installation: Installation, load: Load, _times: Times) -> None:
    """Cut the link of one node, and refuse it to come back for a while."""
    node = installation.nodes[1]
    async with _noticed(node):
        node.proxy.cut()
    await load.some(5)
    node.proxy.mend()


async def _node_killed(installation: Installation, load: Load, _times: Times) -> None:
    """Kill a node; its parent starts it again, and its readers go to others."""
    node = installation.nodes[2]
    load.killed.add(2)
    begun = node.starts
    node.signal(signal.SIGKILL)
    await until(lambda: node.starts > begun, f"{node.name} is started again")


async def _node_frozen(installation: Installation, _load: Load, times: Times) -> None:
    """Stop a node with SIGSTOP while the link of another is mute, until that is noticed."""
    node, mute = installation.nodes[:2]
    node.signal(signal.SIGSTOP)
    try:
        async with _noticed(mute):
            mute.proxy.stall()
            await asyncio.sleep(times.freeze)
    finally:
        node.signal(signal.SIGCONT)
        mute.proxy.mend()


async def _rolling_upgrade(installation: Installation, _load: Load, _times: Times) -> None:
    """Replace the process of each node, one node after the other."""
    for each in installation.nodes:
        await each.upgrade()
        await installation.joined()


async def _versions(installation: Installation, load: Load, _times: Times) -> None:
    """Send what a node of another version of the format would send: it is refused and counted."""
    before = [await asyncio.to_thread(each.refusals, "node-version") for each in installation.nodes]
    topics = (load.kept, load.pushed, load.plain)
    for topic in topics:
        await asyncio.to_thread(installation.redis.publish, topic, _OTHER_VERSION)
    for node, count in zip(installation.nodes, before, strict=True):
        await until_later(
            partial(_has_refused, node, count + len(topics)),
            f"{node.name} counts the messages of another version",
        )


def _has_refused(node: Node, count: int) -> bool:
    return node.refusals("node-version") == count


#: Messages that no node sends, and bytes that Redis does not send.
_NO_MESSAGES: Final = (
    b"",
    b"garbage",
    b"\xff" * 100,
    b'1{"node":1}\n{}',
    b'1{"node":"x","id":1}\n{',
    b'1{"node":"x","id":1,"epoch":"x","offset":-1}\n{}',
)
_NO_REPLIES: Final = (b"?\r\n", b"$-7\r\n", b"\0" * 5000)
_OTHER_VERSION: Final = b'2{"node":"x","id":1,"epoch":"x","offset":1}\n{"p":"x","n":1}'

FAULTS: Final = {
    "redis-killed": Fault(_redis_killed, Allowed()),
    "redis-paused": Fault(_redis_paused, Allowed()),
    "redis-slow": Fault(_redis_slow, Allowed(loses_plain=False)),
    "garbage": Fault(_garbage, Allowed()),
    "link-cut": Fault(_link_cut, Allowed()),
    "node-killed": Fault(_node_killed, Allowed()),
    "node-frozen": Fault(_node_frozen, Allowed()),
    "rolling-upgrade": Fault(_rolling_upgrade, Allowed(loses_plain=False, hides_positions=True)),
    "versions": Fault(_versions, Allowed(loses_plain=False)),
    "redis-emptied": Fault(_redis_emptied, Allowed(loses_kept=True)),
}


async def run_fault(installation: Installation, load: Load, name: str, times: Times) -> list[str]:
    """Inflict a fault on a load that runs; return a sentence for each promise that is broken."""
    fault = FAULTS[name]
    load.begin_fault()
    await fault.inflict(installation, load, times)
    await load.end_fault()
    return await load.judged(fault.allowed)
